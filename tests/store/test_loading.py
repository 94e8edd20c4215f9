"""Nothing of a version is trusted, and nothing unpickled, before it was checked."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from app.errors import StoreError, VersionRefused
from app.store import Saved, load, save
from tests.store.helpers import ROWS, break_version, pretend_other_sklearn

Publish = Callable[..., Saved]


class _LeavesAMark:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


def _edit(saved: Saved, change: Callable[[dict[str, Any]], None]) -> None:
    path = saved.path / "manifest.json"
    manifest = json.loads(path.read_bytes())
    change(manifest)
    path.write_text(json.dumps(manifest))


def test_the_promoted_version_is_loaded_by_default(root: Path, publish: Publish) -> None:
    publish(1.0)
    publish(2.0)
    publish(3.0, promote=False)
    assert load("m", root=root).version == 2
    assert load("m", 3, root=root).estimator.predict(ROWS).tolist() == [3.0] * len(ROWS)


def test_a_forged_pickle_is_never_run(root: Path, publish: Publish, tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    saved = publish()
    forged = pickle.dumps(_LeavesAMark(mark))
    (saved.path / "model.joblib").write_bytes(forged)
    with pytest.raises(VersionRefused, match=hashlib.sha256(forged).hexdigest()):
        load("m", root=root)
    assert not mark.exists()
    pickle.loads(forged)
    assert mark.exists(), "the forged file would have left its mark"


@pytest.mark.parametrize("file", ["model.joblib", "code/cleaning.py", "manifest.json"])
def test_every_file_of_a_version_is_checked(root: Path, tmp_path: Path, file: str) -> None:
    code = tmp_path / "cleaning.py"
    code.write_text("def halve(X):\n    return X / 2\n")
    saved = _save_with_code(root, code)
    assert load("m", root=root).estimator.predict(ROWS).shape == (6,)
    content = bytearray((saved.path / file).read_bytes())
    content[len(content) // 2] ^= 0xFF
    (saved.path / file).write_bytes(content)
    with pytest.raises(VersionRefused):
        load("m", root=root)
    (saved.path / file).unlink()
    with pytest.raises(StoreError, match=Path(file).name):
        load("m", root=root)


def _save_with_code(root: Path, code: Path) -> Saved:
    from app.store.bundle import import_code

    module = import_code(code.read_bytes(), code)
    model = make_pipeline(FunctionTransformer(module.halve), LinearRegression()).fit(ROWS, ROWS[:, 0])
    return save(model, ROWS, "m", root=root, code=code)


def test_another_scikit_learn_is_refused_naming_both_and_the_remedy(root: Path, publish: Publish) -> None:
    pretend_other_sklearn(publish())
    with pytest.raises(VersionRefused, match=r"scikit-learn 1\.2\.3, and \d.*recheck m 1.*ALLOW_VERSION_MISMATCH"):
        load("m", root=root)


def test_another_scikit_learn_is_let_through_where_the_golden_rows_agree(
    root: Path, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = publish()
    pretend_other_sklearn(saved)
    monkeypatch.setenv("ALLOW_VERSION_MISMATCH", "on")
    assert load("m", root=root).version == 1
    _edit(saved, lambda manifest: manifest["golden"]["outputs"].update(predict=[7.0] * 5))
    with pytest.raises(VersionRefused, match="golden rows"):
        load("m", root=root)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda m: m.update(format=2), "format 2, and this release reads format 1"),
        (lambda m: m.update(name="n"), "is that of n version 1"),
        (lambda m: m.pop("golden"), "is damaged"),
        (lambda m: m["files"].clear(), "lists no model.joblib"),
        (lambda m: m["files"].update({"../../x": {"sha256": "0" * 64, "bytes": 1}}), "outside of its folder"),
        (lambda m: m["files"].update({"/etc/passwd": {"sha256": "0" * 64, "bytes": 1}}), "outside of its folder"),
        (lambda m: m["golden"]["rows"].__setitem__(0, ["a", "b"]), "do not fit the signature"),
        (lambda m: m["golden"]["outputs"]["predict"].__setitem__(0, 5.0), "instead of"),
        (lambda m: m["signature"]["outputs"]["predict"].update(dtype="float32"), "dtype float64 instead of float32"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(
    root: Path, publish: Publish, change: Callable[[dict[str, Any]], None], told: str
) -> None:
    _edit(publish(), change)
    with pytest.raises(VersionRefused, match=told):
        load("m", root=root)


def test_what_is_not_there_is_named(root: Path, publish: Publish) -> None:
    publish(promote=False)
    with pytest.raises(StoreError, match="no promoted version"):
        load("m", root=root)
    with pytest.raises(StoreError, match="there is no model 'n'"):
        load("n", root=root)
    with pytest.raises(StoreError, match="no version 4; it has 1"):
        load("m", 4, root=root)


def test_a_broken_version_leaves_the_others_alone(root: Path, publish: Publish) -> None:
    publish(1.0)
    break_version(publish(2.0))
    with pytest.raises(VersionRefused, match=r"model\.joblib is not the file that was saved"):
        load("m", root=root)
    assert load("m", 1, root=root).version == 1
