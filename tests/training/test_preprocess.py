"""One pipeline carries raw columns to answers, whatever is missing or new in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from app.training.estimators import families_of, find_family
from app.training.preprocess import build_pipeline, describe_pipeline
from app.training.problem import Problem, Task, frame_problem
from app.training.table import Table

FAMILIES = [(task, name) for task in ("classification", "regression") for name in families_of(task)]


def problem_of(frame: pd.DataFrame, task: Task) -> Problem:
    frame = frame if task == "classification" else frame.assign(survived=np.linspace(0, 1, len(frame)))
    return frame_problem(Table(frame, "p.csv"), "survived", task)


@pytest.mark.parametrize(("task", "name"), FAMILIES)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_every_estimator_takes_every_kind_of_column_and_what_it_never_saw(
    passengers: pd.DataFrame, task: Task, name: str
) -> None:
    problem = problem_of(passengers, task)
    assert isinstance(problem.X, pd.DataFrame)
    model = build_pipeline(problem, find_family(name, task), 0).fit(problem.X, problem.y)

    strange = problem.X.head(3).astype({"age": "float64", "alone": "object"})
    strange.loc[0, "city"] = "Atlantis"
    strange.loc[0, "remark"] = "never heard of"
    strange.loc[1] = np.nan
    answers = model.predict(strange[list(problem.columns.kinds)])
    assert len(answers) == 3
    if task == "regression":
        assert np.isfinite(answers).all()
    else:
        assert set(answers) <= {"yes", "no"}


@pytest.mark.parametrize(("task", "name"), FAMILIES)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_every_estimator_takes_arrays_with_missing_values(task: Task, name: str) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(80, 3)), columns=["a", "b", "c"])
    y: Any = (frame["a"] > 0).to_numpy() if task == "classification" else frame["a"] * 2.5
    problem = frame_problem(Table(frame.assign(y=y), "a.csv"), None, task)
    model = build_pipeline(problem, find_family(name, task), 0).fit(problem.X, problem.y)
    assert not isinstance(model[0], ColumnTransformer)
    assert len(model.predict(np.full((1, 3), np.nan))) == 1


@pytest.mark.parametrize("name", list(families_of("classification")))
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_every_classifier_takes_texts_alone(name: str) -> None:
    texts = [f"cheap prize number {n} call now" if n % 2 else f"see you at {n} at the station" for n in range(60)]
    problem = frame_problem(Table(pd.DataFrame({"label": ["s", "h"] * 30, "text": texts}), "t.csv"), as_texts=True)
    model = build_pipeline(problem, find_family(name, "classification", texts=True), 0).fit(problem.X, problem.y)
    assert len(model.predict(["", "Ünseen wörds"])) == 2


def test_a_dropped_column_of_an_array_is_left_out_by_position() -> None:
    frame = pd.DataFrame({"row_id": range(40), "x": np.tile([0.0, 1.0], 20), "y": [0, 1] * 20})
    problem = frame_problem(Table(frame, "a.csv"))
    model = build_pipeline(problem, find_family("logistic", "classification"), 0).fit(problem.X, problem.y)
    assert problem.container == "array"
    assert model.predict([[1e9, 0.0], [-1e9, 1.0]]).tolist() == [0, 1]


def test_the_pipeline_is_described_in_one_line(passengers: pd.DataFrame) -> None:
    problem = problem_of(passengers, "classification")
    described = describe_pipeline(build_pipeline(problem, find_family("boosting", "classification"), 0))
    assert described == (
        "(categories: OrdinalEncoder | numbers: as they are | dates: DateParts | text: FillText → TfidfVectorizer)"
        " → HistGradientBoostingClassifier"
    )


def test_what_is_around_a_pipeline_is_described_before_it() -> None:
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    assert describe_pipeline(FixedThresholdClassifier(CalibratedClassifierCV(pipeline))) == (
        "FixedThresholdClassifier of [CalibratedClassifierCV of [StandardScaler → LogisticRegression]]"
    )


def test_no_model_keeps_more_than_one_job() -> None:
    for task, name in FAMILIES:
        assert find_family(name, task).make(0).get_params().get("n_jobs") in (None, 1)
