"""Engines: ways to get an estimator's answers for a checked batch of rows.

Everything is NumPy, or scikit-learn's own compiled descent of trees called directly. Measured against them and left
out: treelite (one row of a 100-tree forest in twice the time, many rows in five times) and ONNX Runtime (exact for
labels alone, since its trees are float32, and a large dependency).
"""

from app.engines.base import Answer, Engine
from app.engines.choice import choose, log_fallback, quickest, rebuild
from app.engines.chosen import ChosenEngine, LazySklearnEngine
from app.engines.native import SKLEARN, SklearnEngine

__all__ = [
    "SKLEARN",
    "Answer",
    "ChosenEngine",
    "Engine",
    "LazySklearnEngine",
    "SklearnEngine",
    "choose",
    "log_fallback",
    "quickest",
    "rebuild",
]
