"""A version in one file: the same bytes each time, the same answers elsewhere, and nothing but that is taken in."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import LinearRegression

from app.errors import StoreError
from app.store import ModelStore, Saved, load, read_attachment, save, upkeep
from app.store.moving import export_version, import_version
from tests.store.helpers import ROWS, break_version, names_in, pretend_other_sklearn

Publish = Callable[..., Saved]
Member = tuple[tarfile.TarInfo, bytes]


def exported(catalog: ModelStore, version: int = 1) -> bytes:
    stream = io.BytesIO()
    export_version(catalog, "m", version, stream)
    return stream.getvalue()


@pytest.fixture
def archive(catalog: ModelStore, publish: Publish) -> bytes:
    publish(7.0)
    return exported(catalog)


@pytest.fixture
def other(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "other")


def test_a_version_answers_the_same_in_another_store(archive: bytes, other: ModelStore) -> None:
    saved = import_version(other, io.BytesIO(archive))
    assert (saved.name, saved.version, saved.promoted) == ("m", 1, True)
    assert load("m", root=other.root).estimator.predict(ROWS).tolist() == [7.0] * 6
    manifest = other.manifest("m", 1)
    assert manifest.data["imported"]["version"] == 1
    assert [verdict.refused for verdict in upkeep.verify(other)] == [None]


def test_what_is_kept_beside_a_version_moves_along(catalog: ModelStore, other: ModelStore) -> None:
    model = LinearRegression().fit(ROWS, ROWS[:, 0])
    save(model, ROWS, "m", root=catalog.root, attachments=lambda manifest: {"report.html": b"a report"})
    import_version(other, io.BytesIO(exported(catalog)))
    assert read_attachment(other, "m", 1, "report.html") == b"a report"


def test_an_archive_has_the_same_bytes_each_time(catalog: ModelStore, archive: bytes) -> None:
    assert exported(catalog) == archive


def test_any_tar_reads_it(catalog: ModelStore, archive: bytes) -> None:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        names = tar.getnames()
        members = tar.getmembers()
    assert names == ["manifest.json", *sorted(catalog.manifest("m", 1).files)]
    assert {(member.mtime, member.uid, member.uname, member.mode) for member in members} == {(0, 0, "", 0o644)}


def test_it_becomes_the_next_version_under_its_name_or_another(
    catalog: ModelStore, publish: Publish, archive: bytes
) -> None:
    publish(8.0)
    assert import_version(catalog, io.BytesIO(archive), promote=False).version == 3
    assert catalog.promoted("m") == 2
    renamed = import_version(catalog, io.BytesIO(archive), name="n")
    assert (renamed.name, renamed.version, catalog.promoted("n")) == ("n", 1, 1)
    assert catalog.manifest("n", 1).name == "n"


def test_a_version_of_another_scikit_learn_is_taken_in_but_not_promoted(
    catalog: ModelStore, publish: Publish, other: ModelStore
) -> None:
    pretend_other_sklearn(publish())
    archive = exported(catalog)
    with pytest.raises(
        StoreError, match=r"imported, but not promoted: m version 1 .* fitted with scikit-learn 1\.2\.3"
    ):
        import_version(other, io.BytesIO(archive))
    assert (other.versions("m"), other.promoted("m")) == ([1], None)
    assert import_version(other, io.BytesIO(archive), allow_mismatch=True).version == 2


def test_a_broken_version_is_not_exported(catalog: ModelStore, publish: Publish) -> None:
    break_version(publish())
    with pytest.raises(StoreError, match=r"model\.joblib is not the file that was saved"):
        exported(catalog)


# --- Hostile archives ---------------------------------------------------------------------------------------------


def members_of(archive: bytes) -> list[Member]:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        return [(member, tar.extractfile(member).read()) for member in tar]  # type: ignore[union-attr]


def packed(members: list[Member], kind: int = tarfile.USTAR_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", format=kind) as tar:
        for member, content in members:
            member.size = len(content) if member.isreg() else 0
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE) -> Member:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd" if kind in (tarfile.LNKTYPE, tarfile.SYMTYPE) else ""
    return info, b"x"


def with_manifest(members: list[Member], **changed: Any) -> list[Member]:
    document = json.loads(members[0][1]) | changed
    return [(members[0][0], json.dumps(document).encode()), *members[1:]]


def with_file(members: list[Member], path: str, content: bytes = b"x", **entry: Any) -> list[Member]:
    """List a file more in the manifest, and bring it."""
    files = json.loads(members[0][1])["files"]
    files[path] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)} | entry
    return [*with_manifest(members, files=files), (tarfile.TarInfo(path), content)]


HOSTILE: dict[str, tuple[Callable[[list[Member]], list[Member]], str]] = {
    "path traversal": (lambda m: [*m[:1], member("../evil"), *m[1:]], r"'\.\./evil' is not in manifest\.json"),
    "absolute name": (lambda m: [*m[:1], member("/tmp/evil"), *m[1:]], r"'/tmp/evil' is not in manifest\.json"),
    "listed traversal": (lambda m: with_file(m, "code/../../evil"), "no place inside of the version's folder"),
    "listed absolute name": (lambda m: with_file(m, "/tmp/evil"), "no place inside of the version's folder"),
    "listed manifest": (lambda m: with_file(m, "manifest.json"), "no place inside of the version's folder"),
    "listed below a file": (lambda m: with_file(m, "model.joblib/x"), "lists 'model.joblib/x' below a file"),
    "control character": (lambda m: with_file(m, "code/\x1b[2J.py"), "no place inside of the version's folder"),
    "symbolic link": (lambda m: [*m[:1], member("model.joblib", tarfile.SYMTYPE)], "'model.joblib' is a symbolic link"),
    "hard link": (lambda m: [*m[:1], member("model.joblib", tarfile.LNKTYPE)], "'model.joblib' is a hard link"),
    "device": (lambda m: [*m[:1], member("model.joblib", tarfile.CHRTYPE)], "'model.joblib' is a device"),
    "named pipe": (lambda m: [*m[:1], member("model.joblib", tarfile.FIFOTYPE)], "'model.joblib' is a named pipe"),
    "folder": (lambda m: [*m[:1], member("code", tarfile.DIRTYPE), *m[1:]], "'code' is a folder"),
    "the same file twice": (lambda m: twice(with_file(m, "x")), "is in the archive twice"),
    "two manifests": (lambda m: [*m[:1], *m], "'manifest.json' is in the archive twice"),
    "more at its end": (lambda m: [*m, member("more")], "goes on after the files"),
    "a file missing": (lambda m: m[:-1], "the archive lacks"),
    "no manifest": (lambda m: m[1:], r"does not begin with manifest\.json"),
    "manifest last": (lambda m: [*m[1:], m[0]], r"does not begin with manifest\.json"),
    "no model": (lambda m: with_manifest(m, files={}), r"must list model\.joblib"),
    "wrong digest": (lambda m: with_file(m, "x", sha256="0" * 64), "x is not the file that was saved"),
    "wrong size": (lambda m: with_file(m, "x", bytes=5), r"x has 1 bytes, and manifest\.json says 5"),
    "size that is none": (lambda m: with_file(m, "x", bytes=-1), r"manifest\.json is damaged"),
    "digest that is none": (lambda m: with_file(m, "x", sha256="\x1b[2J"), r"manifest\.json is damaged"),
    "huge size": (lambda m: with_file(m, "x", bytes=2**40), "bytes together; at most 8589934592 are imported"),
    "too many files": (lambda m: with_manifest(m, files=many(m)), "at most 1000 files"),
    "other format": (lambda m: with_manifest(m, format=99), "has format 99, and this release reads format 1"),
    "a name that is none": (lambda m: with_manifest(m, name="../evil"), "cannot be a model's name"),
    "a file listed as both": (
        lambda m: with_manifest(m, attachments=json.loads(m[0][1])["files"]),
        r"manifest\.json is damaged",
    ),
    "data that is none": (lambda m: with_manifest(m, data=[]), r"manifest\.json is damaged"),
    "manifest that is none": (lambda m: [(m[0][0], b"[]"), *m[1:]], r"manifest\.json is damaged"),
}


def twice(members: list[Member]) -> list[Member]:
    return [*members[:2], *members[1:]]


def many(members: list[Member]) -> dict[str, Any]:
    files = json.loads(members[0][1])["files"]
    return files | {f"x{index}": {"sha256": "0" * 64, "bytes": 0} for index in range(1000)}


@pytest.fixture
def untouched(other: ModelStore, tmp_path: Path) -> Iterator[None]:
    """Nothing is left of what was refused, here or elsewhere."""
    yield
    assert other.names() == []
    assert "evil" not in names_in(tmp_path)
    if (other.root / "m").exists():
        assert set(names_in(other.root / "m")) <= {".lock"}


@pytest.mark.parametrize("how", HOSTILE)
@pytest.mark.usefixtures("untouched")
def test_a_hostile_archive_is_refused(archive: bytes, other: ModelStore, how: str) -> None:
    change, told = HOSTILE[how]
    with pytest.raises(StoreError, match=told):
        import_version(other, io.BytesIO(packed(change(members_of(archive)))))


@pytest.mark.usefixtures("untouched")
def test_extended_headers_are_refused_however_long_they_are(archive: bytes, other: ModelStore) -> None:
    members = members_of(archive)
    members[0][0].pax_headers = {"comment": "x" * 10_000_000}
    with pytest.raises(StoreError, match=r"does not begin|is an extended header"):
        import_version(other, io.BytesIO(packed(members, tarfile.PAX_FORMAT)))


@pytest.mark.usefixtures("untouched")
def test_a_bomb_is_read_no_further_than_the_manifest_says(archive: bytes, other: ModelStore) -> None:
    class Counting(io.BytesIO):
        taken = 0

        def read(self, size: int | None = -1) -> bytes:
            chunk = super().read(size)
            self.taken += len(chunk)
            return chunk

    bomb = gzip.compress(gzip.decompress(archive).rstrip(b"\0") + bytes(200_000_000), 1)
    stream = Counting(bomb)
    with pytest.raises(StoreError, match="goes on after the files"):
        import_version(other, stream)
    assert stream.taken < len(bomb) / 2


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda a: a[: len(a) // 2], "not a whole gzip file"),
        (lambda a: a[:-8] + bytes(8), "not a whole gzip file"),
        (lambda a: a + b"more", "not a whole gzip file"),
        (lambda a: b"", r"does not begin with manifest\.json"),
        (lambda a: b"PK\x03\x04", "not a whole gzip file"),
        (lambda a: gzip.compress(b"no tar at all" * 99), "not a tar archive"),
        (lambda a: gzip.compress(gzip.decompress(a)[:2000]), r"the archive ends inside of manifest\.json"),
    ],
    ids=["cut", "wrong sum", "more", "empty", "zip", "no tar", "short"],
)
def test_a_damaged_archive_is_refused(
    archive: bytes, other: ModelStore, damage: Callable[[bytes], bytes], told: str
) -> None:
    with pytest.raises(StoreError, match=told):
        import_version(other, io.BytesIO(damage(archive)))


def test_nothing_is_unpickled_unless_it_is_promoted(
    archive: bytes, other: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unpickled(*_: Any, **__: Any) -> None:
        raise AssertionError("a pickle was loaded")

    monkeypatch.setattr("joblib.load", unpickled)
    import_version(other, io.BytesIO(archive), promote=False)
    assert other.versions("m") == [1]
