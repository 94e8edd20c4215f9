"""Answers in each format: no digit lost, no bare NaN."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from app import wire
from app.errors import NotAcceptable
from app.signature import Output
from app.wire import Form, arrow_body, csv_body, json_body, npy_body

NUMBERS = Output("float64", (-1,))
PROBABILITIES = Output("float64", (-1, 2), ("no", "yes"))


def test_json_keeps_every_digit_and_has_no_nan() -> None:
    answer = np.array([0.1 + 0.2, np.nan, np.inf, -np.inf, 1e-300])
    assert json_body.encode(answer, NUMBERS, Form()) == b'{"y_pred":[0.30000000000000004,null,null,null,1e-300]}'


def test_json_widens_float32_exactly() -> None:
    answer = np.array([0.1], dtype=np.float32)
    assert json.loads(json_body.encode(answer, NUMBERS, Form()))["y_pred"] == [float(np.float32(0.1))]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (np.array([True, False]), [True, False]),
        (np.array(["a", "ü"]), ["a", "ü"]),
        (np.array(["a", 1, None], dtype=object), ["a", 1, None]),
        (np.array([2**63 - 1, -5]), [2**63 - 1, -5]),
        (np.array([1, 2], dtype=">i4"), [1, 2]),
        (np.asfortranarray([[1.0, 2.0], [3.0, 4.0]]), [[1.0, 2.0], [3.0, 4.0]]),
        (np.array([0.5, 1.5], dtype=np.float16), [0.5, 1.5]),
    ],
)
def test_json_holds_any_label(answer: Any, expected: Any) -> None:
    assert json.loads(json_body.encode(answer, NUMBERS, Form()))["y_pred"] == expected


def test_a_bare_value_is_answered_bare() -> None:
    assert json_body.encode(np.array([[0.25, 0.75]]), PROBABILITIES, Form("prediction", scalar=True)) == (
        b'{"prediction":[0.25,0.75],"classes":["no","yes"]}'
    )
    several = [np.array([[0.25, 0.75]]), np.array([[1.0, 0.0]])]
    reply = json.loads(json_body.encode(several, (PROBABILITIES, PROBABILITIES), Form(scalar=True)))
    assert reply == {"y_pred": [[0.25, 0.75], [1.0, 0.0]], "classes": [["no", "yes"], ["no", "yes"]]}


def test_csv_names_the_classes_and_leaves_nan_empty() -> None:
    answer = np.array([[0.1, np.nan], [1.0, np.inf]])
    assert csv_body.encode(answer, PROBABILITIES, Form()) == b"no,yes\n0.1,\n1.0,\n"
    assert csv_body.encode(np.array(["a,b", 'c"d']), NUMBERS, Form()) == b'y_pred\n"a,b"\n"c""d"\n'


def test_npy_holds_labels_without_pickle() -> None:
    for answer in (
        np.array(["ja", "nein"], dtype=object),
        np.array([True, False], dtype=object),
        np.array([[1.5, 2.5]]),
    ):
        read = np.load(io.BytesIO(npy_body.encode(answer, NUMBERS, Form())), allow_pickle=False)
        assert read.tolist() == answer.tolist()


def test_npy_cannot_hold_everything() -> None:
    for answer in ([np.zeros((1, 2)), np.zeros((1, 3))], np.array(["a", 1], dtype=object)):
        with pytest.raises(NotAcceptable, match="accept application/json"):
            npy_body.encode(answer, NUMBERS, Form())


def test_arrow_holds_several_outputs_as_columns() -> None:
    several = [np.array([[0.25, 0.75]]), np.array([[1.0, 0.0]])]
    read = pa.ipc.open_stream(arrow_body.encode(several, (PROBABILITIES, PROBABILITIES), Form())).read_all()
    assert read.to_pydict() == {"0_no": [0.25], "0_yes": [0.75], "1_no": [1.0], "1_yes": [0.0]}
    labels = np.array(["a", "b"], dtype=object)
    assert pa.ipc.open_stream(arrow_body.encode(labels, NUMBERS, Form())).read_all().to_pydict() == {
        "y_pred": ["a", "b"]
    }


def test_every_format_is_written_and_read_under_its_own_name() -> None:
    for media in (wire.JSON, "text/csv", "application/x-npy", "application/vnd.apache.arrow.stream"):
        assert wire.encode(np.array([1.0]), NUMBERS, Form(), media)
