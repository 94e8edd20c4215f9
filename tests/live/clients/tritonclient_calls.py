"""Run under tritonclient's own environment: python tritonclient_calls.py HOST:PORT FACTS.json."""

import json
import sys
from pathlib import Path

import numpy as np
from tritonclient import http
from tritonclient.utils import InferenceServerException

address, facts = sys.argv[1], json.loads(Path(sys.argv[2]).read_text())
client = http.InferenceServerClient(address)
rows = np.array(facts["iris"]["rows"])

assert client.is_server_live()
assert client.is_server_ready()
assert client.is_model_ready("iris")
assert client.is_model_ready("iris", "1")
assert not client.is_model_ready("nobody")
assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
metadata = client.get_model_metadata("iris")
assert metadata["inputs"] == [{"name": "X", "datatype": "FP64", "shape": [-1, 4]}], metadata
assert {"name": "iris", "version": "1", "state": "READY", "reason": ""} in client.get_model_repository_index()


def tensor(name, values, datatype, binary):
    made = http.InferInput(name, list(values.shape), datatype)
    return made.set_data_from_numpy(values, binary_data=binary)


for binary in (True, False):
    for coding in (None, "gzip", "deflate"):
        result = client.infer(
            "iris",
            [tensor("X", rows, "FP64", binary)],
            outputs=[
                http.InferRequestedOutput("predict", binary_data=binary),
                http.InferRequestedOutput("predict_proba", binary_data=not binary),
            ],
            request_id="42",
            request_compression_algorithm=coding,
        )
        assert result.get_response()["id"] == "42"
        assert result.as_numpy("predict").tolist() == facts["iris"]["predict"]
        assert np.allclose(result.as_numpy("predict_proba"), facts["iris"]["predict_proba"], rtol=1e-9)

# No output named: the reply is binary by itself.
result = client.infer("iris", [tensor("anything", rows.astype(np.float32), "FP32", True)])
assert result.as_numpy("predict").tolist() == facts["iris"]["predict"]

# Texts, and a table by column.
texts = np.array(facts["texts"]["rows"], dtype=object)
for binary in (True, False):
    outputs = [http.InferRequestedOutput("predict", binary_data=binary)]
    result = client.infer("texts", [tensor("text", texts, "BYTES", binary)], outputs=outputs)
    assert [text.decode() if binary else text for text in result.as_numpy("predict")] == facts["texts"]["predict"]
    columns = facts["table"]["columns"]
    inputs = [
        tensor("age", np.array(columns["age"], dtype=np.float64), "FP64", binary),
        tensor("sex", np.array(columns["sex"], dtype=object), "BYTES", binary),
    ]
    assert client.infer("table", inputs, outputs=outputs).as_numpy("predict").tolist() == facts["table"]["predict"]

try:
    client.infer("iris", [tensor("X", rows[:, :3], "FP64", True)])
except InferenceServerException as fault:
    assert fault.status() == "422", fault
    assert "/inputs/0/shape" in fault.message(), fault
else:
    raise AssertionError("three columns were taken for four")
print("tritonclient is content")
