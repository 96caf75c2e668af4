"""Differentiable measures of phase probabilities, for training and steering.

Where probabilities are 0 or 1 they equal those of ``kerasgan3d.metrics``, per voxel instead of per µm.
"""

import kerasgan3d.quiet  # noqa: F401 before Keras
from kerasgan3d.differentiable.counts import (
    ball_moments,
    lattice,
    likeliest,
    local_fractions,
    soft_edges,
    surface_areas,
    triple_phase_boundaries,
    two_point_correlation,
    volume_fractions,
)
from kerasgan3d.differentiable.diffusivity import relative_diffusivities, relative_diffusivity

__all__ = [
    "ball_moments",
    "lattice",
    "likeliest",
    "local_fractions",
    "relative_diffusivities",
    "relative_diffusivity",
    "soft_edges",
    "surface_areas",
    "triple_phase_boundaries",
    "two_point_correlation",
    "volume_fractions",
]
