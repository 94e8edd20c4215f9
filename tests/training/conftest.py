"""Small tables of every kind, and a way to train on them without a terminal."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from app.training.options import Options
from app.training.pipeline import Outcome, train
from app.training.progress import Progress

Trainer = Callable[..., tuple[Outcome, str]]


@pytest.fixture(scope="session")
def passengers() -> pd.DataFrame:
    """200 rows with a column of every kind, and columns that are of no use."""
    rng = np.random.default_rng(0)
    n = 200
    age = rng.integers(1, 80, n)
    city = rng.choice(["Köln", "Bonn", "Trier"], n)
    words = rng.choice(["calm", "rough", "long", "short", "grey", "bright"], (n, 5))
    return pd.DataFrame(
        {
            "passenger_id": np.arange(1000, 1000 + n),
            "age": age,
            "fare": np.where(rng.random(n) < 0.1, np.nan, rng.normal(30, 8, n).round(2)),
            "city": city,
            "alone": rng.random(n) < 0.5,
            "booked": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 500, n), unit="D"),
            "remark": [" ".join(row) for row in words],
            "ship": "Titanic",
            "empty": np.nan,
            "survived": np.where((age < 30) | (city == "Bonn"), "yes", "no"),
        }
    )


@pytest.fixture
def trainer(tmp_path: Path) -> Trainer:
    """Train into a store of the test's own, without a report; returns the outcome and what was printed."""

    def run(**options: Any) -> tuple[Outcome, str]:
        printed = io.StringIO()
        console = Console(file=printed, highlight=False)
        outcome = train(Options(**{"store": tmp_path / "models", "report": False} | options), Progress(console))
        return outcome, printed.getvalue()

    return run
