"""The scheduled run: from the service through raw tables and marts to the dashboard.

In the order of the data: `configuration`, `warehouse`, `loading`, `transform`. `run` calls them,
and `qtickets.py` is the command. `operations` holds what is done between runs.
"""
