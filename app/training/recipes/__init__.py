"""The recipes by name; ``table`` is the plain road, for data of any kind."""

from app.training.recipes.base import Recipe
from app.training.recipes.digits import DIGITS
from app.training.recipes.forest import FOREST
from app.training.recipes.linear import LINEAR
from app.training.recipes.sgd import SGD
from app.training.recipes.table import TABLE
from app.training.recipes.text import TEXT

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (TABLE, LINEAR, FOREST, DIGITS, SGD, TEXT)}

__all__ = ["RECIPES", "Recipe"]
