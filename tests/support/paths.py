"""Paths of the project and of the data of its tests."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
REAL_PAGES = PROJECT / "tests" / "data"
"""Answers of the live service, with personal data replaced."""
