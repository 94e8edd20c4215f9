"""What a decoded body is, whatever it was written in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.signature import Array, Batch

# What an engine gives: one array, or one for each output of a multi-output method.
Answer = Array | list[Array]


@dataclass(frozen=True, slots=True)
class Form:
    """The shape a JSON reply takes: the key its values stand under, and whether one bare value was asked for."""

    key: str = "y_pred"
    scalar: bool = False


@dataclass(slots=True)  # made for every request: freezing would triple what that costs
class Decoded:
    """The rows of a request, the shape in which it wants them answered, and the methods that its body itself asks for.

    The form is a :class:`Form`, or whatever else the protocol's own ``encode`` reads.
    """

    batch: Batch
    form: Any
    methods: tuple[str, ...] = ()
