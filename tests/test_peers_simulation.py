"""The two scripts of docs/simulation.md, on volumes that are small, and what they claim."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from kerasgan3d import Volume

DOCS = Path(__file__).resolve().parent.parent / "docs"
pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(not DOCS.is_dir(), reason="the tests were taken out of the repository"),
]


def script(name):
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.filterwarnings("ignore")
def test_a_generated_cathode_discharges(capsys):
    pytest.importorskip("pybamm", reason="PyBaMM is not installed")
    time, voltage = script("discharge").main(48, 0.05)  # one particle can fill a volume of 32³
    assert time[-1] == pytest.approx(180)
    assert 3 < voltage[-1] < voltage[0] < 4.3
    assert "Through-plane axis: z. Pore: pore. Active material: NMC." in capsys.readouterr().out


@pytest.fixture(scope="module")
def diffusion():
    pytest.importorskip("skfem", reason="scikit-fem is not installed")
    return script("diffusion")


def test_a_straight_channel_is_exact_by_finite_elements(diffusion):
    labels = np.zeros((4, 6, 6), int)
    labels[:, 5:, :3] = 1  # it lies at a periodic side
    labels[:, :1, :3] = 1
    volume = Volume(labels, ("solid", "pore"), 0.5, True)
    assert diffusion.by_finite_elements(volume) == pytest.approx(6 / 36)


@pytest.mark.parametrize("periodic", [True, False])
def test_finite_elements_on_the_exported_mesh_tend_to_the_same(diffusion, periodic):
    noise = ndimage.gaussian_filter(np.random.default_rng(1).standard_normal((10, 10, 10)), 2, mode="wrap")
    volume = Volume((noise > np.median(noise)).astype(int), ("solid", "pore"), 1.0, periodic)
    found = diffusion.both(volume)
    gaps = {name: theirs / ours - 1 for name, (ours, theirs) in found.items()}
    # Finite elements come from above, finite volumes from below.
    assert 0 < gaps["halves"] < 0.6 * gaps["voxels"]
    assert abs(gaps["limits"]) < 0.03


def test_tetrahedra_of_a_cylinder_conduct_as_a_smooth_one(diffusion):
    y, x = np.indices((10, 10)) - 4.3
    volume = Volume(np.tile((y**2 + x**2 <= 9).astype(int), (3, 1, 1)), ("solid", "pore"), 0.5, True)
    found = diffusion.by_finite_elements(volume, cells="tetrahedra")
    assert found == pytest.approx(volume.fractions[1], rel=0.01)  # straight: D_eff / D_0 is the fraction
