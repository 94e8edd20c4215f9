"""Each recipe is the known service done properly, and takes the client's raw columns."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import train_test_split

from app import store
from app.training.errors import TrainingError
from tests.training.conftest import Trainer


@pytest.fixture
def numbers(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 3))
    np.savetxt(tmp_path / "numbers.txt", np.column_stack([X, X @ [1, 2, 3] + rng.normal(size=100)]), delimiter=",")
    return tmp_path / "numbers.txt"


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.exponential(size=(120, 4)), columns=list("abcd"))
    frame.insert(0, "label", np.where(frame["a"] > frame["b"], "up", "down"))
    frame.loc[3, "c"] = np.nan
    frame.to_csv(tmp_path / "labelled.csv", index=False)
    return tmp_path / "labelled.csv"


def test_linear_is_the_textbooks(trainer: Trainer, numbers: Path, tmp_path: Path) -> None:
    outcome, printed = trainer(data=numbers, recipe="linear")
    rows = np.loadtxt(numbers, delimiter=",")
    X_train, X_test, y_train, y_test = train_test_split(rows[:, :-1], rows[:, -1], test_size=0.2, random_state=42)
    textbook = LinearRegression().fit(X_train, y_train)
    assert outcome.metrics["mse"] == pytest.approx(mean_squared_error(y_test, textbook.predict(X_test)), rel=1e-12)
    np.testing.assert_array_equal(
        store.load("numbers", root=tmp_path / "models").estimator.predict(X_test), textbook.predict(X_test)
    )
    assert "mse" in printed


def test_linear_refuses_missing_values_by_place(trainer: Trainer, tmp_path: Path) -> None:
    (tmp_path / "n.csv").write_text("1,2,3\n4,,6\n7,8,9\n")
    with pytest.raises(TrainingError, match=r"n\.csv: row 2, column 'column_2' has no value; fill it in"):
        trainer(data=tmp_path / "n.csv", recipe="linear")


def test_forest_drops_missing_rows_and_takes_logarithms(trainer: Trainer, labelled: Path, tmp_path: Path) -> None:
    outcome, printed = trainer(data=labelled, recipe="forest")
    frame = pd.read_csv(labelled).dropna()
    X, y = np.log1p(frame[list("abcd")].to_numpy()), frame["label"].to_numpy()
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=42, stratify=y)
    textbook = RandomForestClassifier(random_state=42).fit(X_train, y_train)
    assert outcome.metrics["accuracy"] == textbook.score(X_test, y_test)
    assert "1 of 120 rows have missing values: left out" in printed
    loaded = store.load("labelled", root=tmp_path / "models").estimator
    assert loaded.predict(np.expm1(X_test)).tolist() == textbook.predict(X_test).tolist()


def test_forest_puts_pca_before_the_trees(trainer: Trainer, labelled: Path) -> None:
    _, printed = trainer(data=labelled, recipe="forest", pca=2)
    assert "pipeline: FunctionTransformer → PCA → RandomForestClassifier" in printed
    with pytest.raises(TrainingError, match="--pca 9 is more than the 4 components that this data has"):
        trainer(data=labelled, recipe="forest", pca=9)


def test_forest_says_which_column_has_no_logarithm(trainer: Trainer, tmp_path: Path) -> None:
    pd.DataFrame({"a": [-3.5, 1, 2, 3], "label": [0, 1, 0, 1]}).to_csv(tmp_path / "l.csv", index=False)
    with pytest.raises(TrainingError, match=r"column 'a' holds -3\.5, and log\(x \+ 1\) needs values above -1"):
        trainer(data=tmp_path / "l.csv", recipe="forest", test_size=0.5)


def test_recipes_of_numbers_refuse_other_columns(trainer: Trainer, tmp_path: Path) -> None:
    pd.DataFrame({"a": range(4), "sex": ["m", "f"] * 2, "label": [0, 1] * 2}).to_csv(tmp_path / "l.csv", index=False)
    with pytest.raises(TrainingError, match=r"the recipe forest takes numbers only: column 'sex' holds another kind"):
        trainer(data=tmp_path / "l.csv", recipe="forest")


def test_digits_learns_in_five_epochs_and_takes_raw_pixels(trainer: Trainer, tmp_path: Path) -> None:
    outcome, printed = trainer(recipe="digits")
    losses = [float(loss) for loss in re.findall(r"epoch \d/5: loss ([\d.]+)", printed)]
    assert len(losses) == 5
    assert losses == sorted(losses, reverse=True)
    assert outcome.metrics["accuracy"] >= 0.95
    loaded = store.load("digits", root=tmp_path / "models")
    assert len(loaded.manifest.signature.inputs) == 64
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    assert np.mean(loaded.estimator.predict(X) == y) > 0.97
    assert loaded.estimator[-1].hidden_layer_sizes == (128,)


def test_digits_scales_images_of_bytes_and_keeps_their_test_split(trainer: Trainer, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    y = np.arange(200, dtype=np.uint8) % 2
    images = (rng.integers(0, 100, (200, 4, 4)) + y[:, None, None] * 155).astype(np.uint8)
    np.savez(tmp_path / "i.npz", x_train=images[:150], y_train=y[:150], x_test=images[150:], y_test=y[150:])
    outcome, printed = trainer(data=tmp_path / "i.npz", recipe="digits", epochs=2)
    assert "150 rows to learn from, 50 held out" in printed
    assert outcome.metrics["accuracy"] == 1.0
    estimator = store.load("i", root=tmp_path / "models").estimator
    assert estimator[:-1].transform(np.full((1, 16), 255.0)) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("schedule", "penalty"), [("optimal", "l2"), ("constant", "l1"), ("invscaling", "elasticnet"), ("adaptive", "l2")]
)
def test_sgd_takes_a_schedule_and_a_penalty_and_stops_early(trainer: Trainer, schedule: str, penalty: str) -> None:
    outcome, printed = trainer(dataset="breast_cancer", recipe="sgd", schedule=schedule, penalty=penalty)
    assert outcome.metrics["accuracy"] > 0.9
    assert f"stopped early on the validation split; schedule {schedule}, penalty {penalty}" in printed


def test_sgd_does_regression_too(trainer: Trainer) -> None:
    outcome, _ = trainer(dataset="diabetes", recipe="sgd")
    assert outcome.metrics["r2"] > 0.4


def messages(n: int = 80) -> list[tuple[str, str]]:
    ham, spam = "see you at the station at", "win a free prize call now"
    return [("spam", f"{spam} {number}") if number % 4 == 0 else ("ham", f"{ham} {number}") for number in range(n)]


@pytest.mark.parametrize(
    "header", ["", "label\ttext\n", "v1\tv2\n", "class\tmessage\n"], ids=["none", "plain", "kaggle", "other"]
)
def test_text_is_read_with_a_header_or_without(trainer: Trainer, tmp_path: Path, header: str) -> None:
    path = tmp_path / "sms.tsv"
    path.write_text(header + "".join(f"{label}\t{text}\n" for label, text in messages()))
    outcome, printed = trainer(data=path, recipe="text")
    assert outcome.metrics["per_class"]["spam"]["f1"] > 0.93
    loaded = store.load("sms", root=tmp_path / "models")
    assert loaded.manifest.task == "text-classification"
    assert loaded.manifest.signature.container == "texts"
    assert loaded.estimator.predict(["free prize now"]).tolist() == ["spam"]
    assert '{"text": ' in outcome.curl
    assert "spam" in printed


def test_text_takes_short_texts_and_leaves_other_columns_out(trainer: Trainer, tmp_path: Path) -> None:
    frame = pd.DataFrame({"review": ["good", "bad"] * 20, "stars": range(40), "label": [1, 0] * 20})
    frame.to_csv(tmp_path / "r.csv", index=False)
    outcome, _ = trainer(data=tmp_path / "r.csv", recipe="text")
    assert outcome.metrics["accuracy"] == 1.0


def test_text_needs_texts(trainer: Trainer, numbers: Path) -> None:
    with pytest.raises(TrainingError, match="the recipe text needs a column of texts, and there is none"):
        trainer(data=numbers, recipe="text")
