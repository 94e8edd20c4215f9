"""Loading a version: everything about it is checked before a byte of it is unpickled."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import joblib
import orjson

from app.engines import ChosenEngine, LazySklearnEngine, log_fallback, rebuild, text_classifier
from app.errors import StoreError, VersionRefused
from app.explain import Explainer, NotExplained, explainer_of
from app.settings import Settings
from app.signature import Signature
from app.store.bundle import import_code
from app.store.catalog import ModelStore
from app.store.disk import sha256
from app.store.golden import check_forms, check_golden, golden_batch
from app.store.manifest import (
    BACKGROUND_FILE,
    CODE_FOLDER,
    MODEL_FILE,
    FileEntry,
    Manifest,
    installed_versions,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedModel:
    """A version that passed every check and is ready to answer."""

    manifest: Manifest
    engine: ChosenEngine
    native: LazySklearnEngine
    background: bytes | None = None

    @cached_property
    def explainer(self) -> Explainer | NotExplained:
        """What explains its answers, built when it is first asked for; or why there is nothing that does."""
        rows = self.manifest.golden.rows if self.background is None else orjson.loads(self.background)
        try:
            return explainer_of(self.estimator, self.engine, self.signature, golden_batch(self.signature, rows))
        except NotExplained as why:
            return why

    @property
    def estimator(self) -> Any:
        """The fitted estimator, unpickled now where nothing needed it yet."""
        return self.native.estimator

    @cached_property
    def name(self) -> str:
        """The model's name."""
        return self.manifest.name

    @cached_property
    def version(self) -> int:
        """The version's number."""
        return self.manifest.version

    @cached_property
    def key(self) -> tuple[str, int]:
        """The model's name and the version's number."""
        return self.name, self.version

    def shares(self, method: str) -> bool:
        """Tell whether rows of several requests may share a call: measured to be independent of each other."""
        return self.manifest.engine.get("row_independent", {}).get(method) is True

    def call_seconds(self, method: str) -> float:
        """Return what a call takes beside its rows, as measured; 0 where it was not."""
        return self._measured(method, "call")

    def row_seconds(self, method: str) -> float:
        """Return what a call with one row takes, as measured; 0 where it was not."""
        return self._measured(method, "call") + self._measured(method, "row")

    def _measured(self, method: str, what: str) -> float:
        costs = self.manifest.engine.get("cost_us")
        cost = costs.get(method) if isinstance(costs, dict) else None
        value = cost.get(what) if isinstance(cost, dict) else None
        return value / 1e6 if isinstance(value, int | float) else 0.0

    @property
    def rows_at_once(self) -> int | None:
        """How many rows may be computed before a request's deadline is looked at; None where all of them may."""
        rows = self.manifest.engine.get("rows_at_once")
        return rows if isinstance(rows, int) else None

    @property
    def names_most_probable(self) -> bool:
        """Whether ``predict`` names the class of the greatest ``predict_proba``: one call is enough for both."""
        return not self.manifest.is_pickled

    @cached_property
    def signature(self) -> Signature:
        """What it takes and gives."""
        return self.manifest.signature


def load(name: str, version: int | None = None, *, root: Path | None = None) -> LoadedModel:
    """Load a version of a model from the store, the promoted one by default.

    Parameters
    ----------
    name
        The model's name.
    version
        Its version; None for the promoted one.
    root
        The store's folder; by default the one that ``MODEL_STORE`` names.

    Raises
    ------
    StoreError
        There is no such version.
    VersionRefused
        A digest, scikit-learn's version or a golden row disagrees.
    """
    settings = Settings.from_environ()
    catalog = ModelStore(root or settings.model_store)
    if version is None:
        catalog.existing(name)
        version = catalog.promoted(name)
        if version is None:
            raise StoreError(f"model {name!r} has no promoted version; promote one with scripts/models.py promote")
    return load_version(catalog, name, version, allow_mismatch=settings.allow_version_mismatch)


def load_version(
    catalog: ModelStore,
    name: str,
    version: int,
    *,
    allow_mismatch: bool = False,
    fell_back: Callable[[str], None] = log_fallback,
) -> LoadedModel:
    """Check and load one version; raises StoreError or VersionRefused as :func:`load` does.

    `fell_back` is told of chosen forms that cannot be built (:func:`app.engines.rebuild`).
    """
    folder = catalog.path(name, version)
    manifest = catalog.manifest(name, version)
    if (manifest.name, manifest.version) != (name, version):
        raise VersionRefused(f"the manifest in {folder} is that of {manifest.name} version {manifest.version}")
    mismatch = version_mismatch(manifest)
    if mismatch and not allow_mismatch:
        raise VersionRefused(mismatch)
    content = read_verified(folder, manifest)
    engine, native = rebuild(
        manifest.engine,
        manifest.signature,
        content,
        lambda: _unpickle(folder, content, warn=not mismatch) if manifest.is_pickled else _build(manifest, content),
        fell_back,
    )
    check_golden(engine, manifest.signature, manifest.golden)
    check_forms(engine, manifest.signature, manifest.golden)
    if mismatch:
        # What answers where no form does must agree as well.
        check_golden(native, manifest.signature, manifest.golden)
        log.warning("%s version %d is served all the same: its golden rows agree; %s", name, version, mismatch)
    return LoadedModel(manifest, engine, native, content.get(BACKGROUND_FILE))


def read_verified(folder: Path, manifest: Manifest) -> dict[str, bytes]:
    """Return the contents of every file that a version is loaded from, each of which has the manifest's digest.

    Raises
    ------
    VersionRefused
        A file is missing or is not the one that was saved, or the manifest leads out of its folder.
    StoreError
        A file cannot be read now.
    """
    content = {path: _read_checked(folder, path, entry) for path, entry in manifest.files.items()}
    if manifest.is_pickled and MODEL_FILE not in content:
        raise VersionRefused(f"the manifest lists no {MODEL_FILE}")
    return content


def read_attachments(folder: Path, manifest: Manifest) -> dict[str, bytes]:
    """Return the contents of what is kept beside a version; raises as :func:`read_verified` does.

    Loading does not: a report is neither worth a server's memory nor, where it was harmed, an outage.
    """
    return {path: _read_checked(folder, path, entry) for path, entry in manifest.attachments.items()}


def read_attachment(catalog: ModelStore, name: str, version: int, path: str) -> bytes | None:
    """Return one attachment of a version, or None where it has none called `path`.

    Raises
    ------
    StoreError
        There is no such version, or its attachment is not the file that was saved.
    """
    entry = catalog.manifest(name, version).attachments.get(path)
    return None if entry is None else _read_checked(catalog.path(name, version), path, entry)


def _read_checked(folder: Path, path: str, entry: FileEntry) -> bytes:
    if Path(path).is_absolute() or ".." in Path(path).parts:
        raise VersionRefused(f"the manifest names {path!r}, which is outside of its folder")
    try:
        content = (folder / path).read_bytes()
    except FileNotFoundError as fault:
        raise VersionRefused(f"{path} cannot be read: {fault.strerror}") from fault
    except OSError as fault:
        # It may be readable again: this says nothing of the version.
        raise StoreError(f"{path} cannot be read: {fault.strerror}") from fault
    digest = sha256(content)
    if digest != entry.sha256:
        raise VersionRefused(
            f"{path} is not the file that was saved: its SHA-256 is {digest}, the manifest says {entry.sha256}"
        )
    return content


def version_mismatch(manifest: Manifest) -> str | None:
    """Say how the installed scikit-learn differs from the one that fitted a version, or return None.

    No release of transformers is known to answer otherwise than another: the golden rows tell.
    """
    if not manifest.is_pickled:
        return None
    fitted, installed = manifest.library.get("scikit-learn"), installed_versions()["scikit-learn"]
    if fitted == installed:
        return None
    return (
        f"it was fitted with scikit-learn {fitted}, and {installed} is installed; train it again, or run "
        f"`python scripts/models.py recheck {manifest.name} {manifest.version}`, which makes a new version where its "
        "golden rows still agree, or set ALLOW_VERSION_MISMATCH=on"
    )


def _unpickle(folder: Path, content: dict[str, bytes], *, warn: bool) -> Any:
    try:
        for path, code in content.items():
            if path.startswith(f"{CODE_FOLDER}/"):
                import_code(code, folder / path)
        with warnings.catch_warnings():
            if not warn:
                from sklearn.exceptions import InconsistentVersionWarning

                warnings.simplefilter("ignore", InconsistentVersionWarning)
            # The very bytes that were digested, not what the path leads to by now.
            return joblib.load(io.BytesIO(content[MODEL_FILE]))
    except MemoryError:
        raise
    except Exception as fault:
        raise VersionRefused(f"{MODEL_FILE} cannot be loaded: {type(fault).__name__}: {fault}") from fault


def _build(manifest: Manifest, content: dict[str, bytes]) -> Any:
    try:
        return text_classifier.build(content, batch=int(manifest.engine["batch"]))
    except MemoryError:
        raise
    except StoreError as fault:
        raise VersionRefused(str(fault)) from fault
    except Exception as fault:
        raise VersionRefused(f"the model cannot be built: {type(fault).__name__}: {fault}") from fault
