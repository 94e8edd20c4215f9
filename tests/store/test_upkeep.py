"""Keeping a store sound: the same checks as a service's, before anything is promoted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from app.errors import StoreError
from app.store import ModelStore, Saved, upkeep
from tests.store.helpers import break_version, pretend_other_sklearn

Publish = Callable[..., Saved]


def test_everything_in_the_store_is_judged(catalog: ModelStore, publish: Publish) -> None:
    publish(name="a")
    break_version(publish(name="b"))
    pretend_other_sklearn(publish(name="c"))
    refused = {(verdict.name, verdict.version): verdict.refused for verdict in upkeep.verify(catalog)}
    assert refused["a", 1] is None
    assert "model.joblib is not the file" in str(refused["b", 1])
    assert "fitted with scikit-learn 1.2.3" in str(refused["c", 1])
    assert [verdict.refused for verdict in upkeep.verify(catalog, "c", allow_mismatch=True)] == [None]


def test_nothing_of_another_scikit_learn_is_promoted_unless_it_is_allowed(
    catalog: ModelStore, publish: Publish
) -> None:
    pretend_other_sklearn(publish(promote=False))
    with pytest.raises(StoreError, match=r"m version 1 cannot be promoted: it was fitted with scikit-learn 1\.2\.3"):
        upkeep.promote(catalog, "m", 1)
    assert upkeep.promote(catalog, "m", 1, allow_mismatch=True).promoted == 1


def test_every_file_of_a_rechecked_version_comes_along(root: Path, catalog: ModelStore, publish: Publish) -> None:
    saved = publish(7.0)
    pretend_other_sklearn(saved)
    made = upkeep.recheck(catalog, "m", 1)
    assert made is not None
    assert (made.version, made.promoted) == (2, False)
    assert upkeep.recheck(catalog, "m", 2) is None
    assert list(upkeep.verify(catalog, "m", 2)) == [upkeep.Verdict("m", 2, None)]
    assert catalog.manifest("m", 2).files.keys() == catalog.manifest("m", 1).files.keys()
