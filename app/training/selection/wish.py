"""What a search is asked to do, and who is told what it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.training.metrics import Metric

if TYPE_CHECKING:
    from app.training.selection.finalists import Finalist
    from app.training.selection.plan import Plan, Result, Rung


@dataclass(frozen=True)
class Limits:
    """The serving budget: milliseconds for one row, megabytes on the disk; None is no limit."""

    max_latency_ms: float | None = None
    max_size_mb: float | None = None

    def why_beyond(self, latency_ms: float, size_mb: float) -> str | None:
        """Say which limit a model is beyond, or return None."""
        if self.max_latency_ms is not None and latency_ms > self.max_latency_ms:
            return f"one row takes {latency_ms:.3g} ms, more than {self.max_latency_ms:g}"
        if self.max_size_mb is not None and size_mb > self.max_size_mb:
            return f"{size_mb:.3g} MB, more than {self.max_size_mb:g}"
        return None


@dataclass(frozen=True)
class Wish:
    """What a search is asked to do; at least one of `seconds` and `trials` is given.

    Attributes
    ----------
    jobs: how many candidates are tried side by side.
    max_loss: how much of the metric the chosen model may lose by being made smaller, of an unbounded error as a share;
        None leaves it as it is.
    """

    metric: Metric
    seconds: float | None
    trials: int | None
    jobs: int
    seed: int
    limits: Limits
    resume: bool = False
    max_loss: float | None = None


class Watcher:
    """Is told what a search does; this one keeps it to itself."""

    def began(self, wish: Wish, rungs: list[Rung], known: int) -> None:
        """Take note that the search begins, with so many results from before."""

    def tried(self, plan: Plan, result: Result, left: float | None) -> None:
        """Take note of a result, with so many seconds left."""

    def tick(self, left: float | None) -> None:
        """Take note that time goes by."""

    def ended(self, why: str) -> None:
        """Take note that no more is tried."""

    def measured(self, finalist: Finalist) -> None:
        """Take note that a finalist was fitted and measured."""

    def noted(self, note: str) -> None:
        """Take note of what was left out, and why."""

    def shrunk(self, step: str, why_not: str) -> None:
        """Take note that a way to make the model smaller was tried; `why_not` is empty where it was taken."""
