"""How fast the project is, beside other ways of doing the same: `python -m benchmarks`."""
