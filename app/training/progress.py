"""What a training prints: readable in a terminal and, as plain lines, in a pipe."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from app.training.evaluation import Metrics
from app.training.problem import Problem
from app.training.promotion import Decision
from app.training.table import Table

if TYPE_CHECKING:
    from app.store import Saved

_MOST_NAMES = 12
_MOST_CLASSES = 20
_PIPE_WIDTH = 120
PLURALS = {"number": "numbers", "category": "categories", "boolean": "booleans", "date": "dates", "text": "texts"}


class Progress:
    """Prints to a rich console; strangers' names are printed as they are, never read as markup."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        if not self._console.is_terminal:
            self._console.width = _PIPE_WIDTH

    def say(self, line: str, style: str = "") -> None:
        """Print one line, however long, without breaking it."""
        self._console.print(Text(printable(line), style=style), soft_wrap=True)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Say that a slow step begins, and how long it took."""
        self.say(f"{title} …")
        start = time.perf_counter()
        yield
        self.say(f"  done in {time.perf_counter() - start:.1f} s", "dim")

    def read(self, table: Table) -> None:
        """Tell what was read."""
        rows, columns = table.frame.shape
        header = "" if table.named or table.frame.columns[0] == "x0" else ", no header"
        self.say(f"read {table.source}: {rows:,} rows, {columns} columns{header}", "bold")

    def found(self, problem: Problem) -> None:
        """Tell the target, the task and the columns by kind."""
        self.say(f"target {problem.target!r}: {_describe_target(problem)}")
        for kind, plural in PLURALS.items():
            names = [name for name, found in problem.columns.kinds.items() if found == kind]
            if names:
                shown = ", ".join(names[:_MOST_NAMES]) + (", …" if len(names) > _MOST_NAMES else "")
                self.say(f"  {len(names)} {plural if len(names) > 1 else kind}: {shown}")
        for note in problem.notes:
            self.say(f"note: {note}", "yellow")

    def building(self, pipeline: str, n_train: int, n_test: int) -> None:
        """Tell the pipeline in one line, and the split."""
        self.say(f"pipeline: {pipeline}")
        self.say(f"split: {n_train:,} rows to learn from, {n_test:,} held out")

    def evaluated(self, metrics: Metrics, baseline: Metrics, leaks: list[str], problem: Problem) -> None:
        """Show the metrics beside the baseline's, and those of each class."""
        grid = _grid("held-out rows", "model", "baseline")
        for name, value in metrics.items():
            if isinstance(value, float):
                grid.add_row(name, _number(value), _number(baseline[name]) if name in baseline else "")
        self._console.print(grid)
        classes = metrics.get("per_class", {})
        if 0 < len(classes) <= _MOST_CLASSES:
            self._console.print(_class_grid(classes))
        for name in leaks:
            self.say(
                f"hint: column {name!r} alone predicts {problem.target!r} all but perfectly; "
                f"if it is not known beforehand, leave it out with --drop {name}",
                "yellow",
            )

    def saved(self, saved: Saved, decision: Decision, curl: str, *, reported: bool) -> None:
        """Tell where the version and its report are, whether it was promoted and why, and how to call it."""
        self.say(f"saved {saved.name} version {saved.version} in {saved.path}", "bold")
        if reported:
            self.say(f"report: {saved.path / 'report.html'}")
        if decision.promote:
            self.say(f"promoted: {decision.reason}", "green")
        else:
            self.say(f"not promoted: {decision.reason}", "yellow")
            self.say(f"  to promote it all the same: python scripts/models.py promote {saved.name} {saved.version}")
        self.say("ask the promoted version, once it is served:")
        self.say(curl)


def printable(line: str) -> str:
    """Return `line` with control characters, which could steer a terminal, written out."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in line)


def _describe_target(problem: Problem) -> str:
    if problem.task == "regression":
        return f"regression, from {problem.y.min():g} to {problem.y.max():g}"
    classes = sorted({str(label) for label in problem.y.tolist()})
    shown = ", ".join(classes[:_MOST_NAMES]) + (", …" if len(classes) > _MOST_NAMES else "")
    return f"classification, {len(classes)} classes: {shown}"


def _class_grid(classes: dict[str, dict[str, Any]]) -> Grid:
    grid = _grid("class", "precision", "recall", "f1", "rows")
    for label, row in classes.items():
        grid.add_row(
            Text(printable(label)), *(f"{row[name]:.4f}" for name in ("precision", "recall", "f1")), str(row["rows"])
        )
    return grid


def _grid(first: str, *others: str) -> Grid:
    grid = Grid(box=None, padding=(0, 2, 0, 0), header_style="bold")
    grid.add_column(first)
    for name in others:
        grid.add_column(name, justify="right")
    return grid


def _number(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:,.1f}"  # noqa: PLR2004  # four digits and more
