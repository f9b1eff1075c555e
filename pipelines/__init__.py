"""The scheduled run: one order's way from the service to the dashboard, in the order of the files.

`settings` → `service` → `warehouse` → `load` → `marts` → `job_record` → `summary`, called by `run`,
which `qtickets.py` turns into a command.
"""

import gc
import os
import sys
from importlib.abc import MetaPathFinder

# Python looks for unreachable cycles after every 700 new objects. The rows of a page are tens of
# thousands, none of them in a cycle: looking less often makes a load a sixth faster, and the
# start of a run a tenth. Peak memory is the same.
gc.set_threshold(50_000, 20, 50)

# numpy, which pyarrow imports, starts a thread per core to multiply matrices with. Nobody does that
# here, and in each process they take a tenth of a second of a processor at its start.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


class _WithoutPandas(MetaPathFinder):
    """Lets nobody import pandas: pyarrow would, as soon as it makes an array, and not use it.

    That took a quarter of a second of every run, and 40 MB.
    """

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        del path, target
        if fullname == "pandas":
            raise ModuleNotFoundError("pandas is not used here", name=fullname)


sys.meta_path.insert(0, _WithoutPandas())
