"""What tutorials write: Flask, ``get_json``, ``model.predict``, ``jsonify``."""

from __future__ import annotations

import os

import joblib
import numpy as np
import pandas as pd
from flask import Flask, Response, jsonify, request

app = Flask(__name__)
model = joblib.load(os.environ["MODEL"])


@app.post("/predict")
def predict() -> Response:
    """Answer ``{"X": rows}``; rows are lists or records."""
    rows = request.get_json()["X"]
    return jsonify(
        {"y_pred": model.predict(pd.DataFrame(rows) if isinstance(rows[0], dict) else np.array(rows)).tolist()}
    )
