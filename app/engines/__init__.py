"""Engines: ways to get an estimator's answers for a checked batch of rows."""

from app.engines.base import Answer, Engine
from app.engines.choice import choose, rebuild
from app.engines.chosen import ChosenEngine, LazySklearnEngine
from app.engines.native import SklearnEngine

__all__ = ["Answer", "ChosenEngine", "Engine", "LazySklearnEngine", "SklearnEngine", "choose", "rebuild"]
