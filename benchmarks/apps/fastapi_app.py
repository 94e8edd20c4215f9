"""What most people write instead: FastAPI with a pydantic body, under uvicorn."""

from __future__ import annotations

import os
from typing import Any

import joblib
import numpy as np
import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
model = joblib.load(os.environ["MODEL"])


class Arrays(BaseModel):
    """Rows of numbers."""

    X: list[list[float]]


class Records(BaseModel):
    """Rows by column."""

    X: list[dict[str, Any]]


@app.post("/predict")
def predict(body: Arrays | Records) -> dict[str, Any]:
    """Answer ``{"X": rows}``."""
    rows = np.array(body.X) if isinstance(body, Arrays) else pd.DataFrame(body.X)
    return {"y_pred": model.predict(rows).tolist()}
