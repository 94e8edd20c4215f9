"""Files of every kind give the same table; broken ones give one line that says where."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from app.training.data import read_table
from app.training.errors import TrainingError
from app.training.layout import Wanted
from tests.training.files import npy, npz

PLAIN = "age,city,survived\n22,Köln,no\n38.5,Bonn,yes\n,Trier,no\n"


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


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


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "cp1252", "latin-1"])
def test_text_is_read_in_the_usual_encodings(tmp_path: Path, encoding: str) -> None:
    table = read_table(write(tmp_path, "t.csv", PLAIN.encode(encoding)))
    assert table.frame["city"].tolist() == ["Köln", "Bonn", "Trier"]
    if encoding in ("cp1252", "latin-1"):
        assert table.notes == (
            "line 2, byte 5 (0xf6) is not UTF-8: read as Windows-1252; say what it is with --encoding if letters are "
            "wrong",
        )


def test_an_encoding_that_cannot_be_told_can_be_said(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", "ящик,y\nдым,1\n".encode("cp1251"))
    assert read_table(path, Wanted(encoding="cp1251")).frame["ящик"].tolist() == ["дым"]


def test_the_place_of_a_bad_byte_is_told_across_blocks(tmp_path: Path) -> None:
    line = "ö" + "x" * 1000 + ",1\n"
    path = write(tmp_path, "t.csv", (line * 2000).encode() + b"abc\xf6,1\n")
    with pytest.raises(TrainingError, match=r"t\.csv: line 2001, byte 4 \(0xf6\) is not UTF-8"):
        read_table(path)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", "^", "~", ":"])
def test_signs_that_divide_every_line_alike_are_separators(tmp_path: Path, separator: str) -> None:
    path = write(tmp_path, "t.csv", PLAIN.replace(",", separator))
    assert read_table(path).frame.columns.tolist() == ["age", "city", "survived"]


@pytest.mark.parametrize(
    "content",
    [
        "sep=;\na;b\n1;2\n",
        "a;b\r1;2\r",
        "\n\na;b\n\n1;2\n\n",
        "# made by hand\n# on a Monday\na;b\n1;2\n",
        'a;b\n1;"2"',
    ],
    ids=["excel", "old line breaks", "blank lines", "comments", "no last line break"],
)
def test_what_programs_add_to_a_table_is_left_out(tmp_path: Path, content: str) -> None:
    table = read_table(write(tmp_path, "t.csv", content))
    assert table.frame.to_dict("list") == {"a": [1], "b": [2]}


def test_a_name_after_a_number_sign_is_a_name(tmp_path: Path) -> None:
    assert read_table(write(tmp_path, "t.csv", "#a,b\n1,2\n")).frame.columns.tolist() == ["#a", "b"]


def test_quotation_marks_within_fields_are_characters(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "t.csv", 'a,b\n5" pipe,1\n"6"" pipe, long",2\n7" pipe,3\n'))
    assert table.frame["a"].tolist() == ['5" pipe', '6" pipe, long', '7" pipe']


def test_a_column_that_becomes_text_late_is_text_throughout(tmp_path: Path) -> None:
    n = 200_000
    path = write(tmp_path, "t.csv", "a,b\n" + "0001,True\n" * n + "x,maybe\n")
    frame = read_table(path).frame
    assert frame.dtypes.astype(str).tolist() == ["str", "str"]
    assert frame["a"].unique().tolist() == ["0001", "x"]
    assert frame["b"].unique().tolist() == ["True", "maybe"]


@pytest.mark.parametrize(
    ("cells", "dtype"),
    [
        ([2**62 + 1, 2**62 + 2], "int64"),
        ([2**62 + 1, 2**62 + 2, None], "Int64"),
        ([-(2**62) - 1, None], "Int64"),
        ([2**63 + 1, 2**63 + 2], "UInt64"),
        ([2**63 + 1, 5, None], "UInt64"),
        ([2**53, 1, None], "float64"),
        ([2**65, 1, None], "float64"),
        ([1e300, 1.5, None], "float64"),
        ([1e300, 2, None], "float64"),
    ],
)
def test_whole_numbers_keep_digits_that_floats_would_lose(tmp_path: Path, cells: list[float], dtype: str) -> None:
    text = "x,y\n" + "".join(f"{'' if cell is None else cell},a\n" for cell in cells)
    column = read_table(write(tmp_path, "t.csv", text)).frame["x"]
    assert str(column.dtype) == dtype
    assert column.dropna().tolist() == [cell for cell in cells if cell is not None]


def test_a_number_without_end_is_infinite(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "t.csv", f"x,y\n{'9' * 5000},1\n2,2\n"))
    assert table.frame["x"].tolist() == [np.inf, 2]


NBSP, NARROW = "\u00a0", "\u202f"


@pytest.mark.parametrize(
    ("written", "numbers", "note"),
    [
        (
            ["1,234.56", "2,000", "5"],
            [1234.56, 2000, 5],
            "'1,234.56' and the like are read as 1234.56; send such numbers",
        ),
        (
            ["1.234,56", "-2,5", "5"],
            [1234.56, -2.5, 5],
            "'1.234,56' and the like are read as 1234.56; send such numbers",
        ),
        ([f"1{NARROW}234,5", f"2{NBSP}000"], [1234.5, 2000], "are read as 1234.5; send such numbers"),
        (["1'234.5", "2'000"], [1234.5, 2000], '"1\'234.5"'),
        (["$5", "$1,250.50"], [5, 1250.5], "'$5' and the like are read as 5, without $; send such numbers"),
        (["12 %", "7.5%"], [12, 7.5], "'12 %' and the like are read as 12, without %; send such numbers"),
        (["1.5", "-", "?"], [1.5, np.nan, np.nan], "'-', '?' taken for a missing value"),
        (["99999999999999999999999", "1"], [1e23, 1], ""),
    ],
)
def test_numbers_are_read_as_people_write_them(
    tmp_path: Path, written: list[str], numbers: list[float], note: str
) -> None:
    content = "x\ty\n" + "".join(f"{word}\t{index}\n" for index, word in enumerate(written))
    table = read_table(write(tmp_path, "t.tsv", content))
    np.testing.assert_array_equal(table.frame["x"], numbers)
    assert note in "".join(table.notes)


@pytest.mark.parametrize(
    "written",
    [["030 123 456", "040 123 456"], ["$5", "€5"], ["1.2.3", "1.2.4"], ["+", "-"], ["12:30", "14:00"], ["1,2,3", "4"]],
)
def test_what_only_looks_like_numbers_stays_text(tmp_path: Path, written: list[str]) -> None:
    content = "x\ty\n" + "".join(f"{word}\t{index}\n" for index, word in enumerate(written))
    assert read_table(write(tmp_path, "t.tsv", content)).frame["x"].tolist() == written


def test_a_question_mark_among_words_is_missing(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "t.csv", "x,y\nred,1\n?,2\n-,3\n"))
    assert table.frame["x"].fillna("none").tolist() == ["red", "none", "-"]
    assert table.notes == ("column 'x': '?' taken for a missing value",)


@pytest.mark.parametrize(("decimal", "number"), [(None, 1.234), (".", 1234), (",", 1.234)])
def test_a_comma_that_could_be_either_is_the_decimal_mark_unless_it_is_said(
    tmp_path: Path, decimal: str | None, number: float
) -> None:
    table = read_table(write(tmp_path, "t.csv", "x;y\n1,234;a\n2,500;b\n"), Wanted(decimal=decimal))
    assert table.frame["x"][0] == number
    assert (table.notes == ("1,234 is read as 1.234; with --decimal . it is 1234",)) is (decimal is None)


def test_a_separator_can_be_said(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", "a b,c;d\n1,2;3\n")
    assert read_table(path, Wanted(separator=";")).frame.columns.tolist() == ["a b,c", "d"]


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


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("name", ["new\nline", "new\n\nline", "new\r\nline"])
def test_a_name_may_span_lines(tmp_path: Path, name: str, end: str) -> None:
    table = read_table(write(tmp_path, "t.csv", end.join(['a,"' + name + '"', "1,2", "3,4", ""])))
    assert table.frame.to_dict("list") == {"a": [1, 3], name: [2, 4]}


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


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"nowhere\.csv: cannot be read: No such file"):
        read_table(tmp_path / "nowhere.csv")


def test_nested_values_in_parquet_are_refused(tmp_path: Path) -> None:
    pd.DataFrame({"a": [[1], [2]], "y": [0, 1]}).to_parquet(tmp_path / "n.parquet")
    with pytest.raises(
        TrainingError, match="column 'a' holds values of type ndarray; numbers, text, booleans or dates"
    ):
        read_table(tmp_path / "n.parquet")
