"""Code that travels with a model: the functions and classes its pickle refers to.

A pickle names what it needs by import path; a notebook's own functions are ``__main__.clean``, which
no server has. The author's file is stored with the version and imported under a name made from its
digest, so that two versions never see each other's code; the pickle is written to refer to that name.
"""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
import sysconfig
import threading
import types
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib

from app.errors import StoreError
from app.settings import ROOT
from app.store.disk import sha256

_DIGITS = 16
# Run in the checkout, as a service is: is there such a module?
_FIND = "import importlib.util, sys; sys.path.insert(0, '.'); sys.exit(importlib.util.find_spec(sys.argv[1]) is None)"
# Two threads may load versions with the same code; neither may see half of its module.
_importing = threading.RLock()


@dataclass(frozen=True)
class Bundle:
    """A file of code as its author wrote it."""

    source: Path
    content: bytes


def read(source: Path | str | None) -> Bundle | None:
    """Read the file of code to bundle; raises StoreError where it is no readable Python file."""
    if source is None:
        return None
    source = Path(source)
    if source.suffix != ".py":
        raise StoreError(f"{source} is no Python file; bring the .py file that defines what the model refers to")
    try:
        return Bundle(source, source.read_bytes())
    except OSError as fault:
        raise StoreError(f"{source} cannot be read: {fault.strerror}") from fault


def module_name(content: bytes) -> str:
    """Return the name under which the code `content` is imported."""
    return f"model_code_{sha256(content)[:_DIGITS]}"


def import_code(content: bytes, source: Path) -> types.ModuleType:
    """Import bundled code, once in a process; raises StoreError where running it fails."""
    name = module_name(content)
    with _importing:
        if name in sys.modules:
            return sys.modules[name]
        module = types.ModuleType(name, f"Bundled with a model: {source.name}")
        module.__file__ = str(source)
        sys.modules[name] = module
        try:
            exec(compile(content, str(source), "exec"), vars(module))  # noqa: S102  # its digest was checked; running it is the point
        except BaseException as fault:
            del sys.modules[name]
            if not isinstance(fault, Exception | SystemExit):
                raise
            raise StoreError(f"{source.name} cannot be imported: {type(fault).__name__}: {fault}") from fault
        return module


def rebind(pickled: bytes, bundled: Bundle | None) -> Any:
    """Load a pickle as a server would: with the bundled code in the place of ``__main__`` and of the file's module.

    Raises
    ------
    StoreError
        It refers to something that a server would not have.
    """
    code = types.ModuleType("__main__") if bundled is None else import_code(bundled.content, bundled.source)
    with _standing_in(code, "__main__", *([] if bundled is None else [bundled.source.stem])):
        try:
            return joblib.load(io.BytesIO(pickled))
        except AttributeError as fault:
            raise StoreError(
                f"the model refers to code that the service will not have: {fault}; bring the file that "
                "defines it: --code FILE.py in the shell, code='FILE.py' in Python"
            ) from fault
        except ModuleNotFoundError as fault:
            raise StoreError(
                f"the model needs the module {fault.name!r}, which is not installed here; install it, "
                "or bring its file: --code FILE.py in the shell, code='FILE.py' in Python"
            ) from fault


def check_findable(estimator: Any) -> None:
    """Refuse an estimator whose pickle refers to a module that this process finds and a service would not.

    A file beside a notebook is on its import path, and on no other's.

    Raises
    ------
    StoreError
        Names the module, and how to bring it.
    """
    for name in sorted(_modules_of(estimator)):
        module = sys.modules.get(name)
        if module is None or not _is_local(module):
            continue
        found = subprocess.run(  # noqa: S603  # this very Python, asked for a name that is an argument
            [sys.executable, "-P", "-c", _FIND, name], cwd=ROOT, capture_output=True, check=False
        )
        if found.returncode:
            raise StoreError(
                f"the model refers to {name} ({module.__file__}), which a service would not find; "
                "bring the file: --code FILE.py in the shell, code='FILE.py' in Python"
            )


def _is_local(module: types.ModuleType) -> bool:
    """Tell whether a module is neither Python's, nor an installed package's, nor the application's own."""
    file = getattr(module, "__file__", None)
    if file is None or module.__name__.startswith("model_code_"):
        return False
    known = [ROOT / "app", *map(Path, sysconfig.get_paths().values())]
    return not any(Path(file).is_relative_to(folder) for folder in known)


def _modules_of(estimator: Any) -> set[str]:
    """Return the modules that the pickle of `estimator` refers to."""
    found: set[str] = set()

    class Looking(pickle.Pickler):
        def reducer_override(self, obj: Any) -> Any:
            # Called for whatever has no pickle of its own kind: functions, classes, and instances of them.
            if isinstance(obj, type | types.FunctionType):
                found.add(obj.__module__)
            return NotImplemented

    Looking(_Nowhere()).dump(estimator)
    return found


class _Nowhere(io.RawIOBase):
    """A file that keeps nothing."""

    def write(self, content: Any) -> int:
        return memoryview(content).nbytes


@contextmanager
def _standing_in(module: types.ModuleType, *names: str) -> Iterator[None]:
    # Only processes that save a model do this; a server imports under the digest's name alone.
    before = {name: sys.modules.get(name) for name in names}
    sys.modules.update(dict.fromkeys(before, module))
    try:
        yield
    finally:
        for name, original in before.items():
            if original is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = original
