"""The scheduled run: from the service through raw tables and marts to the dashboard.

In the order of the data: `configuration`, `warehouse`, `loading`, `transform`. `run` calls them,
`qtickets.py` is the program and `commands` its commands. `operations` is for work between runs.
"""
