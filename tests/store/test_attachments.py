"""What is kept beside a version: digested like its files, and no concern of who serves it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sklearn.linear_model import LinearRegression

from app.errors import StoreError
from app.store import Manifest, ModelStore, Saved, load, read_attachment, save, upkeep
from tests.store.helpers import ROWS, names_in, pretend_other_sklearn


@pytest.fixture
def attached(root: Path) -> Saved:
    """Save a version with a note beside it."""
    model = LinearRegression().fit(ROWS, ROWS[:, 0])
    return save(model, ROWS, "m", root=root, attachments=lambda manifest: {"note.txt": b"a note"})


def test_they_are_made_from_the_manifest_and_digested(root: Path, catalog: ModelStore) -> None:
    seen: list[Manifest] = []

    def attach(manifest: Manifest) -> dict[str, bytes]:
        seen.append(manifest)
        return {"note.txt": manifest.created.encode()}

    save(LinearRegression().fit(ROWS, ROWS[:, 0]), ROWS, "m", root=root, attachments=attach)
    manifest = catalog.manifest("m", 1)
    assert (seen[0].files, seen[0].created) == (manifest.files, manifest.created)
    assert list(manifest.attachments) == ["note.txt"]
    assert read_attachment(catalog, "m", 1, "note.txt") == manifest.created.encode()
    assert read_attachment(catalog, "m", 1, "other.txt") is None


def test_a_version_answers_whatever_became_of_them(root: Path, attached: Saved, catalog: ModelStore) -> None:
    note = attached.path / "note.txt"
    note.write_bytes(b"a lie!")
    assert load("m", root=root).version == 1
    with pytest.raises(StoreError, match=r"note\.txt is not the file that was saved"):
        read_attachment(catalog, "m", 1, "note.txt")
    (verdict,) = upkeep.verify(catalog, "m")
    assert "note.txt is not the file that was saved" in str(verdict.refused)
    assert upkeep.promote(catalog, "m", 1).promoted == 1
    note.unlink()
    (verdict,) = upkeep.verify(catalog, "m")
    assert verdict.refused == "note.txt cannot be read: No such file or directory"


def test_they_come_along_when_a_version_is_rechecked(attached: Saved, catalog: ModelStore) -> None:
    pretend_other_sklearn(attached)
    assert upkeep.recheck(catalog, "m", 1) is not None
    assert read_attachment(catalog, "m", 2, "note.txt") == b"a note"
    assert [verdict.refused for verdict in upkeep.verify(catalog, "m", 2)] == [None]


@pytest.mark.parametrize("name", ["model.joblib", "manifest.json", "../note.txt", "deep/note.txt", "/etc/note", ""])
def test_one_that_would_take_anothers_place_is_refused(root: Path, name: str) -> None:
    model = LinearRegression().fit(ROWS, ROWS[:, 0])
    with pytest.raises(StoreError, match="an attachment cannot be called"):
        save(model, ROWS, "m", root=root, attachments=lambda manifest: {name: b"x"})
    assert not root.exists() or names_in(root) == []


def test_a_version_of_an_earlier_release_has_none(attached: Saved, catalog: ModelStore) -> None:
    path = attached.path / "manifest.json"
    manifest = json.loads(path.read_bytes())
    del manifest["attachments"]
    path.write_text(json.dumps(manifest))
    assert catalog.manifest("m", 1).attachments == {}
    assert read_attachment(catalog, "m", 1, "note.txt") is None
