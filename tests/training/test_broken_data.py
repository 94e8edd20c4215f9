"""Broken data files, and the one line that the command says of each: what, where, and what would be right."""

from __future__ import annotations

import gzip
import importlib.util
import io
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import click
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from app.settings import ROOT
from tests.training.files import npy, npz

SCRIPT = ROOT / "scripts" / "train.py"
PLAIN = "age,city,survived\n22,Köln,no\n38.5,Bonn,yes\n,Trier,no\n"


def archive(**members: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        for name, text in members.items():
            packed.writestr(name.replace("__", "/"), text)
    return stream.getvalue()


def parquet(frame: pd.DataFrame) -> bytes:
    stream = io.BytesIO()
    frame.to_parquet(stream)
    return stream.getvalue()


def rows(line: str, n: int = 40) -> str:
    """`n` lines, with their number for {}."""
    return "".join(line.format(number) + "\n" for number in range(n))


# The file's name, what is in it, and what is said of it; where that ends with "(", a library's own words follow.
FILES: list[tuple[str, str | bytes, str]] = [
    # Files that are no tables of text.
    ("empty.csv", "", "empty.csv: is empty"),
    ("blank.csv", "\n \r\n\n", "blank.csv: is empty"),
    ("book.xlsx", archive(xl__workbook="<x/>"), "book.xlsx: is an Excel workbook; save it as CSV"),
    ("book.csv", archive(xl__workbook="<x/>"), "book.csv: is an Excel workbook; save it as CSV"),
    ("packed.csv", archive(table=PLAIN), "packed.csv: is a zip archive; unpack it, and give the table in it"),
    ("old.csv", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 ...", "old.csv: is an Excel workbook; save it as CSV"),
    ("frame.csv", parquet(pd.DataFrame({"a": [1], "y": [2]})), "frame.csv: is a Parquet file; rename it to .parquet"),
    ("array.csv", npy(np.eye(3)), "array.csv: is a NumPy array; rename it to .npy"),
    (
        "frame.pkl",
        pickle.dumps({"a": 1}),
        "frame.pkl: is a pickle, which could run code when it is read; save it as CSV or Parquet",
    ),
    ("rows.csv", '[{"a": 1}]', "rows.csv: is JSON; save it as CSV"),
    ("page.csv", "<!DOCTYPE html><html>", "page.csv: is a web page or XML; save it as CSV"),
    (
        "table.doc",
        PLAIN,
        "table.doc: files ending in .doc cannot be read; give CSV, TSV, text, Parquet, NPY or NPZ, each also as .gz",
    ),
    # Characters.
    (
        "nul.csv",
        b"a,b\n1,\x00\n",
        "nul.csv: line 2 holds a NUL byte; this is not text, or UTF-16 (--encoding utf-16-le)",
    ),
    (
        "mended.csv",
        b"a,b\n1,K\xc3\xb6ln\n2,K\xf6ln\n",
        "mended.csv: line 3, byte 4 (0xf6) is not UTF-8; save the file as UTF-8, "
        "or say what it is with --encoding, such as latin-1",
    ),
    (
        "russian.csv",
        "ящик,b\nдым,1\n".encode("cp1251"),
        "russian.csv: line 1, byte 1 (0xff) is not UTF-8; save the file as UTF-8, "
        "or say what it is with --encoding, such as latin-1",
    ),
    ("cut.csv", PLAIN.encode()[:23], "cut.csv: ends within a character; save the file as UTF-8 once more"),
    ("odd.csv", PLAIN.encode("utf-16")[:-1], "odd.csv: is not utf-16 after line 4; say what it is with --encoding"),
    # Lines and columns.
    ("header.csv", "a,b\n", "header.csv: has column names but no rows"),
    (
        "one.csv",
        "a\n1\n2\n",
        "one.csv: has only one column, such as 'a'; a target and at least one feature are needed, "
        "separated by comma, semicolon, tab, pipe or blanks",
    ),
    ("long.csv", "a,b\n1,2\n1,2,3\n", "long.csv: line 3 has 3 fields where the first line has 2"),
    ("short.csv", "a,b,c\n1,2,3\n1,2\n", "short.csv: line 3 has 2 fields where the first line has 3"),
    (
        "quoted.csv",
        'a,b,c\n1,"2\n3",4\n"5",6\n',
        "quoted.csv: line 4 has 2 fields where the first line has 3",
    ),
    ("open.csv", 'a,b\n1,2\n3,"4\n5,6\n7\n', "open.csv: line 3 opens a quotation mark that is never closed"),
    ("twice.csv", "a,b,a\n1,2,3\n", "twice.csv: the name 'a' is given to columns 1, 3; each needs its own"),
    ("unnamed.csv", "a,,b\n1,2,3\n", "unnamed.csv: column 2 has no name; give each column one"),
    # Packed files.
    ("torn.csv.gz", gzip.compress(PLAIN.encode() * 50, mtime=0)[:-20], "torn.csv.gz: is not a whole gzip file ("),
    ("plain.csv.gz", PLAIN, "plain.csv.gz: is not a whole gzip file ("),
    (
        "bomb.csv.gz",
        gzip.compress(b"0" * (65 << 20), mtime=0),
        "bomb.csv.gz: unpacks to more than 200 times its size, as no table does; unpack it if it is one",
    ),
    # Parquet and NumPy.
    ("table.parquet", b"PAR1 but no more", "table.parquet: is not a readable Parquet file ("),
    (
        "nested.parquet",
        parquet(pd.DataFrame({"a": [[1], [2]], "y": [0, 1]})),
        "nested.parquet: column 'a' holds values of type ndarray; numbers, text, booleans or dates are needed",
    ),
    (
        "objects.npy",
        npy(np.array([{}, {}]), allow_pickle=True),
        "objects.npy: holds pickled objects or is no NumPy file; only plain arrays are read (save without objects)",
    ),
    (
        "flat.npy",
        npy(np.arange(3.0)),
        "flat.npy: holds float64 of shape (3,); "
        "a table of numbers of shape (rows, columns) is needed, its last column the target",
    ),
    ("cut.npz", npz(X=np.eye(9), y=np.arange(9))[:-30], "cut.npz: is not a whole NumPy file ("),
    (
        "other.npz",
        npz(a=np.eye(2)),
        "other.npz: holds 'a'; x_train, y_train, x_test, y_test or X, y or data, target are needed",
    ),
    ("uneven.npz", npz(X=np.eye(3), y=np.arange(2)), "uneven.npz: X has 3 rows and y has 2"),
    (
        "words.npz",
        npz(X=np.array([["a"], ["b"]]), y=np.arange(2)),
        "words.npz: X holds <U1 of shape (2, 1); numbers are needed",
    ),
    # What is in the columns.
    (
        "stray.csv",
        "x,y\n" + rows("{0},{0}.5", 99) + "n.a,1\n" + rows("{0},{0}.5", 9),
        "stray.csv: column 'x', row 100: 'n.a' is not a number, as the 108 others are; "
        "correct it, leave it empty or --drop the column",
    ),
    (
        "infinite.csv",
        "x,y\n1,2\ninf,3\n",
        "infinite.csv: column 'x', row 2 is infinite; correct it or leave it empty",
    ),
    (
        "useless.csv",
        "a,b,y\n1,,0\n1,,1\n1,,0\n",
        "useless.csv: no column is left to learn from: 'a' is constant, 'b' is all missing",
    ),
    # What is in the target.
    ("unlabelled.csv", "x,y\n1,\n2,\n", "unlabelled.csv: the target 'y' is missing in every row"),
    (
        "constant.csv",
        "x,y\n" + rows("{},yes"),
        "constant.csv: the target 'y' has one class only, yes; two or more are needed",
    ),
    ("endless.csv", "x,y\n1,0.5\n2,inf\n3,2\n", "endless.csv: the target 'y' is infinite in row 2"),
    ("dates.csv", "x,y\n" + rows("{},2024-01-02"), "dates.csv: the target 'y' holds dates; name another with --target"),
    (
        "rare.csv",
        "x,y\n" + rows("{}.5,often") + "1.5,once\n",
        "rare.csv: class 'once' of the target 'y' has only one row; "
        "two are needed to hold one out: add rows or leave it out",
    ),
    (
        "few.csv",
        "x,y\n1.5,2.5\n2.5,3.5\n",
        "few.csv: 2 rows split into 1 to learn from and 1 held out; two of each are needed at least",
    ),
    (
        "level.csv",
        "x,y\n" + rows("{},0.5"),
        "level.csv: the target 'y' is 0.5 in every row; there is nothing to learn",
    ),
]

# What is asked of a table that is whole.
ASKED = [
    (["--target", "x"], "people.csv: there is no column 'x'; there are age, city, household, born, survived"),
    (["--drop", "x"], "people.csv: there is no column 'x'; there are age, city, household, born, survived"),
    (["--group", "x"], "people.csv: there is no column 'x'; there are age, city, household, born, survived"),
    (
        ["--time", "city"],
        "people.csv: --time: column 'city', row 1 holds 'Köln'; dates such as 2026-11-22 or numbers are needed",
    ),
    (
        ["--time", "born"],
        "people.csv: --time: column 'born', row 3 has no value; every row needs one: fill it in or leave the row out",
    ),
    (["--group", "city", "--target", "city"], "'city' cannot be the target and what rows are split by"),
    (["--separator", "ab"], "--separator 'ab' cannot be one; give one sign, or tab or blank"),
    (
        ["--encoding", "klingon"],
        "--encoding: there is no encoding 'klingon'; there are utf-8, latin-1, cp1252 and more",
    ),
    (
        ["--task", "regression"],
        "people.csv: the target 'survived' holds 'no', no numbers; use --task classification, or another --target",
    ),
]
PEOPLE = "age,city,household,born,survived\n" + "".join(
    f"{number},{'Köln' if number % 3 else 'Bonn'},{number // 4},{'' if number == 3 else '2001-02-03'},{answer}\n"
    for number, answer in enumerate(["no", "yes"] * 20, start=1)
)


@pytest.fixture(scope="module")
def command() -> click.Command:
    """The command of scripts/train.py."""
    sys.path.insert(0, str(SCRIPT.parent))
    try:
        spec = importlib.util.spec_from_file_location("train_script", SCRIPT)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(SCRIPT.parent))
    found: click.Command = module.main
    return found


def said(command: click.Command, folder: Path, *arguments: str) -> str:
    """What the command says to standard error, of which it makes one line."""
    done = CliRunner().invoke(command, arguments, env={"MODEL_STORE": str(folder / "models")})
    assert done.exit_code == 1, done.output
    assert isinstance(done.exception, SystemExit)
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert not (folder / "models").exists()
    return done.stderr.removeprefix("error: ").rstrip("\n")


def write(folder: Path, name: str, content: str | bytes) -> str:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


@pytest.mark.parametrize(("name", "content", "message"), FILES, ids=[name for name, _, _ in FILES])
def test_a_broken_file_gives_one_line(
    command: click.Command, tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    told = said(command, tmp_path, "--data", write(tmp_path, name, content))
    assert told.startswith(message) if message.endswith("(") else told == message


@pytest.mark.parametrize(("options", "message"), ASKED, ids=[" ".join(options) for options, _ in ASKED])
def test_what_a_table_lacks_is_said_in_one_line(
    command: click.Command, tmp_path: Path, options: list[str], message: str
) -> None:
    assert said(command, tmp_path, "--data", write(tmp_path, "people.csv", PEOPLE), *options) == message


def test_what_is_no_file_is_said_in_one_line(command: click.Command, tmp_path: Path) -> None:
    missing = tmp_path / "nowhere.csv"
    assert said(command, tmp_path, "--data", str(missing)) == f"{missing}: cannot be read: No such file or directory"
    assert said(command, tmp_path, "--data", str(tmp_path)) == f"{tmp_path}: is a folder; give a file in it"
    os.mkfifo(tmp_path / "pipe.csv")
    pipe = tmp_path / "pipe.csv"
    assert said(command, tmp_path, "--data", str(pipe)) == (
        f"{pipe}: is a pipe or a device; copy what it gives into a file"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_file_that_may_not_be_read_is_said_in_one_line(command: click.Command, tmp_path: Path) -> None:
    path = Path(write(tmp_path, "secret.csv", PLAIN))
    path.chmod(0)
    assert said(command, tmp_path, "--data", str(path)) == f"{path}: cannot be read: Permission denied"


def test_the_script_itself_says_it_in_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--data", write(tmp_path, "long.csv", "a,b\n1,2\n1,2,3\n")],
        env=os.environ | {"MODEL_STORE": str(tmp_path / "models")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "error: long.csv: line 3 has 3 fields where the first line has 2\n")
