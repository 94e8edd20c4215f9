"""The journal: results survive a process that is killed, and serve the same search only."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.training.candidates import Candidate
from app.training.errors import TrainingError
from app.training.selection.journal import FILE, open_journal
from app.training.selection.plan import Result, Trial

BLEND = Candidate("blend", {}, (Candidate("forest", {"n_estimators": 5}), Candidate("logistic", {"C": 0.5})))
RESULTS = [
    Result(Trial(Candidate("forest", {"n_estimators": 5}), 0), (0.5, 0.75), 1.25),
    Result(Trial(Candidate("svm", {}), 1), (), 3.0, "failed", "took longer than 3 s"),
    Result(Trial(BLEND, 1), (0.875,), 2.0),
]
ASKED = {"sha256": "abc", "seed": 1}


@pytest.fixture
def written(tmp_path: Path) -> Path:
    with open_journal(tmp_path, ASKED, resume=False) as journal:
        for result in RESULTS:
            journal.write(result)
    return tmp_path


def test_what_was_written_is_found_again(written: Path) -> None:
    with open_journal(written, ASKED, resume=True) as journal:
        assert [journal.find(result.trial) for result in RESULTS] == RESULTS
        assert journal.find(Trial(Candidate("forest", {"n_estimators": 5}), 1)) is None


def test_half_a_line_at_the_end_is_passed_over(written: Path) -> None:
    text = (written / FILE).read_text()
    (written / FILE).write_text(text[:-20])
    with open_journal(written, ASKED, resume=True) as journal:
        assert len(journal) == 2


def test_a_new_search_begins_with_nothing(written: Path) -> None:
    with open_journal(written, ASKED, resume=False) as journal:
        assert len(journal) == 0


def test_another_searchs_journal_is_refused_by_name(written: Path) -> None:
    with (
        pytest.raises(TrainingError, match=r"had another sha256 \('abc', now 'def'\); start anew without --resume"),
        open_journal(written, {**ASKED, "sha256": "def"}, resume=True),
    ):
        pass
    assert len((written / FILE).read_text().splitlines()) == 4


def test_there_must_be_something_to_resume(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no search of this model"), open_journal(tmp_path, ASKED, resume=True):
        pass
