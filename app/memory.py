"""Memory that was freed, given back to the system."""

from __future__ import annotations

import ctypes
import gc
import sys

# Of glibc's malloc.h.
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_LARGE = 1 << 20
_ARENAS = 2


def give_large_blocks_pages_of_their_own() -> None:
    """Have each array of a MiB or more taken from the system, and given back when it is dropped.

    glibc does so only up to a size that grows with what was dropped, up to 32 MiB: columns of a million rows would
    leave holes that the next ones do not fit into.
    """
    _call("mallopt", _M_MMAP_THRESHOLD, _LARGE)


def let_threads_share_arenas() -> None:
    """Have all threads allocate from two of glibc's arenas, in place of eight for each core.

    Each arena keeps what was freed in it for its own threads. Python's threads take turns anyway.
    """
    _call("mallopt", _M_ARENA_MAX, _ARENAS)


def return_free_memory() -> None:
    """Give the pages of what was dropped back to the system.

    What refers to itself is found first. glibc keeps freed memory that lies below what is in use; Arrow keeps some
    for what it reads next. Other C libraries lack the function, or the habit.
    """
    gc.collect()
    # Another thread may be importing it right now.
    if (pool := getattr(sys.modules.get("pyarrow"), "default_memory_pool", None)) is not None:
        pool().release_unused()
    _call("malloc_trim", 0)


def _call(function: str, *arguments: int) -> None:
    """Call a function of the C library, where it has that."""
    found = getattr(ctypes.CDLL(None), function, None)
    if found is not None:
        found(*arguments)
