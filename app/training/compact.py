"""Networks whose weights take less room in a file; saved pipelines name them by this import path, so it must stay."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.neural_network import MLPClassifier, MLPRegressor

Weights = npt.NDArray[Any]
_LEVELS = 127


class _Compact:
    """Rounds the weights once fitted to what the file holds, so that nothing changes by saving and loading.

    With ``float32`` a file takes half, with ``int8`` an eighth: each column of a weight matrix is then a whole number
    from -127 to 127 times a scale of its own (symmetric quantisation per channel, as in Jacob et al., Quantization and
    Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference, 2018). In memory, and for computing,
    they are float64 again.
    """

    weights: str
    coefs_: list[Weights]
    intercepts_: list[Weights]

    def fit(self, X: Any, y: Any) -> Any:
        """Fit as scikit-learn does, then round."""
        super().fit(X, y)  # type: ignore[misc]
        self.coefs_ = [_restored(_stored(matrix, self.weights)) for matrix in self.coefs_]
        self.intercepts_ = [_restored(_stored(bias, "float32")) for bias in self.intercepts_]
        return self

    def __getstate__(self) -> dict[str, Any]:
        # object's own, to which scikit-learn adds its version.
        state: dict[str, Any] = super().__getstate__()  # type: ignore[assignment]
        if "coefs_" not in state:
            return state
        # What only further fitting needs: the optimiser's two moments for each weight.
        state = {name: value for name, value in state.items() if name not in ("_optimizer", "_best_coefs")}
        return {
            **state,
            "coefs_": [_stored(matrix, self.weights) for matrix in state["coefs_"]],
            "intercepts_": [_stored(bias, "float32") for bias in state["intercepts_"]],
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        restored = {name: list(map(_restored, state[name])) for name in ("coefs_", "intercepts_") if name in state}
        super().__setstate__({**state, **restored})  # type: ignore[misc]


def _stored(values: Weights, weights: str) -> Any:
    if weights == "float32":
        return values.astype(np.float32)
    scale = np.abs(values).max(axis=0) / _LEVELS
    scale[scale == 0] = 1.0
    scale = scale.astype(np.float32)
    return np.rint(values / scale).astype(np.int8), scale


def _restored(stored: Any) -> Weights:
    if isinstance(stored, tuple):
        codes, scale = stored
        return np.asarray(codes.astype(np.float64) * scale)
    return np.asarray(stored, dtype=np.float64)


class CompactMLPClassifier(_Compact, MLPClassifier):  # type: ignore[misc]  # scikit-learn has no types
    """An MLPClassifier with `weights` of ``float32`` or ``int8`` in its file."""

    def __init__(self, weights: str = "float32", **settings: Any) -> None:
        self.weights = weights
        super().__init__(**settings)

    @classmethod
    def _get_param_names(cls) -> list[str]:
        return ["weights", *MLPClassifier._get_param_names()]


class CompactMLPRegressor(_Compact, MLPRegressor):  # type: ignore[misc]  # scikit-learn has no types
    """An MLPRegressor with `weights` of ``float32`` or ``int8`` in its file."""

    def __init__(self, weights: str = "float32", **settings: Any) -> None:
        self.weights = weights
        super().__init__(**settings)

    @classmethod
    def _get_param_names(cls) -> list[str]:
        return ["weights", *MLPRegressor._get_param_names()]
