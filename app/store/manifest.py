"""The manifest: what a version is, written beside it and checked before anything is unpickled."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, get_args

import orjson

from app.engines import text_classifier
from app.errors import VersionRefused
from app.signature import METHODS, Container, Signature
from app.wire.values import describe

FORMAT = 1
FILE = "manifest.json"
MODEL_FILE = "model.joblib"
CODE_FOLDER = "code"
BACKGROUND_FILE = "background.json"

_LIBRARIES = ("scikit-learn", "numpy", "joblib")
_NUMBER = (int, float)
# What each field holds: a type, one of several, a list of something, or an object. Of an object's fields those with a
# question mark may be missing or null, and a star stands for all others; what is not named here is left alone.
_FILES = {"*": {"sha256": str, "bytes": int}}
_OUTPUT = {"dtype": str, "shape": [int], "classes?": list}
_FORM = {
    "name": str,
    "version": int,
    "created": str,
    "task": str,
    "signature": {
        "container": str,
        "inputs": [
            {"name": str, "dtype": str, "nullable": bool, "used": bool, "categories?": list, "range?": [_NUMBER]}
        ],
        "outputs": {"*": (_OUTPUT, [_OUTPUT])},
    },
    "library": {"*": str},
    "files": _FILES,
    "attachments?": _FILES,
    "metrics": dict,
    "data": dict,
    "engine": {"row_independent?": dict},
    "golden": {"rows": list, "outputs": dict, "random": [str], "rtol?": _NUMBER},
}
_KINDS = {str: "a string", int: "a whole number", float: "a number", bool: "true or false", list: "a list"}


def installed_versions(libraries: Sequence[str] = _LIBRARIES) -> dict[str, str]:
    """Return the versions of Python and of `libraries`, by default those that a pickle depends on."""
    versions = {name: importlib.metadata.version(name) for name in libraries}
    return {"python": platform.python_version()} | versions


def now() -> str:
    """Return this second in UTC, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def dump_json(document: Any) -> bytes:
    """Write JSON for people and programs; NumPy's numbers are written as such; raises TypeError."""
    option = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    return orjson.dumps(document, option=option)


@dataclass(frozen=True)
class FileEntry:
    """The digest and the size of one file of a version."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Golden:
    """A few rows of the sample with the answers they had when the version was saved.

    Attributes
    ----------
    rows: the rows as JSON values, by position; strings for ``texts``.
    outputs: the expected answers by method, as nested lists; NaN and infinities are None.
    random: the methods that answered twice differently, of which only shape and dtype are checked.
    rtol: how far numbers may be from those, relative to their size; None for the exactness contract.
    """

    rows: list[Any]
    outputs: dict[str, Any]
    random: tuple[str, ...] = ()
    rtol: float | None = None


@dataclass(frozen=True)
class Manifest:
    """Everything that is known of one version of a model.

    Attributes
    ----------
    files: what the version is loaded from; each is checked before any of it is used.
    attachments: what is kept beside it for people, such as its report; no server loads them, and each is
        checked when it is read.
    """

    name: str
    version: int
    task: str
    signature: Signature
    golden: Golden
    created: str = field(default_factory=now)
    library: Mapping[str, str] = field(default_factory=installed_versions)
    files: Mapping[str, FileEntry] = field(default_factory=dict)
    attachments: Mapping[str, FileEntry] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    engine: Mapping[str, Any] = field(default_factory=dict)

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods the estimator answers."""
        return self.signature.methods

    @property
    def every_file(self) -> dict[str, FileEntry]:
        """The files that it is loaded from, and those that are kept beside them."""
        return {**self.files, **self.attachments}

    @property
    def is_pickled(self) -> bool:
        """Whether it is an estimator in a pickle, rather than a Hugging Face model."""
        return text_classifier.CONFIG not in self.files

    @property
    def is_explained(self) -> bool:
        """Whether a way to explain it was found when it was saved; where it was not looked for, there may be one."""
        return self.engine.get("explained") is not False

    def to_json(self) -> bytes:
        """Return the bytes of ``manifest.json``."""
        document = {
            "format": FORMAT,
            "name": self.name,
            "version": self.version,
            "created": self.created,
            "task": self.task,
            "signature": self.signature.as_dict(),
            "methods": list(self.methods),
            "library": dict(self.library),
            "files": {path: asdict(entry) for path, entry in self.files.items()},
            "attachments": {path: asdict(entry) for path, entry in self.attachments.items()},
            "metrics": dict(self.metrics),
            "data": dict(self.data),
            "engine": dict(self.engine),
            "golden": {
                "rows": self.golden.rows,
                "outputs": self.golden.outputs,
                "random": list(self.golden.random),
            }
            | ({} if self.golden.rtol is None else {"rtol": self.golden.rtol}),
        }
        return dump_json(document)

    @classmethod
    def from_json(cls, content: bytes) -> Manifest:
        """Read the bytes of ``manifest.json``.

        Raises
        ------
        VersionRefused
            The bytes are not a manifest, or one of a format that this release cannot read.
        """
        try:
            document = orjson.loads(content)
            if document["format"] != FORMAT:
                raise VersionRefused(
                    f"{FILE} has format {document['format']!r}, and this release reads format {FORMAT}; "
                    "save the model again, or serve it with the release that wrote it"
                )
            _check(document, _FORM, ())
            golden = document["golden"]
            signature = Signature.from_dict(document["signature"])
            _check_signature(signature)
            return cls(
                name=document["name"],
                version=document["version"],
                created=document["created"],
                task=document["task"],
                signature=signature,
                library=document["library"],
                files={path: FileEntry(**entry) for path, entry in document["files"].items()},
                attachments={path: FileEntry(**entry) for path, entry in (document.get("attachments") or {}).items()},
                metrics=document["metrics"],
                data=document["data"],
                engine=document["engine"],
                golden=Golden(golden["rows"], golden["outputs"], tuple(golden["random"]), golden.get("rtol")),
            )
        except (ValueError, TypeError, LookupError, AttributeError) as fault:
            raise VersionRefused(f"{FILE} is damaged: {type(fault).__name__}: {fault}") from fault


def _check(value: Any, form: Any, place: tuple[str, ...]) -> None:
    """Refuse a value of another form, as `_FORM` says it; raises VersionRefused, which names the field at `place`."""
    forms = form if isinstance(form, tuple) else (form,)
    fitting = next((each for each in forms if type(value) is _type_of(each)), None)
    if fitting is None:
        wanted = " or ".join(_KINDS.get(_type_of(each), "an object") for each in forms)
        raise VersionRefused(f"{FILE} is damaged: {'.'.join(place)} must be {wanted}, not {describe(value)}")
    if isinstance(fitting, list):
        for index, item in enumerate(value):
            _check(item, fitting[0], (*place, str(index)))
    elif isinstance(fitting, dict):
        _check_fields(value, fitting, place)


def _check_fields(value: dict[str, Any], form: dict[str, Any], place: tuple[str, ...]) -> None:
    for told, inner in form.items():
        name = told.removesuffix("?")
        if told == "*":
            for each, item in value.items():
                _check(item, inner, (*place, each))
        elif name in value and not (name != told and value[name] is None):
            _check(value[name], inner, (*place, name))
        elif name == told:
            raise VersionRefused(f"{FILE} is damaged: {'.'.join((*place, name))} is missing")


def _type_of(form: Any) -> type:
    return form if isinstance(form, type) else type(form)


def _check_signature(signature: Signature) -> None:
    """Refuse a signature that nobody could ask or be asked by."""
    if signature.container not in get_args(Container):
        raise VersionRefused(f"{FILE} is damaged: signature.container must be one of {', '.join(get_args(Container))}")
    if not signature.inputs or not signature.methods:
        raise VersionRefused(f"{FILE} is damaged: signature must have an input, and an output of {', '.join(METHODS)}")
    for index, column in enumerate(signature.inputs):
        try:
            column.kind  # noqa: B018  # looked up here, not in a request
        except KeyError:
            told = f"signature.inputs.{index}.dtype is {column.dtype!r:.80}, which is none that is served"
            raise VersionRefused(f"{FILE} is damaged: {told}") from None
