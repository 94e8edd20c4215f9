"""Files of every kind give the same table; broken ones give one line that says where."""

from __future__ import annotations

import gzip
import hashlib
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from app.training.data import read_table
from app.training.errors import TrainingError

PLAIN = "age,city,survived\n22,Köln,no\n38.5,Bonn,yes\n,Trier,no\n"


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def npy(array: np.ndarray, *, allow_pickle: bool = False) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=allow_pickle)
    return stream.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("plain.csv", PLAIN),
        ("bom.csv", "\ufeff" + PLAIN),
        ("windows.csv", PLAIN.replace("\n", "\r\n")),
        ("semicolon.csv", PLAIN.replace(",", ";")),
        ("comma.csv", PLAIN.replace(",", ";").replace("38.5", "38,5")),
        ("tab.tsv", PLAIN.replace(",", "\t")),
        ("pipe.txt", PLAIN.replace(",", "|")),
        ("quoted.csv", PLAIN.replace("Bonn", '"Bonn"')),
        ("blanks.csv", PLAIN.replace(",", ", ")),
        ("packed.csv.gz", gzip.compress(PLAIN.encode(), mtime=0)),
    ],
)
def test_delimited_text_is_read_whatever_its_layout(tmp_path: Path, name: str, content: str | bytes) -> None:
    path = write(tmp_path, name, content)
    table = read_table(path)
    expected = pd.DataFrame(
        {"age": [22, 38.5, np.nan], "city": ["Köln", "Bonn", "Trier"], "survived": ["no", "yes", "no"]}
    )
    pd.testing.assert_frame_equal(table.frame, expected)
    assert table.named
    assert table.source == name
    assert table.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_parquet_keeps_its_types(tmp_path: Path, passengers: pd.DataFrame) -> None:
    frame = passengers.assign(city=passengers["city"].astype("category"), age=passengers["age"].astype("Int64"))
    frame.to_parquet(tmp_path / "p.parquet")
    read = read_table(tmp_path / "p.parquet").frame
    dtypes = read.dtypes.astype(str)
    assert dtypes[["age", "fare", "city", "alone"]].tolist() == ["int64", "float64", "str", "bool"]
    assert dtypes["booked"].startswith("datetime64")


@pytest.mark.parametrize(
    "text", ["1,2,3\n4,5,6\n7,8,9.5\n", "1 2 3\n4 5 6\n7 8 9.5\n", "1.0\t2\t3\n4\t5\t6\n7\t8\t9.5\n"]
)
def test_numbers_without_a_header_keep_their_first_row(tmp_path: Path, text: str) -> None:
    table = read_table(write(tmp_path, "n.txt", text))
    assert not table.named
    assert table.frame.to_numpy().tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9.5]]


def test_a_first_row_whose_words_recur_is_no_header(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "iris.data", "5.1,3.5,setosa\n4.9,3.0,setosa\n6.2,2.9,virginica\n"))
    assert table.frame.columns.tolist() == ["column_1", "column_2", "column_3"]
    assert len(table.frame) == 3


@pytest.mark.parametrize("text", ["alive,x\nalive,1\nno,2\n", "alive,a,b\nalive,u,v\nno,w,z\n"])
def test_a_name_that_is_also_a_value_is_still_a_name(tmp_path: Path, text: str) -> None:
    assert read_table(write(tmp_path, "t.csv", text)).frame.columns[0] == "alive"


def test_label_and_text_without_a_header_are_named_so(tmp_path: Path) -> None:
    lines = ['ham\tsee you at the "station', "ham\tand bring the other one too", "spam\twin a prize now, call us"] * 4
    table = read_table(write(tmp_path, "sms.tsv", "\n".join(lines)))
    assert table.frame.columns.tolist() == ["label", "text"]
    assert table.target == "label"
    assert len(table.frame) == 12  # the quotation mark that is never closed is a character like others


def test_quoted_fields_may_span_lines_and_hold_separators(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "q.csv", 'a,b\n"one\ntwo, three",1\nfour,2\n'))
    assert table.frame["a"].tolist() == ["one\ntwo, three", "four"]


def test_the_unnamed_index_that_pandas_writes_is_left_out(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "i.csv", pd.DataFrame({"a": [1, 2], "y": [3, 4]}).to_csv()))
    assert table.frame.columns.tolist() == ["a", "y"]
    assert "row index" in table.notes[0]


def test_an_archive_with_a_test_split_holds_it_out(tmp_path: Path) -> None:
    images = np.arange(5 * 2 * 2, dtype=np.uint8).reshape(5, 2, 2)
    y = np.array([0, 1, 0, 1, 0])
    table = read_table(
        write(tmp_path, "m.npz", npz(x_train=images[:3], y_train=y[:3], x_test=images[3:], y_test=y[3:]))
    )
    assert table.frame.shape == (5, 5)
    assert table.n_held_out == 2
    assert table.frame["target"].tolist() == y.tolist()


@pytest.mark.parametrize("names", [("X", "y"), ("x", "y"), ("data", "target")])
def test_an_archive_of_rows_and_target_is_read(tmp_path: Path, names: tuple[str, str]) -> None:
    arrays = dict(zip(names, (np.eye(3), np.arange(3)), strict=True))
    assert read_table(write(tmp_path, "a.npz", npz(**arrays))).frame.shape == (3, 4)


def test_the_last_column_of_an_array_is_the_target(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "a.npy.gz", gzip.compress(npy(np.arange(6.0).reshape(2, 3)))))
    assert table.target == "target"
    assert table.frame["target"].tolist() == [2.0, 5.0]


BROKEN = [
    ("empty.csv", "", "empty.csv: is empty"),
    ("header.csv", "a,b\n", "header.csv: has column names but no rows"),
    (
        "one.csv",
        "a\n1\n2\n",
        "one.csv: has only one column, such as 'a'; a target and at least one feature are needed, "
        "separated by comma, semicolon, tab, pipe or blanks",
    ),
    ("long.csv", "a,b\n1,2\n1,2,3\n", "long.csv: line 3 has 3 fields where the first line has 2"),
    ("short.csv", "a,b,c\n1,2,3\n1,2\n", "short.csv: line 3 has 2 fields where the first line has 3"),
    ("open.csv", 'a,b\n1,2\n3,"4\n5,6\n7\n', "open.csv: line 3 opens a quotation mark that is never closed"),
    ("twice.csv", "a,b,a\n1,2,3\n", "twice.csv: the name 'a' is given to columns 1, 3; each needs its own"),
    ("unnamed.csv", "a,,b\n1,2,3\n", "unnamed.csv: column 2 has no name; give each column one"),
    ("cut.csv.gz", gzip.compress(PLAIN.encode() * 50, mtime=0)[:-20], "cut.csv.gz: is not a whole gzip file ("),
    ("plain.csv.gz", PLAIN, "plain.csv.gz: is not a whole gzip file ("),
    ("table.parquet", b"PAR1 but no more", "table.parquet: is not a readable Parquet file ("),
    (
        "book.xlsx",
        b"PK",
        "book.xlsx: files ending in .xlsx cannot be read; give CSV, TSV, text, Parquet, NPY or NPZ, each also as .gz",
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
]


@pytest.mark.parametrize(("name", "content", "message"), BROKEN, ids=[name for name, _, _ in BROKEN])
def test_a_broken_file_gives_one_line(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    path = write(tmp_path, name, content)
    with pytest.raises(TrainingError) as raised:
        read_table(path)
    told = str(raised.value)
    assert told.startswith(message) if message.endswith("(") else told == message
    assert "\n" not in told


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"nowhere\.csv: cannot be read: No such file"):
        read_table(tmp_path / "nowhere.csv")


def test_nested_values_in_parquet_are_refused(tmp_path: Path) -> None:
    pd.DataFrame({"a": [[1], [2]], "y": [0, 1]}).to_parquet(tmp_path / "n.parquet")
    with pytest.raises(
        TrainingError, match="column 'a' holds values of type ndarray; numbers, text, booleans or dates"
    ):
        read_table(tmp_path / "n.parquet")
