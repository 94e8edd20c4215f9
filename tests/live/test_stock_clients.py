"""Other serving systems' own clients, as they are published, against the real service.

Each runs in an environment of its own, which make sets up where a package index can be reached.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from processes import Server, install_client, start_gunicorn
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from app.store import save

CLIENTS = ("tritonclient", "kserve", "mlflow")
WORKERS = ("event", "gthread")


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the models in the store beside this file are asked, and what scikit-learn itself answers."""
    folder = tmp_path_factory.mktemp("facts")
    store = folder / "store"
    X, y = load_iris(return_X_y=True)
    iris = LogisticRegression(max_iter=500).fit(X, y)
    save(iris, X, "iris", root=store)
    texts = ["win cash now", "see you at lunch", "cash prize now", "lunch tomorrow"]
    words = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, ["spam", "ham", "spam", "ham"])
    save(words, texts, "texts", root=store)
    frame = pd.DataFrame({"age": [22.0, 38.0, np.nan, 35.0, 54.0, 2.0], "sex": ["m", "f", "f", None, "m", "m"]})
    columns = make_column_transformer(
        (SimpleImputer(), ["age"]),
        (make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")), ["sex"]),
    )
    table = make_pipeline(columns, LogisticRegression()).fit(frame, [0, 1, 1, 1, 0, 0])
    save(table, frame, "table", root=store)
    asked = pd.DataFrame({"age": [30.0, 40.0, 50.0], "sex": ["f", "m", "f"]})
    missing = asked.assign(age=[np.nan, 40.0, 50.0], sex=["f", np.nan, "f"])
    told = {
        "iris": {
            "rows": X[48:53].tolist(),
            "predict": iris.predict(X[48:53]).tolist(),
            "predict_proba": iris.predict_proba(X[48:53]).tolist(),
        },
        "texts": {"rows": texts, "predict": words.predict(texts).tolist()},
        "table": {
            "columns": asked.to_dict("list"),
            "predict": table.predict(asked).tolist(),
            "with_missing": table.predict(missing).tolist(),
            "proba_with_missing": table.predict_proba(missing).tolist(),
        },
    }
    (folder / "facts.json").write_text(json.dumps(told))
    return folder / "facts.json"


@pytest.fixture(scope="module", params=WORKERS)
def service(request: pytest.FixtureRequest, facts: Path) -> Iterator[Server]:
    server = start_gunicorn(
        facts.parent / "store",
        facts.parent,
        WORKER_CLASS=request.param,
        WEB_CONCURRENCY="1",
        DEFAULT_MODEL="table",
    )
    try:
        server.wait_for("/readyz")
        yield server
    finally:
        server.stop()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_stock_client_works_unchanged(client: str, service: Server, facts: Path) -> None:
    python = install_client(client)
    calls = Path(__file__).parent / "clients" / f"{client}_calls.py"
    command = [python, "-W", "ignore", calls, f"127.0.0.1:{service.port}", facts]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{service.output()}"
    assert "is content" in done.stdout
