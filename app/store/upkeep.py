"""Keeping a store sound: checking what is in it, and bringing it to another scikit-learn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from app.engines import SklearnEngine
from app.errors import StoreError
from app.store import bundle
from app.store.catalog import ModelStore
from app.store.golden import check_golden
from app.store.loading import load_version, read_attachments, read_verified, version_mismatch
from app.store.manifest import MODEL_FILE, Manifest, installed_versions, now
from app.store.saving import Saved, entries, pickled, write_version
from app.store.serving import STICKY, Serving, Shadow


@dataclass(frozen=True)
class Verdict:
    """Whether a version is sound; `refused` says why it is not to be served, or what beside it was altered."""

    name: str
    version: int
    refused: str | None


def verify(
    catalog: ModelStore, name: str | None = None, version: int | None = None, *, allow_mismatch: bool = False
) -> Iterator[Verdict]:
    """Check digests, library versions and golden rows of one version, of all of a model's, or of all there are.

    What is kept beside a version is checked as well, though no server reads it.

    Raises
    ------
    StoreError
        There is no such model or version.
    """
    if name is not None:
        catalog.existing(name)
    for each in catalog.names() if name is None else [name]:
        for number in catalog.versions(each) if version is None else [version]:
            folder = catalog.path(each, number)
            verdict = _judge(catalog, each, number, allow_mismatch=allow_mismatch)
            yield _judge_attachments(catalog, folder, verdict) if verdict.refused is None else verdict


def _judge(catalog: ModelStore, name: str, version: int, *, allow_mismatch: bool) -> Verdict:
    try:
        model = load_version(catalog, name, version, allow_mismatch=allow_mismatch)
        # The estimator itself, which a form may answer for until a request needs what no form does.
        check_golden(model.native, model.signature, model.manifest.golden)
    except StoreError as fault:
        return Verdict(name, version, str(fault))
    except Exception as fault:  # a stranger's estimator may raise anything
        return Verdict(name, version, f"{type(fault).__name__}: {fault}")
    return Verdict(name, version, None)


def _judge_attachments(catalog: ModelStore, folder: Path, verdict: Verdict) -> Verdict:
    try:
        read_attachments(folder, catalog.manifest(verdict.name, verdict.version))
    except StoreError as fault:
        return replace(verdict, refused=str(fault))
    return verdict


def promote(catalog: ModelStore, name: str, version: int, *, allow_mismatch: bool = False) -> Serving:
    """Promote a version that passes every check.

    Raises
    ------
    StoreError
        There is no such version, or it must not be served.
    """
    _require_sound(catalog, name, version, allow_mismatch=allow_mismatch)
    return catalog.promote(name, version)


def rollback(catalog: ModelStore, name: str, *, allow_mismatch: bool = False) -> Serving:
    """Promote the version that was promoted before, if it passes every check; raises StoreError as `promote` does."""
    catalog.existing(name)
    earlier = catalog.earlier(name, catalog.serving(name))
    _require_sound(catalog, name, earlier, allow_mismatch=allow_mismatch)
    return catalog.rollback(name)


def load(catalog: ModelStore, name: str, *, allow_mismatch: bool = False) -> Serving:
    """Let a model that was withdrawn answer again, by the version that did last, else by the newest.

    One that answers stays as it is; raises StoreError as `promote` does.
    """
    serving, versions = catalog.serving(name), catalog.versions(name)
    if serving.promoted is not None:
        return serving
    last = next((version for version in reversed(serving.history) if version in versions), versions[-1])
    return promote(catalog, name, last, allow_mismatch=allow_mismatch)


def split(
    catalog: ModelStore,
    name: str,
    shares: Mapping[int, float],
    sticky: str | None = STICKY,
    *,
    allow_mismatch: bool = False,
) -> Serving:
    """Share requests out among versions that pass every check; raises StoreError as :meth:`ModelStore.split` does."""
    catalog.existing(name)
    catalog.serving(name).splitting(shares, sticky)
    for version in shares:
        _require_sound(catalog, name, version, "be in a split", allow_mismatch=allow_mismatch)
    return catalog.split(name, shares, sticky)


def shadow(catalog: ModelStore, name: str, wanted: Shadow | None, *, allow_mismatch: bool = False) -> Serving:
    """Let a version that passes every check answer unseen; raises StoreError as :meth:`ModelStore.shadow` does."""
    catalog.existing(name)
    catalog.serving(name).shadowing(wanted)
    if wanted is not None:
        _require_sound(catalog, name, wanted.version, "be a shadow", allow_mismatch=allow_mismatch)
    return catalog.shadow(name, wanted)


def _require_sound(
    catalog: ModelStore, name: str, version: int, purpose: str = "be promoted", *, allow_mismatch: bool
) -> None:
    catalog.path(name, version)
    refused = _judge(catalog, name, version, allow_mismatch=allow_mismatch).refused
    if refused is not None:
        raise StoreError(f"{name} version {version} cannot {purpose}: {refused}")


def recheck(catalog: ModelStore, name: str, version: int, *, promote: bool = False) -> Saved | None:
    """Make a new version of one that another scikit-learn fitted, where its golden rows still agree.

    The estimator is pickled anew under the installed scikit-learn; signature, golden rows, metrics and
    whatever else is known of it stay. Returns None where the version is of the installed one already.

    Raises
    ------
    StoreError
        There is no such version, a digest or a golden row disagrees, or the store cannot be written.
    """
    folder = catalog.path(name, version)
    old = catalog.manifest(name, version)
    if not old.is_pickled:
        raise StoreError(
            f"{name} version {version} is a Hugging Face model: its golden rows are checked at every load, under "
            "whichever transformers is installed; there is nothing to recheck"
        )
    if version_mismatch(old) is None:
        return None
    files, attached = read_verified(folder, old), read_attachments(folder, old)
    model = load_version(catalog, name, version, allow_mismatch=True)
    files[MODEL_FILE] = pickled(model.estimator)
    # What is written is what was checked: the new pickle, loaded as a server will load it.
    check_golden(SklearnEngine(bundle.rebind(files[MODEL_FILE], None), old.signature), old.signature, old.golden)

    def manifest(number: int) -> Manifest:
        return replace(
            old,
            version=number,
            created=now(),
            library=installed_versions(),
            files=entries(files),
            data={**old.data, "rechecked_from": version},
        )

    return write_version(catalog, name, files | attached, manifest, promote=promote)
