"""Keeping a store sound: checking what is in it, and bringing it to another scikit-learn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from app.engines import SklearnEngine
from app.errors import StoreError
from app.store import bundle
from app.store.catalog import ModelStore
from app.store.golden import check_golden
from app.store.loading import load_version, read_verified, version_mismatch
from app.store.manifest import MODEL_FILE, Manifest, installed_versions, now
from app.store.saving import Saved, entries, pickled, write_version
from app.store.serving import Serving


@dataclass(frozen=True)
class Verdict:
    """Whether a version may be served; `refused` says why not."""

    name: str
    version: int
    refused: str | None


def verify(
    catalog: ModelStore, name: str | None = None, version: int | None = None, *, allow_mismatch: bool = False
) -> Iterator[Verdict]:
    """Check digests, library versions and golden rows of one version, of all of a model's, or of all there are.

    Raises
    ------
    StoreError
        There is no such model or version.
    """
    if name is not None:
        catalog.existing(name)
    for each in catalog.names() if name is None else [name]:
        for number in catalog.versions(each) if version is None else [version]:
            catalog.path(each, number)
            yield _judge(catalog, each, number, allow_mismatch=allow_mismatch)


def _judge(catalog: ModelStore, name: str, version: int, *, allow_mismatch: bool) -> Verdict:
    try:
        load_version(catalog, name, version, allow_mismatch=allow_mismatch)
    except StoreError as fault:
        return Verdict(name, version, str(fault))
    except Exception as fault:  # a stranger's estimator may raise anything
        return Verdict(name, version, f"{type(fault).__name__}: {fault}")
    return Verdict(name, version, None)


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


def _require_sound(catalog: ModelStore, name: str, version: int, *, allow_mismatch: bool) -> None:
    catalog.path(name, version)
    refused = _judge(catalog, name, version, allow_mismatch=allow_mismatch).refused
    if refused is not None:
        raise StoreError(f"{name} version {version} cannot be promoted: {refused}")


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
    if version_mismatch(old) is None:
        return None
    files = read_verified(folder, old)
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

    return write_version(catalog, name, files, manifest, promote=promote)
