"""Tables: a pipeline's fitted steps replayed on typed columns, without a DataFrame."""

from app.engines.table.columns import NotReplayed
from app.engines.table.forms import forms, rebuild
from app.engines.table.synthesis import table_batches

__all__ = ["NotReplayed", "forms", "rebuild", "table_batches"]
