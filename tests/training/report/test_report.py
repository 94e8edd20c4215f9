"""What a report says, and that it is so."""

from __future__ import annotations

import html
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, confusion_matrix
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from app.training.columns import Columns
from app.training.datasets import read_dataset
from app.training.evaluation import ask, evaluate
from app.training.finishing import read_wishes
from app.training.metrics import find_metric
from app.training.options import Options
from app.training.pipeline import appraise, describe_data
from app.training.problem import Problem, frame_problem, mark_table
from app.training.promotion import Challenger, Decision
from app.training.report import Subject, curves, gather, importance, learning
from app.training.report.page import render
from app.training.report.plots import draw
from app.training.report.rows import answered_rows
from app.training.split import Split, split_rows
from tests.training.conftest import Trainer
from tests.training.report.conftest import Page, Report, Reported

SEARCH: dict[str, Any] = {
    "objective": "accuracy",
    "higher_is_better": True,
    "budget": "60 s",
    "folds": 5,
    "trials": 41,
    "seconds": 58.3,
    "limits": {"max_latency_ms": 1.0, "max_size_mb": None},
    "candidates": [
        {"family": "forest", "settings": {"n_estimators": 200}, "rows": 712, "score": 0.83, "spread": 0.02}
        | {"seconds": 3.1, "state": "finished", "why": None},
        {"family": "svm", "settings": {"C": 1e9}, "rows": 89, "score": None, "spread": None}
        | {"seconds": 0.2, "state": "failed", "why": "<b>diverged</b>"},
    ],
    "finalists": [
        {"family": family, "settings": {"depth": depth}, "score": score, "spread": 0.02, "latency_one_ms": latency}
        | {"latency_many_ms": 1.2, "many": 1000, "engine": "bitmask trees", "size_mb": 0.4, "memory_mb": 12.0}
        | {"fit_seconds": 1.2, "cpu_seconds": 2.2, "energy_joules": 33.0, "refused": refused, "folds": 5, "rows": 712}
        | {"on_frontier": refused is None, "chosen": chosen, "why_not": None if chosen else refused or "0.04 behind"}
        for family, depth, score, latency, refused, chosen in [
            ("boosting", 3, 0.84, 0.03, None, True),
            ("linear", None, 0.80, 0.01, None, False),
            ("<i>forest</i>", 9, 0.85, 4.0, "4 ms for a row, and 1 ms is allowed", False),
        ]
    ],
    "notes": ["no blend was tried, for want of time"],
}


@pytest.fixture(scope="module")
def subject() -> Subject:
    """A logistic regression on breast_cancer, as a training has it before it saves."""
    table = read_dataset("breast_cancer")
    problem, split = split_rows(frame_problem(mark_table(table, None, None)), 0.2, 42)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(split.X_train, split.y_train)
    options = Options(store=Path("models"), dataset="breast_cancer")
    answers = ask(model, split.X_test)
    wishes = read_wishes(options, problem, split.y_train)
    appraisal = appraise(answers, wishes, problem, split, (None, None))
    challenger = Challenger(
        wishes.objective,
        appraisal,
        answers,
        describe_data(table, problem, split, options, answers),
        problem,
        split,
    )
    return Subject("tumours", model, options, challenger, Decision(True, "the first version"))


def test_a_report_of_classes_has_every_section(of_classes: Reported) -> None:
    assert of_classes.page.headings() == ["quality", "plots", "reasons", "mistakes", "data", "card"]
    text = of_classes.page.text
    for title in ("Confusion matrix", "ROC curve", "Precision and recall", "Calibration"):
        assert title in text
    assert "Columns that matter" in text
    assert "python scripts/train.py --data x.csv --target survived --drop remark --estimator logistic --seed 3" in text
    assert "localhost:8000/models/x/predict" in text
    assert "scikit-learn 1." in text
    assert "not used, being an identifier: 'passenger_id'" in text


def test_a_report_of_quantities_has_every_section(of_quantities: Reported) -> None:
    assert of_quantities.page.headings() == ["quality", "plots", "reasons", "mistakes", "data", "card"]
    text = of_quantities.page.text
    for title in ("Actual over predicted", "Residuals", "Columns that matter", "Largest errors"):
        assert title in text
    assert "ROC" not in text
    assert "before the model was fitted again on all rows" in text


def test_a_report_of_texts_names_the_telling_terms(of_texts: Reported) -> None:
    assert "reasons" in of_texts.page.headings()
    assert "importance" not in of_texts.document
    terms = {told["class"]: [term["term"] for term in told["terms"]] for told in of_texts.document["terms"]}
    assert "see" in terms["ham"]
    assert "prize" in terms["spam"]


def test_a_report_of_digits_shows_the_epochs_and_the_images_that_were_mistaken(of_digits: Reported) -> None:
    (line,) = of_digits.document["learning"]["lines"]
    assert line["steps"] == [1, 2]
    assert line["values"][1] < line["values"][0]
    assert f"epoch 2/2: loss {line['values'][1]:.4f}" in of_digits.printed
    assert np.shape(of_digits.document["mistakes"]["rows"][0]["image"]) == (8, 8)
    assert "Images that were taken for another class" in of_digits.html


def test_many_classes_stay_readable(of_many_classes: Reported) -> None:
    told = of_many_classes.document["confusion"]
    assert np.shape(told["counts"]) == (20, 20)
    assert told["classes"][-1] == "the 81 others"
    assert np.sum(told["counts"]) == of_many_classes.document["data"]["rows_held_out"]
    assert len(of_many_classes.document["curves"]) == 6


def test_training_says_that_it_writes_one_unless_it_is_not_to(of_texts: Reported, trainer: Trainer) -> None:
    assert "writing the report …" in of_texts.printed
    outcome, printed = trainer(dataset="iris", report=False)
    assert "report" not in printed
    assert not (outcome.saved.path / "report.html").exists()


def test_its_numbers_are_the_models(subject: Subject) -> None:
    document, split = gather(subject), subject.challenger.split
    predicted = subject.model.predict(split.X_test)
    assert document["confusion"]["counts"] == confusion_matrix(split.y_test, predicted).tolist()
    (curve,) = document["curves"]
    assert curve["roc_auc"] == pytest.approx(subject.challenger.appraisal.metrics["roc_auc"])
    low, high = subject.challenger.appraisal.intervals["accuracy"]
    assert document["metrics"]["accuracy"] == {
        "value": accuracy_score(split.y_test, predicted),
        "low": low,
        "high": high,
        "level": 0.95,
        "baseline": subject.challenger.appraisal.baseline["accuracy"],
    }
    mistakes = document["mistakes"]
    assert mistakes["wrong"] == (predicted != split.y_test).sum()
    rows = [row["row"] - 1 for row in mistakes["rows"]]
    assert (predicted[rows] != split.y_test[rows]).all()
    sure = [row["confidence"] for row in mistakes["rows"]]
    assert sure == sorted(sure, reverse=True)
    assert sure[0] == pytest.approx(subject.model.predict_proba(split.X_test)[rows[0]].max(), rel=1e-5)


def test_what_else_is_known_is_shown_where_it_is_there(subject: Subject) -> None:
    sections = {
        "search": SEARCH,
        "compression": [
            {"step": "fewer trees", "metric_before": 0.84, "metric_after": 0.8377, "latency_before_ms": 1.5}
            | {"latency_after_ms": 0.5, "size_before_mb": 9.0, "size_after_mb": 3.25, "accepted": False, "why": "worse"}
        ],
    }
    appraisal = replace(subject.challenger.appraisal, intervals={"accuracy": (0.9512, 0.9934)})
    challenger = replace(subject.challenger, appraisal=appraisal)
    page = _page(gather(replace(subject, challenger=challenger, sections=sections)))
    for told in (
        "0.9512 to 0.9934",
        "95 % interval",
        "41 candidates were tried in 58.3 s (budget: 60 s), by accuracy (more is better), in up to 5 folds",
        "refused: 4 ms for a row, and 1 ms is allowed",
        "0.04 behind; on the frontier",
        "5 of 712",
        "No blend was tried, for want of time.",
        "failed: <b>diverged</b>",
        "fewer trees",
        "9 → 3.25",
        "not taken : worse",
    ):
        assert told in page.text
    assert "<i>forest</i>" in page.text
    assert [name for name in page.headings() if name in ("search", "compression")] == ["search", "compression"]


def test_a_threshold_is_told_with_the_mistakes_at_it_and_at_the_default(of_decided: Reported) -> None:
    told, text = of_decided.document["threshold"], of_decided.page.text
    words = (
        f"is answered from a probability of {told['threshold']:.4g} on, not 0.5; chosen by what mistakes cost "
        "(5 if missed, 1 for a false alarm) on training rows left out"
    )
    assert f"threshold: '<b>bad</b>' {words}" in of_decided.printed
    assert f"<b>bad</b> {words}. On held-out rows:" in text
    for title, at in (
        ("At the default, 0.5", told["at_default"]),
        (f"As chosen, {told['threshold']:.4g}", told["at_chosen"]),
    ):
        (passed, alarms), (missed, found) = at["matrix"]
        assert (
            f"{title} truly answered good answered <b>bad</b> good {passed} {alarms} <b>bad</b> {missed} {found} "
            f"{missed} missed, {alarms} false alarm{'s' * (alarms != 1)}: cost {5 * missed + alarms:g}."
        ) in text


def test_an_accepted_calibration_is_told_with_what_it_changed(of_decided: Reported) -> None:
    told, text = of_decided.document["calibration"], of_decided.page.text
    assert f"Calibrated by sigmoid: {told['why']}." in text
    before, after = told["before"], told["after"]
    assert (
        f"on held-out rows before calibrated Brier score {before['brier']:.4f} {after['brier']:.4f} "
        f"log loss {before['log_loss']:.4f} {after['log_loss']:.4f} "
        f"calibration error {before['ece']:.4f} {after['ece']:.4f}"
    ) in text


def test_a_refused_calibration_is_told_with_the_whole_reason(subject: Subject) -> None:
    why = "no better on training rows left out: log_loss 0.6931 to 0.6932, brier 0.5000 to 0.5001"
    told = {"method": "isotonic", "accepted": False, "why": why, "before": {"ece": 0.25}, "after": {"ece": 0.25}}
    appraisal = replace(subject.challenger.appraisal, calibration=told)
    text = _page(gather(replace(subject, challenger=replace(subject.challenger, appraisal=appraisal)))).text
    assert f"Not calibrated: isotonic is {why}." in text
    assert "0.25" not in text.split("Not calibrated")[1].split("How it tells classes apart")[0]


def test_a_finalist_that_was_not_measured_has_dashes(subject: Subject) -> None:
    measures = ("latency_one_ms", "latency_many_ms", "size_mb", "memory_mb", "fit_seconds", "energy_joules")
    settings = {"settings": {"of": ["lda", "svm"]}, "engine": "", "refused": "no time"}
    unfitted = SEARCH["finalists"][1] | dict.fromkeys((*measures, "cpu_seconds")) | settings
    search = SEARCH | {"finalists": [SEARCH["finalists"][0], unfitted]}
    text = _page(gather(replace(subject, sections={"search": search}))).text
    assert f"linear 0.8000 ± 0.0200 5 of 712 {'— ' * 7}refused: no time of lda and svm" in text


def test_of_a_model_without_probabilities_no_mistake_is_called_the_surest(subject: Subject) -> None:
    split = subject.challenger.split
    model = make_pipeline(StandardScaler(), LinearSVC(C=1e-6)).fit(split.X_train, split.y_train)
    answers = ask(model, split.X_test)
    text = _page(gather(replace(subject, model=model, challenger=replace(subject.challenger, answers=answers)))).text
    assert "held-out rows were mistaken; these are the first." in text
    assert "Surest mistakes" not in text
    assert "actual predicted sure" not in text


def test_no_two_cards_of_a_search_have_one_name(subject: Subject) -> None:
    page = _page(gather(replace(subject, sections={"search": SEARCH})))
    assert "Quality over latency" in page.titles
    assert len(set(page.titles)) == len(page.titles)


def test_of_a_row_too_long_to_write_the_terminal_and_the_page_show_where_its_fields_are(report: Report) -> None:
    chance = np.random.default_rng(0)
    frame = pd.DataFrame(chance.normal(size=(60, 300)), columns=[f"column number {number}" for number in range(300)])
    wide = report(frame.assign(y=np.tile(["no", "yes"], 30)), estimator="naive-bayes")
    line = "curl 'localhost:8000/openapi.json?model=x'"
    purpose = "see the fields of a row, too many to write here"
    assert f"once the promoted version is served, to {purpose}:\n{line}\n" in wide.printed
    assert f"S{purpose[1:]} {line}" in wide.page.text
    assert max(map(len, wide.printed.splitlines())) < 500


def test_a_model_no_better_than_the_baseline_is_warned_of(of_classes: Reported, report: Report) -> None:
    chance = np.random.default_rng(0)
    frame = pd.DataFrame({"x": chance.normal(size=200), "y": chance.choice(["no", "yes"], 200)})
    of_chance = report(frame, estimator="logistic")
    (line,) = [line for line in of_chance.printed.splitlines() if line.startswith("warning: ")]
    assert line.removeprefix("warning: ") in of_chance.document["warnings"]
    assert "the baseline's" in line
    assert "the baseline's" not in of_classes.printed + of_classes.page.text


def test_the_pipeline_has_a_box_of_its_own_that_wraps(of_decided: Reported) -> None:
    (box,) = re.findall(r"<h3>What it is</h3>\s*<pre>(.*?)</pre>", of_decided.html, re.DOTALL)
    assert html.unescape(box) == of_decided.document["pipeline"]
    assert "\n" not in box


def test_a_part_that_cannot_be_had_costs_no_training(subject: Subject) -> None:
    class Moody(DecisionTreeClassifier):  # type: ignore[misc]
        """Refuses rows with a shuffled column."""

        def predict(self, X: Any) -> Any:
            if len(X) == len(split.y_test) and not (split.X_test == X).all():
                raise RuntimeError("not in the mood")
            return super().predict(X)

    split = subject.challenger.split
    model = Moody(max_depth=3).fit(split.X_train, split.y_train)
    document = gather(replace(subject, model=model, leaks=["column 'mean area' alone predicts the target"]))
    assert document["left_out"] == [{"part": "importance", "why": "RuntimeError: not in the mood"}]
    page = _page(document)
    assert "importance: RuntimeError: not in the mood" in page.text
    assert "column 'mean area' alone predicts the target" in page.text


def test_the_column_that_tells_matters_and_the_one_that_does_not_costs_nothing() -> None:
    chance = np.random.default_rng(0)
    X = chance.normal(size=(300, 3))
    y = (X[:, 1] > 0).astype(int)
    X[:, 2] = 7.0
    split, problem = _split(X, y)
    model = LogisticRegression().fit(X, y)
    answered = answered_rows(ask(model, split.X_test), split, "classification")
    told = importance.permute(model, answered, problem, find_metric(None, problem.task), seed=0)
    assert told["columns"][0]["name"] == "b"
    assert told["columns"][0]["mean"] > 0.3
    assert {column["name"]: column["mean"] for column in told["columns"]}["c"] == 0.0
    assert (X == answered.X).all(), "the columns are back in their places"
    hurried = importance.permute(model, answered, problem, find_metric(None, problem.task), seed=0, seconds=0.0)
    assert (len(hurried["columns"]), hurried["columns_left_off"]) == (1, 2)


def test_the_learning_curve_of_boosting_ends_at_the_metric() -> None:
    chance = np.random.default_rng(0)
    X = chance.normal(size=(400, 3))
    y = X[:, 0] * 3 + chance.normal(size=400)
    split, _ = _split(X, y)
    with threadpool_limits(1):
        pipeline = make_pipeline("passthrough", HistGradientBoostingRegressor(max_iter=10)).fit(X, y)
        told = learning.curves(pipeline, split, "regression")
        measured = evaluate(ask(pipeline, X), y, "regression")
    assert [line["name"] for line in told["lines"]] == ["learnt from", "held out"]
    final = told["lines"][1]["values"][-1]
    assert (told["step"], told["lines"][1]["steps"]) == ("iteration", list(range(1, 11)))
    assert final == pytest.approx(measured["rmse"], rel=1e-5)


def test_the_learning_curve_of_a_network_is_its_loss() -> None:
    X = np.random.default_rng(0).normal(size=(60, 2))
    split, _ = _split(X, (X[:, 0] > 0).astype(int))
    with pytest.warns(match="Maximum iterations"):
        model = make_pipeline("passthrough", MLPClassifier((4,), max_iter=7)).fit(split.X_train, split.y_train)
    told = learning.curves(model, split, "classification")
    assert told["lines"][0]["steps"] == list(range(1, 8))
    assert told["lines"][0]["values"] == pytest.approx(model[-1].loss_curve_, rel=1e-5)


def test_a_class_that_was_never_learnt_is_a_row_of_the_matrix() -> None:
    X = np.arange(20.0).reshape(-1, 1)
    split = Split(X, X, np.repeat([0, 1], 10), np.repeat([0, 1, 2, 3], 5))
    answered = answered_rows(ask(LogisticRegression().fit(X, split.y_train), split.X_test), split, "classification")
    told = curves.confusion(answered)
    assert told["classes"] == ["0", "1", "2", "3"]
    assert [sum(row) for row in told["counts"]] == [5, 5, 5, 5]
    assert not math.isnan(curves.of_probabilities(answered)[0]["roc_auc"])


def _split(X: Any, y: Any) -> tuple[Split, Problem]:
    names = tuple("abcdefghijklmnopqrstuvwxyzABCDEFGHIJ"[: X.shape[1]])
    columns = Columns(names, dict.fromkeys(names, "number"))
    task: Any = "regression" if y.dtype == float else "classification"
    return Split(X, X, y, y), Problem(X, y, task, "y", columns)


def _page(document: dict[str, Any]) -> Page:
    card = {"intended_use": "", "limits": [], "what": "", "library": {}, "bytes": 1, "inputs": [], "engines": []}
    whole = document | {
        "created": "2026-01-01T00:00:00Z",
        "model": card | {"inputs_left_off": 0, "curl": "", "curl_for": ""},
    }
    return Page(render(whole, draw(document)).decode())
