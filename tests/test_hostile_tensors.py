"""Open Inference requests, damaged at random: each is answered or refused in its own shape, and none is a 5xx."""

from __future__ import annotations

import gzip
import json
import random
import struct
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from app.server.hotpath import HotPath
from app.server.http1 import Request
from tests.test_hostile_requests import client  # noqa: F401  # a fixture

LENGTH = "inference-header-content-length"
CONTENT = "content-encoding"
TOKENS = (b"NaN", b"1e999", b"null", b"[", b"{", b'"', b"\\u0000", b"\xff", b"9" * 40, b"-", b"true", b'"low"')
NUMBERS = (0, -1, 2**31, 2**63, 2**64 - 1, 2**70, 1.5, True, None, "8", [], {})


def tensor(name: str, shape: list[int], datatype: str, data: Any = None, size: int | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {"name": name, "shape": shape, "datatype": datatype}
    return made | ({"data": data} if size is None else {"parameters": {"binary_data_size": size}})


TEXTS = b"".join(struct.pack("<I", len(text)) + text for text in (b"good", b"bad"))
ROW = [5.1, 3.5, 1.4, 0.2]
# The model, the JSON and the raw bytes behind it.
SOUND: list[tuple[str, dict[str, Any], bytes]] = [
    ("iris", {"id": "a", "inputs": [tensor("X", [1, 4], "FP64", ROW)], "outputs": [{"name": "predict_proba"}]}, b""),
    ("iris", {"inputs": [tensor("X", [1, 4], "FP64", size=32)], "parameters": {"binary_data_output": True}}, bytes(32)),
    ("iris", {"inputs": [tensor("X", [1, 4], "INT8", size=4)]}, b"\1\2\3\4"),
    ("text", {"inputs": [tensor("text", [2, 1], "BYTES", size=len(TEXTS))]}, TEXTS),
    ("text", {"inputs": [tensor("text", [2], "BYTES", ["good", "bad"])]}, b""),
    ("switches", {"inputs": [tensor("X", [1, 2], "BOOL", size=2)]}, b"\0\1"),
    ("days", {"inputs": [tensor("day", [1], "BYTES", ["2026-01-02"])]}, b""),
    (
        "table",
        {
            "inputs": [
                tensor("age", [1], "FP64", size=8),
                tensor("level", [1], "BYTES", ["low"]),
                tensor("count", [1], "INT64", [2]),
                tensor("ok", [1], "BOOL", size=1),
            ]
        },
        np.array([3.0]).tobytes() + b"\1",
    ),
]


def damaged(chance: random.Random, content: bytes) -> bytes:
    """A few bytes changed, taken out, put in or cut off."""
    left = bytearray(content)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(left) + 1)
        how = chance.randrange(4)
        if how == 0 and at < len(left):
            left[at] = chance.randrange(256)
        elif how == 1:
            del left[at : at + chance.randint(1, 8)]
        elif how == 2:
            left[at:at] = chance.choice(TOKENS)
        elif chance.random() < 0.2:
            del left[at:]
    return bytes(left)


def twisted(chance: random.Random, document: Any) -> Any:
    """The document with one of its values replaced."""
    copy = json.loads(json.dumps(document))
    place: Any = copy
    while True:
        key = chance.choice(list(place) if isinstance(place, dict) else range(len(place)))
        if not isinstance(place[key], dict | list) or not place[key] or chance.random() < 0.2:
            place[key] = chance.choice(NUMBERS)
            return copy
        place = place[key]


def requests_of(chance: random.Random) -> tuple[bytes, dict[str, str], bytes]:
    model, document, raw = chance.choice(SOUND)
    document = twisted(chance, document) if chance.random() < 0.6 else document
    head = json.dumps(document).encode()
    head = damaged(chance, head) if chance.random() < 0.3 else head
    raw = damaged(chance, raw) if chance.random() < 0.2 else raw
    length = str(len(head)) if chance.random() < 0.9 else chance.choice(["0", "-1", "", "1,2", "99999999", "x", "1"])
    headers, body = {LENGTH: length}, head + raw
    if chance.random() < 0.1:
        headers[CONTENT], body = "gzip", gzip.compress(body)
        body = damaged(chance, body) if chance.random() < 0.5 else body
    return f"/v2/models/{model}/infer".encode(), headers, body


def test_what_is_sound_is_answered(client: FlaskClient) -> None:  # noqa: F811
    for model, document, raw in SOUND:
        head = json.dumps(document).encode()
        reply = client.post(f"/v2/models/{model}/infer", data=head + raw, headers={LENGTH: str(len(head))})
        assert reply.status_code == 200, (document, reply.data)


@pytest.mark.parametrize("seed", range(4))
def test_damaged_tensors_are_never_a_fault_of_ours(client: FlaskClient, seed: int) -> None:  # noqa: F811
    chance = random.Random(seed)
    extensions = client.application.extensions
    hot = HotPath(extensions["service"], extensions["metrics"])
    statuses = set()
    for _ in range(400):
        path, headers, body = requests_of(chance)
        request = Request("POST", path, "1.1", headers, body, keep_alive=True)
        target = hot.find(request)
        assert target is not None
        reply = hot.answer(target, request)
        statuses.add(reply.status)
        assert reply.status < 500, (path, headers, body, reply.body)
        if reply.status != 200:
            assert reply.content_type == "application/json"
            assert list(json.loads(reply.body)) == ["error"]
    assert {200, 400, 422} <= statuses
