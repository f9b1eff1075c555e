"""Implementations of the same task: orders from pages into ClickHouse.

Every module has `load(file, orders, home)`. It loads the first `orders` orders of a file into
an empty ClickHouse in the folder `home`, and returns the cost.
"""
