"""Ray Serve with one replica."""

from __future__ import annotations

import os
from typing import Any

import joblib
import numpy as np
import pandas as pd
from ray import serve


@serve.deployment(max_ongoing_requests=64)
class Predictor:
    """Answers ``{"X": rows}``."""

    def __init__(self) -> None:
        self.model = joblib.load(os.environ["MODEL"])

    async def __call__(self, request: Any) -> dict[str, Any]:
        """Answer one request."""
        rows = (await request.json())["X"]
        rows = pd.DataFrame(rows) if isinstance(rows[0], dict) else np.array(rows)
        return {"y_pred": self.model.predict(rows).tolist()}


app = Predictor.bind()
