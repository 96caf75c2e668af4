"""Parameters of cell models: spheres and slabs whose values are known, and what BPX and PyBaMM make of them."""

import json
import math
import re

import numpy as np
import pytest

from kerasgan3d import Volume, metrics
from kerasgan3d.export import electrode_parameters, export
from kerasgan3d.export.cells import smooth_area


def ball(size=24, radius=9, periodic=True):
    z, y, x = np.indices((size,) * 3) - (size - 1) / 2 + 0.2
    return Volume((z**2 + y**2 + x**2 <= radius**2).astype(int), ("pore", "NMC"), 0.5, periodic)


@pytest.mark.parametrize("radius", [5, 9])
def test_the_area_of_a_sphere_is_that_of_a_smooth_one(radius):
    volume = ball(radius=radius)
    assert smooth_area(volume, 1, 0) * volume.labels.size == pytest.approx(4 * math.pi * radius**2, rel=0.01)


def test_a_plane_along_the_voxels_is_what_the_documentation_says():
    slab = Volume(np.repeat([0, 1], 4).reshape(8, 1, 1) * np.ones((1, 8, 8), int), voxel_size=1.0, periodic=True)
    assert smooth_area(slab, 0, 1) * 8 / 2 == pytest.approx(0.9266, abs=1e-3)
    cut = Volume(slab.labels, voxel_size=1.0)  # one plane less, in 7 of the pairs of layers
    assert smooth_area(cut, 0, 1) * 7 == pytest.approx(0.9266, abs=1e-3)


def test_parameters_of_a_ball():
    volume = ball()
    found = electrode_parameters(
        volume,
        axis="y",
        conductivity={
            "NMC": 2.0,
        },
        thickness=75,
    )
    assert found.porosity + found.active_fraction == pytest.approx(1)
    assert found.transport_efficiency == metrics.relative_diffusivity(volume, "pore", "y")
    assert found.surface_area == pytest.approx(4 * math.pi * 9**2 / 24**3 / 0.5e-6, rel=0.01)
    assert found.radius_surface == pytest.approx(4.5e-6, rel=0.02)
    assert found.radius_sizes == pytest.approx(4.5e-6, abs=0.5e-6)  # a voxel
    assert found.particle_radius == found.radius_surface
    assert found.conductivity == 0  # a ball reaches no end
    assert found.thickness == pytest.approx(75e-6)
    text = " ".join(found.notes)
    for said in (
        "Through-plane axis: y.",
        "NMC (assumed: the largest solid phase)",
        "Crofton's formula",
        "granulometry",
    ):
        assert said in text
    other = electrode_parameters(volume, radius="sizes", active="NMC")
    assert other.particle_radius == found.radius_sizes
    assert "assumed" not in other.notes[1]


def test_files(tmp_path):
    lines = ball().export(tmp_path / "cell.json", active="NMC", electrode="negative")
    bpx = json.loads((tmp_path / "cell.json").read_text("utf-8"))
    assert (bpx["Header"]["BPX"], bpx["Header"]["Model"]) == ("1.1.0", "Partial")
    assert bpx["Header"]["Description"] == " ".join(lines)
    values = bpx["Parameterisation"]["User-defined"]["Negative electrode"]
    assert values["Particle radius [m]"] == values["Particle radius from surface area [m]"]
    ball().export(tmp_path / "p.json", "pybamm")
    pybamm = json.loads((tmp_path / "p.json").read_text("utf-8"))
    parameters = pybamm["parameters"]
    assert pybamm["notes"][0].startswith("Measured by kerasgan3d on 24 x 24 x 24 voxels (z, y, x) of 0.5 um.")
    power = parameters["Positive electrode Bruggeman coefficient (electrolyte)"]
    assert parameters["Positive electrode porosity"] ** power == pytest.approx(values["Transport efficiency"])
    area = (
        3
        * parameters["Positive electrode active material volume fraction"]
        / parameters["Positive particle radius [m]"]
    )
    assert area == pytest.approx(values["Surface area per unit volume [m-1]"])


def test_a_base_gets_the_electrode(tmp_path):
    base = {
        "Header": {"BPX": "1.1.0", "Description": "A cell.", "Model": "DFN"},
        "Parameterisation": {"Positive electrode": {"Porosity": 0.9, "OCP [V]": "4 - x"}},
    }
    (tmp_path / "base.json").write_text(json.dumps(base))
    export(ball(), tmp_path / "cell.json", base=tmp_path / "base.json", thickness=60)
    found = json.loads((tmp_path / "cell.json").read_text("utf-8"))
    electrode = found["Parameterisation"]["Positive electrode"]
    assert electrode["OCP [V]"] == "4 - x"
    assert electrode["Porosity"] == pytest.approx(ball().fractions[0])
    assert electrode["Thickness [m]"] == pytest.approx(60e-6)
    assert found["Header"]["Description"].startswith("A cell. Measured by kerasgan3d")
    assert base["Parameterisation"]["Positive electrode"]["Porosity"] == 0.9
    with pytest.raises(ValueError, match="`base` must be a BPX object with a negative electrode"):
        export(ball(), tmp_path / "cell.json", base=base, electrode="negative")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pore": "void"}, "A phase must be one of pore, NMC"),
        ({"active": "pore"}, "`active` must be another phase than the pore. Received: pore"),
        ({"axis": "w"}, "`axis` one of z, y, x. Received:"),
        ({"radius": "mean"}, "`radius` one of surface, sizes"),
        ({"conductivity": 3}, "`conductivity` must name phases and their S/m, such as {'CBD': 100}. Received: 3"),
        ({"conductivity": {}}, "`conductivity` must name phases and their S/m, such as {'CBD': 100}. Received: {}"),
        ({"conductivity": {"NMC": 1, 1: 2}}, "`conductivity` must name each phase once. Received: NMC twice."),
        ({"thickness": -1}, "`thickness` must be a number of at least"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        electrode_parameters(ball(8, 3), **options)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"NMC": 2.0}, 0.5 * 2),
        ({"CBD": 100.0}, 0.25 * 100),
        ({"NMC": 2.0, "CBD": 100.0}, 0.5 * 2 + 0.25 * 100),  # side by side
        ({1: 2.0, "2": 100.0}, 0.5 * 2 + 0.25 * 100),
        ({"NMC": 0.0}, 0.0),
    ],
)
def test_phases_conduct_side_by_side(given, expected):
    layers = np.broadcast_to(np.repeat([1, 0, 2], [4, 2, 2]), (8, 8, 8))
    found = electrode_parameters(Volume(layers, ("pore", "NMC", "CBD"), 1.0, True), active="CBD", conductivity=given)
    assert found.conductivity == pytest.approx(expected, rel=1e-6)
    for label, value in given.items():
        name = {"1": "NMC", "2": "CBD"}.get(str(label), label)
        assert f"{value:g} S/m of {name}" in found.notes[5]


def test_phases_conduct_in_series():
    layers = np.broadcast_to(np.repeat([2, 1], 4)[:, np.newaxis, np.newaxis], (8, 8, 8)).copy()
    layers[..., 0] = 0
    volume = Volume(layers, ("pore", "NMC", "CBD"), 1.0, True)
    found = electrode_parameters(volume, conductivity={"NMC": 2.0, "CBD": 100.0}, active="NMC")
    assert found.conductivity == pytest.approx(7 / 8 * 2 / (1 / 2 + 1 / 100), rel=1e-6)


def test_volumes_that_are_no_electrode():
    with pytest.raises(ValueError, match="Cell models need a volume, as a slice .* Received: shape .1, 8, 8."):
        electrode_parameters(Volume(np.eye(8, dtype=int)[np.newaxis], ("pore", "b"), 1.0), axis="y")
    layers = np.zeros((8, 8, 8), int)
    layers[:2], layers[4:6] = 1, 2
    with pytest.raises(ValueError, match="`pore` must say which phase holds the electrolyte: a, b, c"):
        electrode_parameters(Volume(layers, ("a", "b", "c"), 1.0))
    with pytest.raises(ValueError, match="The pore must connect the two faces"):
        electrode_parameters(Volume(layers, ("pore", "b", "c"), 1.0)).to_pybamm()
    layers[6:], layers[2:4] = 2, 2
    layers[0] = 0
    with pytest.raises(ValueError, match="c must touch pore"):
        electrode_parameters(Volume(layers, ("pore", "b", "c"), 1.0))


@pytest.mark.peer
def test_bpx_validates_the_object():
    bpx = pytest.importorskip("bpx", reason="bpx is not installed")
    found = electrode_parameters(ball(), conductivity={"pore": 1.0}, thickness=60)
    parsed = bpx.parse_bpx_obj(found.to_bpx())
    assert parsed.header.model == "Partial"
    assert parsed.parameterisation.user_defined.model_extra["Positive electrode"]["Porosity"] == found.porosity
