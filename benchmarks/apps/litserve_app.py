"""LitServe with one worker."""

from __future__ import annotations

import os
from typing import Any

import joblib
import litserve
import numpy as np
import pandas as pd


class Api(litserve.LitAPI):
    """Answers ``{"X": rows}``."""

    def setup(self, device: str) -> None:
        """Load the model."""
        self.model = joblib.load(os.environ["MODEL"])

    # LitServe makes its own schema of whatever this argument is annotated with.
    def decode_request(self, request):  # type: ignore[no-untyped-def]
        """Read the rows."""
        rows = request["X"]
        return pd.DataFrame(rows) if isinstance(rows[0], dict) else np.array(rows)

    def predict(self, rows: Any) -> Any:
        """Ask the model."""
        return self.model.predict(rows)

    def encode_response(self, answer: Any) -> dict[str, Any]:
        """Write the answer."""
        return {"y_pred": answer.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Api(), accelerator="cpu", workers_per_device=1)
    server.run(port=int(os.environ["PORT"]), num_api_servers=1, generate_client_file=False, log_level="warning")
