"""The choice of a model: candidates are tried on the training rows, the best are measured as they would be served."""

from app.training.selection.search import Found, select
from app.training.selection.trying import start_forking
from app.training.selection.wish import Limits, Watcher, Wish

__all__ = ["Found", "Limits", "Watcher", "Wish", "select", "start_forking"]
