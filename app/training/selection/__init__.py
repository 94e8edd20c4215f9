"""The choice of a model: candidates are tried on the training rows, the best are measured as they would be served."""

from app.training.selection.finals import Finalist, Limits
from app.training.selection.search import Found, Watcher, Wish, select

__all__ = ["Finalist", "Found", "Limits", "Watcher", "Wish", "select"]
