"""Serving a model that was fitted elsewhere: any file of joblib's or pickle's, any sample."""

from __future__ import annotations

import json
import pickle
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from click.testing import Result
from flask.testing import FlaskClient
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from app.store import ModelStore, load
from app.store.manifest import installed_versions

Run = Callable[..., Result]
SKLEARN = installed_versions()["scikit-learn"]

N = 24
X = np.random.default_rng(3).normal(size=(N, 3))
Y = np.arange(N) % 2
FRAME = pd.DataFrame(X, columns=["a", "b", "c"])
MIXED = pd.DataFrame({"word": np.array(["u", "v", "w"])[np.arange(N) % 3], "size": X[:, 0]})
TEXTS = [f"word{index % 3}, and {index % 2}" for index in range(N)]


def table_model() -> Any:
    prepare = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["word"]), (make_pipeline(SimpleImputer(), StandardScaler()), ["size"])
    )
    return make_pipeline(prepare, RandomForestClassifier(5, random_state=0)).fit(MIXED, Y)


def text_model() -> Any:
    return make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TEXTS, Y)


def write(path: Path, rows: Any) -> Path:
    """Write rows as what the file's suffix says."""
    frame = rows if isinstance(rows, pd.DataFrame) else None
    match path.suffix:
        case ".npy":
            np.save(path, rows)
        case ".npz":
            np.savez(path, X=rows, y=Y)
        case ".csv" | ".gz":
            assert frame is not None
            frame.to_csv(path, index=False)
        case ".tsv":
            assert frame is not None
            frame.to_csv(path, index=False, sep="\t")
        case ".parquet":
            assert frame is not None
            frame.to_parquet(path)
        case ".json":
            path.write_text(json.dumps(rows) if frame is None else frame.to_json(orient="records"))
        case ".jsonl":
            assert frame is not None
            frame.to_json(path, orient="records", lines=True)
        case ".txt":
            path.write_text("\n".join(rows) + "\n")
    return path


CASES: dict[str, tuple[Any, str, Any, str]] = {
    "numbers": (LinearRegression().fit(X, Y), "x.npy", X, "array"),
    "float32": (LogisticRegression().fit(X.astype("f4"), Y), "x.npy", X.astype("f4"), "array"),
    "NPZ": (LinearRegression().fit(X, Y), "x.npz", X, "array"),
    "numbers in a CSV": (LinearRegression().fit(X, Y), "x.csv", FRAME, "array"),
    "rows in JSON": (LinearRegression().fit(X, Y), "x.json", X.tolist(), "array"),
    "a vector": (IsotonicRegression().fit(X[:, 0], Y), "x.npy", X[:, 0], "vector"),
    "a column": (LinearRegression().fit(X[:, :1], Y), "x.csv", FRAME[["a"]], "array"),
    "one dimension for a column": (LinearRegression().fit(X[:, :1], Y), "x.npy", X[:, 0], "array"),
    "names and a CSV": (HistGradientBoostingRegressor(max_iter=3).fit(FRAME, Y), "x.csv", FRAME, "frame"),
    "names and NPY": (LinearRegression().fit(FRAME, Y), "x.npy", X, "frame"),
    "a table in a CSV": (table_model(), "x.csv", MIXED, "frame"),
    "a table in a compressed CSV": (table_model(), "x.csv.gz", MIXED, "frame"),
    "a table in a TSV": (table_model(), "x.tsv", MIXED, "frame"),
    "a table in Parquet": (table_model(), "x.parquet", MIXED, "frame"),
    "a table in JSON": (table_model(), "x.json", MIXED, "frame"),
    "a table in JSON lines": (table_model(), "x.jsonl", MIXED, "frame"),
    "words without names": (
        make_pipeline(OneHotEncoder(), LogisticRegression()).fit(MIXED[["word"]].to_numpy(dtype=object), Y),
        "x.csv",
        MIXED[["word"]],
        "objects",
    ),
    "lines of text": (text_model(), "x.txt", TEXTS, "texts"),
    "a column of texts": (text_model(), "x.csv", pd.DataFrame({"message": TEXTS}), "texts"),
    "texts in JSON": (text_model(), "x.json", TEXTS, "texts"),
    "texts beside a target": (text_model(), "x.csv", pd.DataFrame({"label": Y, "message": TEXTS}), "texts"),
    "a union of vectorizers": (
        make_pipeline(FeatureUnion([("words", TfidfVectorizer())]), LogisticRegression()).fit(TEXTS, Y),
        "x.txt",
        TEXTS,
        "texts",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_model_is_registered_in_the_container_it_was_fitted_on(
    run: Run, root: Path, tmp_path: Path, case: str
) -> None:
    estimator, file, rows, container = CASES[case]
    joblib.dump(estimator, tmp_path / "model.joblib")
    shown = run("register", "model.joblib", "--name", "m", "--sample", write(tmp_path / file, rows)).stdout
    model = load("m", root=root)
    assert model.signature.container == container
    assert "saved m version 1" in shown
    assert "promoted" in shown


def test_the_curl_line_works_as_typed(run: Run, client_of: Callable[..., FlaskClient], tmp_path: Path) -> None:
    for name, (estimator, file, rows, _) in [("words", CASES["a table in a CSV"]), ("texts", CASES["lines of text"])]:
        joblib.dump(estimator, tmp_path / "model.joblib")
        shown = run("register", "model.joblib", "--name", name, "--sample", write(tmp_path / file, rows)).stdout
        command = shlex.split(shown.splitlines()[-1])
        assert command[:2] == ["curl", "-d"]
        reply = client_of().post(command[5].split("8000")[1], data=command[2], content_type="application/json")
        assert reply.status_code == 200, reply.text


def test_the_answers_over_http_are_the_estimators_own(
    run: Run, client_of: Callable[..., FlaskClient], tmp_path: Path
) -> None:
    estimator = table_model()
    joblib.dump(estimator, tmp_path / "model.joblib")
    run("register", "model.joblib", "--name", "m", "--sample", write(tmp_path / "x.csv", MIXED))
    rows = MIXED.to_dict(orient="records")
    reply = client_of().post("/models/m/predict_proba", json={"dataframe_records": rows})
    assert reply.get_json()["predictions"] == estimator.predict_proba(MIXED).tolist()


@pytest.mark.parametrize(
    "dump",
    [
        joblib.dump,
        lambda model, path: joblib.dump(model, path, compress=3),
        lambda model, path: joblib.dump(model, path, compress=("xz", 1)),
        lambda model, path: path.write_bytes(pickle.dumps(model)),
        lambda model, path: path.write_bytes(pickle.dumps(model, protocol=2)),
    ],
    ids=["joblib", "zlib", "xz", "pickle", "pickle 2"],
)
def test_any_way_to_write_a_model_is_read(run: Run, root: Path, tmp_path: Path, dump: Callable[..., Any]) -> None:
    dump(LinearRegression().fit(X, Y), tmp_path / "model.pkl")
    run("register", "model.pkl", "--name", "m", "--sample", write(tmp_path / "x.npy", X))
    assert load("m", root=root).version == 1


def test_columns_beyond_the_fitted_ones_are_left_out_and_told(run: Run, root: Path, tmp_path: Path) -> None:
    joblib.dump(table_model(), tmp_path / "model.joblib")
    sample = write(tmp_path / "x.csv", MIXED.assign(target=Y)[["target", "size", "word"]])
    shown = run("register", "model.joblib", "--name", "m", "--sample", sample).stdout
    assert "left out, as the model was not fitted on it: target" in shown
    assert load("m", root=root).signature.names == ("word", "size")


def test_not_promoted_it_answers_nothing_and_says_how_to(run: Run, root: Path, tmp_path: Path) -> None:
    joblib.dump(LinearRegression().fit(X, Y), tmp_path / "model.joblib")
    shown = run(
        "register", "model.joblib", "--name", "m", "--sample", write(tmp_path / "x.npy", X), "--no-promote"
    ).stdout
    assert "python scripts/models.py promote m 1" in shown
    assert ModelStore(root).promoted("m") is None


def refused(run: Run, tmp_path: Path, estimator: Any, rows: Any, file: str = "x.csv", *options: str) -> str:
    """Register what cannot be; return the one line that says why."""
    joblib.dump(estimator, tmp_path / "model.joblib")
    result = run(
        "register", "model.joblib", "--name", "m", "--sample", write(tmp_path / file, rows), *options, status=1
    )
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_a_sample_that_does_not_fit_is_refused(run: Run, root: Path, tmp_path: Path) -> None:
    assert "no column 'size', which the estimator was fitted on; it has 'word'" in refused(
        run, tmp_path, table_model(), MIXED[["word"]]
    )
    linear = LinearRegression().fit(X, Y)
    told = refused(run, tmp_path, linear, FRAME.assign(target=Y))
    assert "the sample has 4 columns, and the estimator was fitted on 3; leave out" in told
    assert "has no rows" in refused(run, tmp_path, linear, FRAME[:0])
    assert "x.npy cannot be read as .npy" in refused(run, tmp_path, linear, np.array([[None]], dtype=object), "x.npy")
    assert "one column of texts (it has 'first', 'second')" in refused(
        run, tmp_path, text_model(), pd.DataFrame({"first": TEXTS, "second": TEXTS})
    )
    (tmp_path / "x.xlsx").write_bytes(b"PK")
    assert "cannot be read as a sample; give .npy" in refused(run, tmp_path, linear, None, "x.xlsx")
    assert not root.exists()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "model.joblib is no model file"),
        (b"PK\x03\x04 this is no pickle", "model.joblib is no model file"),
        (pickle.dumps({"model": 1}), "holds a dict with the keys 'model', which has none of predict"),
        (pickle.dumps(LinearRegression), "holds the class LinearRegression"),
        (pickle.dumps(LinearRegression()), "NotFittedError"),
        (b"cnowhere_to_be_found\nModel\n.", "needs the module 'nowhere_to_be_found', which is not installed here"),
    ],
    ids=["empty", "a zip", "a dict", "a class", "not fitted", "a module that is not there"],
)
def test_a_file_without_a_fitted_estimator_is_refused(run: Run, tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "model.joblib").write_bytes(content)
    sample = write(tmp_path / "x.npy", X)
    result = run("register", "model.joblib", "--name", "m", "--sample", sample, status=1)
    assert result.stderr.startswith("error: ")
    assert told in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_missing_file_and_a_bad_name_are_told(run: Run, tmp_path: Path) -> None:
    sample = write(tmp_path / "x.npy", X)
    assert (
        "nowhere.joblib cannot be read: No such file"
        in run("register", "nowhere.joblib", "--name", "m", "--sample", sample, status=1).stderr
    )
    assert (
        "'My Model' cannot be a model's name"
        in run("register", "nowhere.joblib", "--name", "My Model", "--sample", sample, status=1).stderr
    )


def other_sklearn(tmp_path: Path) -> Path:
    """Write a model whose pickle says that scikit-learn 1.0.2 fitted it."""
    content = pickle.dumps(LinearRegression().fit(X, Y), protocol=2)
    assert content.count(SKLEARN.encode()) == 1
    old = len(SKLEARN).to_bytes(4, "little") + SKLEARN.encode()
    content = content.replace(old, (5).to_bytes(4, "little") + b"1.0.2")
    path = tmp_path / "old.pkl"
    path.write_bytes(content)
    return path


def test_another_scikit_learn_is_refused_with_both_versions_and_the_remedies(
    run: Run, root: Path, tmp_path: Path
) -> None:
    sample = write(tmp_path / "x.npy", X)
    arguments = ("register", other_sklearn(tmp_path), "--name", "m", "--sample", sample)
    told = run(*arguments, status=1).stderr
    assert f"fitted with scikit-learn 1.0.2, and {SKLEARN} is installed" in told
    assert "pip install scikit-learn==1.0.2" in told
    assert "--allow-version-mismatch" in told
    assert not root.exists()
    result = run(*arguments, "--allow-version-mismatch")
    assert result.stderr.startswith("warning: old.pkl was fitted with scikit-learn 1.0.2")
    assert load("m", root=root).manifest.library["scikit-learn"] == SKLEARN


@pytest.mark.parametrize("compress", [0, 3])
def test_a_file_that_another_scikit_learn_makes_unreadable_is_told_by_its_bytes(
    run: Run, tmp_path: Path, compress: int
) -> None:
    content = other_sklearn(tmp_path).read_bytes().replace(b"sklearn.linear_model._base", b"sklearn.linear_model.old_a")
    if compress:
        import zlib

        content = zlib.compress(content)
    (tmp_path / "old.pkl").write_bytes(content)
    sample = write(tmp_path / "x.npy", X)
    told = run("register", "old.pkl", "--name", "m", "--sample", sample, "--allow-version-mismatch", status=1).stderr
    assert f"fitted with scikit-learn 1.0.2, and {SKLEARN} is installed" in told
    assert "cannot even be loaded" in told


NOTEBOOK = """
import sys
import joblib, numpy as np
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
{definition}
X = np.arange(12.0).reshape(6, 2)
joblib.dump(make_pipeline(FunctionTransformer(clean), LinearRegression()).fit(X, X[:, 0]), "model.joblib")
"""
CLEAN = "import numpy as np\n\ndef clean(X):\n    return np.sqrt(X)\n"


@pytest.mark.parametrize("definition", [CLEAN, "from helpers import clean"], ids=["__main__", "helpers"])
def test_code_of_the_authors_travels_with_the_model(run: Run, root: Path, tmp_path: Path, definition: str) -> None:
    code = tmp_path / "helpers.py"
    code.write_text(CLEAN)
    (tmp_path / "notebook.py").write_text(NOTEBOOK.format(definition=definition))
    subprocess.run([sys.executable, "notebook.py"], cwd=tmp_path, check=True)
    sample = write(tmp_path / "x.npy", np.arange(12.0).reshape(6, 2))
    arguments = ("register", "model.joblib", "--name", "m", "--sample", sample)
    assert "--code FILE.py" in run(*arguments, status=1).stderr
    run(*arguments, "--code", code)
    code.unlink()
    assert load("m", root=root).estimator.predict([[1.0, 4.0]]).shape == (1,)


def test_the_script_works_from_any_folder(root: Path, tmp_path: Path) -> None:
    joblib.dump(LinearRegression().fit(X, Y), tmp_path / "model.joblib")
    write(tmp_path / "x.npy", X)
    script = Path(__file__).parents[2] / "scripts" / "register.py"
    done = subprocess.run(
        [sys.executable, script, "model.joblib", "--name", "m", "--sample", "x.npy"],
        cwd=tmp_path,
        env={"MODEL_STORE": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "found regression on an array of numbers (3 inputs): predict" in done.stdout
