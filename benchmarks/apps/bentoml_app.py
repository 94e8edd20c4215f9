"""BentoML with its adaptive batching."""

import os

import bentoml
import joblib
import numpy as np


@bentoml.service(workers=1)
class Predictor:
    """Answers ``{"X": rows}`` with a bare list."""

    def __init__(self) -> None:
        self.model = joblib.load(os.environ["MODEL"])

    @bentoml.api(route="/predict", batchable=True, max_batch_size=256, max_latency_ms=1000)
    def predict(self, X: np.ndarray) -> np.ndarray:
        """Ask the model."""
        return self.model.predict(X)
