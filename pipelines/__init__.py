"""The scheduled run: one order's way from the service to the dashboard, in the order of the files.

`settings` → `service` → `warehouse` → `load` → `marts` → `job_record` → `summary`, called by `run`,
which `qtickets.py` turns into a command.
"""
