"""What a version is, written beside it."""

from __future__ import annotations

import json

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


def test_a_format_of_another_release_is_refused_with_the_remedy() -> None:
    content = manifest().to_json().replace(b'"format": 1', b'"format": 9')
    with pytest.raises(VersionRefused, match="format 9, and this release reads format 1; save the model again"):
        Manifest.from_json(content)
