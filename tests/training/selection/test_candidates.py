"""Candidates: each family's settings make a pipeline that fits rows of every kind."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import TransformedTargetRegressor

from app.training.candidates import Between, Candidate, OneOf, Space, build, is_skewed, spaces
from app.training.metrics import find_metric
from app.training.problem import Problem, frame_problem
from app.training.table import Table


def problem_of(frame: pd.DataFrame, target: str) -> Problem:
    return frame_problem(Table(frame, "made"), target)


@pytest.fixture(scope="module")
def problems(passengers: pd.DataFrame) -> dict[str, Problem]:
    table = passengers.astype({"remark": "str", "city": "str", "survived": "str"})
    texts = pd.DataFrame({"text": table["remark"] + " and more words", "label": table["survived"]})
    skewed = table.assign(price=np.exp(table["age"] / 10)).drop(columns="survived")
    return {
        "classes": problem_of(table, "survived"),
        "numbers": problem_of(skewed, "price"),
        "texts": problem_of(texts, "label"),
    }


def offered(problem: Problem) -> list[Space]:
    return spaces(problem, len(problem.y), find_metric(None, problem.task))


@pytest.mark.parametrize("kind", ["classes", "numbers", "texts"])
def test_every_start_and_a_draw_from_every_space_fits_and_predicts(kind: str, problems: dict[str, Problem]) -> None:
    problem = problems[kind]
    rng = np.random.default_rng(0)
    for space in offered(problem):
        for settings in (*space.starts, space.draw(rng)):
            quick = {name: 5 for name in ("n_estimators", "max_iter") if name in settings}
            model = build(Candidate(space.family, {**settings, **quick}), problem, seed=0)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                answers = model.fit(problem.X, problem.y).predict(problem.X)
            assert answers.shape == problem.y.shape, (space.family, settings)


@pytest.mark.parametrize("kind", ["classes", "numbers", "texts"])
def test_every_start_has_neighbours_of_which_each_setting_is_in_range(kind: str, problems: dict[str, Problem]) -> None:
    problem = problems[kind]
    rng = np.random.default_rng(0)
    for space in offered(problem):
        for start in space.starts if space.ranges else ():
            for neighbour in (space.neighbour(start, rng) for _ in range(30)):
                for name in {name for name in neighbour if start.get(name) != neighbour[name]}:
                    among = space.ranges[name]
                    if isinstance(among, Between):
                        assert among.low <= neighbour[name] <= among.high, (space.family, name)
                    else:
                        assert neighbour[name] in among.values, (space.family, name)


@pytest.mark.parametrize("kind", ["classes", "numbers", "texts"])
def test_no_settings_name_what_changes_nothing(kind: str, problems: dict[str, Problem]) -> None:
    problem = problems[kind]
    rng = np.random.default_rng(0)
    for space in offered(problem):
        for settings in (*space.starts, space.draw(rng)):
            built = repr(build(Candidate(space.family, settings), problem, seed=0))
            for name, among in space.ranges.items():
                if isinstance(among, OneOf) and len(among.values) > 1 and name not in settings:
                    # What is not named holds anyway.
                    told = {**settings, name: among.values[0]}
                    assert repr(build(Candidate(space.family, told), problem, seed=0)) == built, (space.family, name)
                    assert space.telling(told) == settings


def test_a_rate_of_learning_is_left_out_where_the_schedule_has_its_own(problems: dict[str, Problem]) -> None:
    found = spaces(problems["classes"], 200, find_metric(None, "classification"))
    sgd = next(space for space in found if space.family == "sgd")
    assert sgd.telling({"eta0": 0.1, "alpha": 1e-4}) == {"alpha": 1e-4}
    assert "eta0" in sgd.telling({"eta0": 0.1, "learning_rate": "adaptive"})


def test_there_are_a_dozen_families_for_tables_and_five_for_texts(problems: dict[str, Problem]) -> None:
    counts = {kind: len(spaces(problem, 200, find_metric(None, problem.task))) for kind, problem in problems.items()}
    assert counts["classes"] >= 12
    assert counts["numbers"] >= 12
    assert counts["texts"] >= 5


def test_a_metric_of_probabilities_leaves_families_without_them_out(problems: dict[str, Problem]) -> None:
    found = spaces(problems["classes"], 200, find_metric("log_loss", "classification"))
    assert "svm" not in {space.family for space in found}
    assert "forest" in {space.family for space in found}


def test_a_skewed_target_may_be_learnt_on_logarithms(problems: dict[str, Problem]) -> None:
    problem = problems["numbers"]
    assert is_skewed(problem.y)
    assert not is_skewed(np.arange(100.0))
    assert not is_skewed(-problem.y)
    model = build(Candidate("ridge", {"alpha": 1.0, "log_target": True}), problem, seed=0)
    assert isinstance(model[-1], TransformedTargetRegressor)
    logarithms = build(Candidate("ridge", {"alpha": 1.0}), problem, seed=0).fit(problem.X, np.log1p(problem.y))
    predicted = model.fit(problem.X, problem.y).predict(problem.X)
    np.testing.assert_allclose(predicted, np.expm1(logarithms.predict(problem.X)))


def test_a_blend_is_the_mean_of_its_members(problems: dict[str, Problem]) -> None:
    problem = problems["classes"]
    members = (Candidate("logistic", {}), Candidate("forest", {"n_estimators": 10}))
    blend = build(Candidate("blend", {}, members), problem, seed=0).fit(problem.X, problem.y)
    alone = [build(member, problem, seed=0).fit(problem.X, problem.y).predict_proba(problem.X) for member in members]
    np.testing.assert_allclose(blend.predict_proba(problem.X), np.mean(alone, axis=0))


def test_encodings_of_categories_are_part_of_a_candidate(problems: dict[str, Problem]) -> None:
    problem = replace(problems["classes"])
    kinds = {}
    for encode in ("one-hot", "codes", "target"):
        model = build(Candidate("forest", {"encode": encode, "n_estimators": 5}), problem, seed=0)
        kinds[encode] = type({name: step for name, step, _ in model[0].transformers}["categories"]).__name__
    assert kinds == {"one-hot": "OneHotEncoder", "codes": "OrdinalEncoder", "target": "TargetEncoder"}
