"""What is chosen is recorded, built again at load, and told where that fails."""

from __future__ import annotations

import hashlib
import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_info, threadpool_limits

from app.engines import quickest, rebuild, state
from app.engines.choice import ROWS, choose
from app.engines.chosen import SIZES
from app.engines.gate import each_row
from app.store import ModelStore, load, save
from tests.engines.helpers import batch_of, chosen_for, names_of, signature_of

X, Y = load_diabetes(return_X_y=True)


@pytest.fixture(scope="module")
def linear() -> Any:
    return make_pipeline(StandardScaler(), LinearRegression()).fit(X, Y)


@pytest.fixture(scope="module")
def forest() -> Any:
    rows, labels = load_breast_cancer(return_X_y=True)
    return RandomForestClassifier(20, random_state=0).fit(rows, labels), rows


def test_the_manifest_tells_every_candidate(linear: Any, root: Path) -> None:
    save(linear, X, "m", root=root)
    engine = ModelStore(root).manifest("m", 1).engine
    assert engine["choice"] == {"predict": {"one": "numpy", "many": "numpy", "bulk": "numpy"}}
    assert engine["row_independent"] == {"predict": True}
    assert set(engine["cost_us"]["predict"]) == {"call", "row"}
    assert [told["name"] for told in engine["candidates"]] == ["sklearn", "numpy"]
    for told in engine["candidates"]:
        assert told["method"] == "predict"
        assert told["built"] is True
        assert told["why_not"] is None
        assert told["max_difference"] < 1e-9
        assert set(told["latency_us"]) == set(map(str, ROWS.values()))


class Counting(LinearRegression):
    """Keeps how many threads OpenMP and BLAS had for its predictions."""

    threads: ClassVar[set[int]] = set()

    def predict(self, X: Any) -> Any:
        self.threads |= {library["num_threads"] for library in threadpool_info()}
        return super().predict(X)


def test_answers_are_timed_with_the_one_thread_that_a_worker_has() -> None:
    estimator = Counting().fit(X, Y)
    signature, batch = signature_of(estimator, X), batch_of(X[:200])
    for time in (lambda: choose(estimator, signature, batch), lambda: quickest(estimator, signature, batch, (1, 100))):
        estimator.threads.clear()
        with threadpool_limits(2):
            time()
        assert estimator.threads == {1}


def test_without_another_form_the_record_says_why() -> None:
    chosen = chosen_for(KNeighborsRegressor().fit(X, Y), X)
    assert set(names_of(chosen).values()) == {"sklearn"}
    assert chosen.record["why_not"] == "no other form of this estimator is known"


def test_a_linear_model_answers_without_scikit_learn(linear: Any, root: Path) -> None:
    saved = save(linear, X, "m", root=root)
    assert (saved.path / state.FILE).is_file()
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, numpy as np; from pathlib import Path;"
            "from app.signature import Batch; from app.store import load;"
            f"model = load('m', root=Path({str(root)!r}));"
            f"print(model.engine.run(Batch(1, np.zeros((1, 10))), 'predict')[0], 'sklearn' in sys.modules)",
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert float(told[0]) == pytest.approx(linear.predict(np.zeros((1, 10)))[0], rel=1e-12)
    assert told[1] == "False"


def test_histograms_answer_without_scikit_learn() -> None:
    boosting = HistGradientBoostingRegressor(max_iter=10, random_state=0).fit(X, Y)
    # Chosen here and not by measurement, so that a busy machine makes no other choice.
    masks = {"choice": {"predict": dict.fromkeys(SIZES, "masks")}}
    engine, native = rebuild(masks, signature_of(boosting, X), _masks(boosting, X), lambda: boosting)
    answer = engine.run(batch_of(X[:50]), "predict")
    assert not native.loaded
    assert answer == pytest.approx(boosting.predict(X[:50]), rel=1e-9)


def test_the_estimator_is_loaded_where_rows_need_it(linear: Any, root: Path) -> None:
    save(linear, X, "m", root=root)
    model = load("m", root=root)
    with pytest.raises(ValueError, match="infinity"):
        model.engine.run(batch_of(np.full((1, 10), np.inf)), "predict")
    assert model.native.loaded


def test_an_estimator_that_is_needed_late_is_still_the_one_that_was_checked(linear: Any, root: Path) -> None:
    saved = save(linear, X, "m", root=root)
    model = load("m", root=root)
    (saved.path / "model.joblib").write_bytes(b"another")
    assert model.estimator.predict(X[:1]) == linear.predict(X[:1])


def test_an_engine_file_of_another_content_is_refused(linear: Any, root: Path) -> None:
    saved = save(linear, X, "m", root=root)
    content = bytearray((saved.path / state.FILE).read_bytes())
    content[-30] ^= 1
    (saved.path / state.FILE).write_bytes(content)
    with pytest.raises(Exception, match=r"engine\.npz is not the file that was saved"):
        load("m", root=root)


def test_coefficients_that_are_not_the_models_are_refused_by_the_golden_rows(linear: Any, root: Path) -> None:
    saved = save(linear, X, "m", root=root)
    other = chosen_for(make_pipeline(StandardScaler(), LinearRegression()).fit(X, -Y), X).files[state.FILE]
    manifest = saved.path / "manifest.json"
    document = json.loads(manifest.read_bytes())
    (saved.path / state.FILE).write_bytes(other)
    document["files"][state.FILE] = {"sha256": hashlib.sha256(other).hexdigest(), "bytes": len(other)}
    manifest.write_text(json.dumps(document))
    with pytest.raises(Exception, match="golden rows"):
        load("m", root=root)


def test_an_engine_that_cannot_be_built_is_told_and_scikit_learn_answers(
    linear: Any, caplog: pytest.LogCaptureFixture
) -> None:
    chosen = chosen_for(linear, X)
    with caplog.at_level(logging.WARNING):
        engine, native = rebuild(
            {"choice": {"predict": {"one": "gone", "many": "numpy", "bulk": "numpy"}}},
            signature_of(linear, X),
            {state.FILE: b"no file of ours"},
            lambda: linear,
        )
    assert engine.fallbacks == ("gone",)
    assert "scikit-learn answers in place of gone" in caplog.text
    batch = batch_of(X[:1])
    assert np.array_equal(engine.run(batch, "predict"), native.run(batch, "predict"))
    assert chosen.engine.fallbacks == ()


def test_versions_from_before_there_was_a_choice_still_load(linear: Any, root: Path) -> None:
    saved = save(linear, X, "m", root=root)
    manifest = saved.path / "manifest.json"
    document = json.loads(manifest.read_bytes())
    document["engine"] = {"choice": "sklearn"}
    manifest.write_text(json.dumps(document))
    model = load("m", root=root)
    assert list(model.engine.kernels()) == []
    assert np.array_equal(model.engine.run(batch_of(X), "predict"), linear.predict(X))


def test_large_batches_may_wait_for_the_estimator(forest: Any) -> None:
    estimator, rows = forest
    chosen = chosen_for(estimator, rows)
    loads = []

    def unpickle() -> Any:
        loads.append(1)
        return estimator

    sizes = {"one": "masks", "many": "masks", "bulk": "trees"}
    signature = signature_of(estimator, rows)
    engine, _ = rebuild({"choice": {"predict": sizes}}, signature, chosen.files or _masks(estimator, rows), unpickle)
    small, large = batch_of(rows[:100]), batch_of(np.tile(rows, (2, 1)))
    assert np.array_equal(engine.run(small, "predict"), estimator.predict(small.data))
    assert not loads
    assert np.array_equal(engine.run(large, "predict"), estimator.predict(large.data))
    assert loads == [1]
    assert engine.fallbacks == ()


def test_a_form_that_is_built_late_and_cannot_be_is_told_then(forest: Any) -> None:
    estimator, rows = forest
    told: list[str] = []
    sizes = {"one": "masks", "many": "masks", "bulk": "lost"}
    signature = signature_of(estimator, rows)
    engine, _ = rebuild(
        {"choice": {"predict": sizes}}, signature, _masks(estimator, rows), lambda: estimator, told.append
    )
    assert told == []
    large = batch_of(np.tile(rows, (2, 1)))
    assert np.array_equal(engine.run(large, "predict"), estimator.predict(large.data))
    assert told == ["lost"]


def _masks(estimator: Any, rows: Any) -> dict[str, bytes]:
    from app.engines import matrix

    form = matrix.forms(estimator, signature_of(estimator, rows))[0]
    assert form.state is not None
    content = state.dump(form.state)
    assert content is not None
    return {state.FILE: content}


def test_a_batch_and_its_rows_agree(forest: Any) -> None:
    estimator, rows = forest
    engine = chosen_for(estimator, rows).engine
    whole = engine.run(batch_of(rows[:40]), "predict_proba")
    single = [engine.run(row, "predict_proba") for row in each_row(batch_of(rows[:40]))]
    assert np.array_equal(np.concatenate(single), whole)
