"""Alive, ready, and measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from app import store
from app.errors import Unavailable
from app.keys import add_key
from tests.conftest import ClientMaker

ROW = [5.1, 3.5, 1.4, 0.2]


def test_without_a_model_it_is_alive_but_not_ready(client_of: ClientMaker) -> None:
    client = client_of()
    assert client.get("/healthz").json == {"status": "alive"}
    for reply in (client.get("/readyz"), client.post("/predict", json={"X": [ROW]})):
        assert reply.status_code == 503
        assert "scripts/train.py" in reply.json["detail"]
        assert int(reply.headers["Retry-After"]) == 2


def test_the_first_model_makes_it_ready(root: Path, client_of: ClientMaker, iris: Any, wait_for: Any) -> None:
    client = client_of()
    store.save(*iris, name="iris", root=root)
    wait_for(lambda: client.get("/readyz").status_code == 200)
    assert client.post("/predict", json={"X": [ROW]}).json == {"y_pred": [0]}


def test_several_models_without_a_default_are_named(root: Path, client_of: ClientMaker, iris: Any) -> None:
    store.save(*iris, name="one", root=root)
    store.save(*iris, name="two", root=root)
    reply = client_of().post("/predict", json={"X": [ROW]})
    assert reply.status_code == 404
    assert "one, two" in reply.json["detail"]
    assert client_of(default_model="two").post("/predict", json={"X": [ROW]}).headers["X-Model-Name"] == "two"


def test_the_model_named_default_is_the_default(root: Path, client_of: ClientMaker, iris: Any) -> None:
    store.save(*iris, name="one", root=root)
    store.save(*iris, name="default", root=root)
    assert client_of().post("/predict", json={"X": [ROW]}).headers["X-Model-Name"] == "default"


def test_metrics_count_what_was_answered(serve: ClientMaker, iris: Any) -> None:
    client = serve(*iris)
    client.post("/predict", json={"X": [ROW, ROW]})
    client.post("/predict", json={"X": [["x"]]})
    client.get("/nowhere")
    lines = client.get("/metrics").text.splitlines()
    for expected in (
        'maas_requests_total{route="/predict",status="200"} 1.0',
        'maas_requests_total{route="/predict",status="422"} 1.0',
        'maas_requests_total{route="other",status="404"} 1.0',
        'maas_request_duration_seconds_count{route="/predict"} 2.0',
        'maas_rows_total{model="model",version="1"} 2.0',
        'maas_predictions_total{model="model",outcome="ok",version="1"} 1.0',
        'maas_predictions_total{model="model",outcome="invalid",version="1"} 1.0',
        'maas_model_loads_total{model="model",outcome="loaded"} 1.0',
        'maas_model_version{model="model"} 1.0',
        "maas_requests_in_flight 1.0",
    ):
        assert expected in lines
    assert any(line.startswith("maas_process_resident_memory_bytes{pid=") for line in lines)


def test_metrics_count_engines_that_cannot_be_built(root: Path, client_of: ClientMaker, iris: Any) -> None:
    path = store.save(*iris, name="model", root=root).path / "manifest.json"
    manifest = json.loads(path.read_bytes())
    manifest["engine"]["choice"]["predict"] = {"one": "lost", "many": "lost", "bulk": "lost"}
    path.write_text(json.dumps(manifest))
    client = client_of()
    assert client.post("/predict", json={"X": [ROW]}).json == {"y_pred": [0]}
    assert 'maas_engine_fallbacks_total{form="lost",model="model"} 1.0' in client.get("/metrics").text


def test_an_unexpected_failure_is_opaque_outside_and_whole_in_the_log(
    serve: ClientMaker, iris: Any, caplog: Any
) -> None:
    client = serve(*iris)
    client.application.extensions["service"].models.choose = _broken
    reply = client.post("/predict", json={"X": [ROW]}, headers={"X-Request-Id": "r-1"})
    assert reply.status_code == 500
    assert "secret" not in reply.text
    assert reply.json["request_id"] == "r-1"
    assert "secret" in caplog.text
    assert "Traceback" in caplog.text


def _broken(*_: Any) -> Any:
    raise RuntimeError("secret")


def test_a_version_that_broke_on_the_disk_is_an_outage_not_a_crash(
    root: Path, client_of: ClientMaker, iris: Any
) -> None:
    saved = store.save(*iris, name="iris", root=root)
    (saved.path / "model.joblib").unlink()
    reply = client_of().post("/predict", json={"X": [ROW]})
    assert reply.status_code == Unavailable.status
    assert "model.joblib cannot be read" in reply.json["detail"]


def test_several_models_of_which_none_loads_are_not_ready(root: Path, client_of: ClientMaker, iris: Any) -> None:
    for name in ("one", "two"):
        (store.save(*iris, name=name, root=root).path / "model.joblib").unlink()
    reply = client_of().get("/readyz")
    assert reply.status_code == 503
    assert "none of them can be" in reply.get_json()["detail"]


def test_without_a_key_no_name_of_a_model_is_told(
    root: Path, client_of: ClientMaker, iris: Any, tmp_path: Path
) -> None:
    for name in ("secret-one", "secret-two"):
        store.save(*iris, name=name, root=root)
    add_key(tmp_path / "keys.json", "ada", ["admin"])
    client = client_of(api_keys_file=tmp_path / "keys.json")
    told = [client.get(path).text for path in ("/", "/healthz", "/readyz", "/metrics", "/models", "/models/secret-one")]
    told += [client.post(path, json={"X": [ROW]}).text for path in ("/predict", "/classify", "/models/x/predict")]
    assert not [text for text in told if "secret" in text]
