"""What a report says of a search."""

from __future__ import annotations

from typing import Any

import numpy as np

from app.store.costing import MANY
from app.training.candidates import Candidate
from app.training.selection.finalists import WATTS_PER_CORE, Finalist, on_frontier, why_not_chosen
from app.training.selection.plan import Plan, Rung
from app.training.selection.wish import Wish


def tell(  # noqa: PLR0913, PLR0917  # all that there is to tell
    wish: Wish,
    rungs: list[Rung],
    plan: Plan,
    measured: list[Finalist],
    winner: Finalist,
    why: str,
    seconds: float,
) -> dict[str, Any]:
    """Return what a report says of a search, as JSON values; its finalists are in the order of their scores."""
    measured = sorted(measured, key=lambda finalist: (-finalist.result.trial.rung, -finalist.score))
    sign = 1 if wish.metric.higher_is_better else -1
    budget = [f"{wish.seconds:g} s"] if wish.seconds is not None else []
    budget += [f"{wish.trials} trials"] if wish.trials is not None else []

    return {
        "objective": wish.metric.name,
        "higher_is_better": wish.metric.higher_is_better,
        "budget": ", ".join(budget),
        "ended": why,
        "folds": max(len(finalist.result.scores) for finalist in measured),
        "trials": len(plan.results),
        "seconds": round(seconds, 2),
        "limits": {"max_latency_ms": wish.limits.max_latency_ms, "max_size_mb": wish.limits.max_size_mb},
        "candidates": [
            {
                "family": result.trial.candidate.family,
                "settings": result.trial.candidate.settings,
                "rows": rungs[result.trial.rung].rows,
                "score": sign * result.score if result.scores else None,
                "spread": result.spread if result.scores else None,
                "seconds": round(result.seconds, 3),
                "state": result.state,
                "why": result.why,
            }
            for result in plan.results
        ],
        "finalists": [
            {
                "family": finalist.candidate.family,
                "settings": _settings(finalist.candidate),
                "rows": rungs[finalist.result.trial.rung].rows,
                "folds": len(finalist.result.scores),
                "score": sign * finalist.score,
                "spread": finalist.result.spread,
                "latency_one_ms": _plain(finalist.latency_one),
                "latency_many_ms": _plain(finalist.latency_many),
                "many": MANY,
                "engine": finalist.engine,
                "size_mb": _plain(finalist.size),
                "memory_mb": _plain(finalist.fitted.memory_mb),
                "fit_seconds": _plain(finalist.fitted.seconds),
                "cpu_seconds": _plain(finalist.fitted.cpu_seconds),
                "energy_joules": _plain(finalist.fitted.cpu_seconds * WATTS_PER_CORE),
                "refused": finalist.refused,
                "why_not": why_not_chosen(finalist, winner),
                "on_frontier": on_frontier(finalist, measured),
                "chosen": finalist is winner,
            }
            for finalist in measured
        ],
    }


def _settings(candidate: Candidate) -> dict[str, Any]:
    """Return a candidate's settings; of a blend, what it is the mean of."""
    return {"of": list(map(str, candidate.members))} if candidate.members else dict(candidate.settings)


def _plain(value: float) -> float | None:
    return float(f"{value:.4g}") if np.isfinite(value) else None
