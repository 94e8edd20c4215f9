"""Scoring files from the shell: every format, the service's own answers, and no half-written file."""

from __future__ import annotations

import gzip
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
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from app import store
from tests.conftest import ClientMaker
from tests.scripts.conftest import SCRIPTS
from tests.test_client import serving
from tests.tracing import peak_of

Run = Callable[..., Result]

PEOPLE = pd.DataFrame(
    {
        "name": [f"person, {index}" for index in range(40)],
        "age": np.where(np.arange(40) % 7 == 0, np.nan, np.arange(40.0)),
        "sex": ["m", "f"] * 20,
        "children": np.arange(40) % 4,
    }
)


# Without the time in it, which would make another name of the test of each process that runs some.
CUT_OFF = gzip.compress(b"age,sex,children\n" * 99, mtime=0)[:-9]


@pytest.fixture(scope="module")
def fitted() -> Any:
    words = make_column_transformer(
        (SimpleImputer(), ["age"]), (OneHotEncoder(), ["sex"]), ("passthrough", ["children"])
    )
    columns = PEOPLE[["age", "sex", "children"]]
    return make_pipeline(words, LogisticRegression(max_iter=1000)).fit(
        columns, np.where(PEOPLE.index > 20, "old", "new")
    )


@pytest.fixture(scope="module")
def saved(fitted: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("store")
    store.save(fitted, PEOPLE[["age", "sex", "children"]], "people", root=root)
    X = np.random.default_rng(0).normal(size=(50, 3))
    store.save(LinearRegression().fit(X, X @ [1.0, 2.0, 3.0]), X, "sums", root=root)
    texts = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(
        ["win a prize", "at lunch"] * 3, ["spam", "ham"] * 3
    )
    store.save(texts, ["win a prize", "at lunch"], "spam", root=root)
    return root


@pytest.fixture
def score(run: Run, saved: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("MODEL_STORE", str(saved))

    def score(*arguments: Any, model: str = "people", **options: Any) -> Result:
        return run("score", *arguments, "--model", model, **options)

    return score


def write(frame: pd.DataFrame, path: str) -> None:
    kind = path.removesuffix(".gz").rsplit(".", 1)[1]
    if kind in ("csv", "tsv"):
        frame.to_csv(path, index=False, sep="\t" if kind == "tsv" else ",")
    elif kind == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_parquet(path, index=False)


def read(path: str) -> pd.DataFrame:
    kind = path.removesuffix(".gz").rsplit(".", 1)[1]
    if kind in ("csv", "tsv"):
        return pd.read_csv(path, sep="\t" if kind == "tsv" else ",")
    return pd.read_json(path, lines=True) if kind == "jsonl" else pd.read_parquet(path)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("in.csv", "out.csv"),
        ("in.tsv", "out.jsonl"),
        ("in.csv.gz", "out.parquet"),
        ("in.jsonl", "out.tsv.gz"),
        ("in.parquet", "out.parquet"),
        ("in.parquet", "out.csv"),
        ("in.jsonl.gz", "out.jsonl.gz"),
    ],
)
def test_answers_stand_beside_the_inputs_columns(score: Run, fitted: Any, source: str, target: str) -> None:
    write(PEOPLE, source)
    told = score(source, target, "--chunk", 15)
    assert "scored 40 rows" in told.stderr
    found = read(target)
    assert list(found.columns) == [*PEOPLE.columns, "prediction"]
    assert found["prediction"].tolist() == fitted.predict(PEOPLE).tolist()
    pd.testing.assert_frame_equal(found[list(PEOPLE.columns)], PEOPLE, check_dtype=False)


def test_probabilities_alone_are_columns_by_class(score: Run, fitted: Any) -> None:
    write(PEOPLE, "in.csv")
    score("in.csv", "out.csv", "--only", "--method", "predict_proba")
    found = pd.read_csv("out.csv")
    assert list(found.columns) == ["predict_proba_new", "predict_proba_old"]
    np.testing.assert_allclose(found.to_numpy(), fitted.predict_proba(PEOPLE), rtol=1e-9)


def test_arrays_become_arrays(score: Run) -> None:
    rows = np.random.default_rng(1).normal(size=(101, 3))
    np.save("in.npy", rows)
    score("in.npy", "out.npy", "--chunk", 25, model="sums")
    np.testing.assert_allclose(np.load("out.npy"), rows @ [1.0, 2.0, 3.0], rtol=1e-9)
    score("in.npy", "out.csv", model="sums")
    assert list(pd.read_csv("out.csv").columns) == ["x0", "x1", "x2", "prediction"]


@pytest.mark.parametrize("header", ["", "a,b,c\n", "x2,x0,x1\n"])
def test_columns_of_nameless_models_are_told_by_position_unless_they_are_named_x0(score: Run, header: str) -> None:
    Path("in.csv").write_text(f"{header}1,10,100\n2,20,200\n")
    score("in.csv", "out.csv", "--only", model="sums")
    expected = [321.0, 642.0] if "x" not in header else [3 + 10 + 200.0, 6 + 20 + 400.0]
    np.testing.assert_allclose(pd.read_csv("out.csv")["prediction"], expected)


def test_texts_are_scored_line_by_line(score: Run) -> None:
    Path("in.csv").write_text('text\n"a prize, now"\nlunch\n')
    score("in.csv", "out.jsonl", model="spam")
    Path("in.jsonl").write_text('"a prize"\n\n"lunch"\n')
    score("in.jsonl", "out2.jsonl", model="spam")
    lines = [json.loads(line) for path in ("out.jsonl", "out2.jsonl") for line in Path(path).read_text().splitlines()]
    assert [line["prediction"] for line in lines] == ["spam", "ham"] * 2
    assert lines[0]["text"] == "a prize, now"


def test_a_running_service_gives_the_same(score: Run, saved: Path, client_of: ClientMaker, fitted: Any) -> None:
    app = client_of(model_store=saved, max_rows=16).application
    write(PEOPLE, "in.csv")
    write(PEOPLE, "in.parquet")
    np.save("in.npy", np.ones((40, 3)))
    with serving(app) as url:
        # Chunks that are larger than the service takes are halved.
        score("in.csv", "url.csv", "--url", url, "--chunk", 30, "--method", "predict_proba")
        score("in.parquet", "url.jsonl", "--url", url, "--chunk", 16)
        score("in.npy", "url.npy", "--url", url, model="sums")
        told = score("in.csv", "no.csv", "--url", url, model="other", status=1)
    score("in.csv", "here.csv", "--method", "predict_proba")
    assert Path("url.csv").read_bytes() == Path("here.csv").read_bytes()
    assert read("url.jsonl")["prediction"].tolist() == fitted.predict(PEOPLE).tolist()
    np.testing.assert_allclose(np.load("url.npy"), np.full(40, 6.0))
    assert "there is no model 'other'" in told.stderr


BAD = "age,sex,children\n1,m,0\nold,f,1\n3,m,0\n4,x,0,9\n5,f,2\n,,\n7,f,3\n"


def test_a_bad_row_ends_it_and_says_where(score: Run) -> None:
    Path("in.csv").write_text(BAD)
    told = score("in.csv", "out.csv", status=1)
    assert told.stderr == "error: in.csv: row 4: has 4 cells, and 3 are needed; --skip-bad sets such rows aside\n"
    Path("in.csv").write_text(BAD.replace(",9", ""))
    told = score("in.csv", "out.csv", status=1)
    assert "error: in.csv: row 2: column 'age': must be a number, not the string 'old'" in told.stderr
    assert os.listdir() == ["in.csv"]  # noqa: PTH208  # hidden ones too


def test_bad_rows_are_set_aside(score: Run, fitted: Any) -> None:
    Path("in.csv").write_text(BAD)
    told = score("in.csv", "out.csv", "--skip-bad", "--chunk", 3)
    found = read("out.csv")
    assert found["age"].tolist() == [1, 3, 5, 7]
    assert found["prediction"].tolist() == fitted.predict(found).tolist()
    rejects = [json.loads(line) for line in Path("out.csv.rejects").read_text().splitlines()]
    assert {reject["row"] for reject in rejects} == {2, 4, 6}
    assert rejects[0]["values"] == {"age": "old", "sex": "f", "children": "1"}
    assert "set 3 bad rows aside: out.csv.rejects" in told.stderr


def test_rows_that_the_model_itself_refuses_are_found_among_many(score: Run) -> None:
    """OneHotEncoder raises for a category it has not seen, and does not say in which row."""
    frame = PEOPLE.copy()
    frame.loc[[11, 30], "sex"] = "other"
    write(frame, "in.parquet")
    assert "in.parquet: row 12: " in score("in.parquet", "out.csv", status=1).stderr
    score("in.parquet", "out.csv", "--skip-bad")
    assert read("out.csv")["name"].tolist() == PEOPLE["name"].drop([11, 30]).tolist()
    assert [json.loads(line)["row"] for line in Path("out.csv.rejects").read_text().splitlines()] == [12, 31]


@pytest.mark.parametrize(
    ("source", "content", "target", "told"),
    [
        ("in.csv", b"age,children\n1,2\n", "out.csv", "in.csv: it has no column 'sex'; it has 'age', 'children'"),
        ("in.csv", b"", "out.csv", "in.csv: it has no rows to score"),
        ("in.csv", b"age,sex,children\n", "out.csv", "in.csv: it has no rows to score"),
        ("in.csv", b"age,sex,children,prediction\n1,m,2,x\n", "out.csv", "has a column 'prediction' already"),
        ("in.csv", b'age,sex,children\n"1,m,2\n', "out.csv", "in.csv: line 2: unexpected end of data"),
        ("in.csv", b"age,sex,children\n1,\xff,2\n", "out.csv", "in.csv: it is not UTF-8"),
        ("in.csv", b"age,sex,children\n1,m,2\n", "out.npy", "an NPY file holds numbers"),
        ("in.csv", b"age,sex,children\n1,m,2\n", "no/out.csv", "no/out.csv cannot be written: No such file"),
        ("in.csv", b"age,sex,children\n1,m,2\n", "out.xlsx", "out.xlsx: files are .csv, .tsv"),
        ("in.csv", b"age,sex,children\n1,m,2\n", "in.csv", "would be written over itself"),
        ("in.csv.gz", b"age,sex", "out.csv", "in.csv.gz: it cannot be read: Not a gzipped file"),
        ("in.csv.gz", CUT_OFF, "out.csv", "in.csv.gz: it cannot be read"),
        ("in.jsonl", b'{"age": 1', "out.csv", "in.jsonl: row 1: is not JSON"),
        ("in.jsonl", b'{"age": 1}\n', "out.csv", "in.jsonl: row 1: "),
        ("in.npy", b"no array", "out.csv", "in.npy: it is not an array"),
        ("in.parquet", b"no table", "out.csv", "in.parquet: it is not a readable Parquet file"),
    ],
)  # fmt: skip
def test_what_cannot_be_scored_is_told_in_one_line(
    score: Run, source: str, content: bytes, target: str, told: str
) -> None:
    Path(source).write_bytes(content)
    result = score(source, target, status=1)
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert told in result.stderr
    assert [path.name for path in Path().iterdir()] == [source]


def test_options_that_do_not_fit_are_told(score: Run) -> None:
    write(PEOPLE, "in.csv")
    assert "no version 9" in score("in.csv", "out.csv", "--version", 9, status=1).stderr
    assert "has no transform; it has predict" in score("in.csv", "out.csv", "--method", "transform", status=1).stderr
    assert "there is no model 'x'" in score("in.csv", "out.csv", model="x", status=1).stderr
    assert "No such file" in score("other.csv", "out.csv", status=1).stderr


def test_memory_does_not_grow_with_the_file(score: Run) -> None:
    peaks = []
    for rows in (2_000, 16_000):
        Path("in.csv").write_text("x0,x1,x2\n" + "".join(f"{index},1.5,2.5\n" for index in range(rows)))
        peaks.append(peak_of(lambda: score("in.csv", "out.csv", "--chunk", 500, model="sums"))[1])
    assert len(Path("out.csv").read_text().splitlines()) == 16_001
    assert peaks[1] < 1.2 * peaks[0]


def test_an_interrupt_leaves_nothing(saved: Path, tmp_path: Path) -> None:
    """The source is a pipe that nobody writes to: the script waits in it until it is interrupted."""
    import signal

    os.mkfifo(tmp_path / "in.csv")
    command = [sys.executable, str(SCRIPTS / "score.py"), "in.csv", "out.csv", "--model", "sums"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env={**os.environ, "MODEL_STORE": str(saved)}, stderr=subprocess.PIPE, text=True
    )
    with (tmp_path / "in.csv").open("w") as pipe:  # opened once the script reads
        pipe.write("x0,x1,x2\n1,2,3\n")
        pipe.flush()
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "Aborted" in told
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]
