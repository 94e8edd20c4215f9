"""Saving a fitted estimator as the next version of a model."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import joblib

from app.engines import SKLEARN, Engine, SklearnEngine, choose
from app.errors import StoreError
from app.explain import NotExplained, explainer_of
from app.settings import Settings
from app.signature import Batch, Signature
from app.store import bundle, disk
from app.store.catalog import ModelStore
from app.store.containers import as_fitted
from app.store.golden import background_of, check_golden, make_golden, sample_batch
from app.store.inference import infer_signature, infer_task
from app.store.manifest import BACKGROUND_FILE, CODE_FOLDER, MODEL_FILE, FileEntry, Golden, Manifest, dump_json
from app.store.manifest import FILE as MANIFEST_FILE
from app.store.samples import Sample, take_sample

# Given a manifest, makes files to keep with the version: their contents by name.
Attach = Callable[[Manifest], Mapping[str, bytes]]


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
    attachments: Attach | None = None,
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
    attachments
        Makes the files that are kept with the version and not served, by name, from its manifest; that lacks
        nothing but its number, which is 0, and the attachments themselves.

    Raises
    ------
    StoreError
        The estimator cannot be pickled, gives no answers for `X`, refers to code that is not there, an attachment
        is named like a file of the version, or the store cannot be written; nothing is left behind then.
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
    proven = prove(estimator, sample)
    files = {MODEL_FILE: content, **proven.files}
    background = background_of(proven.signature, sample)
    if background is not None:
        files[BACKGROUND_FILE] = background
    if bundled is not None:
        files[f"{CODE_FOLDER}/{bundled.source.name}"] = bundled.content

    draft = Manifest(
        name=name,
        version=0,
        task=task or infer_task(estimator, sample.container, proven.signature.methods),
        signature=proven.signature,
        golden=proven.golden,
        files=entries(files),
        metrics=dict(metrics or {}),
        data=dict(data or {"source": "save", "rows": len(sample)}),
        engine=proven.engine,
    )
    attached = {} if attachments is None else _attached(attachments, draft)

    def manifest(version: int) -> Manifest:
        return replace(draft, version=version, attachments=entries(attached))

    return write_version(catalog, name, files | attached, manifest, promote=promote)


def _attached(attachments: Attach, draft: Manifest) -> dict[str, bytes]:
    attached = dict(attachments(draft))
    for path in attached:
        if path in (*draft.files, MANIFEST_FILE) or not path or Path(path).name != path:
            raise StoreError(f"an attachment cannot be called {path!r}; it needs a plain name of its own")
    return attached


@dataclass(frozen=True)
class Proven:
    """What was found out of an estimator by asking it: the parts of its manifest.

    Attributes
    ----------
    files: the contents of the files that its engines are built from again, by path.
    """

    signature: Signature
    golden: Golden
    engine: dict[str, Any]
    files: dict[str, bytes]


def prove(estimator: Any, sample: Sample, *, native: str = SKLEARN, rtol: float | None = None) -> Proven:
    """Find out what an estimator takes and gives, how it must answer a few rows, and which engines answer so too.

    `native` is the library whose estimator it is, `rtol` how far its golden rows may be off on another machine.

    Raises
    ------
    StoreError
        It gives no answers for the sample.
    """
    signature = infer_signature(estimator, sample)
    engine = SklearnEngine(estimator, signature, native)
    golden = make_golden(estimator, engine, signature, sample, rtol)
    check_golden(engine, signature, golden)
    rows = sample_batch(signature, sample, golden)
    chosen = choose(estimator, signature, rows, golden.random, native=native)
    check_golden(chosen.engine, signature, golden)
    record = {**chosen.record, "explained": _is_explained(estimator, chosen.engine, signature, rows)}
    return Proven(signature, golden, record, chosen.files)


def _is_explained(estimator: Any, engine: Engine, signature: Signature, rows: Batch) -> bool:
    """Tell whether there is a way to explain the answers; two rows tell, and sampling is slow with more."""
    few = next(iter(rows.split(2)))
    try:
        explainer_of(estimator, engine, signature, few)
    except NotExplained:
        return False
    return True


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
