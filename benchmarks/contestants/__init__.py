"""Ways of getting the same orders into ClickHouse, each in a process of its own.

Every module has `load(file, orders, home, **options)`: the first `orders` of a file into an empty
ClickHouse in the folder `home`, and says what it cost.
"""
