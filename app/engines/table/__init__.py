"""Tables: a pipeline's fitted steps replayed on typed columns, without a DataFrame."""

from app.engines.table.forms import forms, rebuild
from app.engines.table.synthesis import table_batches

__all__ = ["forms", "rebuild", "table_batches"]
