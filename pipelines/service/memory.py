"""Give memory that a run has freed back to the system; the process may be idle for half an hour."""

import ctypes
import gc
import sys

import pyarrow as pa


def release_memory() -> None:
    """Collect garbage, and return free pages of the allocators to the system."""
    gc.collect()
    pa.default_memory_pool().release_unused()
    if sys.platform == "linux":
        # glibc keeps freed pages; other C libraries have no such function, and no such habit.
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim:
            trim(0)
