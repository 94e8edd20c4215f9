"""Engines: ways to get an estimator's answers for a checked batch of rows."""

from app.engines.base import Answer, Engine
from app.engines.native import SklearnEngine

__all__ = ["Answer", "Engine", "SklearnEngine"]
