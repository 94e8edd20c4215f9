"""Probabilities, thresholds and weights: learnt from training rows alone, told on held-out ones, served as they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline

from app import store
from app.training.calibration import calibrate
from app.training.errors import TrainingError
from app.training.fitting import Fitter
from app.training.folds import OutOfFold, predict_out_of_fold
from app.training.formulas import Floats
from app.training.metrics import metrics_of
from app.training.options import Options
from app.training.recipes import RECIPES
from app.training.split import Split
from app.training.threshold import choose_threshold, read_rule
from tests.conftest import ClientMaker
from tests.training.conftest import Trainer

N = 600


@pytest.fixture
def rare(tmp_path: Path) -> Path:
    """600 rows, 20 % of them fraud; ten copies of the same clue make naive Bayes far too sure."""
    rng = np.random.default_rng(0)
    fraud = rng.random(N) < 0.2
    clue = fraud + rng.normal(scale=0.8, size=N)
    columns = {f"clue_{i}": clue + rng.normal(scale=0.05, size=N) for i in range(10)}
    path = tmp_path / "rare.csv"
    pd.DataFrame(columns | {"kind": np.where(fraud, "fraud", "fair")}).to_csv(path, index=False)
    return path


def manifest_of(outcome: Any) -> Any:
    return json.loads((outcome.saved.path / "manifest.json").read_text())


@pytest.mark.parametrize("method", ["auto", "isotonic", "sigmoid"])
def test_a_model_that_is_too_sure_is_calibrated(trainer: Trainer, rare: Path, method: str, tmp_path: Path) -> None:
    outcome, printed = trainer(data=rare, estimator="naive-bayes", calibrate=method)
    told = manifest_of(outcome)["metrics"]["calibration"]
    assert told["accepted"]
    for name in ("brier", "log_loss", "ece"):
        assert told["after"][name] < told["before"][name]
    assert told["after"]["log_loss"] == pytest.approx(outcome.metrics["log_loss"])
    assert f"calibrated by {told['method']}: better on training rows left out: log_loss" in printed
    estimator = store.load("rare", root=tmp_path / "models").estimator
    assert isinstance(estimator, CalibratedClassifierCV)
    assert len(estimator.calibrated_classifiers_) == 1


def test_what_calibration_does_not_improve_stays_as_it_is(trainer: Trainer, rare: Path) -> None:
    outcome, printed = trainer(data=rare, estimator="dummy", calibrate="sigmoid")
    told = manifest_of(outcome)["metrics"]["calibration"]
    assert not told["accepted"]
    assert told["before"] == told["after"]
    assert "not calibrated: sigmoid is no better on training rows left out" in printed


def test_a_model_of_margins_gets_probabilities(trainer: Trainer, rare: Path) -> None:
    outcome, _ = trainer(data=rare, estimator="svm", calibrate="auto", objective="log_loss")
    told = manifest_of(outcome)["metrics"]
    assert (told["main"], told["calibration"]["before"]) == ("log_loss", {})
    assert "predict_proba" in manifest_of(outcome)["methods"]


def test_a_sigmoid_is_fitted_to_scores_that_are_there_already() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=N)
    scores = y + rng.normal(size=N)
    found = calibrate("sigmoid", OutOfFold(y, np.arange(N) % 5, scores, None, np.array([0, 1])))
    X = np.random.default_rng(1).normal(size=(N, 1))
    model = make_pipeline(GaussianNB()).fit(X, y)
    (calibrated,) = found.wrap(model).calibrated_classifiers_
    slope, shift = calibrated.calibrators[0].a_, calibrated.calibrators[0].b_
    plain = LogisticRegression(C=np.inf).fit(scores[:, None], y)
    assert (-slope, -shift) == (
        pytest.approx(plain.coef_.item(), rel=0.02),
        pytest.approx(plain.intercept_[0], rel=0.02),
    )


def test_a_threshold_lowers_what_mistakes_cost(trainer: Trainer, rare: Path, tmp_path: Path) -> None:
    outcome, printed = trainer(data=rare, estimator="logistic", threshold="10:1")
    metrics = manifest_of(outcome)["metrics"]
    told, held_out = metrics["threshold"], manifest_of(outcome)["data"]["rows_held_out"]
    assert (told["positive"], told["costs"], told["default"]) == ("fraud", {"missed": 10.0, "false_alarm": 1.0}, 0.5)
    assert told["threshold"] < 0.5
    for at in (told["at_default"], told["at_chosen"]):
        (_, alarms), (missed, _) = at["matrix"]
        assert at["cost"] == 10 * missed + alarms
        assert np.sum(at["matrix"]) == held_out
    assert told["at_chosen"]["cost"] < told["at_default"]["cost"]
    assert (metrics["main"], metrics["cost"]) == ("cost", told["at_chosen"]["cost"] / held_out)
    assert "threshold: 'fraud' is answered from a probability of" in printed
    again, _ = trainer(data=rare, estimator="logistic", threshold="10:1")
    assert "cost" in again.decision.reason
    assert "is equal to" in again.decision.reason
    estimator = store.load("rare", root=tmp_path / "models").estimator
    assert isinstance(estimator, FixedThresholdClassifier)


def test_served_labels_go_by_the_threshold_and_probabilities_do_not(
    trainer: Trainer, rare: Path, client_of: ClientMaker
) -> None:
    outcome, _ = trainer(data=rare, estimator="naive-bayes", threshold="10:1", calibrate="sigmoid")
    threshold = manifest_of(outcome)["metrics"]["threshold"]["threshold"]
    rows = pd.read_csv(rare).drop(columns="kind").to_numpy()[:200].tolist()
    client = client_of()
    labels = client.post("/models/rare/predict", json={"X": rows}).get_json()["y_pred"]
    likely = client.post("/models/rare/predict_proba", json={"X": rows}).get_json()
    fraud = np.array(likely["y_pred"])[:, likely["classes"].index("fraud")]
    assert labels == np.where(fraud >= threshold, "fraud", "fair").tolist()
    assert ((fraud >= threshold) != (fraud >= 0.5)).any()


@pytest.mark.parametrize("rule", ["f1", "balanced"])
def test_a_threshold_may_be_chosen_without_costs(trainer: Trainer, rare: Path, rule: str) -> None:
    plain, _ = trainer(data=rare, estimator="logistic")
    outcome, printed = trainer(data=rare, estimator="logistic", threshold=rule, positive="fraud")
    main = {"f1": "f1", "balanced": "balanced_accuracy"}[rule]
    assert manifest_of(outcome)["metrics"]["main"] == main
    assert outcome.metrics[main] > plain.metrics[main]
    assert "cost" not in printed


def test_the_threshold_is_the_best_of_all_and_between_two_scores() -> None:
    y = np.array([0, 0, 1, 0, 1, 1])
    scores = np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.9])

    def chosen(rule: str, positive: int = 1) -> float:
        likely: Floats = np.column_stack([1 - scores, scores])
        known = OutOfFold(y, np.zeros(6, dtype=int), scores, likely, np.array([0, 1]))
        return choose_threshold(read_rule(rule), positive, known, likely).value

    assert chosen("5:1") == pytest.approx(0.25)
    assert chosen("1:5") == pytest.approx(0.5)
    assert chosen("1:5", positive=0) == pytest.approx(0.75)
    assert chosen("balanced") in (pytest.approx(0.25), pytest.approx(0.5))


@pytest.mark.parametrize("options", [{"calibrate": "auto", "threshold": "5:1"}, {"threshold": "f1", "balance": True}])
def test_held_out_labels_change_nothing_that_is_saved(
    trainer: Trainer, rare: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    frame = pd.read_csv(rare)
    train, test = frame[:480], frame[480:]
    permuted = test.assign(kind=test["kind"].sample(frac=1, random_state=1).to_numpy())
    assert (permuted["kind"] != test["kind"]).any()
    saved = []
    for name, held_out in (("true", test), ("permuted", permuted)):
        arrays = {}
        for part, rows in (("train", train), ("test", held_out)):
            arrays[f"x_{part}"] = rows.drop(columns="kind").to_numpy()
            arrays[f"y_{part}"] = (rows["kind"] == "fraud").to_numpy().astype(int)
        np.savez(tmp_path / f"{name}.npz", **arrays)
        outcome, _ = trainer(data=tmp_path / f"{name}.npz", estimator="naive-bayes", **options)
        saved.append((outcome.metrics, (outcome.saved.path / "model.joblib").read_bytes()))
    assert saved[0][0] != saved[1][0]
    assert saved[0][1] == saved[1][1]


@pytest.mark.parametrize("estimator", ["logistic", "naive-bayes", "mlp"])
def test_balanced_classes_find_more_of_the_rare_one(trainer: Trainer, rare: Path, estimator: str) -> None:
    plain, _ = trainer(data=rare, estimator=estimator)
    balanced, printed = trainer(data=rare, estimator=estimator, balance=True)
    recall = [outcome.metrics["per_class"]["fraud"]["recall"] for outcome in (plain, balanced)]
    assert recall[1] > recall[0]
    assert "balanced: " in printed


def test_what_calibration_does_to_balanced_labels_is_hinted_at(trainer: Trainer, rare: Path) -> None:
    _, printed = trainer(data=rare, estimator="naive-bayes", balance=True, calibrate="sigmoid")
    assert "hint: calibrated probabilities, and labels with them, go by how frequent classes are again" in printed
    _, printed = trainer(data=rare, estimator="naive-bayes", balance=True, calibrate="sigmoid", threshold="balanced")
    assert "hint:" not in printed


def test_every_metric_can_be_the_objective(trainer: Trainer, rare: Path) -> None:
    for name in metrics_of("classification"):
        outcome, _ = trainer(data=rare, estimator="naive-bayes", objective=name)
        assert manifest_of(outcome)["metrics"]["main"] == name
    assert outcome.decision.reason.startswith(f"{name} ")
    intervals = manifest_of(outcome)["metrics"]["intervals"]
    assert set(intervals) == set(metrics_of("classification"))
    assert all(low <= outcome.metrics[metric] <= high for metric, (low, high) in intervals.items())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"dataset": "diabetes", "calibrate": "auto"},
            "--calibrate is for probabilities, and the target 'target' is a",
        ),
        ({"dataset": "diabetes", "balance": True}, "--balance is for classes, and the target 'target' is a quantity"),
        (
            {"dataset": "diabetes", "threshold": "f1"},
            "--threshold needs two classes, and the target 'target' is a quan",
        ),
        ({"dataset": "iris", "threshold": "5:1"}, "--threshold needs two classes, and the target 'target' has 3"),
        ({"dataset": "breast_cancer", "threshold": "5"}, "--threshold '5' is none; give what a missed positive and"),
        ({"dataset": "breast_cancer", "threshold": "0:1"}, "--threshold '0:1' is none"),
        ({"dataset": "breast_cancer", "positive": "1"}, "--positive is the class that --threshold looks for; give"),
        (
            {"dataset": "breast_cancer", "threshold": "f1", "positive": "yes"},
            "--positive 'yes' is no class of the target 'target'; there are 0 and 1",
        ),
        ({"dataset": "iris", "objective": "rmse"}, "--objective rmse is no metric for classification; there are accu"),
        (
            {"dataset": "iris", "objective": "log_loss", "estimator": "svm"},
            "log_loss needs probabilities, and this mod",
        ),
        (
            {"dataset": "iris", "balance": True, "estimator": "knn"},
            "KNeighborsClassifier takes no weights, so --balance",
        ),
    ],
)
def test_options_that_make_no_sense_give_one_line(trainer: Trainer, options: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainingError) as raised:
        trainer(**options)
    assert str(raised.value).startswith(message)


def test_a_class_of_one_row_cannot_be_calibrated(trainer: Trainer, tmp_path: Path) -> None:
    path = tmp_path / "one.csv"
    pd.DataFrame({"x": np.arange(40.0), "y": ["a"] * 38 + ["b"] * 2}).to_csv(path, index=False)
    with pytest.raises(TrainingError, match="class 'b' has one row to learn from, and --calibrate needs two; add rows"):
        trainer(data=path, calibrate="auto", test_size=0.5)


def test_a_model_that_is_too_slow_with_what_comes_around_it_is_not_promoted(trainer: Trainer, rare: Path) -> None:
    outcome, _ = trainer(data=rare, estimator="naive-bayes", calibrate="sigmoid", max_latency_ms=1e-6)
    assert not outcome.saved.promoted
    assert "with its calibration and threshold around it, one row takes" in outcome.decision.reason
    forced, _ = trainer(data=rare, estimator="naive-bayes", calibrate="sigmoid", max_latency_ms=1e-6, promote="always")
    assert forced.saved.promoted


def test_refitted_models_keep_what_was_learnt_for_them(trainer: Trainer, rare: Path, tmp_path: Path) -> None:
    outcome, _ = trainer(data=rare, estimator="naive-bayes", threshold="5:1", calibrate="sigmoid", refit=True)
    estimator = store.load("rare", root=tmp_path / "models").estimator
    assert estimator.threshold == manifest_of(outcome)["metrics"]["threshold"]["threshold"]
    naive_bayes = estimator.estimator.calibrated_classifiers_[0].estimator[-1]
    assert naive_bayes.class_count_.sum() == N


def test_texts_are_served_calibrated_and_decided_too(
    trainer: Trainer, tmp_path: Path, passengers: pd.DataFrame, client_of: ClientMaker
) -> None:
    path = tmp_path / "texts.csv"
    remarks = passengers["remark"] + np.where(passengers["survived"] == "yes", " saved", " lost at sea")
    pd.DataFrame({"text": remarks, "label": passengers["survived"]}).to_csv(path, index=False)
    outcome, _ = trainer(data=path, recipe="text", calibrate="sigmoid", threshold="5:1", positive="yes")
    assert outcome.saved.promoted
    answer = client_of().post("/models/texts/classify", json={"text": "a long journey, saved"}).get_json()
    assert answer["label"] == "yes"


def test_folds_keep_groups_together_and_go_forward_in_time(tmp_path: Path) -> None:
    class Noting(LogisticRegression):  # type: ignore[misc]
        """Remembers which rows it was fitted to, by their first column."""

        seen: ClassVar[list[set[float]]] = []

        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
            self.seen.append(set(np.asarray(X)[:, 0]))
            return super().fit(X, y)

    places = np.arange(60.0)
    X, y = np.column_stack([places, places % 7]), np.tile(["no", "yes"], 30)
    fitter = Fitter(RECIPES["table"], Options(store=tmp_path), lambda line: None)
    for kind in ("groups", "times"):
        Noting.seen.clear()
        marks = (places // 6).astype(np.uint64) if kind == "groups" else places
        split = Split(X, X, y, y, **{kind: marks})
        known = predict_out_of_fold(Pipeline([("model", Noting())]), fitter, split, 5)
        for number, taught in enumerate(Noting.seen):
            asked = places[np.isin(places, sorted(set(places) - taught))]
            if kind == "groups":
                assert not set(asked // 6) & {place // 6 for place in taught}
            elif number:
                assert max(taught) < max(asked)
        assert len(known.y) == len(known.scores)
        assert (len(known.y) == 60) == (kind == "groups")
