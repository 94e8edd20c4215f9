"""``/models``: what is served, for everybody; reports, manifests and promotion for administrators."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sklearn.linear_model import LogisticRegression

from app import store
from app.keys import add_key
from tests.conftest import ClientMaker

ROW = [5.1, 3.5, 1.4, 0.2]


@pytest.fixture
def admin(tmp_path: Path) -> dict[str, Any]:
    """The setting of a keys file, and the headers of an administrator and of a user."""
    path = tmp_path / "keys.json"
    return {
        "file": path,
        "admin": {"Authorization": f"Bearer {add_key(path, 'ada', ['admin'])}"},
        "user": {"X-API-Key": add_key(path, "bob", ["predict"])},
    }


@pytest.fixture
def client(root: Path, client_of: ClientMaker, iris: Any, admin: dict[str, Any]) -> FlaskClient:
    """Three versions of iris, the second one promoted after the first."""
    estimator, X = iris
    store.save(estimator, X, "iris", root=root, metrics={"accuracy": 0.9}, data={"source": "secret.csv", "rows": 150})
    store.save(LogisticRegression(C=0.1, max_iter=500).fit(X, estimator.predict(X)), X, "iris", root=root)
    store.save(estimator, X, "iris", root=root, promote=False)
    return client_of(api_keys_file=admin["file"])


def test_the_list_names_what_is_served(client: FlaskClient, admin: dict[str, Any]) -> None:
    (listed,) = client.get("/models", headers=admin["user"]).json["models"]
    assert listed == {
        "name": "iris",
        "version": 2,
        "task": "classification",
        "methods": ["predict", "predict_proba", "predict_log_proba", "decision_function"],
        "promoted": 2,
        "served": [2, 1],
        "labels": {},
        "split": {},
        "sticky": "X-Session-Id",
        "shadow": None,
    }


def test_a_model_names_all_its_versions_served_or_not(client: FlaskClient, admin: dict[str, Any]) -> None:
    shown = client.get("/models/iris", headers=admin["user"]).json
    assert (shown["versions"], shown["served"]) == ([1, 2, 3], [2, 1])


def test_a_version_shows_its_signature_and_metrics_but_no_data(client: FlaskClient, admin: dict[str, Any]) -> None:
    shown = client.get("/models/iris/versions/1", headers=admin["user"]).json
    assert shown["signature"]["inputs"][0] == {
        "name": "x0",
        "dtype": "float64",
        "range": [4.4, 7.7],
        "nullable": False,
        "used": True,
    }
    assert shown["metrics"] == {"accuracy": 0.9}
    assert not shown.keys() & {"data", "golden", "files"}


def test_a_version_that_is_not_served_says_how_to_label_it(client: FlaskClient, admin: dict[str, Any]) -> None:
    reply = client.post("/models/iris/versions/3/predict", json={"X": [ROW]}, headers=admin["user"])
    assert reply.status_code == 409
    assert "scripts/models.py label iris 3 LABEL" in reply.json["detail"]


def test_promotion_and_rollback_change_who_answers(client: FlaskClient, admin: dict[str, Any], wait_for: Any) -> None:
    def answering() -> str:
        return client.post("/predict", json={"X": [ROW]}, headers=admin["user"]).headers["X-Model-Version"]

    assert answering() == "2"
    reply = client.post("/models/iris/promote", json={"version": 3}, headers=admin["admin"])
    assert (reply.status_code, reply.json["promoted"]) == (200, 3)
    wait_for(lambda: answering() == "3")
    assert client.post("/models/iris/rollback", headers=admin["admin"]).json["promoted"] == 2
    wait_for(lambda: answering() == "2")


def test_a_broken_version_cannot_be_promoted(client: FlaskClient, admin: dict[str, Any], root: Path) -> None:
    (root / "iris" / "3" / "model.joblib").write_bytes(b"torn")
    reply = client.post("/models/iris/promote", json={"version": 3}, headers=admin["admin"])
    assert reply.status_code == 409
    assert "model.joblib is not the file that was saved" in reply.json["detail"]


@pytest.mark.parametrize(
    ("body", "status"), [({"version": 9}, 404), ({"version": "3"}, 422), ({"version": True}, 422), ([3], 422)]
)
def test_promoting_what_is_not_there_is_refused(
    client: FlaskClient, admin: dict[str, Any], body: Any, status: int
) -> None:
    assert client.post("/models/iris/promote", json=body, headers=admin["admin"]).status_code == status


def test_the_manifest_is_for_administrators(client: FlaskClient, admin: dict[str, Any]) -> None:
    path = "/models/iris/versions/1/manifest"
    assert client.get(path, headers=admin["admin"]).json["data"]["source"] == "secret.csv"
    assert client.get(path, headers=admin["user"]).status_code == 403
    assert client.get(path).status_code == 401


REPORT = "/models/iris/versions/4/report"


@pytest.fixture
def reported(client: FlaskClient, root: Path, iris: Any) -> Path:
    """The folder of a fourth version, which has a report."""
    files = {"report.html": b"<h1>iris</h1>", "report.json": b'{"name": "iris"}'}
    return store.save(*iris, "iris", root=root, promote=False, attachments=lambda manifest: files).path


def test_a_report_may_neither_run_nor_fetch_anything(
    client: FlaskClient, admin: dict[str, Any], reported: Path
) -> None:
    reply = client.get(REPORT, headers=admin["admin"])
    assert (reply.text, reply.content_type) == ("<h1>iris</h1>", "text/html; charset=utf-8")
    policy = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert reply.headers["Content-Security-Policy"] == policy
    assert reply.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("application/json", "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
        ("*/*", "text/html"),
        ("text/html;q=0.5, application/json", "application/json"),
    ],
)
def test_programs_get_the_report_as_json(
    client: FlaskClient, admin: dict[str, Any], reported: Path, accept: str, media: str
) -> None:
    reply = client.get(REPORT, headers={**admin["admin"], "Accept": accept})
    assert (reply.status_code, reply.mimetype, reply.headers["Vary"]) == (200, media, "Accept")


def test_a_report_that_was_altered_is_not_sent(client: FlaskClient, admin: dict[str, Any], reported: Path) -> None:
    (reported / "report.html").write_text("<h1>Iris</h1>")
    reply = client.get(REPORT, headers=admin["admin"])
    assert reply.status_code == 409
    assert "report.html is not the file that was saved" in reply.json["detail"]


def test_a_report_is_for_administrators_and_only_where_there_is_one(
    client: FlaskClient, admin: dict[str, Any], reported: Path
) -> None:
    assert client.get(REPORT, headers=admin["user"]).status_code == 403
    for version, told in [(1, "iris version 1 has no report; scripts/train.py writes one"), (9, "version 9")]:
        reply = client.get(f"/models/iris/versions/{version}/report", headers=admin["admin"])
        assert reply.status_code == 404
        assert told in reply.json["detail"]


@pytest.mark.parametrize("headers", [{}, {"X-API-Key": "wrong"}, {"Authorization": "Bearer "}, {"X-API-Key": "ü"}])
def test_without_a_known_key_nothing_is_answered(client: FlaskClient, headers: dict[str, str]) -> None:
    for reply in (
        client.post("/predict", json={"X": [ROW]}, headers=headers),
        client.post("/classify", json={"text": "x"}, headers=headers),
        client.get("/models", headers=headers),
        client.get("/metrics", headers=headers),
        client.post("/models/iris/promote", json={"version": 1}, headers=headers),
    ):
        assert reply.status_code == 401
        assert reply.headers["WWW-Authenticate"] == "Bearer"


def test_a_key_without_the_scope_is_not_enough(client: FlaskClient, admin: dict[str, Any]) -> None:
    assert client.post("/predict", json={"X": [ROW]}, headers=admin["admin"]).status_code == 403
    assert client.post("/models/iris/rollback", headers=admin["user"]).status_code == 403


def test_without_a_keys_file_predicting_is_open_and_administration_closed(
    root: Path, client_of: ClientMaker, iris: Any
) -> None:
    store.save(*iris, name="iris", root=root)
    client = client_of()
    assert client.post("/predict", json={"X": [ROW]}).status_code == 200
    reply = client.post("/models/iris/promote", json={"version": 1})
    assert reply.status_code == 403
    assert "scripts/keys.py" in reply.json["detail"]


def test_a_label_is_a_route_and_moves(client: FlaskClient, admin: dict[str, Any], wait_for: Any) -> None:
    def answering(path: str = "/models/iris/labels/canary/predict") -> str | None:
        return client.post(path, json={"X": [ROW]}, headers=admin["user"]).headers.get("X-Model-Version")

    reply = client.post("/models/iris/labels", json={"label": "canary", "version": 3}, headers=admin["admin"])
    assert (reply.status_code, reply.json["labels"]) == (200, {"canary": 3})
    wait_for(lambda: answering() == "3")
    assert answering("/models/iris/labels/canary/predict_proba") == "3"
    assert client.get("/models/iris/labels/canary", headers=admin["user"]).json["version"] == 3
    client.post("/models/iris/labels", json={"label": "canary", "version": 1}, headers=admin["admin"])
    wait_for(lambda: answering() == "1")
    client.post("/models/iris/labels", json={"label": "canary", "version": None}, headers=admin["admin"])
    wait_for(lambda: answering() is None)
    reply = client.post("/models/iris/labels/canary/predict", json={"X": [ROW]}, headers=admin["user"])
    assert (reply.status_code, reply.json["detail"]) == (404, "model 'iris' has no label 'canary'; it has none")


def test_a_split_begins_and_ends(client: FlaskClient, admin: dict[str, Any], wait_for: Any) -> None:
    def answering(session: str) -> str:
        headers = admin["user"] | {"X-User": session}
        return client.post("/predict", json={"X": [ROW]}, headers=headers).headers["X-Model-Version"]

    body = {"split": {"3": 0.5}, "sticky": "X-User"}
    reply = client.post("/models/iris/split", json=body, headers=admin["admin"])
    assert reply.status_code == 200
    assert (reply.json["split"], reply.json["sticky"]) == ({"3": 0.5}, "X-User")
    wait_for(lambda: client.get("/models/iris", headers=admin["user"]).json["split"] == {"3": 0.5})
    sessions = [f"session-{number}" for number in range(40)]
    wait_for(lambda: {answering(session) for session in sessions} == {"2", "3"})
    first = [answering(session) for session in sessions]
    assert [answering(session) for session in sessions] == first
    assert 'maas_split_share{model="iris",version="3"} 0.5' in client.get("/metrics", headers=admin["user"]).text
    client.post("/models/iris/split", json={"split": {}}, headers=admin["admin"])
    wait_for(lambda: {answering(session) for session in sessions} == {"2"})


def test_a_shadow_is_set_and_taken_away(client: FlaskClient, admin: dict[str, Any]) -> None:
    reply = client.post("/models/iris/shadow", json={"version": 3, "share": 0.5}, headers=admin["admin"])
    assert (reply.status_code, reply.json["shadow"]) == (200, {"version": 3, "share": 0.5})
    reply = client.post("/models/iris/shadow", json={"version": None}, headers=admin["admin"])
    assert (reply.status_code, reply.json["shadow"]) == (200, None)


IMPOSSIBLE: list[tuple[str, Any, int, str]] = [
    ("split", {"split": {"9": 0.1}}, 404, "has no version 9; it has 1, 2, 3"),
    ("split", {"split": {"2": 0.1}}, 409, "version 2 is promoted and answers already"),
    ("split", {"split": {"1": 0.7, "3": 0.7}}, 422, "the shares add up to 140%"),
    ("split", {"split": {"3": 0}}, 422, "must be above 0% and at most 100%, not 0%"),
    ("split", {"split": {"2": 1.5}}, 422, "the share of version 2 must be above 0% and at most 100%, not 150%"),
    ("split", {"split": {"3": 0.3, "03": 0.3}}, 422, "'03' is no version's number"),
    ("split", {"split": {"3": "10%"}}, 422, "a share must be a number above 0 and at most 1"),
    ("split", {"split": {"x": 0.1}}, 422, "'x' is no version's number"),
    ("split", {"split": [3]}, 422, 'the body must be {"split": {"2": 0.1}'),
    ("split", {"split": {"3": 0.1}, "sticky": "a b"}, 422, "'a b' cannot be a header's name"),
    ("split", {"split": {"3": 0.1}, "sticky": 7}, 422, "the body must be"),
    ("shadow", {"version": 9}, 404, "has no version 9"),
    ("shadow", {"version": 2}, 409, "version 2 is promoted"),
    ("shadow", {"version": 3, "share": 2}, 422, "the share of the shadow must be above 0% and at most 100%"),
    ("shadow", {"share": 1}, 422, 'the body must be {"version": N, "share": 0.5}'),
    ("labels", {"label": "A B", "version": 3}, 422, "'A B' cannot be a label"),
    ("labels", {"label": "../x", "version": 3}, 422, "'../x' cannot be a label"),
    ("labels", {"label": "1", "version": 3}, 422, "'1' cannot be a label: it would be taken for a version's number"),
    ("promote", {"version": "3"}, 422, 'the body must be {"version": N}'),
    ("labels", {"label": "canary"}, 422, 'the body must be {"label": "canary", "version": N}'),
    ("labels", {"label": "canary", "version": "3"}, 422, "the body must be"),
    ("labels", {"label": "canary", "version": None}, 409, "has no label 'canary'"),
]


def test_traffic_that_cannot_be_is_refused(client: FlaskClient, admin: dict[str, Any]) -> None:
    for path, body, status, told in IMPOSSIBLE:
        reply = client.post(f"/models/iris/{path}", json=body, headers=admin["admin"])
        assert reply.status_code == status, (path, body)
        assert told in reply.get_json()["detail"]
        titles = {404: "Not found", 409: "Version not served", 422: "Invalid request"}
        assert reply.get_json()["title"] == titles[status]
        assert client.post(f"/models/iris/{path}", json=body, headers=admin["user"]).status_code == 403
        assert client.post(f"/models/none/{path}", json=body, headers=admin["admin"]).status_code in (404, 422)


def test_a_broken_version_gets_no_traffic(client: FlaskClient, admin: dict[str, Any], root: Path) -> None:
    (root / "iris" / "3" / "model.joblib").write_bytes(b"torn")
    for path, body in (("split", {"split": {"3": 0.1}}), ("shadow", {"version": 3})):
        reply = client.post(f"/models/iris/{path}", json=body, headers=admin["admin"])
        assert reply.status_code == 409
        assert "model.joblib is not the file that was saved" in reply.json["detail"]


def test_a_broken_version_takes_over_neither_by_promotion_nor_by_rollback(
    client: FlaskClient, admin: dict[str, Any], root: Path
) -> None:
    (root / "iris" / "1" / "model.joblib").write_bytes(b"something else")
    (root / "iris" / "3" / "manifest.json").unlink()
    for reply in (
        client.post("/models/iris/rollback", headers=admin["admin"]),
        client.post("/models/iris/promote", json={"version": 1}, headers=admin["admin"]),
        client.post("/models/iris/promote", json={"version": 3}, headers=admin["admin"]),
    ):
        assert reply.status_code == 409
        assert "cannot be promoted" in reply.get_json()["detail"]
    assert store.ModelStore(root).promoted("iris") == 2
