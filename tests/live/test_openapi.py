"""The service against its own description: schemathesis asks whatever the description says, and what it does not say.

Every request that fits must be answered, every other one refused, and each answer must be one that is described.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from processes import ROOT, Server, install_client
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from app.keys import add_key
from app.store import ModelStore, save

FOUND = re.compile(r"(\d+) generated")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    root = tmp_path / "store"
    X, y = load_iris(return_X_y=True)
    save(LogisticRegression(max_iter=500).fit(X, y), X, "iris", root=root)
    save(LinearRegression().fit(X[:, :1], X[:, 1:3]), X[:, :1], "pair", root=root)
    texts = ["win cash now", "see you at lunch", "cash prize now", "lunch tomorrow"]
    words = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, ["spam", "ham", "spam", "ham"])
    save(words, texts, "texts", root=root)
    frame = pd.DataFrame(
        {
            "age": [22.0, 38.0, np.nan, 35.0, 54.0, 2.0],
            "cabins": [1, 2, 1, 1, 3, 2],
            "sex": ["m", "f", "f", None, "m", "m"],
            "class": pd.Categorical(["first", "second", "first", "third", "third", "first"]),
        }
    )
    columns = make_column_transformer(
        (SimpleImputer(), ["age", "cabins"]),
        (make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")), ["sex"]),
        (OneHotEncoder(), ["class"]),
    )
    for _ in range(2):
        save(make_pipeline(columns, LogisticRegression()).fit(frame, [0, 1, 1, 1, 0, 0]), frame, "table", root=root)
    ModelStore(root).label("table", 1, "careful")
    return root


def examine(server: Server, *options: str, document: str = "/openapi.json") -> int:
    """Let schemathesis ask a service with all of its checks; returns how many requests it made."""
    python = install_client("schemathesis")
    environ = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "schemathesis_hooks",
        "PYTHONPATH": str(ROOT / "tests/live/clients"),
    }
    command = [python.with_name("st"), "run", f"{server.url}{document}", "--checks=all", "--continue-on-failure"]
    asked = subprocess.run(
        [*command, "--seed=1", *options],
        cwd=server.log.parent,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode == 0, asked.stdout.partition("= WARNINGS =")[0][-6000:] + asked.stderr
    found = FOUND.search(asked.stdout)
    assert found is not None, asked.stdout
    return int(found[1])


def test_whatever_fits_the_description_is_answered_and_the_rest_refused(
    store: Path, gunicorn: Callable[..., Server]
) -> None:
    server = gunicorn(DEFAULT_MODEL="iris")
    assert examine(server, "--max-examples=20") > 1000


def test_a_models_own_description_holds_for_its_versions_and_labels(
    store: Path, gunicorn: Callable[..., Server]
) -> None:
    server = gunicorn(DEFAULT_MODEL="iris")
    named = "--include-path-regex=/(versions/1|labels/careful)"
    assert examine(server, "--max-examples=10", named, document="/openapi.json?model=table") > 500


def test_administration_is_described_and_closed_to_others(
    store: Path, gunicorn: Callable[..., Server], tmp_path: Path
) -> None:
    keys = tmp_path / "keys.json"
    key = add_key(keys, "tester", ("predict", "admin"))
    server = gunicorn(DEFAULT_MODEL="iris", API_KEYS_FILE=str(keys))
    tags = [f"--include-tag={tag}" for tag in ("Administration", "Models", "Service")]
    header = f"--header=Authorization: Bearer {key}"
    assert examine(server, "--max-examples=20", header, *tags) > 500
