"""The reference statistics say what the training rows looked like."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from app.training.evaluation import Answers
from app.training.problem import frame_problem
from app.training.reference import summarise_columns, summarise_predictions
from app.training.table import Table


def test_every_kind_of_column_is_summarised(passengers: pd.DataFrame) -> None:
    problem = frame_problem(Table(passengers, "p.csv"), "survived")
    found = summarise_columns(problem.X, problem)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert list(found) == list(problem.columns.names)
    fare = passengers["fare"]
    assert found["fare"]["missing"] == fare.isna().sum() > 0
    assert found["fare"]["mean"] == pytest.approx(fare.mean(), rel=1e-5)
    assert found["fare"]["quantiles"]["0.5"] == pytest.approx(fare.median(), rel=1e-5)
    assert found["city"]["top"] == passengers["city"].value_counts().to_dict()
    assert set(found["alone"]["top"]) == {"True", "False"}
    assert found["booked"]["min"] == passengers["booked"].min().isoformat()
    assert found["remark"]["max_length"] == passengers["remark"].str.len().max()
    assert sum(found["booked"]["histogram"]["shares"]) == pytest.approx(1.0, abs=1e-3)
    assert found["empty"] == {"count": 0, "missing": 200}


def test_texts_and_arrays_are_summarised_by_name() -> None:
    texts = frame_problem(Table(pd.DataFrame({"label": ["a", "b"], "text": ["x", "xyz"]}), "t"), as_texts=True)
    assert summarise_columns(texts.X, texts)["text"] == {
        "count": 2,
        "missing": 0,
        "mean_length": 2.0,
        "max_length": 3,
        "length_histogram": {"edges": [1.0], "shares": [0.5, 0.5]},
    }
    numbers = frame_problem(Table(pd.DataFrame({"a": [1, 3], "y": [0, 1]}), "t"))
    assert summarise_columns(numbers.X, numbers)["a"]["mean"] == 2.0


def test_a_histogram_gives_few_distinct_values_a_bin_each_and_many_about_as_many_rows() -> None:
    frame = pd.DataFrame({"few": [1, 1, 2, 5] * 250, "many": np.random.default_rng(0).exponential(size=1000)})
    problem = frame_problem(Table(frame.assign(y=[0, 1] * 500), "t"))
    found = summarise_columns(problem.X, problem)
    assert found["few"]["histogram"] == {"edges": [1.0, 2.0], "shares": [0.5, 0.25, 0.25]}
    many = found["many"]["histogram"]
    assert (len(many["edges"]), len(many["shares"])) == (19, 20)
    assert many["shares"] == pytest.approx([0.05] * 20, abs=0.002)


def test_wide_data_and_long_categories_stay_small() -> None:
    wide = Table(
        pd.DataFrame(np.random.default_rng(0).normal(size=(50, 2001))).add_prefix("x").assign(y=[0, 1] * 25), "t"
    )
    problem = frame_problem(wide)
    assert max(len(column["histogram"]["shares"]) for column in summarise_columns(problem.X, problem).values()) == 5
    frame = pd.DataFrame({"word": ["x" * 5000, "y"] * 20, "n": range(40), "y": [0, 1] * 20})
    problem = frame_problem(Table(frame, "t"))
    assert {len(label) for label in summarise_columns(problem.X, problem)["word"]["top"]} == {200, 1}


def test_the_answers_are_summarised() -> None:
    classes = np.array(["ham", "spam"], dtype=object)
    likely = np.array([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.7, 0.3]])
    found = summarise_predictions(Answers(classes[likely.argmax(axis=1)], likely, classes=classes))
    assert found["shares"] == {"ham": 0.75, "spam": 0.25}
    assert sum(found["confidence"]["shares"]) == 1.0
    found = summarise_predictions(Answers(np.arange(101.0)))
    assert (found["count"], found["mean"], found["quantiles"]["0.95"]) == (101, 50.0, 95.0)
