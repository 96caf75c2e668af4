"""How measures and axes are called, for readers."""

_NAMES = {
    "volume_fraction": "volume fraction",
    "specific_surface_area": "specific surface area",
    "specific_surface_area_marching_cubes": "specific surface area (marching cubes)",
    "interfacial_area": "interfacial area",
    "triple_phase_boundary_density": "triple-phase boundary",
    "active_triple_phase_boundary_density": "active triple-phase boundary",
    "connected_fraction": "connected fraction",
    "relative_diffusivity": "relative diffusivity",
    "tortuosity_factor": "tortuosity factor",
    "two_point_correlation": "two-point correlation",
    "label_change_rate": "label changes",
}


def measure_name(key):
    """Return the reader's name of a measure, such as "volume fraction" for "volume_fraction"."""
    return _NAMES.get(key) or str(key).replace("_", " ")


def axis_name(axis):
    """Return the reader's name of an axis: "z", "y", "x" or "mean" (of the axes), or nothing for None."""
    return "" if axis is None else str(axis)
