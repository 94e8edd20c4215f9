"""How much memory an action takes, as a test may rely on it."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def peak_of(action: Callable[[], T]) -> tuple[T, int]:
    """Do something twice; return what it gave the second time, and the most bytes that Python held meanwhile.

    The first time imports modules and fills caches, in one test or another, by the order in which they run.
    """
    action()
    tracemalloc.start()
    try:
        return action(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
