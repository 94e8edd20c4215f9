"""The reference statistics say what the training rows looked like."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from app.training.problem import frame_problem
from app.training.reference import summarise_columns
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
    assert found["empty"] == {"count": 0, "missing": 200}


def test_texts_and_arrays_are_summarised_by_name() -> None:
    texts = frame_problem(Table(pd.DataFrame({"label": ["a", "b"], "text": ["x", "xyz"]}), "t"), as_texts=True)
    assert summarise_columns(texts.X, texts)["text"] == {"count": 2, "missing": 0, "mean_length": 2.0, "max_length": 3}
    numbers = frame_problem(Table(pd.DataFrame({"a": [1, 3], "y": [0, 1]}), "t"))
    assert summarise_columns(numbers.X, numbers)["a"]["mean"] == 2.0
