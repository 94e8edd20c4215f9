"""Run under MLflow's own environment: python mlflow_calls.py HOST:PORT FACTS.json."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

host, _, port = sys.argv[1].partition(":")
facts = json.loads(Path(sys.argv[2]).read_text())
client = ScoringServerClient(host, port)

client.wait_server_ready(timeout=10)
assert client.get_version()
# The default model is the table, with missing values in both of its columns.
frame = pd.DataFrame(facts["table"]["columns"]).astype({"age": float})
frame.loc[0, "age"] = np.nan
frame.loc[1, "sex"] = np.nan
assert client.invoke(frame).get_predictions(predictions_format="ndarray").tolist() == facts["table"]["with_missing"]
assert client.invoke(frame, params={"method": "predict_proba"})["predictions"] == facts["table"]["proba_with_missing"]
try:
    client.invoke(frame.rename(columns={"age": "years"}))
except Exception as fault:
    assert "'years' is not known" in str(fault), fault
    assert "BAD_REQUEST" in str(fault), fault
else:
    raise AssertionError("an unknown column was taken")
print("mlflow is content")
