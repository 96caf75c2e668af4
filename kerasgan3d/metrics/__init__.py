"""Measures of labelled volumes: pure functions of labels, axes z, y, x, lengths in µm.

Every measure takes a :class:`~kerasgan3d.volume.Volume` or an integer array (z, y, x) of phases 0..n-1, leaves it as
it is, and returns numbers. A volume brings its voxel size, periodic axes and number of phases along; for an array, or
to overrule the volume, they are the keywords `voxel_size` (µm), `periodic` (axes: one bool, three, or letters such as
"yx") and `n_phases`.
"""

from kerasgan3d.metrics.chords import ChordLengths, chord_lengths
from kerasgan3d.metrics.conduction import effective_conductivity, effective_conductivity_tensor
from kerasgan3d.metrics.confidence import Confidence, Interval, SizeCurve, size_curve, volume_fraction_interval
from kerasgan3d.metrics.connectivity import connected_fractions, percolating_voxels
from kerasgan3d.metrics.correlation import (
    normalised_two_point_correlation,
    radial_two_point_correlation,
    two_point_correlation,
)
from kerasgan3d.metrics.euler import euler_characteristic
from kerasgan3d.metrics.fractions import volume_fractions
from kerasgan3d.metrics.openings import SizeDistribution, granulometry, size_distribution
from kerasgan3d.metrics.particles import Particles, particles, saltykov
from kerasgan3d.metrics.permeability import permeability
from kerasgan3d.metrics.pieces import Specks, specks
from kerasgan3d.metrics.profiles import fraction_profiles, lineal_path
from kerasgan3d.metrics.record import Measurement, measure
from kerasgan3d.metrics.slices import SliceStatistics, slice_statistics
from kerasgan3d.metrics.surface import interfacial_areas, specific_surface_area
from kerasgan3d.metrics.tpb import triple_phase_boundary_density
from kerasgan3d.metrics.transport import (
    DiffusionField,
    bruggeman_exponent,
    macmullin_number,
    relative_diffusivity,
    tortuosity_factor,
)

__all__ = [
    "ChordLengths",
    "Confidence",
    "DiffusionField",
    "Interval",
    "Measurement",
    "Particles",
    "SizeCurve",
    "SizeDistribution",
    "SliceStatistics",
    "Specks",
    "bruggeman_exponent",
    "chord_lengths",
    "connected_fractions",
    "effective_conductivity",
    "effective_conductivity_tensor",
    "euler_characteristic",
    "fraction_profiles",
    "granulometry",
    "interfacial_areas",
    "lineal_path",
    "macmullin_number",
    "measure",
    "normalised_two_point_correlation",
    "particles",
    "percolating_voxels",
    "permeability",
    "radial_two_point_correlation",
    "relative_diffusivity",
    "saltykov",
    "size_curve",
    "size_distribution",
    "slice_statistics",
    "specific_surface_area",
    "specks",
    "tortuosity_factor",
    "triple_phase_boundary_density",
    "two_point_correlation",
    "volume_fraction_interval",
    "volume_fractions",
]
