"""Run under KServe's own environment: python kserve_calls.py HOST:PORT FACTS.json."""

import asyncio
import json
import sys
from pathlib import Path

import numpy as np
from httpx import HTTPStatusError
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

base, facts = f"http://{sys.argv[1]}", json.loads(Path(sys.argv[2]).read_text())["iris"]


async def speak_v1():
    client = InferenceRESTClient(RESTConfig(protocol="v1"))
    assert await client.is_server_live(base)
    assert await client.is_model_ready(base, "iris")
    reply = await client.infer(base, {"instances": facts["rows"]}, model_name="iris")
    assert reply == {"predictions": facts["predict"]}, reply
    reply = await client.explain(base, "iris", {"instances": facts["rows"]})
    assert reply["predictions"] == facts["predict"], reply
    assert all(told["contributions"] for told in reply["explanations"]), reply
    try:
        await client.infer(base, {"instances": [[1, 2]]}, model_name="iris")
    except HTTPStatusError as fault:
        assert "4 values" in str(fault), fault
    else:
        raise AssertionError("two columns were taken for four")


async def speak_v2():
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    assert await client.is_server_live(base)
    assert await client.is_server_ready(base)
    assert await client.is_model_ready(base, "iris")
    assert not await client.is_model_ready(base, "nobody")
    rows = np.array(facts["rows"])
    for binary in (True, False):
        tensor = InferInput("X", list(rows.shape), "FP64")
        tensor.set_data_from_numpy(rows, binary_data=binary)
        wanted = [RequestedOutput("predict", {"binary_data": binary}), RequestedOutput("predict_proba")]
        asked = InferRequest("iris", [tensor], request_id="7", request_outputs=wanted)
        reply = await client.infer(base, asked, model_name="iris")
        assert reply.id == "7"
        assert reply.outputs[0].as_numpy().tolist() == facts["predict"]
        assert np.allclose(reply.outputs[1].as_numpy(), facts["predict_proba"], rtol=1e-9)


asyncio.run(speak_v1())
asyncio.run(speak_v2())
print("kserve is content")
