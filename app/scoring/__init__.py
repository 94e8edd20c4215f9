"""Scoring whole files chunk by chunk, each asked as a request would be."""

from app.scoring.errors import ScoringError
from app.scoring.run import Scored, score

__all__ = ["Scored", "ScoringError", "score"]
