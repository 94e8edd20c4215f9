"""How long one trial of a search may take, and how much of the budget is not for trials."""

from __future__ import annotations

import pytest

from app.training.selection.loop import longest_trial, share_of_finals
from app.training.selection.plan import Rung

RUNGS = [Rung(2000, 1), Rung(8000, 1), Rung(60_000, 1), Rung(60_000, 2)]


@pytest.mark.parametrize(("rung", "seconds"), [(0, 20.0), (1, 80.0), (2, 204.0), (3, 204.0)])
def test_a_trial_may_take_its_rows_part_of_the_budget_and_never_most_of_it(rung: int, seconds: float) -> None:
    assert longest_trial(RUNGS, rung, 600.0) == pytest.approx(seconds)


def test_a_short_budget_lets_trials_begin_at_least() -> None:
    assert longest_trial(RUNGS, 0, 30.0) == 5.0


def test_without_a_budget_a_trial_may_take_an_hour() -> None:
    assert longest_trial(RUNGS, 0, None) == 3600.0


@pytest.mark.parametrize(("needed", "share"), [(0.0, 0.25), (24.0, 0.4), (3600.0, 0.5)])
def test_the_finals_get_what_they_need_between_a_quarter_and_a_half(needed: float, share: float) -> None:
    assert share_of_finals(needed, 60.0) == pytest.approx(share)
