"""Versions are compared on rows that neither has learnt from, however each was trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.training.conftest import Trainer

ROWS = 1000
DAYS = pd.date_range("2026-01-01", periods=ROWS, freq="D").astype(str)


@pytest.fixture
def noisy(tmp_path: Path) -> Path:
    """Labels of which three in ten are wrong: a tree that has learnt a row by heart is known by its score."""
    chance = np.random.default_rng(0)
    numbers = {f"n{index}": chance.normal(size=ROWS) for index in range(4)}
    y = (numbers["n0"] > 0) ^ (chance.random(ROWS) < 0.3)
    table = pd.DataFrame(numbers).assign(family=np.arange(ROWS) // 3, day=DAYS, y=np.where(y, "yes", "no"))
    table.to_csv(tmp_path / "noisy.csv", index=False)
    return tmp_path / "noisy.csv"


@pytest.mark.parametrize(
    ("then", "now", "where"),
    [
        ({}, {"test_size": 0.5}, "held-out rows that it has not learnt from"),
        ({}, {"group": "family"}, "its own held-out rows; of these here it may have learnt"),
        ({}, {"time": "day"}, "its own held-out rows; of these here it may have learnt"),
        ({"group": "family"}, {"group": "family", "test_size": 0.4}, "held-out rows that it has not learnt from"),
        ({"group": "family"}, {}, "its own held-out rows; of these here it may have learnt"),
        ({"time": "day"}, {"time": "day", "test_size": 0.5}, "held-out rows that it has not learnt from"),
        ({"refit": True}, {"test_size": 0.3}, "its own held-out rows; of these here it may have learnt"),
        ({"refit": True}, {"estimator": "tree"}, "the same held-out rows"),
    ],
)
def test_what_the_promoted_version_has_learnt_by_heart_does_not_speak_for_it(
    trainer: Trainer, noisy: Path, then: dict[str, Any], now: dict[str, Any], where: str
) -> None:
    common = {"data": noisy, "target": "y", "drop": ("family", "day"), "estimator": "tree"}
    first, _ = trainer(**common | then)
    again, _ = trainer(**common | now)
    assert where in again.decision.reason
    assert first.metrics["accuracy"] < 0.8
    assert again.saved.promoted, again.decision.reason


def test_a_growing_file_in_the_order_of_time_is_compared_on_its_latest_rows(
    trainer: Trainer, noisy: Path, tmp_path: Path
) -> None:
    table = pd.read_csv(noisy)
    data = tmp_path / "grows.csv"
    common = {"data": data, "target": "y", "time": "day", "drop": ("family",), "name": "m"}
    table[:800].to_csv(data, index=False)
    trainer(**common)
    table.to_csv(data, index=False)
    again, _ = trainer(**common)
    # All of them are later than what the first learnt from.
    assert "of version 1 on the same held-out rows" in again.decision.reason


def test_a_growing_file_is_compared_on_the_rows_that_both_hold_out(
    trainer: Trainer, noisy: Path, tmp_path: Path
) -> None:
    table = pd.read_csv(noisy)
    data = tmp_path / "grows.csv"
    common = {"data": data, "target": "y", "drop": ("family", "day"), "name": "m"}
    table[:800].to_csv(data, index=False)
    trainer(**common)
    table.to_csv(data, index=False)
    again, _ = trainer(**common)
    assert "of version 1 on the same held-out rows" in again.decision.reason


def test_a_version_far_below_what_the_promoted_one_scored_is_not_promoted(trainer: Trainer, noisy: Path) -> None:
    common = {"data": noisy, "target": "y", "drop": ("family", "day")}
    trainer(**common, estimator="tree", refit=True)
    worse, _ = trainer(**common, estimator="dummy", test_size=0.3)
    assert not worse.saved.promoted
    assert "its own held-out rows; of these here it may have learnt" in worse.decision.reason
