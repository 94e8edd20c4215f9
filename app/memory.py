"""Memory that was freed, given back to the system."""

from __future__ import annotations

import ctypes
import sys

_M_MMAP_THRESHOLD = -3  # of glibc's malloc.h
_LARGE = 1 << 20


def give_large_blocks_pages_of_their_own() -> None:
    """Have each array of a MiB or more taken from the system, and given back when it is dropped.

    glibc does so only up to a size that grows with what was dropped, up to 32 MiB: columns of a million rows would
    leave holes that the next ones do not fit into.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)


def return_free_memory() -> None:
    """Give the pages of what was dropped back to the system.

    glibc keeps freed memory that lies below what is in use; Arrow keeps some for what it reads next. Other C
    libraries lack the function, or the habit.
    """
    # Another thread may be importing it right now.
    if (pool := getattr(sys.modules.get("pyarrow"), "default_memory_pool", None)) is not None:
        pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
