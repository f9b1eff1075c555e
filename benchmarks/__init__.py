"""Benchmarks of the project against other implementations: `python -m benchmarks`."""
