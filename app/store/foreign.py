"""Models that were fitted elsewhere: somebody's file of joblib's or pickle's."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.errors import StoreError
from app.signature import METHODS
from app.store import bundle
from app.store.files import decompressed, read_file
from app.store.manifest import installed_versions

_LIBRARY = "scikit-learn"
# scikit-learn writes its version into the state of every estimator.
_VERSION = re.compile(rb"_sklearn_version.{1,12}?(\d+\.\d+(?:\.\d+)?(?:\.?(?:dev|post|rc|a|b)\d+)?)", re.DOTALL)


@dataclass(frozen=True)
class Foreign:
    """A model that was read from a file.

    Attributes
    ----------
    estimator: the fitted estimator.
    mismatch: how the scikit-learn that fitted it differs from the installed one, if it does.
    """

    estimator: Any
    mismatch: str | None = None


def read_foreign(path: Path, *, code: Path | None = None, allow_mismatch: bool = False) -> Foreign:
    """Load a fitted estimator from a file of joblib's or pickle's, compressed or not. This runs what is in the file.

    Parameters
    ----------
    path
        The file.
    code
        A Python file with the functions and classes that it refers to.
    allow_mismatch
        Whether it may have been fitted with another scikit-learn than the installed one.

    Raises
    ------
    StoreError
        It cannot be read, holds no estimator, refers to code that is not there, or was fitted with
        another scikit-learn.
    """
    content = read_file(path)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        estimator = _unpickle(path.name, content, bundle.read(code))
    _check_estimator(path.name, estimator)
    fitted = next((v for note in told if (v := getattr(note.message, "original_sklearn_version", None))), None)
    if fitted is None:
        return Foreign(estimator)
    mismatch = _mismatch(path.name, fitted)
    if not allow_mismatch:
        raise StoreError(f"{mismatch}, or register it as it is with --allow-version-mismatch")
    return Foreign(estimator, mismatch)


def _unpickle(name: str, content: bytes, bundled: bundle.Bundle | None) -> Any:
    try:
        return bundle.rebind(content, bundled)
    except Exception as fault:  # unpickling runs what is in the file, which may raise anything
        version = _version_in(content)
        if version is not None and version != installed_versions()[_LIBRARY] and not _is_of_the_author(fault):
            raise StoreError(f"{_mismatch(name, version)}; it cannot even be loaded: {_told(fault)}") from fault
        if isinstance(fault, StoreError):
            raise StoreError(f"{name}: {fault}") from fault
        raise StoreError(
            f"{name} is no model file that can be loaded: {_told(fault)}; write it with joblib.dump"
        ) from fault


def _is_of_the_author(fault: Exception) -> bool:
    """Tell whether what is missing is the author's own code, rather than scikit-learn's of another version."""
    return isinstance(fault, StoreError) and "sklearn" not in str(fault.__cause__ or fault)


def _told(fault: Exception) -> str:
    return f"{type(fault).__name__}: {' '.join(str(fault.__cause__ or fault).split())}"


def _version_in(content: bytes) -> str | None:
    """Find the scikit-learn that wrote a pickle in its bytes, without loading it."""
    found = _VERSION.search(decompressed(content))
    return found[1].decode() if found else None


def _mismatch(name: str, fitted: str) -> str:
    installed = installed_versions()[_LIBRARY]
    return (
        f"{name} was fitted with scikit-learn {fitted}, and {installed} is installed: it may answer otherwise here, or "
        f"not at all; fit it again with {installed}, or install the other one (pip install scikit-learn=={fitted})"
    )


def _check_estimator(name: str, estimator: Any) -> None:
    if isinstance(estimator, type):
        raise StoreError(f"{name} holds the class {estimator.__name__}; dump a fitted estimator")
    if not any(hasattr(estimator, method) for method in METHODS):
        inside = ""
        if isinstance(estimator, dict):
            inside = f" with the keys {', '.join(map(repr, list(estimator)[:10]))}"
        raise StoreError(
            f"{name} holds a {type(estimator).__name__}{inside}, which has none of {', '.join(METHODS)}; "
            "dump the fitted estimator itself"
        )
