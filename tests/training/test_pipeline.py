"""The whole road: from a file to a saved version that answers, promoted or not."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from app import store
from app.training.errors import TrainingError
from app.training.options import choose_name
from tests.conftest import ClientMaker
from tests.training.conftest import Trainer


@pytest.fixture
def csv(tmp_path: Path, passengers: pd.DataFrame) -> Path:
    passengers.to_csv(tmp_path / "Passengers 1912.csv", index=False)
    return tmp_path / "Passengers 1912.csv"


def test_a_mixed_table_is_trained_saved_and_promoted(
    trainer: Trainer, csv: Path, passengers: pd.DataFrame, tmp_path: Path
) -> None:
    outcome, printed = trainer(data=csv, target="survived")
    assert outcome.saved.name == "passengers-1912"
    assert outcome.saved.promoted
    assert outcome.metrics["accuracy"] > outcome.baseline["accuracy"]

    loaded = store.load("passengers-1912", root=tmp_path / "models")
    manifest = loaded.manifest
    assert manifest.metrics["main"] == "accuracy"
    assert manifest.metrics["baseline"] == outcome.baseline
    assert manifest.data["rows"] == 200
    assert manifest.data["source"] == csv.name
    assert set(manifest.data["reference"]) == set(passengers.columns) - {"survived"}
    inputs = manifest.signature.by_name
    assert [name for name, column in inputs.items() if not column.used] == ["passenger_id", "ship", "empty"]
    assert all(column.nullable for column in inputs.values())
    assert inputs["booked"].dtype.startswith("datetime64")
    assert (inputs["alone"].dtype, inputs["age"].dtype, inputs["city"].dtype) == ("bool", "int64", "str")
    assert set(loaded.estimator.predict(passengers.drop(columns="survived"))) == {"yes", "no"}

    assert "read Passengers 1912.csv: 200 rows, 10 columns" in printed
    assert "not used, being an identifier: 'passenger_id'" in printed
    assert "promoted: the first version" in printed
    assert outcome.curl in printed.splitlines()
    assert "\x1b" not in printed


def test_the_curl_line_works_as_typed(
    trainer: Trainer, csv: Path, passengers: pd.DataFrame, tmp_path: Path, client_of: ClientMaker
) -> None:
    texts = tmp_path / "texts.csv"
    passengers[["remark", "survived"]].to_csv(texts, index=False)
    gaps = tmp_path / "gaps.csv"
    passengers.assign(alone=passengers["alone"].astype("object").where(passengers["age"] > 9)).to_csv(gaps, index=False)
    outcomes = [
        trainer(data=csv)[0],
        trainer(data=gaps)[0],
        trainer(dataset="iris")[0],
        trainer(data=texts, recipe="text", target="survived")[0],
    ]
    client = client_of()
    for outcome in outcomes:
        words = shlex.split(outcome.curl)
        url = "/" + words[-1].split("/", 1)[1]
        body = words[2]
        assert client.post(url, data=body, content_type="application/json").status_code == 200
        nothing_known = re.sub(r'("[a-z]+": )("[^"]*"|true|false|[\d.]+)(?=[,}])', r"\1null", body)
        if "features" in body:
            assert nothing_known.count("null") == 6
            assert client.post(url, data=nothing_known, content_type="application/json").status_code == 200


def test_a_table_of_numbers_is_served_from_an_array_with_names(trainer: Trainer, tmp_path: Path) -> None:
    outcome, _ = trainer(dataset="iris")
    loaded = store.load("iris", root=tmp_path / "models")
    assert loaded.manifest.signature.container == "array"
    assert loaded.manifest.signature.names[0] == "sepal length (cm)"
    assert outcome.metrics["accuracy"] > 0.9


@pytest.mark.parametrize("dataset", ["wine", "breast_cancer", "diabetes"])
def test_bundled_data_sets_beat_the_baseline(trainer: Trainer, dataset: str) -> None:
    outcome, _ = trainer(dataset=dataset)
    main = "rmse" if dataset == "diabetes" else "balanced_accuracy"
    better = np.less if dataset == "diabetes" else np.greater
    assert better(outcome.metrics[main], outcome.baseline[main])


def test_a_tie_promotes_and_a_worse_version_is_saved_but_not_promoted(trainer: Trainer, tmp_path: Path) -> None:
    trainer(dataset="wine")
    tie, printed = trainer(dataset="wine")
    assert tie.saved.promoted
    assert "is equal to" in tie.decision.reason
    worse, printed = trainer(dataset="wine", estimator="dummy")
    assert not worse.saved.promoted
    assert "is worse than 0.963 of version 2 on the same held-out rows, so in 100.0% of" in worse.decision.reason
    assert "python scripts/models.py promote wine 3" in printed
    assert store.ModelStore(tmp_path / "models").promoted("wine") == 2
    forced, _ = trainer(dataset="wine", estimator="dummy", promote="always")
    assert forced.saved.promoted
    better, _ = trainer(dataset="wine", promote="never")
    assert not better.saved.promoted


def test_a_refitted_champion_is_judged_by_what_it_scored_before(trainer: Trainer) -> None:
    first, _ = trainer(dataset="wine", estimator="tree", refit=True)
    assert first.metrics["accuracy"] < 1.0  # refitted, it would score 1.0 or nearly so on rows it has seen
    again, _ = trainer(dataset="wine", estimator="tree")
    assert again.saved.promoted
    assert "is equal to" in again.decision.reason


def test_a_champion_that_cannot_score_these_rows_stays(trainer: Trainer, tmp_path: Path) -> None:
    trainer(dataset="wine", name="one")
    narrow, _ = trainer(dataset="iris", name="one")
    assert not narrow.saved.promoted
    assert "cannot be scored on these rows (it takes the column 'alcohol'" in narrow.decision.reason
    other, _ = trainer(dataset="diabetes", name="one")
    assert "it is for classification, and this one for regression" in other.decision.reason


def test_a_champion_on_a_frame_scores_rows_of_an_array(trainer: Trainer, tmp_path: Path) -> None:
    from sklearn.datasets import load_wine

    X, y = load_wine(return_X_y=True, as_frame=True)
    shuffled = X[X.columns[::-1]]
    model = LogisticRegression(max_iter=20000).fit(shuffled, y)
    store.save(model, shuffled, "wine", root=tmp_path / "models")
    outcome, _ = trainer(dataset="wine", estimator="dummy")
    assert "is worse than" in outcome.decision.reason


def test_a_champion_that_cannot_be_loaded_stays(trainer: Trainer) -> None:
    first, _ = trainer(dataset="iris")
    (first.saved.path / "model.joblib").write_bytes(b"torn")
    second, _ = trainer(dataset="iris")
    assert not second.saved.promoted
    assert second.decision.reason.startswith("the promoted version cannot be loaded to compare with")


def test_a_column_that_gives_the_target_away_is_hinted_at(
    trainer: Trainer, tmp_path: Path, passengers: pd.DataFrame
) -> None:
    path = tmp_path / "leak.csv"
    passengers.assign(alive=passengers["survived"].map({"yes": "alive", "no": "dead"})).to_csv(path, index=False)
    _, printed = trainer(data=path, target="survived")
    assert "hint: column 'alive' is 'survived' in other words: each of its values goes with one class" in printed
    _, printed = trainer(data=path, target="survived", drop=("alive",))
    assert "hint:" not in printed


def test_the_same_seed_gives_the_same_model(trainer: Trainer, csv: Path) -> None:
    first, _ = trainer(data=csv, target="survived", estimator="forest", seed=7)
    second, _ = trainer(data=csv, target="survived", estimator="forest", seed=7)
    assert first.metrics == second.metrics


def test_strangers_column_names_do_not_reach_the_terminal(trainer: Trainer, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    pd.DataFrame({"[red]\x1b[2J": np.arange(40.0), "b": [1, 2] * 20, "y": [0, 1] * 20}).to_csv(path, index=False)
    _, printed = trainer(data=path)
    assert "[red]\\x1b[2J" in printed
    assert "\x1b" not in printed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dataset": "moon"}, "there is no data set 'moon'; there are iris, digits, wine"),
        ({"dataset": "iris", "estimator": "magic"}, "there is no classification estimator 'magic'; there are dummy"),
        ({"dataset": "iris", "name": "Iris!"}, "--name 'Iris!' cannot be a model's name; use up to 64 of"),
        ({"dataset": "iris", "recipe": "linear", "task": "classification"}, "the recipe linear is for regression, not"),
    ],
)
def test_wrong_options_give_one_line(trainer: Trainer, options: dict[str, object], message: str) -> None:
    with pytest.raises(TrainingError) as raised:
        trainer(**options)
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("titanic.csv", "titanic"),
        ("diamonds.csv.gz", "diamonds"),
        ("openml:mnist_784", "mnist_784"),
        ("Größe (neu).csv", "gr-e-neu"),
        ("_.csv", "model"),
        (f"{'x' * 99}.csv", "x" * 64),
    ],
)
def test_the_name_is_made_of_the_sources(source: str, name: str) -> None:
    assert choose_name(None, source) == name


def test_what_is_saved_is_json(trainer: Trainer) -> None:
    outcome, _ = trainer(dataset="diabetes")
    manifest = json.loads((outcome.saved.path / "manifest.json").read_text())
    assert manifest["metrics"]["r2"] == outcome.metrics["r2"]
