"""Texts: scikit-learn's vectorizers replayed term by term, and what sums up the terms' weights behind them."""

from app.engines.texts.forms import forms, rebuild
from app.engines.texts.synthesis import text_batches

__all__ = ["forms", "rebuild", "text_batches"]
