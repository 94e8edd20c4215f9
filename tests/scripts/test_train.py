"""``scripts/train.py`` works from any folder, and tells mistakes in one line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from sklearn.datasets import load_iris

from app import store
from app.settings import ROOT

SCRIPT = ROOT / "scripts" / "train.py"


def run(*arguments: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the script from `folder`, over a store there."""
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        cwd=folder,
        env=os.environ | {"MODEL_STORE": str(folder / "models")} | environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    frame = load_iris(as_frame=True).frame
    frame["target"] = frame["target"].map({0: "setosa", 1: "versicolor", 2: "virginica"})
    frame.to_csv(tmp_path / "x.csv", index=False)
    return tmp_path / "x.csv"


def test_a_model_is_trained_from_another_folder(csv: Path, tmp_path: Path) -> None:
    done = run("--data", csv.name, folder=tmp_path, PORT="8123", FORCE_COLOR="")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "\x1b" not in done.stdout
    assert "localhost:8123/models/x/predict" in done.stdout.splitlines()[-1]
    estimator = store.load("x", root=tmp_path / "models").estimator
    rows = pd.read_csv(csv).drop(columns="target").to_numpy()
    assert set(estimator.predict(rows)) == {"setosa", "versicolor", "virginica"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere.csv"], "error: nowhere.csv: cannot be read: No such file or directory\n"),
        (
            ["--data", "x.csv", "--target", "colour"],
            "error: x.csv: there is no column 'colour'; there are sepal length (cm), sepal width (cm), "
            "petal length (cm), petal width (cm), target\n",
        ),
    ],
)
def test_a_mistake_in_the_data_is_one_line(csv: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    done = run(*arguments, folder=tmp_path)
    assert (done.returncode, done.stderr) == (1, message)


def test_a_wrong_setting_is_one_line(csv: Path, tmp_path: Path) -> None:
    done = run("--data", "x.csv", folder=tmp_path, PORT="none")
    assert done.returncode == 1
    assert done.stderr == "error: PORT must be a whole number from 1 to 65535, not 'none'\n"


def test_no_network_is_one_line(tmp_path: Path) -> None:
    done = run("--dataset", "openml:iris", folder=tmp_path, https_proxy="http://127.0.0.1:1", HOME=str(tmp_path))
    assert done.returncode == 1
    assert re.fullmatch(
        r"error: openml:iris: OpenML cannot be reached \(.*\); check the network, or give a file with --data\n",
        done.stderr,
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give --data FILE or --dataset NAME"),
        (["--data", "x.csv", "--dataset", "iris"], "--data and --dataset cannot be given together"),
        (["--dataset", "iris", "--pca", "2"], "--pca is for the recipe forest, not table"),
        (
            ["--dataset", "iris", "--recipe", "sgd", "--estimator", "svm"],
            "--estimator is for the recipe table, not sgd",
        ),
        (["--dataset", "iris", "--test-size", "1.5"], "1.5 is not in the range 0<x<1"),
    ],
)
def test_a_mistake_in_the_options_is_a_usage_error(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = run(*arguments, folder=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr


def test_help_names_every_recipe_estimator_and_metric_and_imports_nothing_heavy(tmp_path: Path) -> None:
    from app.training.estimators import families_of
    from app.training.metrics import metrics_of
    from app.training.recipes import RECIPES

    done = run("--help", folder=tmp_path, PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0
    for name in [*RECIPES, *families_of("classification"), *families_of("regression")]:
        assert name in done.stdout
    for name in [*metrics_of("classification"), *metrics_of("regression")]:
        assert name in done.stdout
    assert "sklearn" not in done.stderr
    assert "pandas" not in done.stderr
