"""Measured electrode parameters for cell models: BPX, the Battery Parameter eXchange, and PyBaMM."""

from __future__ import annotations

import copy
import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from kerasgan3d import metrics
from kerasgan3d.checks import AXES, check_number
from kerasgan3d.export._chosen import chosen_phase, edge_length
from kerasgan3d.files import replacing
from kerasgan3d.metrics.openings import MAX_RADIUS
from kerasgan3d.texts import json_text, shown
from kerasgan3d.volume import Volume

BPX_VERSION = "1.1.0"
RADII = ("surface", "sizes")
_ELECTRODES = ("positive", "negative")
_PORES = ("pore", "pores", "void", "electrolyte")
_STEPS = 16  # of the size distribution, which is linear between radii
# Weights of the directions to the neighbours across faces, edges and corners of a voxel: the fraction of the sphere
# closest to each. They add up to 1 (Ohser and Schladitz, 3D Images of Materials Structures, 2009, section 5.2).
_WEIGHTS = {1: 0.0915558, 2: 0.0739613, 3: 0.0703913}


@dataclass(frozen=True)
class ElectrodeParameters:
    """Effective parameters of a porous electrode, in SI units.

    Attributes:
        electrode: Electrode of the cell: "positive" or "negative".
        porosity: Volume fraction of the pore.
        transport_efficiency: D_eff / D_0 of the pore through the plane, one over its MacMullin number.
        active_fraction: Volume fraction of the active material.
        surface_area: Area between active material and pore per volume of the electrode, 1/m.
        radius_surface: Radius of spheres of the active material's volume and that area, 3 active_fraction /
            surface_area, m.
        radius_sizes: Mean radius, by volume, of the balls that fit into the active material, m.
        radius: Which of the two is the particle radius: "surface" or "sizes".
        conductivity: Effective conductivity of the solid through the plane, S/m, or None.
        thickness: Thickness of the electrode, m, or None.
        notes: Methods and assumptions of each parameter.
    """

    electrode: str
    porosity: float
    transport_efficiency: float
    active_fraction: float
    surface_area: float
    radius_surface: float
    radius_sizes: float
    radius: str
    conductivity: float | None
    thickness: float | None
    notes: tuple[str, ...]

    @property
    def particle_radius(self) -> float:
        """Particle radius, m."""
        return self.radius_surface if self.radius == "surface" else self.radius_sizes

    def to_bpx(self, base: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return a BPX 1.1 object for the bpx package.

        Args:
            base: A BPX object of a whole cell, whose electrode receives the measured values. Without it the object is
                "Partial": BPX has no electrodes without chemistry, so that the values are listed under "User-defined",
                by their names in an electrode.

        Raises:
            ValueError: If the base has no such electrode, or one with several active materials.
        """
        values = {
            "Porosity": self.porosity,
            "Transport efficiency": self.transport_efficiency,
            "Surface area per unit volume [m-1]": self.surface_area,
            "Particle radius [m]": self.particle_radius,
        }
        values |= {"Conductivity [S.m-1]": self.conductivity} if self.conductivity is not None else {}
        values |= {"Thickness [m]": self.thickness} if self.thickness is not None else {}
        section, said = f"{self.electrode.capitalize()} electrode", " ".join(self.notes)
        if base is None:
            values |= {
                "Active material volume fraction": self.active_fraction,
                "Particle radius from surface area [m]": self.radius_surface,
                "Particle radius from size distribution [m]": self.radius_sizes,
            }
            header = {"BPX": BPX_VERSION, "Title": f"{section} from an image", "Description": said, "Model": "Partial"}
            return {"Header": header, "Parameterisation": {"User-defined": {"description": said, section: values}}}
        merged = copy.deepcopy(dict(base))
        try:
            electrode = merged["Parameterisation"][section]
            header = merged["Header"]
        except (KeyError, TypeError):
            raise ValueError(f"`base` must be a BPX object with a {section.lower()}. Received one without.") from None
        if "Particle" in electrode:
            raise ValueError(f"`base` must have one active material in its {section.lower()}. Received a blend.")
        electrode.update(values)
        header["Description"] = " ".join(filter(None, (header.get("Description"), said)))
        return merged

    def to_pybamm(self) -> dict[str, float]:
        """Return parameters by their names in PyBaMM, for `ParameterValues.update`.

        PyBaMM takes the exponent b of transport efficiency = porosity^b, and computes the surface area as
        3 active_fraction / radius: it equals the measured one if the radius is that of "surface".

        Raises:
            ValueError: If the pore does not connect the two faces, in which case there is no such exponent.
        """
        if not self.transport_efficiency:
            raise ValueError(
                "The pore must connect the two faces of the electrode. Received a volume where it doesn't."
            )
        name = self.electrode.capitalize()
        power = math.log(self.transport_efficiency) / math.log(self.porosity) if self.porosity < 1 else 1.5
        values = {
            f"{name} electrode porosity": self.porosity,
            f"{name} electrode active material volume fraction": self.active_fraction,
            f"{name} electrode Bruggeman coefficient (electrolyte)": power,
            f"{name} particle radius [m]": self.particle_radius,
        }
        if self.conductivity is not None:
            values[f"{name} electrode conductivity [S.m-1]"] = self.conductivity
            values[f"{name} electrode Bruggeman coefficient (electrode)"] = 0.0
        if self.thickness is not None:
            values[f"{name} electrode thickness [m]"] = self.thickness
        return values


def electrode_parameters(
    volume: Volume,
    *,
    pore: int | str | None = None,
    active: int | str | None = None,
    axis: str = "z",
    electrode: str = "positive",
    radius: str = "surface",
    conductivity: Mapping[int | str, float] | None = None,
    thickness: float | None = None,
) -> ElectrodeParameters:
    """Measure the parameters of an electrode for a cell model.

    **The surface area** is that of a smooth surface, whereas voxel faces would give 3/2 of it. Crofton's formula
    computes it from the transitions from active material into pore on lines along 13 directions, to all neighbours of a
    voxel, each weighted by its fraction of the sphere (Ohser and Schladitz, 2009, section 5.2). It has no bias for
    isotropic surfaces, and is 7 % too low for planes along the voxels.

    Args:
        volume: The electrode, with its voxel size.
        pore: The phase filled with electrolyte, by name or label; default: the one called "pore".
        active: The active material; default: the largest other phase.
        axis: "z", "y" or "x": the direction from current collector to separator.
        electrode: "positive" or "negative".
        radius: Definition of the particle radius: "surface", 3 active_fraction / surface_area, with which volume,
            surface and radius are consistent, or "sizes", from the granulometry.
        conductivity: The phases that conduct electrons, by name or label, and their conductivities in S/m, such as
            {"CBD": 100, "NMC": 0.01}; the electrode's is their `metrics.effective_conductivity`. Default: unspecified.
        thickness: Thickness of the electrode in µm, which may differ from that of the volume. Default: unspecified.

    Returns:
        ElectrodeParameters.

    Raises:
        ValueError: If there is no such phase, pore and active material do not touch, the voxel size is unknown, the
            volume is a slice, or an argument is invalid.
    """
    if electrode not in _ELECTRODES or radius not in RADII or axis not in tuple(AXES):
        raise ValueError(
            f"`electrode` must be one of {', '.join(_ELECTRODES)}, `radius` one of {', '.join(RADII)}, `axis` one of "
            f"{', '.join(AXES)}. Received: {shown(electrode)}, {shown(radius)}, {shown(axis)}."
        )
    if min(volume.shape) == 1:
        raise ValueError(
            "Cell models need a volume, as a slice shows no transport through the plane: `measure` the slice, or "
            f"generate a volume that is learned from it. Received: shape {volume.shape}."
        )
    pores, solid = _roles(volume, pore, active)
    edge = edge_length(volume, "m")
    porosity, share = (float(volume.fractions[label]) for label in (pores, solid))
    area = float(smooth_area(volume, solid, pores)) / edge
    if area == 0:
        raise ValueError(
            f"{volume.phases[solid]} must touch {volume.phases[pores]}. Received a volume where it doesn't."
        )
    efficiency = metrics.relative_diffusivity(volume, pores, axis)
    mean, beyond = _mean_radius(volume, solid)
    solid_conductivity, conducts = _conductivity(volume, conductivity, axis)
    names = volume.phases
    notes = (
        f"Measured by kerasgan3d on {' x '.join(map(str, volume.shape))} voxels (z, y, x) of {volume.voxel_size:g} um.",
        f"Through-plane axis: {axis}. Pore: {names[pores]}. Active material: {names[solid]}"
        + (" (assumed: the largest solid phase)." if active is None else "."),
        "Transport efficiency: D_eff/D_0 of the pore along that axis, by finite volumes on the voxels.",
        f"Surface area: between {names[solid]} and {names[pores]} only, what other phases cover is taken not to react; "
        "that of a smooth surface, by Crofton's formula over 13 directions, not of voxel faces.",
        f"Particle radius: {'3 x active fraction / surface area' if radius == 'surface' else 'size distribution'}; "
        f"{3 * share / area:.4g} m from the surface area, {mean * edge:.4g} m mean by volume of balls that fit into "
        f"{names[solid]} (granulometry), {beyond:.1%} of which is larger than was looked for.",
        f"Solid conductivity: {conducts}.",
        "Other phases carry no ions.",
    )
    return ElectrodeParameters(
        electrode,
        porosity,
        float(efficiency),
        share,
        area,
        3 * share / area,
        mean * edge,
        radius,
        solid_conductivity,
        None if thickness is None else check_number(thickness, "thickness", 1e-6) * 1e-6,
        notes,
    )


def smooth_area(volume: Volume, first: int, second: int) -> float:
    """Return the area between two phases per volume, in voxel faces per voxel, of a smooth surface.

    S_V = 2 P_L: twice the mean number of transitions from one into the other on a line of unit length, averaged over
    all directions, here the 13 to the neighbours of a voxel.
    """
    total = 0.0
    for offset in itertools.product((-1, 0, 1), repeat=3):
        if offset <= (0, 0, 0):
            continue
        ahead = np.roll(volume.labels, [-step for step in offset], (0, 1, 2))
        inside = tuple(
            slice(None) if wraps or not step else slice(None, -1) if step > 0 else slice(1, None)
            for step, wraps in zip(offset, volume.periodic, strict=True)
        )
        here, ahead = volume.labels[inside], ahead[inside]
        if here.size:
            unlike = ((here == first) & (ahead == second)) | ((here == second) & (ahead == first))
            squared = sum(map(abs, offset))
            total += _WEIGHTS[squared] * unlike.mean() / math.sqrt(squared)
    return 2 * total


def write_bpx(
    path: Path,
    volume: Volume,
    base: Mapping[str, Any] | str | Path | None = None,
    **options: Any,
) -> list[str]:
    """Write `electrode_parameters` as BPX JSON, into a copy of the cell `base`, an object or a file, if given."""
    found = electrode_parameters(volume, **options)
    _write_json(path, found.to_bpx(_read_json(Path(base)) if isinstance(base, (str, Path)) else base))
    return list(found.notes)


def write_pybamm(path: Path, volume: Volume, **options: Any) -> list[str]:
    """Write `electrode_parameters` as JSON: "parameters" for `pybamm.ParameterValues.update`, and "notes"."""
    found = electrode_parameters(volume, **options)
    _write_json(path, {"notes": list(found.notes), "parameters": found.to_pybamm()})
    return list(found.notes)


def _roles(volume, pore, active):
    """Return the labels of pore and active material."""
    if pore is None:
        pores = [label for label, name in enumerate(volume.phases) if name.lower() in _PORES]
        if len(pores) != 1:
            raise ValueError(f"`pore` must say which phase holds the electrolyte: {', '.join(volume.phases)}.")
        pore = pores[0]
    pore = chosen_phase(volume, pore)
    if active is None:
        others = volume.fractions.copy()
        others[pore] = -1
        active = int(others.argmax())
    active = chosen_phase(volume, active)
    if active == pore:
        raise ValueError(f"`active` must be another phase than the pore. Received: {volume.phases[pore]} for both.")
    return pore, active


def _mean_radius(volume, label):
    """Return the mean radius, by volume, of balls that fit into a phase, in voxels, and what lies in larger ones."""
    mask = volume.labels == label
    most = min((n - 1) // (2 if wraps else 4) for n, wraps in zip(volume.shape, volume.periodic, strict=True))
    around = np.pad(mask, [(most, most) if wraps else (0, 0) for wraps in volume.periodic], mode="wrap")
    # Beyond what fits there is nothing to look for.
    largest = min(most, math.ceil(ndimage.distance_transform_edt(around).max()), MAX_RADIUS)
    radii = np.linspace(0, largest, min(largest, _STEPS) + 1)
    shares = metrics.granulometry(mask.astype(np.uint8), radii, periodic=volume.periodic, n_phases=2)
    sizes = metrics.size_distribution(shares, radii)
    return float(sizes.mean[1]), float(sizes.beyond[1])


def _conductivity(volume, conductivity, axis):
    """Return the effective conductivity of the conducting phases, or None, and a note about it."""
    if conductivity is None:
        return None, "not told, as no conductivity was given"
    if not isinstance(conductivity, Mapping) or not conductivity:
        raise ValueError(
            f"`conductivity` must name phases and their S/m, such as {{'CBD': 100}}. Received: {shown(conductivity)}."
        )
    given = {}
    for phase, value in conductivity.items():
        label = chosen_phase(volume, phase)
        if label in given:
            raise ValueError(f"`conductivity` must name each phase once. Received: {volume.phases[label]} twice.")
        given[label] = check_number(value, "conductivity")
    effective = metrics.effective_conductivity(volume, given, axis)
    said = ", ".join(f"{value:g} S/m of {volume.phases[label]}" for label, value in given.items())
    if len(given) == 1 and value > 0:
        return effective, f"{said} times its D_eff/D_0, {effective / value:.4g}"
    return (
        effective,
        f"{effective:.4g} S/m by finite volumes on the voxels, from {said}; contacts between phases resist nothing",
    )


def _read_json(path):
    try:
        return json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} must be JSON. Received: {error}") from error


def _write_json(path, value):
    with replacing(path) as temporary:
        temporary.write_text(json_text(value, indent=2) + "\n", "utf-8")
