"""The scheduled run: one order's way from the service to the dashboard, in the order of the files.

`settings` → `service` → `warehouse` → `load` → `marts` → `job_record` → `summary`, called by `run`,
which `qtickets.py` turns into a command.
"""

import gc

# Python looks for unreachable cycles after every 700 new objects. The rows of a page are tens of
# thousands, none of them in a cycle: looking less often makes a load a sixth faster, and the
# start of a run a tenth. Peak memory is the same.
gc.set_threshold(50_000, 20, 50)
