"""Saving a fitted estimator as the next version of a model."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib

from app.engines import SklearnEngine, choose
from app.errors import StoreError
from app.settings import Settings
from app.store import bundle, disk
from app.store.catalog import ModelStore
from app.store.containers import as_fitted
from app.store.golden import background_of, check_golden, make_golden, sample_batch
from app.store.inference import infer_signature, infer_task
from app.store.manifest import BACKGROUND_FILE, CODE_FOLDER, MODEL_FILE, FileEntry, Manifest, dump_json
from app.store.samples import take_sample


@dataclass(frozen=True)
class Saved:
    """The version that was made."""

    name: str
    version: int
    path: Path
    promoted: bool


def save(  # noqa: PLR0913  # each is one thing to say of a version, all but three by name and optional
    estimator: Any,
    X: Any,
    name: str,
    *,
    root: Path | None = None,
    promote: bool = True,
    metrics: Mapping[str, object] | None = None,
    data: Mapping[str, object] | None = None,
    task: str | None = None,
    feature_names: Sequence[str] | None = None,
    code: Path | str | None = None,
) -> Saved:
    """Save a fitted estimator as the next version of the model `name`, and promote it.

    Parameters
    ----------
    estimator
        Any fitted scikit-learn estimator or Pipeline.
    X
        Rows like those it was fitted on, in the same container and dtypes: a DataFrame, an array of shape
        (n, n_features) or (n,), or n strings. A few of them become the golden rows. Columns that it was
        not fitted on are left out.
    name
        The model's name: 1 to 64 lower-case letters, digits, '.', '_' or '-', a letter or a digit first.
    root
        The store's folder; by default the one that ``MODEL_STORE`` names.
    promote
        Whether the new version answers from now on.
    metrics, data
        What is known of its quality and of its data; anything that JSON can hold.
    task
        What the model is for; found out where it is not given.
    feature_names
        The inputs' names where `X` is an array.
    code
        A Python file with the functions and classes that the estimator refers to and that no installed package has.

    Raises
    ------
    StoreError
        The estimator cannot be pickled, gives no answers for `X`, refers to code that is not there, or the
        store cannot be written; nothing is left behind then.
    """
    catalog = ModelStore(root or Settings.from_environ().model_store)
    catalog.folder(name)
    if isinstance(estimator, type):
        raise StoreError(f"{estimator.__name__} is a class; save a fitted estimator of it")
    _check_json(metrics=metrics, data=data)
    bundled = bundle.read(code)
    estimator, content = _as_served(estimator, bundled)
    fitted = as_fitted(estimator, X)
    sample = take_sample(fitted.X, feature_names or fitted.feature_names)
    signature = infer_signature(estimator, sample)
    engine = SklearnEngine(estimator, signature)
    golden = make_golden(estimator, engine, signature, sample)
    check_golden(engine, signature, golden)
    chosen = choose(estimator, signature, sample_batch(signature, sample, golden), golden.random)
    check_golden(chosen.engine, signature, golden)
    files = {MODEL_FILE: content, **chosen.files}
    background = background_of(signature, sample)
    if background is not None:
        files[BACKGROUND_FILE] = background
    if bundled is not None:
        files[f"{CODE_FOLDER}/{bundled.source.name}"] = bundled.content

    def manifest(version: int) -> Manifest:
        return Manifest(
            name=name,
            version=version,
            task=task or infer_task(estimator, sample.container, signature.methods),
            signature=signature,
            golden=golden,
            files=entries(files),
            metrics=dict(metrics or {}),
            data=dict(data or {"source": "save", "rows": len(sample)}),
            engine=chosen.record,
        )

    return write_version(catalog, name, files, manifest, promote=promote)


def _as_served(estimator: Any, bundled: bundle.Bundle | None) -> tuple[Any, bytes]:
    """Return the estimator as a server will load it, and the pickle that it loads."""
    estimator = bundle.rebind(pickled(estimator), bundled)
    bundle.check_findable(estimator)
    return estimator, pickled(estimator)


def _check_json(**told: Any) -> None:
    for name, value in told.items():
        try:
            dump_json(value)
        except TypeError as fault:
            raise StoreError(f"{name} must be what JSON can hold: {fault}") from None


def pickled(estimator: Any) -> bytes:
    """Return the pickle of an estimator; raises StoreError where it has none."""
    stream = io.BytesIO()
    try:
        joblib.dump(estimator, stream)
    except Exception as fault:  # pickling runs the estimator's own code, which may raise anything
        raise StoreError(
            f"{type(estimator).__name__} cannot be saved: {type(fault).__name__}: {fault}; a lambda or a function "
            "inside a function has no name to be found by: write it with def at the top of a file, and bring that "
            "with code"
        ) from fault
    return stream.getvalue()


def entries(files: Mapping[str, bytes]) -> dict[str, FileEntry]:
    """Return what a manifest says of `files`, the contents by path."""
    return {path: FileEntry(disk.sha256(content), len(content)) for path, content in files.items()}


def write_version(
    catalog: ModelStore, name: str, files: Mapping[str, bytes], manifest: Callable[[int], Manifest], *, promote: bool
) -> Saved:
    """Write the files of the next version of a model; `manifest` makes its manifest from its number.

    Raises
    ------
    StoreError
        The store cannot be written; nothing is left behind then.
    """
    try:
        with disk.staging_folder(catalog.folder(name)) as staged:
            for path, content in files.items():
                (staged / path).parent.mkdir(parents=True, exist_ok=True)
                disk.write_file(staged / path, content)
                disk.sync_folder((staged / path).parent)
            version = catalog.publish(staged, name, manifest, promote=promote)
    except OSError as fault:
        raise StoreError(f"the model store {catalog.root} cannot be written: {fault.strerror or fault}") from fault
    return Saved(name, version, catalog.folder(name) / str(version), promote)
