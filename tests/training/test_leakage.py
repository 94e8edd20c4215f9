"""What makes the held-out rows say more than is true is hinted at, and what is told by chance is not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from app.training.leakage import find_leaks
from app.training.problem import frame_problem, mark_table
from app.training.split import split_rows
from app.training.table import Table

N = 400


def leaks(frame: pd.DataFrame, target: str = "y", *, as_texts: bool = False) -> list[str]:
    problem = frame_problem(Table(frame, "t.csv"), target, as_texts=as_texts)
    return find_leaks(*split_rows(problem, 0.2, 42))


@pytest.fixture
def frame() -> pd.DataFrame:
    chance = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "x": chance.normal(size=N),
            "colour": chance.choice(["red", "green", "blue"], N),
            "y": chance.choice(["yes", "no", "perhaps"], N),
        }
    )


def test_columns_of_chance_are_not_suspected(frame: pd.DataFrame) -> None:
    assert leaks(frame) == []
    assert leaks(frame.assign(y=np.random.default_rng(1).normal(size=N))) == []


def test_the_target_in_other_words_is_told(frame: pd.DataFrame) -> None:
    frame["answer"] = frame["y"].map({"yes": "ja", "no": "nein", "perhaps": "vielleicht"})
    assert leaks(frame) == [
        "column 'answer' is 'y' in other words: each of its values goes with one class; "
        "if it is not known beforehand, leave it out with --drop answer"
    ]


@pytest.mark.parametrize("kind", ["codes", "many words", "a date"])
def test_a_column_that_gives_the_target_away_is_told(frame: pd.DataFrame, kind: str) -> None:
    codes = pd.Series(pd.factorize(frame["y"])[0])
    frame["tell"] = {
        "codes": codes * 10 + np.arange(N) % 3,
        "many words": "w" + (codes * 20 + np.arange(N) % 20).astype("str"),
        "a date": pd.Timestamp("2024-01-01") + pd.to_timedelta(codes * 100 + np.arange(N) % 7, unit="D"),
    }[kind]
    (hint,) = leaks(frame)
    assert hint.startswith("column 'tell' alone predicts 'y' all but perfectly; ")


def test_the_only_column_may_predict_the_target(frame: pd.DataFrame) -> None:
    assert leaks(frame[["y"]].assign(x=pd.factorize(frame["y"])[0] + np.arange(N) / 1e4)) == []


def test_rows_that_differ_only_in_what_is_not_used_are_counted(frame: pd.DataFrame) -> None:
    twice = pd.concat([frame] * 2, ignore_index=True).assign(row_id=np.arange(2 * N))
    (hint,) = leaks(twice)
    assert hint.endswith("--group COLUMN keeps what belongs together on one side")
    count, of, share = hint.split(" held-out")[0].split()[0], hint.split()[3], hint.split("(")[1].split("%")[0]
    assert 0.5 * int(of) < int(count) < int(of)
    assert 50 < float(share) < 100


def test_what_is_grouped_already_is_not_to_be_grouped(frame: pd.DataFrame) -> None:
    twice = pd.concat([frame] * 2, ignore_index=True).assign(owner=np.arange(2 * N) // 2)
    problem = frame_problem(mark_table(Table(twice, "t.csv"), "owner", None), "y")
    (hint,) = find_leaks(*split_rows(problem, 0.2, 42))
    assert hint.endswith("if they are copies, the metrics flatter the model")


def test_equal_rows_of_different_classes_are_counted(frame: pd.DataFrame) -> None:
    doubted = pd.concat([frame, frame.head(40).assign(y="never")], ignore_index=True)
    assert leaks(doubted) == [
        "80 of the 440 (18.2%) rows are equal to one of another class in all columns that are used: "
        "no model can tell these apart"
    ]


def test_texts_are_equal_whatever_their_case_and_blanks() -> None:
    chance = np.random.default_rng(0)
    words = [" ".join(row) for row in chance.choice(list("abcdefgh"), (N, 6))]
    texts = pd.DataFrame({"text": words, "y": chance.choice(["ham", "spam"], N)})
    assert leaks(texts, as_texts=True) == []
    louder = texts.assign(text=texts["text"].str.upper().str.replace(" ", "  "))
    (hint,) = leaks(pd.concat([texts, louder], ignore_index=True), as_texts=True)
    assert "held-out rows are equal to rows learnt from" in hint


def test_numbers_that_a_tree_cannot_hold_are_no_fault(frame: pd.DataFrame) -> None:
    assert leaks(frame.assign(huge=np.where(np.arange(N) % 2, 1e300, -1e300))) == []
