"""Who comes to the finals, who is fitted first, who is chosen and what is said of the others."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.training.candidates import BLEND, Candidate
from app.training.selection.finalists import (
    Finalist,
    choose,
    is_within_reach,
    may_help,
    promise,
    seconds_to_fit,
    why_not_chosen,
)
from app.training.selection.finals import FINALISTS, choose_finalists
from app.training.selection.plan import Result, Rung, Trial
from app.training.selection.trying import Fitted

FAMILIES = ("dummy", "linear", "forest", "boosting", BLEND)
LAST = 2
FOLDS = (0.80, 0.84, 0.82, 0.78)


def result(family: str, *scores: float, rung: int = LAST, seconds: float = 1.0, **settings: float) -> Result:
    return Result(Trial(Candidate(family, settings), rung), scores, seconds)


def better(by: float) -> tuple[float, ...]:
    return tuple(score + by for score in FOLDS)


def finalist(tried: Result, refused: str | None = None) -> Finalist:
    return Finalist(tried, Path(), Fitted(1.0, 1.0, 1.0), 1.0, 2.0, "sklearn", 3.0, refused)


def test_the_best_of_each_family_and_one_second_come_to_the_finals() -> None:
    best = [
        result("boosting", 0.9, leaves=31),
        result("boosting", 0.89, leaves=15),
        result("boosting", 0.88, leaves=7),
        result("forest", 0.87),
        result("dummy", 0.5),
    ]
    assert choose_finalists(best) == [best[0], best[1], best[3]]
    assert choose_finalists(best[4:]) == best[4:]
    many = [result(f"family-{number}", 1 - number / 10) for number in range(9)]
    assert len(choose_finalists(many)) == FINALISTS


def test_what_promises_most_is_fitted_first_unless_it_is_a_blend() -> None:
    blend, boosting = result(BLEND, *better(0.2)), result("boosting", *FOLDS)
    less, promising = result("linear", *better(0.01)[:2], rung=1), result("forest", *better(0.1)[:2], rung=1)
    assert choose_finalists([boosting, less, promising]) == [promising, boosting, less]
    assert choose_finalists([blend, boosting, less]) == [boosting, blend, less]


def test_what_was_tried_on_fewer_folds_must_lead_by_more_than_their_spread() -> None:
    leader = result("boosting", *FOLDS)
    assert promise(result("forest", *better(0.5)[:2], rung=1), leader) == pytest.approx(0.5 - np.std(FOLDS))
    assert promise(result("forest", *better(0.01)[:2], rung=1), leader) < 0
    assert promise(result("forest", *better(0.01)), leader) == pytest.approx(0.01)
    # One fold has no spread.
    assert promise(result("forest", 0.9, rung=1), result("boosting", 0.5)) == -math.inf


def test_within_reach_is_what_more_folds_may_put_ahead() -> None:
    leader = result("boosting", *FOLDS)
    assert is_within_reach(result("forest", *better(-4 * leader.spread + 0.01)), leader)
    assert not is_within_reach(result("forest", *better(-4 * leader.spread - 0.01)), leader)


def test_what_errs_little_more_may_help_a_blend_though_two_folds_agree_that_it_is_behind() -> None:
    agreeing = result("boosting", 0.8, 0.8)
    assert not is_within_reach(result("forest", 0.76, 0.76), agreeing)
    assert may_help(result("forest", 0.76, 0.76), agreeing, perfect=1.0)
    assert not may_help(result("forest", 0.74, 0.74), agreeing, perfect=1.0)


def test_the_best_is_chosen_though_it_was_tried_less_far_if_its_lead_is_beyond_chance() -> None:
    leader = finalist(result("boosting", *FOLDS))
    ahead, far_ahead = (finalist(result("forest", *better(by)[:2], rung=1)) for by in (0.01, 0.1))
    assert choose([leader, ahead], FAMILIES) is leader
    assert choose([leader, far_ahead], FAMILIES) is far_ahead


def test_a_blend_is_chosen_unless_the_best_is_ahead_by_more_than_it_may_be_flattered() -> None:
    ahead = finalist(result("linear", *(score + by for score, by in zip(FOLDS, (0.02, -0.01, 0.01, 0.0), strict=True))))
    far_ahead = finalist(
        result("linear", *(score + by for score, by in zip(FOLDS, (0.02, 0.03, 0.01, 0.02), strict=True)))
    )
    blend = finalist(result(BLEND, *FOLDS))
    blend = replace(blend, result=replace(blend.result, trial=Trial(Candidate(BLEND, {}, (ahead.candidate,)), LAST)))
    assert choose([ahead, blend], FAMILIES) is blend
    assert why_not_chosen(ahead, blend) == "0.005 ahead, as the best of many may be by chance"
    assert choose([far_ahead, blend], FAMILIES) is far_ahead
    assert choose([far_ahead, blend], FAMILIES, resolution=0.05) is blend
    assert choose([ahead, replace(blend, refused="too slow")], FAMILIES) is ahead


def test_of_what_is_as_good_the_cheaper_family_is_chosen_and_of_what_is_refused_none() -> None:
    dear, cheap = finalist(result("boosting", 0.81, 0.79, 0.801)), finalist(result("linear", 0.80, 0.81, 0.79))
    assert choose([dear, cheap], FAMILIES) is cheap
    assert choose([dear, finalist(cheap.result, refused="too large")], FAMILIES) is dear
    assert choose([finalist(cheap.result, refused="too large")], FAMILIES) is None


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (finalist(result("forest", *better(-0.1))), "0.1 behind"),
        (finalist(result("forest", *better(0.001))), "0.001 ahead, but of a dearer family than linear"),
        (finalist(result("forest", *FOLDS)), "as good, but of a dearer family than linear"),
        (finalist(result("linear", *FOLDS, alpha=1.0)), "as good"),
        (finalist(result("forest", *better(-0.1)[:2], rung=1)), "0.1 behind on 2 folds"),
        (
            finalist(result("forest", *better(0.01)[:1], rung=0)),
            "0.01 ahead on 1 fold, which may be chance: their spread is 0.022",
        ),
        (finalist(result("forest", *FOLDS), refused="5 MB, more than 1"), "5 MB, more than 1"),
    ],
)
def test_each_that_was_not_chosen_has_its_reason(other: Finalist, why: str) -> None:
    assert why_not_chosen(other, finalist(result("linear", *FOLDS))) == why


def test_the_chosen_needs_no_reason() -> None:
    chosen = finalist(result("linear", *FOLDS))
    assert why_not_chosen(chosen, chosen) is None


def test_fitting_takes_its_share_of_rows_of_what_a_fold_took() -> None:
    rungs = [Rung(100, 1), Rung(800, 1), Rung(800, 2)]
    assert seconds_to_fit(result("forest", 0.8, rung=0), rungs, 1000, jobs=1) == pytest.approx(10)
    assert seconds_to_fit(result("forest", 0.8, 0.9, rung=2), rungs, 1000, jobs=1) == pytest.approx(0.625)


def test_what_is_fitted_on_many_cores_takes_less_than_where_they_were_shared() -> None:
    rungs = [Rung(100, 1)]
    blend = Result(Trial(Candidate(BLEND, {}, (Candidate("forest", {}), Candidate("linear", {}))), 0), (0.8,), 1.0)
    forest, linear = result("forest", 0.8, rung=0), result("linear", 0.8, rung=0)
    assert seconds_to_fit(forest, rungs, 100, jobs=2) == pytest.approx(0.625)
    assert seconds_to_fit(linear, rungs, 100, jobs=2) == seconds_to_fit(blend, rungs, 100, jobs=2) == 1.0
