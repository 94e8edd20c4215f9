"""What a version is, written beside it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.errors import VersionRefused
from app.signature import Input, Output, Signature
from app.store import Manifest
from app.store.manifest import FileEntry, Golden, installed_versions

SIGNATURE = Signature(
    "frame",
    (Input("age", "float64", nullable=True), Input("port", "category", used=False, categories=("C", "S"))),
    {
        "predict": Output("int64", (-1,)),
        "predict_proba": (Output("float64", (-1, 2), (0, 1)), Output("float64", (-1, 3), ("a", "b", "c"))),
    },
)


def manifest() -> Manifest:
    return Manifest(
        name="m",
        version=3,
        task="classification",
        signature=SIGNATURE,
        golden=Golden([[1.5, "C"], [None, None]], {"predict": [0, 1]}, ("predict_proba",)),
        files={"model.joblib": FileEntry("0" * 64, 12)},
        metrics={"accuracy": 0.5},
    )


def test_what_is_written_is_what_is_read() -> None:
    assert Manifest.from_json(manifest().to_json()) == manifest()


def test_it_tells_the_libraries_and_the_methods() -> None:
    document = json.loads(manifest().to_json())
    assert document["library"] == installed_versions()
    assert set(document["library"]) == {"python", "scikit-learn", "numpy", "joblib"}
    assert document["methods"] == ["predict", "predict_proba"]
    assert document["format"] == 1
    assert document["created"].endswith("Z")


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"null", b"{", b"\xff", b'{"format": 1}', b'{"format": 1, "files": 3}']
)
def test_what_is_no_manifest_is_refused(content: bytes) -> None:
    with pytest.raises(VersionRefused, match=r"manifest\.json is damaged"):
        Manifest.from_json(content)


WRONG = [[], {}, None, 5, 0.5, True, "x"]
KINDS: dict[str, Any] = {
    "name": str,
    "version": int,
    "created": str,
    "task": str,
    "signature": None,
    "library": dict,
    "files": dict,
    "metrics": dict,
    "data": dict,
    "engine": dict,
    "golden": None,
}


@pytest.mark.parametrize("field", KINDS)
@pytest.mark.parametrize("value", WRONG, ids=str)
def test_a_field_of_another_type_is_refused_by_its_name(field: str, value: Any) -> None:
    document = json.loads(manifest().to_json())
    document[field] = value
    content = json.dumps(document).encode()
    if type(value) is KINDS[field]:
        Manifest.from_json(content)
        return
    with pytest.raises(VersionRefused, match=rf"^manifest\.json is damaged: {field}\b.* (must be|is missing)"):
        Manifest.from_json(content)
    del document[field]
    with pytest.raises(VersionRefused, match=rf"damaged: {field} is missing$"):
        Manifest.from_json(json.dumps(document).encode())


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("files/model.joblib", 3, "files.model.joblib must be an object, not the number 3"),
        ("files/model.joblib/bytes", "12", "files.model.joblib.bytes must be a whole number, not the string '12'"),
        ("attachments", [], "attachments must be an object, not a list"),
        ("library/python", None, "library.python must be a string, not null"),
        ("golden/random", [1], "golden.random.0 must be a string, not the number 1"),
        ("golden/rtol", "x", "golden.rtol must be a whole number or a number, not the string 'x'"),
        ("engine/row_independent", [], "engine.row_independent must be an object, not a list"),
        ("signature/container", "sack", "signature.container must be one of array, objects, vector, frame, texts"),
        ("signature/inputs", [], "signature must have an input"),
        ("signature/outputs", {}, "signature must have an input, and an output of predict"),
        ("signature/inputs/0/dtype", "sack", "signature.inputs.0.dtype is 'sack', which is none that is served"),
        ("signature/inputs/1/categories", "x", "signature.inputs.1.categories must be a list, not the string 'x'"),
        ("signature/inputs/0/range", [1], "IndexError"),
        ("signature/outputs/predict", 1, "signature.outputs.predict must be an object or a list, not the number 1"),
        ("signature/outputs/predict_proba/1/shape", ["x"], "signature.outputs.predict_proba.1.shape.0 must be"),
    ],
)
def test_what_is_wrong_inside_is_named_by_its_place(path: str, value: Any, says: str) -> None:
    document = json.loads(manifest().to_json())
    *places, last = [int(part) if part.isdigit() else part for part in path.split("/")]
    inner: Any = document
    for part in places:
        inner = inner[part]
    inner[last] = value
    with pytest.raises(VersionRefused) as caught:
        Manifest.from_json(json.dumps(document).encode())
    assert str(caught.value).startswith(f"manifest.json is damaged: {says}")


def test_a_format_of_another_release_is_refused_with_the_remedy() -> None:
    content = manifest().to_json().replace(b'"format": 1', b'"format": 9')
    with pytest.raises(VersionRefused, match="format 9, and this release reads format 1; save the model again"):
        Manifest.from_json(content)
