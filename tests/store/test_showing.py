"""The curl line asks about a real row, and a shell hands it over unharmed."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline

from app import store
from app.store.showing import LONGEST_LINE, example, example_body
from tests.conftest import ClientMaker

TEXT = "it's 'free' — call $HOME `now` \\ \"ok\""


def test_the_shell_gives_the_body_back(tmp_path: Path) -> None:
    saved = store.save(DummyClassifier().fit([TEXT, "b"], [0, 1]), [TEXT, "b"], "texts", root=tmp_path)
    manifest = store.ModelStore(tmp_path).manifest("texts", saved.version)
    words = shlex.split(example(manifest, "localhost:8123").line)
    assert words[:2] == ["curl", "-d"]
    assert json.loads(words[2]) == {"text": TEXT}
    assert words[-1] == "localhost:8123/models/texts/predict"
    assert example(manifest, "localhost:8123", as_default=True).line.endswith("localhost:8123/predict")


def test_instead_of_a_very_long_row_its_fields_are_shown(tmp_path: Path, client_of: ClientMaker) -> None:
    X = np.arange(2000.0).reshape(2, 1000)
    saved = store.save(DummyClassifier().fit(X, [0, 1]), X, "wide", root=tmp_path / "models")
    manifest = store.ModelStore(tmp_path / "models").manifest("wide", saved.version)
    line, purpose = example(manifest, "http://localhost:8123")
    assert purpose == "see the fields of a row, too many to write here"
    command, url = shlex.split(line)
    assert command == "curl"
    described = client_of().get(url.removeprefix("http://localhost:8123")).get_json()
    assert "/models/wide/predict" in described["paths"]
    assert len(line) < LONGEST_LINE < len(json.dumps(example_body(manifest)))


def test_a_row_without_missing_values_and_unused_columns_is_chosen(tmp_path: Path) -> None:
    frame = pd.DataFrame({"age": [np.nan, 2.5, 3.5], "ticket": ["a", "b", "c"]})
    columns = ColumnTransformer([("age", SimpleImputer(), ["age"])])
    model = make_pipeline(columns, DummyClassifier()).fit(frame, [0, 1, 0])
    saved = store.save(model, frame, "table", root=tmp_path)
    manifest = store.ModelStore(tmp_path).manifest("table", saved.version)
    assert example_body(manifest) == {"features": [{"age": 2.5}]}
