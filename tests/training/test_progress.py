"""What a training prints, where that takes no training to see."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from sklearn.pipeline import make_pipeline

from app.training.evaluation import Appraisal
from app.training.progress import Progress


@pytest.fixture
def printed() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def progress(printed: io.StringIO) -> Progress:
    return Progress(Console(file=printed, highlight=False))


def test_a_finalist_that_was_not_measured_has_dashes(progress: Progress, printed: io.StringIO) -> None:
    measured = dict.fromkeys(
        ("latency_one_ms", "latency_many_ms", "size_mb", "fit_seconds", "cpu_seconds", "energy_joules")
    )
    finalist = {
        "family": "blend",
        "score": 0.9,
        "spread": 0.02,
        "folds": 5,
        "rows": 1200,
        "chosen": False,
        "why_not": "no time",
    } | measured
    told = {"objective": "accuracy", "higher_is_better": True}
    found: Any = SimpleNamespace(
        told=told | {"finalists": [finalist]}, model=make_pipeline("passthrough"), candidate="lda"
    )
    progress.searched(found)
    (line,) = [line for line in printed.getvalue().splitlines() if line.startswith("blend")]
    assert line.split() == ["blend", "0.9000", "±0.02", "5", "of", "1,200", *["—"] * 6, "no", "time"]
    assert "chosen: lda" in printed.getvalue()


@pytest.mark.parametrize(
    ("value", "interval", "shown"),
    [
        (1.23412e12, (1.2e12, 1.3e12), "1.234e+12 (1.20e+12 to 1.30e+12)"),
        # As many digits as tell the ends apart.
        (1e9, (1e9 - 1, 1e9 + 1), "1.000e+09 (9.9999999900e+08 to 1.0000000010e+09)"),
        (999_999_999.0, (9e8, 9.5e8), "999,999,999.0 (900,000,000 to 950,000,000)"),
        (0.51234, (0.41, 0.61), "0.5123 (0.41 to 0.61)"),
    ],
)
def test_numbers_are_as_long_as_can_be_read(
    progress: Progress, printed: io.StringIO, value: float, interval: tuple[float, float], shown: str
) -> None:
    progress.evaluated(Appraisal({"mse": value}, {}, {"mse": interval}), [])
    (line,) = [line for line in printed.getvalue().splitlines() if line.startswith("mse")]
    assert line.split() == ["mse", *shown.split(), "—"]
