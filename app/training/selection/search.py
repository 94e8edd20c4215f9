"""A search from its beginning to the chosen model."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from app.training.candidates import Candidate, build, spaces
from app.training.errors import TrainingError
from app.training.problem import Problem
from app.training.selection.compression import Shrinking, shrink
from app.training.selection.finalists import Finalist, choose
from app.training.selection.finals import Finals
from app.training.selection.journal import forget, open_journal
from app.training.selection.loop import Loop, stop_asked
from app.training.selection.plan import Plan, count_folds, make_rungs, ranked
from app.training.selection.telling import tell
from app.training.selection.trying import Fold, Task
from app.training.selection.wish import Watcher, Wish
from app.training.selection.workshop import Workshop
from app.training.split import Split, make_folds, take_rows

# More rows than this are sampled for the search; the finalists are fitted on all.
_MOST_ROWS = 200_000


@dataclass(frozen=True)
class Found:
    """What a search came to.

    Attributes
    ----------
    pipeline: the unfitted pipeline that was chosen, made smaller where that was asked for.
    model: the same, fitted on all training rows.
    told: all that a report says of the search, as JSON values.
    compression: what was done to make it smaller, as JSON values.
    """

    pipeline: Any
    model: Any
    candidate: Candidate
    finalists: tuple[Finalist, ...]
    told: dict[str, Any]
    compression: list[dict[str, Any]]


def select(  # noqa: PLR0913  # the rows, the wish, and where it is kept and shown
    problem: Problem, split: Split, wish: Wish, *, folder: Path, about: Mapping[str, Any], watcher: Watcher
) -> Found:
    """Search for the best model within the limits, using the training rows alone.

    Parameters
    ----------
    folder
        The model's folder in the store, for the journal.
    about
        What else the results depend on, for :func:`app.training.selection.journal.open_journal`.

    Raises
    ------
    TrainingError
        Nothing can be fitted, no finalist is within the limits, or there is nothing to resume.
    """
    began = time.monotonic()
    task = _make_task(problem, split, wish)
    offered = spaces(problem, len(split.y_train), wish.metric)
    families = [space.family for space in offered]
    plan = Plan(offered, task.rungs, wish.metric.perfect, wish.seed)
    asked = {**about, "seed": wish.seed, "objective": wish.metric.name, "rungs": list(map(list, task.rungs))}
    notes: list[str] = []
    with (
        stop_asked() as stop,
        open_journal(folder, asked, resume=wish.resume) as journal,
        Workshop(task, split, wish.jobs) as workshop,
    ):
        watcher.began(wish, list(task.rungs), len(journal))
        end = None if wish.seconds is None else began + wish.seconds
        finals = Finals(problem, split, wish, task, workshop, journal, end)
        loop = Loop(
            plan,
            wish,
            journal,
            start=workshop.start,
            watcher=watcher,
            stop=stop,
            began=began,
            seconds_of_finals=finals.seconds_needed,
        )
        why = loop.run()
        watcher.ended(why)
        if not plan.best():
            raise TrainingError(_nothing_fitted(plan, stopped=stop.is_set()))
        best = plan.best() if stop.is_set() else finals.catch_up(plan)
        blend = "the search was stopped" if stop.is_set() else finals.try_blend(best)
        if isinstance(blend, str):
            notes.append(f"no blend of the best is among the finalists: {blend}")
        else:
            best = ranked([*best, blend])
        measured = finals.measure(best, watcher)
        winner = choose(measured, families, wish.metric.resolution(len(task.y)))
        if winner is None:
            raise TrainingError(_none_within(measured))
        shrunk = Shrinking(winner)
        if wish.max_loss is not None:
            shrunk = shrink(winner, problem, split, wish, workshop, watcher)
            if not shrunk.told:
                notes.append(f"there is nothing to compress in a model of the family {winner.candidate.family}")
        model = shrunk.finalist.load()
    forget(folder)
    for note in notes:
        watcher.noted(note)
    told = tell(wish, list(task.rungs), plan, measured, winner, why, time.monotonic() - began) | {"notes": notes}
    candidate = shrunk.finalist.candidate
    return Found(build(candidate, problem, wish.seed), model, candidate, tuple(measured), told, shrunk.told)


def _make_task(problem: Problem, split: Split, wish: Wish) -> Task:
    """Divide the training rows, or a sample of very many, into folds; each in an order drawn by chance."""
    n = len(split.y_train)
    if n > _MOST_ROWS:
        rows = np.sort(np.random.default_rng(wish.seed).permutation(n)[:_MOST_ROWS])
        split = split.of_train(rows)
    n_folds, repeats = count_folds(make_rungs(min(n, _MOST_ROWS)))
    folds: list[Fold] = []
    for repeat in range(repeats):
        for train, valid in make_folds(split, problem.task, n_folds, wish.seed + repeat):
            # The first rows of a fold are then a sample of it.
            rng = np.random.default_rng([wish.seed, len(folds)])
            folds.append((rng.permutation(train), rng.permutation(valid)))
    rungs = [rung._replace(folds=min(rung.folds, len(folds))) for rung in make_rungs(max(len(t) for t, _ in folds))]
    bare = replace(problem, X=take_rows(problem.X, slice(0, 0)), y=problem.y[:0])
    return Task(bare, split.X_train, split.y_train, folds, rungs, wish.metric.name, wish.seed)


def _nothing_fitted(plan: Plan, *, stopped: bool) -> str:
    if stopped:
        return "the search was stopped before any candidate had been fitted"
    why = next((result.why for result in plan.results if result.why), "the budget was too short for the first of them")
    return f"no candidate could be fitted: {why}"


def _none_within(measured: list[Finalist]) -> str:
    nearest = min(measured, key=lambda finalist: (finalist.latency_one, finalist.size))
    return f"no finalist is within the limits; the nearest, {nearest.candidate}: {nearest.refused}"
