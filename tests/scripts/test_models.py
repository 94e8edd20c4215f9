"""Looking after the store from the shell: tables for people, JSON for programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import Result
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from app.store import ModelStore, load, save
from app.store.manifest import installed_versions
from tests.scripts.conftest import SCRIPTS
from tests.store.helpers import break_version, pretend_other_sklearn

Run = Callable[..., Result]
ROWS = np.arange(12.0).reshape(6, 2)


@pytest.fixture
def store(root: Path) -> ModelStore:
    """A store whose model m answers 1, 2 or 3, as its version is."""
    for constant in (1.0, 2.0, 3.0):
        estimator = DummyRegressor(strategy="constant", constant=constant).fit(ROWS, ROWS[:, 0])
        save(estimator, ROWS, "m", root=root, metrics={"r2": 0.5})
    return ModelStore(root)


def said(result: Result) -> str:
    """Return the one line of an error."""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_an_empty_store_says_what_to_do(run: Run) -> None:
    assert "has no models; train one with" in run("models", "list").stdout
    assert json.loads(run("models", "list", "--json").stdout) == {"models": []}


def test_list_shows_every_model_plain_where_it_is_piped(run: Run, store: ModelStore) -> None:
    store.label("m", 1, "first")
    lines = run("models", "list").stdout.splitlines()
    assert lines[0].split() == ["model", "promoted", "versions", "labels", "task", "created"]
    assert lines[1].split()[:6] == ["m", "3", "1,", "2,", "3", "first=1"]
    (model,) = json.loads(run("models", "list", "--json").stdout)["models"]
    assert (model["name"], model["promoted"], model["versions"], model["labels"]) == ("m", 3, [1, 2, 3], {"first": 1})


def test_list_survives_damage_and_tells_it(run: Run, store: ModelStore) -> None:
    (store.root / "m" / "serving.json").write_text("{")
    assert "serving.json is damaged" in run("models", "list").stdout


def test_show_tells_inputs_metrics_and_origin(run: Run, root: Path) -> None:
    frame = pd.DataFrame({"word": ["a", "b"] * 3, "left": range(6)})
    prepare = make_column_transformer((OneHotEncoder(), ["word"]))
    save(
        make_pipeline(prepare, LogisticRegression()).fit(frame, frame["left"] % 2),
        frame,
        "t",
        root=root,
        metrics={"f1": 0.25},
    )
    shown = run("models", "show", "t").stdout
    assert "t version 1 (promoted)" in shown
    assert "classification on a DataFrame (2 inputs, 1 not used)" in shown
    lines = [line.split() for line in shown.splitlines()]
    assert ["word", "str", "no", "yes", "a,", "b"] in lines
    assert ["left", "int64", "yes", "no", "-"] in lines
    assert ["f1", "0.25"] in lines
    assert json.loads(run("models", "show", "t", "1", "--json").stdout)["version"] == 1


def test_show_tells_which_engine_answers_and_what_was_tried(run: Run, root: Path) -> None:
    X = np.arange(20.0).reshape(10, 2)
    save(LinearRegression().fit(X, X[:, 0]), X, "l", root=root)
    lines = [line.split() for line in run("models", "show", "l").stdout.splitlines()]
    assert ["predict", "numpy", "one,", "many,", "bulk"] in [line[:5] for line in lines]
    assert ["predict", "sklearn"] in [line[:2] for line in lines]


def test_try_without_rows_answers_the_golden_rows(run: Run, store: ModelStore) -> None:
    assert run("models", "try", "m").stdout.split()[:4] == ["row", "predict", "0", "3"]
    assert json.loads(run("models", "try", "m", "--version", 1, "--json").stdout) == {"y_pred": [1.0] * 5}


@pytest.mark.parametrize(
    ("rows", "reply"),
    [
        ('{"X": [[1, 2], [3, 4]]}', {"y_pred": [3.0, 3.0]}),
        ("[[1, 2]]", {"y_pred": [3.0]}),
        ("[1, 2]", {"y_pred": 3.0}),
        ('{"instances": [[1, 2]]}', {"predictions": [3.0]}),
        ('{"dataframe_split": {"columns": ["x1", "x0"], "data": [[1, 2]]}}', {"predictions": [3.0]}),
    ],
)
def test_try_takes_the_bodies_of_predict_and_bare_rows(
    run: Run, store: ModelStore, tmp_path: Path, rows: str, reply: dict[str, Any]
) -> None:
    (tmp_path / "rows.json").write_text(rows)
    for given in ((rows,), ("@rows.json",)):
        assert json.loads(run("models", "try", "m", *given, "--json").stdout) == reply
    assert json.loads(run("models", "try", "m", "-", "--json", given=rows).stdout) == reply


def test_try_asks_any_method_and_takes_texts(run: Run, root: Path) -> None:
    texts = ["win money", "hello you"] * 5
    save(make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, ["spam", "ham"] * 5), texts, "t", root=root)
    assert json.loads(run("models", "try", "t", '"win money"', "--json").stdout) == {"y_pred": "spam"}
    reply = json.loads(run("models", "try", "t", '{"text": ["hello"]}', "--method", "predict_proba", "--json").stdout)
    assert reply["classes"] == ["ham", "spam"]
    assert reply["prediction"][0][0] > 0.5


def test_try_tells_mistakes_in_one_line(run: Run, store: ModelStore) -> None:
    assert "/X/0: a row must have 2 values, and this one has 1" in said(run("models", "try", "m", "[[1]]", status=1))
    assert "the body is not JSON" in said(run("models", "try", "m", "{oops", status=1))
    assert "m version 3 has no transform; it has predict" in said(
        run("models", "try", "m", "--method", "transform", status=1)
    )
    assert "nowhere.json cannot be read" in said(run("models", "try", "m", "@nowhere.json", status=1))
    assert "there is no model 'n'; there are m" in said(run("models", "try", "n", status=1))
    assert "has no version 9; it has 1, 2, 3" in said(run("models", "try", "m", "--version", 9, status=1))


def test_promote_and_rollback_change_what_answers(run: Run, store: ModelStore) -> None:
    assert run("models", "promote", "m", 1).stdout == "m version 1 is promoted\n"
    assert store.promoted("m") == 1
    assert run("models", "rollback", "m").stdout == "m is back from version 1 to 3\n"
    assert json.loads(run("models", "rollback", "m", "--json").stdout)["promoted"] == 2
    run("models", "rollback", "m")
    assert "no earlier promoted version" in said(run("models", "rollback", "m", status=1))


def test_a_broken_version_is_neither_promoted_nor_rolled_back_to(run: Run, store: ModelStore, root: Path) -> None:
    model = root / "m" / "2" / "model.joblib"
    model.write_bytes(model.read_bytes()[:-1] + b"!")
    assert "m version 2 cannot be promoted: model.joblib is not the file that was saved" in said(
        run("models", "promote", "m", 2, status=1)
    )
    assert "m version 2 cannot be promoted" in said(run("models", "rollback", "m", status=1))
    assert store.promoted("m") == 3


def test_labels_are_given_and_taken(run: Run, store: ModelStore) -> None:
    assert "POST /models/m/labels/champion/predict" in run("models", "label", "m", 1, "champion").stdout
    assert json.loads(run("models", "label", "m", 2, "next", "--json").stdout)["labels"] == {"champion": 1, "next": 2}
    run("models", "unlabel", "m", "champion")
    assert store.serving("m").labels == {"next": 2}
    assert "has no label 'champion'; it has next" in said(run("models", "unlabel", "m", "champion", status=1))


def test_a_split_is_set_shown_and_ended(run: Run, store: ModelStore) -> None:
    told = "10% to version 1, 25% to version 2, the rest to version 3; by X-User or API key, else by chance"
    assert run("models", "split", "m", "1=10%", "2=0.25", "--sticky", "X-User").stdout == f"m's split: {told}\n"
    assert f"split: {told}" in run("models", "show", "m").stdout
    assert "m version 2 (25% of the split, promoted before)" in run("models", "show", "m", 2).stdout
    shown = json.loads(run("models", "split", "m", "1=10%", "--by-chance", "--json").stdout)
    assert (shown["split"], shown["sticky"]) == ({"1": 0.1}, None)
    assert run("models", "promote", "m", 1).stdout == "m version 1 is promoted, and no longer in the split\n"
    run("models", "split", "m", "2=50%")
    assert run("models", "split", "m", "--off").stdout == "m's split: none, version 1 answers alone\n"
    assert store.serving("m").split == {}


def test_a_shadow_is_set_shown_and_ended(run: Run, store: ModelStore) -> None:
    told = "version 1 is asked too, unseen, for 50% of the requests"
    assert run("models", "shadow", "m", 1, "--share", "50%").stdout == f"m's shadow: {told}\n"
    assert f"shadow: {told}" in run("models", "show", "m").stdout
    assert json.loads(run("models", "list", "--json").stdout)["models"][0]["shadow"] == {"version": 1, "share": 0.5}
    assert "version 1 is served (shadow of 50%)" in said(run("models", "remove", "m", 1, "--yes", status=1))
    assert run("models", "shadow", "m", "--off").stdout == "m's shadow: none\n"


IMPOSSIBLE: list[tuple[tuple[str, ...], str]] = [
    (("split", "m", "1"), "'1' is no VERSION=SHARE, such as 2=10%"),
    (("split", "m", "1=ten"), "'ten' is no share; write 10% or 0.1"),
    (("split", "m", "1=10"), "the share of version 1 must be above 0% and at most 100%, not 1000%"),
    (("split", "m", "3=10%"), "version 3 is promoted and answers already"),
    (("split", "m", "9=10%"), "has no version 9; it has 1, 2, 3"),
    (("split", "n", "1=10%"), "there is no model 'n'; there are m"),
    (("shadow", "m", "3"), "version 3 is promoted"),
    (("shadow", "m", "1", "--share", "0"), "the share of the shadow must be above 0%"),
]


def test_traffic_that_cannot_be_is_told(run: Run, store: ModelStore) -> None:
    for arguments, told in IMPOSSIBLE:
        assert told in said(run("models", *arguments, status=1))


def test_a_split_or_a_shadow_must_be_told_or_ended(run: Run, store: ModelStore) -> None:
    assert "give VERSION=SHARE, such as 2=10%, or --off" in run("models", "split", "m", status=2).stderr
    assert "give a VERSION, or --off" in run("models", "shadow", "m", 1, "--off", status=2).stderr


def test_verify_checks_everything_and_fails_where_a_version_is_refused(run: Run, store: ModelStore, root: Path) -> None:
    assert [line.split() for line in run("models", "verify").stdout.splitlines()[1:]] == [
        ["m", str(version), "ok"] for version in (1, 2, 3)
    ]
    (root / "m" / "2" / "model.joblib").write_bytes(b"")
    shown = json.loads(run("models", "verify", "m", "--json", status=1).stdout)["versions"]
    assert [version["ok"] for version in shown] == [True, False, True]
    assert "model.joblib is not the file that was saved" in shown[1]["refused"]
    run("models", "verify", "m", 1)
    assert "has no version 7" in said(run("models", "verify", "m", 7, status=1))


def test_recheck_makes_a_new_version_under_the_installed_scikit_learn(run: Run, root: Path) -> None:
    estimator = LogisticRegression().fit(ROWS, [0, 1] * 3)
    saved = save(estimator, ROWS, "m", root=root, metrics={"accuracy": 0.5}, data={"source": "x.csv"})
    pretend_other_sklearn(saved)
    assert "recheck m 1" in said(run("models", "promote", "m", 1, status=1))
    assert "saved as version 2; promote it with" in run("models", "recheck", "m", 1).stdout
    new = load("m", 2, root=root).manifest
    old = ModelStore(root).manifest("m", 1)
    assert new.library["scikit-learn"] == installed_versions()["scikit-learn"]
    assert (new.golden, new.signature, new.metrics) == (old.golden, old.signature, old.metrics)
    assert new.data == {"source": "x.csv", "rechecked_from": 1}
    assert ModelStore(root).promoted("m") == 1
    run("models", "recheck", "m", 1, "--promote")
    assert ModelStore(root).promoted("m") == 3
    assert "nothing to do" in run("models", "recheck", "m", 3).stdout


def test_recheck_refuses_what_answers_otherwise_here(run: Run, root: Path) -> None:
    saved = save(LogisticRegression().fit(ROWS, [0, 1] * 3), ROWS, "m", root=root)
    pretend_other_sklearn(saved)
    path = saved.path / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["golden"]["outputs"]["predict_proba"][0] = [0.25, 0.75]
    path.write_text(json.dumps(manifest))
    assert "predict_proba of the golden rows is not what it was" in said(run("models", "recheck", "m", 1, status=1))
    break_version(saved)
    assert "model.joblib is not the file that was saved" in said(run("models", "recheck", "m", 1, status=1))
    assert ModelStore(root).versions("m") == [1]


def test_prune_tells_what_went_and_what_stays(run: Run, store: ModelStore) -> None:
    assert run("models", "prune", "m", "--keep", 1).stdout == "deleted 1; left are 2, 3\n"
    assert json.loads(run("models", "prune", "m", "--keep", 0, "--json").stdout) == {
        "name": "m",
        "deleted": [],
        "versions": [2, 3],
    }


def test_remove_asks_first(run: Run, store: ModelStore) -> None:
    run("models", "remove", "m", given="n\n", status=1)
    assert store.names() == ["m"]
    assert "version 3 is served" in said(run("models", "remove", "m", 3, "--yes", status=1))
    run("models", "remove", "m", 1, "--yes")
    assert store.versions("m") == [2, 3]
    run("models", "remove", "m", given="y\n")
    assert store.names() == []
    assert "there is no model 'm'" in said(run("models", "remove", "m", "--yes", status=1))


def test_a_wrong_setting_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "many")
    assert "PORT must be a whole number" in said(run("models", "list", status=1))


def test_a_version_moves_to_another_store_through_a_file_or_a_pipe(
    run: Run, store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = run("models", "export", "m").stdout_bytes
    assert "m version 3 is in out.tar.gz" in run("models", "export", "m", "-o", "out.tar.gz").stdout
    assert (tmp_path / "out.tar.gz").read_bytes() == archive
    monkeypatch.setenv("MODEL_STORE", str(tmp_path / "other"))
    assert "imported as m version 1; promoted" in run("models", "import", "-", given=archive).stdout
    told = run("models", "import", "out.tar.gz", "--name", "n", "--no-promote").stdout
    assert "imported as n version 1; promote it with: python scripts/models.py promote n 1" in told
    assert load("m", root=tmp_path / "other").estimator.predict(ROWS).tolist() == [3.0] * 6
    assert ModelStore(tmp_path / "other").promoted("n") is None


def test_what_cannot_move_is_told_in_one_line(run: Run, store: ModelStore, tmp_path: Path) -> None:
    assert "no version 9" in said(run("models", "export", "m", 9, "-o", "out.tar.gz", status=1))
    assert "no model 'x'" in said(run("models", "export", "x", status=1))
    assert "out.tar.gz cannot be read" in said(run("models", "import", "out.tar.gz", status=1))
    assert "not a whole gzip file" in said(run("models", "import", "-", given=b"what", status=1))
    assert "cannot be written" in said(run("models", "export", "m", "-o", "no/such/folder.tar.gz", status=1))
    assert list(tmp_path.glob(".*")) == []


def test_an_archive_is_not_written_to_a_terminal(store: ModelStore) -> None:
    leader, follower = os.openpty()
    command = [sys.executable, str(SCRIPTS / "models.py"), "export", "m"]
    environ = {**os.environ, "MODEL_STORE": str(store.root)}
    done = subprocess.run(command, stdout=follower, stderr=subprocess.PIPE, text=True, check=False, env=environ)
    os.close(follower)
    os.close(leader)
    assert done.returncode == 1
    assert done.stderr == "error: an archive is nothing for a terminal; write it to a file: -o m-3.tar.gz\n"
