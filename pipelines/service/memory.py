"""Give memory that a run has freed back to the system; the process may be idle for half an hour."""

import ctypes
import gc
import sys

import pyarrow as pa


def release_memory() -> None:
    """Collect garbage, and return free pages of the allocators to the system.

    What is left stays for long. Later collections do not visit it again: visiting all that dlt and
    dbt keep would stop every thread, the receiver of webhooks too, for a tenth of a second.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    pa.default_memory_pool().release_unused()
    if sys.platform == "linux":
        # glibc keeps freed pages; other C libraries have no such function, and no such habit.
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim:
            trim(0)
