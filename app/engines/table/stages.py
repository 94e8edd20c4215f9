"""Operations on single numbers, for arrays and for one number of Python's.

They are scikit-learn's own, in its order: ``(x - mean) / scale`` is never fused to ``x * a + b``, since
the last bit decides on which side of a tree's split point a row falls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from app.signature import Array

Floats = npt.NDArray[np.float64]

# Functions that work value by value and give float64 for float64: np.reciprocal and its like, which
# mean something else for integers, are not among them.
FUNCTIONS: dict[str, np.ufunc] = {
    name: getattr(np, name)
    for name in (
        "absolute", "arcsinh", "arctan", "cbrt", "ceil", "cos", "exp", "expm1", "floor", "log", "log10", "log1p",
        "log2", "rint", "sign", "sin", "sqrt", "square", "tanh",
    )
}  # fmt: skip
_ARITHMETIC: dict[str, np.ufunc] = {
    "subtract": np.subtract,
    "divide": np.divide,
    "multiply": np.multiply,
    "add": np.add,
}


@dataclass(frozen=True)
class Stage:
    """One operation on a number.

    ``op`` is subtract, divide, multiply or add (of ``constant``), fill (NaN becomes ``constant``),
    missing (1 for NaN, else 0), clip (to ``constant`` … ``upper``), or the name of one of FUNCTIONS.
    """

    op: str
    constant: float = 0.0
    upper: float = 0.0


def apply_stage(op: str, numbers: Array, constant: Any, upper: Any) -> Floats:
    """Apply one operation to an array of float64; `constant` and `upper` broadcast against it."""
    with np.errstate(all="ignore"):
        if op in _ARITHMETIC:
            return np.asarray(_ARITHMETIC[op](numbers, constant))
        if op == "fill":
            return np.where(np.isnan(numbers), constant, numbers)
        if op == "missing":
            return np.isnan(numbers).astype(np.float64)
        if op == "clip":
            return np.clip(numbers, constant, upper)
        return np.asarray(FUNCTIONS[op](numbers))


def scalar_function(stages: Sequence[Stage]) -> Callable[[float], float] | None:
    """Return `stages` as one function of a Python float, with the very bits of the arrays' operations."""
    if not stages:
        return None
    if [stage.op for stage in stages] == ["subtract", "divide"]:
        mean, scale = stages[0].constant, stages[1].constant
        return lambda number: (number - mean) / scale
    functions = [_scalar_stage(stage) for stage in stages]
    if len(functions) == 1:
        return functions[0]

    def chain(number: float) -> float:
        for function in functions:
            number = function(number)
        return number

    return chain


def _scalar_stage(stage: Stage) -> Callable[[float], float]:
    constant, upper = stage.constant, stage.upper
    if stage.op in FUNCTIONS:
        function = FUNCTIONS[stage.op]
        return lambda number: float(function(float(number)))
    return {
        "subtract": lambda number: number - constant,
        "divide": lambda number: number / constant,
        "multiply": lambda number: number * constant,
        "add": lambda number: number + constant,
        "fill": lambda number: number if number == number else constant,  # noqa: PLR0124  # NaN differs from itself
        "missing": lambda number: float(number != number),  # noqa: PLR0124
        "clip": lambda number: constant if number < constant else min(number, upper) if number > constant else number,
    }[stage.op]
