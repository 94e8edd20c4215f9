"""Forms survive their files: to the bit, to the dtype, to the order in memory, and never by pickle."""

from __future__ import annotations

import numpy as np

from app.engines import state


def test_a_state_comes_back_as_it_was() -> None:
    matrix = np.asfortranarray(np.random.default_rng(0).random((4, 3)))
    written = {
        "kind": "x",
        "number": 0.1 + 0.2,
        "none": None,
        "parts": [{"a": matrix}, {"words": np.array(["a", "ü"], dtype=object)}],
        "labels": np.array(["one", "three"]),
        "flags": np.array([True, False]),
    }
    content = state.dump(written)
    assert content is not None
    read = state.load(content)
    assert read["number"] == written["number"]
    assert read["none"] is None
    assert np.array_equal(read["parts"][0]["a"], matrix)
    assert read["parts"][0]["a"].flags.f_contiguous
    assert read["parts"][1]["words"].dtype == object
    assert read["parts"][1]["words"].tolist() == ["a", "ü"]
    assert read["labels"].dtype == written["labels"].dtype
    assert read["flags"].dtype == bool


def test_labels_of_several_types_have_no_file() -> None:
    assert state.dump({"classes": np.array([1, "a"], dtype=object)}) is None
