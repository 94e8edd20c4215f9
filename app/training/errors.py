"""What training says when it cannot go on."""

from collections.abc import Iterator
from contextlib import contextmanager


class TrainingError(Exception):
    """The data or the options cannot be trained on; the message is one line for the user."""


def first_line(fault: Exception) -> str:
    """Return the first line of what an exception says; its class where it says nothing."""
    return (str(fault).splitlines() or [type(fault).__name__])[0]


@contextmanager
def about(source: str) -> Iterator[None]:
    """Begin what is said of the data with the file's name, unless it begins so already."""
    try:
        yield
    except TrainingError as fault:
        if str(fault).startswith(source):
            raise
        raise TrainingError(f"{source}: {fault}") from fault
