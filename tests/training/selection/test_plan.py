"""What a search tries next, decided from the results so far alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.training.candidates import Between, Candidate, OneOf, Space
from app.training.selection.plan import HALVING, Plan, Result, Rung, Trial, make_rungs

SPACES = [
    Space("good", ({"a": 0.5}, {"a": 0.9}), {"a": Between(0, 1), "b": OneOf(("x", "y"))}),
    Space("bad", ({"a": 0.5},), {"a": Between(0, 1)}),
]
RUNGS = [Rung(2000, 1), Rung(8000, 1), Rung(48_000, 1)]
Score = Callable[[Trial], float]


def by_family(trial: Trial) -> float:
    """Good is better than bad, and best where `a` is 1."""
    return (1.0 if trial.candidate.family == "good" else 0.0) + trial.candidate.settings["a"]


def played(plan: Plan, trials: int, score: Score = by_family) -> list[Trial]:
    proposed = []
    for _ in range(trials):
        trial = plan.propose()
        assert trial is not None
        proposed.append(trial)
        plan.learn(Result(trial, (score(trial),), 1.0))
    return proposed


def test_each_familys_start_comes_before_any_second_start() -> None:
    assert [trial.candidate for trial in played(Plan(SPACES, RUNGS[:1], 1.0, seed=0), 3)] == [
        Candidate("good", {"a": 0.5}),
        Candidate("bad", {"a": 0.5}),
        Candidate("good", {"a": 0.9}),
    ]


def test_the_same_results_lead_to_the_same_proposals() -> None:
    first, second, other = (played(Plan(SPACES, RUNGS[:3], 1.0, seed), 40) for seed in (1, 1, 2))
    assert first == second
    assert first != other


def test_one_of_three_goes_on_to_the_next_rung_and_it_is_the_best() -> None:
    plan = Plan(SPACES, [Rung(2000, 1), Rung(2000, 5)], 1.0, seed=0)
    played(plan, 60)
    below, above = plan.at_rung(0), plan.at_rung(1)
    gone_on = {result.trial.candidate.key for result in above}
    # The best third is another one with every result: some have gone on that would not today.
    assert len(above) < len(below) / 2
    assert {result.trial.candidate.key for result in below[: len(below) // HALVING]} <= gone_on


def test_the_best_of_each_family_is_tried_on_the_second_rung() -> None:
    plan = Plan(SPACES, RUNGS[:3], 1.0, seed=0)
    played(plan, 40)
    assert {result.trial.candidate.family for result in plan.at_rung(1)} == {"good", "bad"}


def test_who_learns_more_from_more_rows_goes_on_first() -> None:
    spaces = [Space(name, ({},), {}) for name in ("quick", "slow", "dull")]
    errors = {"quick": (0.08, 0.045), "slow": (0.12, 0.05), "dull": (0.5, 0.5)}
    plan = Plan(spaces, RUNGS, 1.0, seed=0)
    trials = played(plan, 7, lambda trial: 1 - (*errors[trial.candidate.family], 0.02)[trial.rung])
    assert [trial.candidate.family for trial in trials if trial.rung == 2] == ["slow"]


@pytest.mark.parametrize(("above", "goes_on"), [(Rung(8000, 1), True), (Rung(2000, 5), False)])
def test_starts_of_leading_families_go_on_to_more_rows_though_they_learn_little_from_few(
    above: Rung, goes_on: bool
) -> None:
    slow = Candidate("good", {"a": 0.1})
    spaces = [Space("good", ({"a": 0.5}, slow.settings), {"a": Between(0.4, 1)}), SPACES[1]]
    plan = Plan(spaces, [RUNGS[0], above], 1.0, seed=0)
    played(plan, 30)
    assert (slow in [result.trial.candidate for result in plan.at_rung(1)]) == goes_on


def test_how_long_a_trial_takes_is_told_by_the_rungs_below() -> None:
    plan = Plan(SPACES, RUNGS, 1.0, seed=0)
    steep, straight = (Candidate("good", {"a": a}) for a in (0.5, 0.9))
    assert plan.expected_seconds(Trial(steep, 0)) is None
    for candidate, seconds in ((steep, (1.0, 16.0)), (straight, (1.0, 2.0))):
        for rung, took in enumerate(seconds):
            plan.learn(Result(Trial(candidate, rung), (0.5,), took))
    assert plan.expected_seconds(Trial(steep, 1)) == pytest.approx(4.0)
    assert plan.expected_seconds(Trial(steep, 2)) == pytest.approx(16 * 6**2)
    assert plan.expected_seconds(Trial(straight, 2)) == pytest.approx(2 * 6)


def test_folds_of_as_many_rows_are_not_tried_again() -> None:
    plan = Plan(SPACES, [Rung(50, 1), Rung(100, 2), Rung(100, 5)], 1.0, seed=0)
    candidate = Candidate("good", {"a": 0.5})
    for rung, scores in enumerate([(0.1,), (0.2, 0.3)]):
        plan.learn(Result(Trial(candidate, rung), scores, 2.0))
    assert plan.known_scores(Trial(candidate, 1)) == ()
    assert plan.known_scores(Trial(candidate, 2)) == (0.2, 0.3)
    assert plan.expected_seconds(Trial(candidate, 2)) == pytest.approx(3.0)


def test_nothing_is_tried_twice() -> None:
    trials = played(Plan(SPACES, RUNGS[:3], 1.0, seed=0), 80)
    assert len({(trial.candidate.key, trial.rung) for trial in trials}) == len(trials)


def test_most_draws_are_near_what_is_best() -> None:
    trials = played(Plan(SPACES, RUNGS[:1], 1.0, seed=0), 100)
    good = [trial.candidate.settings["a"] for trial in trials if trial.candidate.family == "good"]
    # Drawn from anywhere they would be 0.5 on average.
    assert sum(good) / len(good) > 0.75
    assert max(good) > 0.98


def test_what_failed_does_not_go_on() -> None:
    plan = Plan(SPACES[1:], RUNGS[:2], 1.0, seed=0)
    trial = plan.propose()
    assert trial is not None
    plan.learn(Result(trial, (), 1.0, "failed", "no"))
    assert plan.best() == []
    assert trial.candidate not in [later.candidate for later in played(plan, 10)]


def test_it_ends_when_there_is_nothing_new() -> None:
    plan = Plan([Space("only", ({},), {})], RUNGS[:1], 1.0, seed=0)
    played(plan, 1, lambda trial: 1.0)
    assert plan.propose() is None


@pytest.mark.parametrize("n_rows", [10, 300, 2501, 5000, 43_000, 200_000])
def test_rungs_grow_up_to_all_rows(n_rows: int) -> None:
    rungs = make_rungs(n_rows)
    sizes = [rung.rows * rung.folds for rung in rungs]
    assert sizes == sorted(sizes)
    assert len(set(rungs)) == len(rungs)
    assert rungs[-1].rows == n_rows
    assert all(rung.rows <= n_rows for rung in rungs)


def test_a_neighbour_differs_and_stays_in_range() -> None:
    import numpy as np

    space, rng = SPACES[0], np.random.default_rng(0)
    settings = {"a": 0.99}
    neighbours = [space.neighbour(settings, rng) for _ in range(50)]
    # "x" holds anyway, and is not named.
    assert all(0 <= neighbour["a"] <= 1 and neighbour.get("b", "y") == "y" for neighbour in neighbours)
    assert sum(neighbour != settings for neighbour in neighbours) > 25
