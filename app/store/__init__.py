"""The model store: the only thing that training and serving share."""

from app.store.catalog import ModelStore
from app.store.costing import ServingCost, serving_cost
from app.store.live import LiveModels
from app.store.loading import LoadedModel, load, read_attachment
from app.store.manifest import Manifest
from app.store.saving import Saved, save
from app.store.serving import Serving, Shadow

__all__ = [
    "LiveModels",
    "LoadedModel",
    "Manifest",
    "ModelStore",
    "Saved",
    "Serving",
    "ServingCost",
    "Shadow",
    "load",
    "read_attachment",
    "save",
    "serving_cost",
]
