"""Plans as plain data and back, so that a form is built again without scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from app.engines.table.columns import Block, Hot, Number
from app.engines.table.plan import TablePlan
from app.engines.table.stages import Stage


def dump_plan(plan: TablePlan) -> dict[str, Any]:
    """Return a plan as nested dicts and lists of arrays and scalars, for :mod:`app.engines.state`."""
    return {
        "pieces": [_hot(piece) if isinstance(piece, Hot) else _number(piece) for piece in plan.block.pieces],
        "watched": list(map(_number, plan.block.watched)),
        "takes_missing": plan.takes_missing,
    }


def load_plan(state: Mapping[str, Any]) -> TablePlan:
    """Build a plan again; raises KeyError, TypeError or ValueError where the state is none."""
    pieces = tuple(_as_hot(piece) if "codes" in piece else _as_number(piece) for piece in state["pieces"])
    watched = tuple(map(_as_number, state["watched"]))
    return TablePlan(Block(pieces, watched=watched), takes_missing=state["takes_missing"])


def _number(number: Any) -> dict[str, Any]:
    stages: Sequence[Stage] = number.stages
    return {
        "source": number.source,
        "part": number.part,
        "dtype": number.dtype.name,
        "operations": [stage.op for stage in stages],
        "constants": np.array([[stage.constant, stage.upper] for stage in stages]).reshape(-1, 2),
    }


def _as_number(state: Mapping[str, Any]) -> Number:
    constants = state["constants"].tolist()
    stages = tuple(Stage(op, *pair) for op, pair in zip(state["operations"], constants, strict=True))
    return Number(state["source"], stages, state["part"], np.dtype(state["dtype"]))


def _hot(hot: Hot) -> dict[str, Any]:
    return {
        "source": hot.source,
        "categories": list(hot.codes),
        "codes": list(hot.codes.values()),
        "missing": hot.missing,
        "unknown": hot.unknown,
        "base": hot.base,
        "offsets": hot.offsets,
        "values": hot.values,
        "dtype": hot.dtype.name,
    }


def _as_hot(state: Mapping[str, Any]) -> Hot:
    return Hot(
        source=state["source"],
        codes=dict(zip(state["categories"], state["codes"], strict=True)),
        missing=state["missing"],
        unknown=state["unknown"],
        base=state["base"],
        offsets=state["offsets"],
        values=state["values"],
        dtype=np.dtype(state["dtype"]),
    )
