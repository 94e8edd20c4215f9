"""The curl line asks about a real row, and a shell hands it over unharmed."""

from __future__ import annotations

import json
import shlex

import numpy as np
import pandas as pd

from app.training.problem import frame_problem
from app.training.request import make_body, make_curl
from app.training.table import Table


def test_frames_are_asked_by_record_without_unused_columns(passengers: pd.DataFrame) -> None:
    problem = frame_problem(Table(passengers.assign(fare=np.nan).assign(fare=[1.5, *[np.nan] * 199]), "p"), "survived")
    body = make_body(problem, problem.X.iloc[1:] if isinstance(problem.X, pd.DataFrame) else [])
    row = passengers.iloc[1]
    assert body == {
        "features": [
            {
                "age": row["age"],
                "fare": None,
                "city": row["city"],
                "alone": row["alone"],
                "booked": row["booked"].isoformat(),
                "remark": row["remark"],
            }
        ]
    }
    json.dumps(body, allow_nan=False)


def test_arrays_are_asked_by_a_row_without_missing_values() -> None:
    problem = frame_problem(Table(pd.DataFrame({"a": [np.nan, 2.0], "b": [1.0, 0.5], "y": [0, 1]}), "t"))
    assert make_body(problem, problem.X) == {"X": [[2, 0.5]]}


def test_the_shell_gives_the_body_back() -> None:
    body = {"text": "it's 'free' — call $HOME `now` \\ \"ok\"\n"}
    words = shlex.split(make_curl(body, "sms", 8123))
    assert words[:2] == ["curl", "-d"]
    assert json.loads(words[2]) == body
    assert words[-1] == "localhost:8123/models/sms/predict"
