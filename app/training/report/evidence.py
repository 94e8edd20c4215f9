"""Everything that a report says, as one document that JSON can hold."""

from __future__ import annotations

import shlex
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from app.training.intervals import LEVEL
from app.training.options import Options
from app.training.preprocess import describe_pipeline
from app.training.problem import Problem
from app.training.promotion import Challenger, Decision
from app.training.reference import spread
from app.training.report import curves, importance, inside, learning, mistakes
from app.training.report.labels import in_a_line, readable
from app.training.report.rows import Answered, answered_rows

Document = dict[str, Any]

# Raised when who reads report.json would misread a newer one.
FORMAT = 1
_MOST_COLUMNS = 100
_MOST_CLASSES = 100
_MOST_CANDIDATES = 200
# The options of a command line that say where things are, not what is trained.
_NOT_OF_THE_TRAINING = {"store", "port", "data", "report"}


@dataclass(frozen=True)
class Subject:
    """What a report is about.

    Attributes
    ----------
    model: the fitted pipeline, as it was evaluated.
    leaks: what makes the held-out rows say more than is true, ``leakage.find_leaks``.
    warned: what was warned of while fitting.
    sections: what else is known: ``search``, ``compression``; each is shown where it is there.
    """

    name: str
    model: Any
    options: Options
    challenger: Challenger
    decision: Decision
    leaks: list[str] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)
    sections: Mapping[str, Any] = field(default_factory=dict)


def gather(subject: Subject) -> Document:
    """Return the document of a training; what cannot be found out is left out, and named under ``left_out``.

    A document is bounded: so many columns, classes, curves' points and mistakes, and no long text.
    """
    challenger, options = subject.challenger, subject.options
    problem = challenger.problem
    document: Document = {
        "format": FORMAT,
        "name": subject.name,
        "task": problem.task,
        "pipeline": describe_pipeline(subject.model),
        "asked": describe_asked(options, challenger),
        "data": describe_data(challenger),
        "main": challenger.metric.name,
        "metrics": describe_metrics(challenger),
        "per_class": describe_classes(challenger),
        "warnings": describe_warnings(subject),
        "promotion": {"promoted": subject.decision.promote, "reason": readable(subject.decision.reason, 300)},
        "left_out": [],
    }
    # Many short calls gain nothing from more threads, and on a busy machine threads that wait for one another
    # make them many times slower.
    with threadpool_limits(1):
        answered = answered_rows(challenger.answers, challenger.split, problem.task)
        document["rows_looked_at"] = len(answered.y)
        _look(document, subject, answered)
    appraisal = challenger.appraisal
    decided = appraisal.threshold and appraisal.threshold | {
        label: readable(appraisal.threshold[label]) for label in ("positive", "negative")
    }
    sections = {**subject.sections, "calibration": appraisal.calibration, "threshold": decided}
    document |= {name: told for name, told in sections.items() if told}
    if "search" in document:
        document["search"] = _bounded_search(document["search"])
    return document


def _look(document: Document, subject: Subject, answered: Answered) -> None:
    """Add what takes a look at the model's answers; a fault in one of them must not cost the training."""
    problem = subject.challenger.problem
    looks: dict[str, Callable[[], Any]] = {}
    if problem.task == "classification":
        looks["confusion"] = lambda: curves.confusion(answered)
        looks["curves"] = lambda: curves.of_probabilities(answered)
    else:
        looks["regression"] = lambda: curves.of_quantities(answered)
    looks["learning"] = lambda: learning.curves(subject.model, subject.challenger.split, problem.task)
    if problem.container == "texts":
        looks["terms"] = lambda: inside.telling_terms(subject.model)
    else:
        looks["importance"] = lambda: importance.permute(
            subject.model, answered, problem, subject.challenger.metric, seed=subject.options.seed
        )
    looks["mistakes"] = lambda: mistakes.worst(
        answered, problem, document.get("importance"), images=subject.options.recipe == "digits"
    )
    for name, look in looks.items():
        start = time.perf_counter()
        try:
            found = look()
        except Exception as fault:  # whatever a model's own code raises, it was trained and is saved
            document["left_out"].append({"part": name, "why": in_a_line(fault)})
            continue
        if found:
            document[name] = found
        document.setdefault("seconds", {})[name] = round(time.perf_counter() - start, 2)


def describe_asked(options: Options, challenger: Challenger) -> Document:
    """Return what the training was asked to do: its command line, where the data is from, chance's seed."""
    defaults = Options(store=options.store)
    words = ["python", "scripts/train.py"]
    if options.data is not None:
        words += ["--data", options.data.name]
    given: dict[str, Any] = {}
    for name, value in vars(options).items():
        if name in _NOT_OF_THE_TRAINING or value == getattr(defaults, name):
            continue
        given[name] = [readable(each) for each in value] if isinstance(value, tuple) else value
        flag = "--" + name.replace("_", "-")
        for each in value if isinstance(value, tuple) else (value,):
            words += [flag] if each is True else [flag, str(each)]
    data = challenger.data
    return {
        "command": readable(shlex.join(words), 1000),
        "options": given,
        "source": readable(data["source"], 200),
        "sha256": data.get("sha256"),
        "target": readable(data["target"]),
        "recipe": options.recipe,
        "seed": options.seed,
        "refitted": options.refit,
    }


def describe_data(challenger: Challenger) -> Document:
    """Return the profile of the data: rows, columns by kind, missing values, what the columns look like."""
    problem, split, data = challenger.problem, challenger.split, challenger.data
    columns = problem.columns
    reference: Mapping[str, Any] = data["reference"]
    profile = [
        {
            "name": readable(name),
            "kind": columns.kinds.get(name, "not used"),
            "why_not_used": columns.dropped.get(name),
            **_statistics(reference.get(name, {})),
        }
        for name in columns.names[:_MOST_COLUMNS]
    ]
    return {
        "rows": len(problem.y),
        "rows_trained": len(split.y_train),
        "rows_held_out": len(split.y_test),
        "own_test_split": problem.n_held_out > 0,
        "columns": len(columns.names),
        "kinds": dict(Counter([*columns.kinds.values(), *["not used"] * len(columns.dropped)])),
        "columns_with_missing": sum(1 for told in reference.values() if told.get("missing")),
        "profile": profile,
        "columns_left_off": max(0, len(columns.names) - _MOST_COLUMNS),
        "target": _target(problem),
    }


def _statistics(told: Mapping[str, Any]) -> Document:
    shown = dict(told)
    if "top" in shown:
        shown["top"] = [{"value": readable(value), "rows": rows} for value, rows in shown["top"].items()]
    return shown


def _target(problem: Problem) -> Document:
    if problem.task == "regression":
        chance = np.random.default_rng(0).permutation(problem.y)
        return {"count": len(problem.y), "missing": 0, **spread(chance)}
    counts = Counter(problem.y.tolist()).most_common()
    top = [{"value": readable(label), "rows": rows} for label, rows in counts[:_MOST_CLASSES]]
    return {"count": len(problem.y), "missing": 0, "distinct": len(counts), "top": top}


def describe_metrics(challenger: Challenger) -> Document:
    """Return each metric's ``value`` and ``baseline``, and of an interval ``low``, ``high`` and ``level``."""
    appraisal = challenger.appraisal
    described: Document = {}
    for name, value in appraisal.metrics.items():
        if not isinstance(value, int | float):
            continue
        described[name] = {"value": value}
        if name in appraisal.intervals:
            low, high = appraisal.intervals[name]
            described[name] |= {"low": low, "high": high, "level": LEVEL}
        if isinstance(appraisal.baseline.get(name), int | float):
            described[name]["baseline"] = appraisal.baseline[name]
    return described


def describe_classes(challenger: Challenger) -> list[Document]:
    """Return precision, recall, f1 and rows of each class; of very many, of those that fare worst."""
    told = challenger.appraisal.metrics.get("per_class", {})
    classes = [{"class": readable(label)} | dict(row) for label, row in told.items()]
    if len(classes) > _MOST_CLASSES:
        classes = sorted(classes, key=lambda row: row["f1"])[:_MOST_CLASSES]
    return classes


def describe_warnings(subject: Subject) -> list[str]:
    """Return what a reader must know before trusting the numbers, one line each."""
    problem, doubt = subject.challenger.problem, subject.challenger.appraisal.doubt
    told = [] if doubt is None else [doubt]
    told += [readable(leak, 300) for leak in subject.leaks]
    if subject.options.refit:
        told.append(
            "Everything here was measured before the model was fitted again on all rows; the saved one has seen "
            "the held-out rows."
        )
    told += [readable(note, 300) for note in (*problem.notes, *subject.challenger.split.notes)]
    return told + [readable(f"While fitting: {text}", 300) for text in subject.warned[:20]]


def _bounded_search(told: Mapping[str, Any]) -> Document:
    shown = dict(told)
    candidates = list(shown.get("candidates", ()))
    shown["candidates"] = candidates[:_MOST_CANDIDATES]
    shown["candidates_left_off"] = max(0, len(candidates) - _MOST_CANDIDATES)
    return shown
