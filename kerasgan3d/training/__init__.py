"""Training: the adversarial model, recipes, and whole runs, which can be interrupted and resumed."""

import kerasgan3d.quiet  # noqa: F401 before Keras
from kerasgan3d.models.calibrate import calibrate
from kerasgan3d.training.gan3d import GAN3D
from kerasgan3d.training.recipe import Recipe, list_recipes, load_recipe
from kerasgan3d.training.run import train

__all__ = ["GAN3D", "Recipe", "calibrate", "list_recipes", "load_recipe", "train"]
