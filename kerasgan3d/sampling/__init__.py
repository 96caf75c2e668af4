"""Sampling: the latent field, the tile plan, and filling a volume tile by tile."""

from kerasgan3d.sampling.field import LatentField
from kerasgan3d.sampling.generate import generate
from kerasgan3d.sampling.plan import Tile, TilePlan, plan_tiles

__all__ = ["LatentField", "Tile", "TilePlan", "generate", "plan_tiles"]
