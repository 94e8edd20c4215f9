"""What a training prints: readable in a terminal and, as plain lines, in a pipe."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table as Grid
from rich.text import Text

from app.training import calibration, threshold
from app.training.evaluation import Appraisal
from app.training.preprocess import describe_pipeline
from app.training.problem import Problem
from app.training.promotion import Decision
from app.training.selection import Watcher, Wish
from app.training.selection.finalists import Finalist
from app.training.selection.plan import Plan, Result, Rung
from app.training.split import Split
from app.training.table import Table

if TYPE_CHECKING:
    from app.store import Saved
    from app.store.showing import Example
    from app.training.selection import Found

_MOST_NAMES = 12
_MOST_SETTINGS = 60
_MOST_CLASSES = 20
_PIPE_WIDTH = 120
_MOST_SHOWN = 10
_BAR = 30
_NOT_KNOWN = "—"
# Numbers with more digits than this before the point are written with an exponent.
_LONG = 9
PLURALS = {"number": "numbers", "category": "categories", "boolean": "booleans", "date": "dates", "text": "texts"}


class Progress:
    """Prints to a rich console; strangers' names are printed as they are, never read as markup."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        if not self._console.is_terminal:
            self._console.width = _PIPE_WIDTH
        self.search = SearchProgress(self._console, self.say)

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

    def divided(self, split: Split) -> None:
        """Tell how many rows there are to learn from and how many are held out."""
        self.say(f"split: {split}")
        for note in split.notes:
            self.say(f"note: {note}", "yellow")

    def building(self, pipeline: str, split: Split) -> None:
        """Tell the pipeline in one line, and the split."""
        self.say(f"pipeline: {pipeline}")
        self.divided(split)

    def searched(self, found: Found) -> None:
        """Show the finalists, what each costs to serve, which was chosen and why each other was not."""
        metric = found.told["objective"]
        grid = _grid("finalist", metric, "folds", "1 row", "1,000 rows", "file", "fit", "cpu", "energy", "")
        grid.columns[-1].justify = "left"
        for told in found.told["finalists"]:
            verdict = "chosen" if told["chosen"] else told["why_not"]
            grid.add_row(
                Text(told["family"]),
                f"{_number(told['score'])} ±{told['spread']:.2g}",
                f"{told['folds']} of {told['rows']:,}",
                *(
                    _with_unit(told[key], unit)
                    for key, unit in (
                        ("latency_one_ms", "ms"),
                        ("latency_many_ms", "ms"),
                        ("size_mb", "MB"),
                        ("fit_seconds", "s"),
                        ("cpu_seconds", "s"),
                        ("energy_joules", "J"),
                    )
                ),
                Text(printable(verdict)),
                style="bold green" if told["chosen"] else "",
            )
        self._console.print(grid)
        self.say(f"chosen: {found.candidate}")
        self.say(f"pipeline: {describe_pipeline(found.model)}")

    def evaluated(self, appraisal: Appraisal, leaks: list[str]) -> None:
        """Show the metrics, with 95 % confidence intervals, beside the baseline's, and those of each class."""
        metrics, baseline = appraisal.metrics, appraisal.baseline
        grid = _grid("held-out rows", "model", "baseline")
        for name, value in metrics.items():
            if isinstance(value, float):
                interval = _interval(appraisal.intervals.get(name))
                grid.add_row(name, f"{_number(value)}{interval}", _number(baseline.get(name)))
        self._console.print(grid)
        classes = metrics.get("per_class", {})
        if 0 < len(classes) <= _MOST_CLASSES:
            self._console.print(_class_grid(classes))
        if appraisal.doubt is not None:
            self.say(f"warning: {appraisal.doubt}", "bold yellow")
        for leak in leaks:
            self.say(f"hint: {leak}", "yellow")
        if appraisal.calibration is not None:
            self._calibrated(appraisal.calibration)
        if appraisal.threshold is not None:
            self._decided(appraisal.threshold)

    def _calibrated(self, told: dict[str, Any]) -> None:
        """Tell whether probabilities were calibrated, why, and what that changed on held-out rows."""
        self.say(calibration.in_words(told), "green" if told["accepted"] else "yellow")
        if not told["accepted"]:
            return
        grid = _grid("held-out rows", "before", "calibrated")
        for name, value in told["after"].items():
            grid.add_row(name, _number(told["before"].get(name)), _number(value))
        self._console.print(grid)

    def _decided(self, told: dict[str, Any]) -> None:
        """Tell the threshold, and the mistakes on held-out rows at it and at the default."""
        self.say(f"threshold: {str(told['positive'])!r} {threshold.in_words(told)}")
        grid = _grid("held-out rows", "missed", "false alarms", "found", *(["cost"] if told["costs"] else []))
        for name, at in ((f"at {told['default']:g}", told["at_default"]), ("as chosen", told["at_chosen"])):
            (_, alarms), (missed, found) = at["matrix"]
            cost = [f"{at['cost']:,g}"] if told["costs"] else []
            grid.add_row(name, str(missed), str(alarms), str(found), *cost)
        self._console.print(grid)

    def saved(self, saved: Saved, decision: Decision, curl: Example, *, reported: bool) -> None:
        """Tell where the version and its report are, whether it was promoted and why, and how to call it."""
        self.say(f"saved {saved.name} version {saved.version} in {saved.path}", "bold")
        if reported:
            self.say(f"report: {saved.path / 'report.html'}")
        if decision.promote:
            self.say(f"promoted: {decision.reason}", "green")
        else:
            self.say(f"not promoted: {decision.reason}", "yellow")
            self.say(f"  to promote it all the same: python scripts/models.py promote {saved.name} {saved.version}")
        self.say(f"once the promoted version is served, to {curl.purpose}:")
        self.say(curl.line)


def printable(line: str) -> str:
    """Return `line` with control characters, which could steer a terminal, written out."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in line)


def _with_unit(value: float | None, unit: str) -> str:
    return _NOT_KNOWN if value is None else f"{value:.3g} {unit}"


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


def _interval(ends: tuple[float, float] | None) -> str:
    """Write an interval with as many decimals as its width is worth."""
    if ends is None:
        return ""
    low, high = ends
    last, largest = (math.floor(math.log10(size)) for size in (high - low, max(abs(low), abs(high))))
    form = f".{max(1, 1 + largest - last)}e" if largest >= _LONG else f",.{min(4, max(0, 1 - last))}f"
    return f" ({low:{form}} to {high:{form}})"


def _number(value: float | None) -> str:
    """Write a number with four decimals or, where it is large, four digits and more; a dash for none."""
    if value is None or math.isnan(value):
        return _NOT_KNOWN
    if abs(value) >= 10**_LONG:
        return f"{value:.3e}"
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:,.1f}"  # noqa: PLR2004  # four digits


class SearchProgress(Watcher):
    """Shows a search: a live table and a bar in a terminal, a line for each improvement elsewhere."""

    def __init__(self, console: Console, say: Callable[[str, str], None]) -> None:
        self._console, self._say = console, say
        self._live: Live | None = None
        self._best: tuple[int, float] | None = None
        self._plan: Plan | None = None

    def began(self, wish: Wish, rungs: list[Rung], known: int) -> None:
        """Say what is searched, and for how long."""
        self._wish, self._rungs, self._best, self._plan = wish, rungs, None, None
        self._since = time.monotonic()
        budget = [f"{wish.seconds:g} s"] if wish.seconds is not None else []
        budget += [f"{wish.trials} trials"] if wish.trials is not None else []
        before = f", {known} results from before" if known else ""
        self._say(f"searching by {wish.metric.name}: {' or '.join(budget)}, {wish.jobs} at a time{before} …", "")
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=4, transient=True)
            self._live.start()

    def tried(self, plan: Plan, result: Result, left: float | None) -> None:
        """Show a result where it is the best of the furthest rung so far."""
        self._plan = plan
        if result.state == "finished" and (self._best is None or (result.trial.rung, result.score) > self._best):
            self._best = (result.trial.rung, result.score)
            if self._live is None:
                self._say(f"  trial {len(plan.results)}: {self._shown(result)} {result.trial.candidate}", "")
        self.tick(left)

    def tick(self, left: float | None) -> None:
        """Draw the table and the bar again."""
        if self._live is not None and self._plan is not None:
            self._live.update(Group(self._table(self._plan), Text(self._bar(left), style="dim")))

    def ended(self, why: str) -> None:
        """Put the live table away, and say why the search ended."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        self._say(f"  {why}; fitting and measuring the finalists …", "dim")

    def measured(self, finalist: Finalist) -> None:
        """Say what one finalist costs, where it cannot be had."""
        if finalist.refused:
            self._say(f"  {finalist.candidate.family}: {finalist.refused}", "yellow")

    def noted(self, note: str) -> None:
        """Say what was left out, and why."""
        self._say(f"note: {note}", "yellow")

    def shrunk(self, step: str, why_not: str) -> None:
        """Say whether a way to make the model smaller was taken."""
        self._say(f"  {step}: {why_not or 'taken'}", "" if why_not else "green")

    def _shown(self, result: Result) -> str:
        metric = self._wish.metric
        score = result.score if metric.higher_is_better else -result.score
        rung = self._rungs[result.trial.rung]
        return f"{metric.name} {_number(score)} on {rung.folds} fold{'s' * (rung.folds > 1)} of {rung.rows:,} rows,"

    def _table(self, plan: Plan) -> Grid:
        grid = _grid("candidate", self._wish.metric.name, "rows", "folds", "seconds")
        for result in plan.best()[:_MOST_SHOWN]:
            score = result.score if self._wish.metric.higher_is_better else -result.score
            rung = self._rungs[result.trial.rung]
            name = Text(printable(str(result.trial.candidate))[:_MOST_SETTINGS])
            grid.add_row(name, _number(score), f"{rung.rows:,}", str(rung.folds), f"{result.seconds:.1f}")
        return grid

    def _bar(self, left: float | None) -> str:
        tried = len(self._plan.results) if self._plan else 0
        if left is not None and self._wish.seconds:
            gone = time.monotonic() - self._since
            share = gone / (gone + left) if gone + left else 1.0
            told = f"{tried} trials, {left:.0f} s left before the finals; Ctrl-C takes the best so far"
        else:
            share = tried / (self._wish.trials or 1)
            told = f"{tried} of {self._wish.trials} trials; Ctrl-C takes the best so far"
        done = round(_BAR * min(1.0, max(0.0, share)))
        return f"{'━' * done}{'╌' * (_BAR - done)} {told}"
