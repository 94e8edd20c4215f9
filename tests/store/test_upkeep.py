"""Keeping a store sound: the same checks as a service's, before anything is promoted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression

from app.errors import StoreError
from app.store import ModelStore, Saved, load, save, upkeep
from app.store.disk import sha256
from app.store.saving import pickled
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


def test_an_estimator_is_asked_though_another_form_answers_for_it(root: Path, catalog: ModelStore) -> None:
    rows, target = make_classification(200, random_state=0)
    saved = save(LogisticRegression().fit(rows, target), rows, "m", root=root, promote=False)
    other = pickled(LogisticRegression().fit(rows, 1 - target))
    manifest = saved.path / "manifest.json"
    digest = catalog.manifest("m", 1).files["model.joblib"].sha256
    (saved.path / "model.joblib").write_bytes(other)
    manifest.write_text(manifest.read_text().replace(digest, sha256(other)))
    load("m", 1, root=root)
    [verdict] = upkeep.verify(catalog, "m")
    assert "golden row" in str(verdict.refused)
    with pytest.raises(StoreError, match="m version 1 cannot be promoted"):
        upkeep.promote(catalog, "m", 1)


def test_every_file_of_a_rechecked_version_comes_along(root: Path, catalog: ModelStore, publish: Publish) -> None:
    saved = publish(7.0)
    pretend_other_sklearn(saved)
    made = upkeep.recheck(catalog, "m", 1)
    assert made is not None
    assert (made.version, made.promoted) == (2, False)
    assert upkeep.recheck(catalog, "m", 2) is None
    assert list(upkeep.verify(catalog, "m", 2)) == [upkeep.Verdict("m", 2, None)]
    assert catalog.manifest("m", 2).files.keys() == catalog.manifest("m", 1).files.keys()
