"""Sampling: latent field, condition field, tile plan, sampling jobs, and filling a volume."""

from kerasgan3d.sampling.conditions import ConditionedField, Conditions
from kerasgan3d.sampling.field import LatentField
from kerasgan3d.sampling.generate import generate
from kerasgan3d.sampling.job import SamplingJob, plan_tiles
from kerasgan3d.sampling.plan import Tile, TilePlan

__all__ = ["ConditionedField", "Conditions", "LatentField", "SamplingJob", "Tile", "TilePlan", "generate", "plan_tiles"]
