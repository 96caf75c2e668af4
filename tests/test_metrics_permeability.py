"""Permeability: channels and ducts that are known exactly, arrays of spheres, and where there is none."""

import math

import numpy as np
import pytest

from kerasgan3d import Volume, measure
from kerasgan3d.metrics import permeability
from kerasgan3d.metrics._stokes import equations

TIGHT = 1e-6


def duct(n):
    """A square duct of side n: the series of Poiseuille flow (White, Viscous Fluid Flow, 2006, section 3-3.3)."""
    odd = np.arange(1, 200, 2)
    return n**2 / 12 * (1 - 192 / np.pi**5 * np.sum(np.tanh(odd * np.pi / 2) / odd**5.0))


def spheres(n, share):
    """A cell of a simple cubic array of spheres that fill a share of it: 1 between them."""
    radius = n * (3 * share / (4 * np.pi)) ** (1 / 3)
    along = (np.arange(n) + 0.5 - n / 2) ** 2
    return (along[:, None, None] + along[:, None] + along > radius**2).astype(np.uint8), radius


@pytest.mark.parametrize("axis", "zyx")
@pytest.mark.parametrize("n", [1, 2, 9])
def test_a_channel_is_exact_on_voxels(axis, n):
    # On nodes half a voxel off the walls, the parabola x(n - x)/2 is lifted by 1/8, and its mean by 1/24 more.
    channel = np.zeros((6, n + 3, 2), np.uint8)
    channel[:, 2 : n + 2] = 1
    turned = np.moveaxis(channel, 0, "zyx".index(axis))
    found = permeability(turned, 1, axis, "periodic", tolerance=TIGHT)
    assert found == pytest.approx((n**2 / 12 + 1 / 6) * n / (n + 3), rel=1e-5)
    assert permeability(turned, 1, axis, "mirror", tolerance=TIGHT) == pytest.approx(found, rel=1e-5)


def test_a_square_duct_converges_to_the_series():
    # The error falls with the square of the number of voxels, as that of a channel does: extrapolated, it is gone.
    coarse, fine = (permeability(np.ones((3, n, n), np.uint8), 1, "z", tolerance=TIGHT) / duct(n) for n in (8, 16))
    assert fine == pytest.approx(1, abs=0.016)
    assert (4 * fine - coarse) / 3 == pytest.approx(1, abs=1e-3)


# The drag of a cubic array over Stokes' law, by Zick and Homsy (J. Fluid Mech. 115, 1982, table 1; Sangani and Acrivos,
# Int. J. Multiphase Flow 8, 1982, agree). On voxels spheres are stairs and hold a few per cent more or less than they
# should, which at 16 voxels moves the permeability by up to 9 %.
@pytest.mark.parametrize(("share", "drag"), [(0.064, 2.810), (0.216, 7.442), (0.343, 15.4)])
def test_cubic_arrays_of_spheres(share, drag):
    cell, radius = spheres(16, share)
    assert permeability(cell, 1, "y", "periodic") == pytest.approx(16**3 / (6 * np.pi * radius * drag), rel=0.1)


def test_mirrors_and_opposite_sides_are_the_same_of_a_symmetric_cell():
    cell, _ = spheres(10, 0.3)
    by_side = [permeability(cell, 1, "z", side, tolerance=TIGHT) for side in ("mirror", "periodic", "wall")]
    assert by_side[0] == pytest.approx(by_side[1], rel=1e-4)
    assert by_side[2] < 0.8 * by_side[0]


def test_periodic_sides_let_through_wherever_the_cell_is_cut():
    labels = np.roll(spheres(10, 0.3)[0], (0, 3, 5), (0, 1, 2))
    shifted = permeability(labels, 1, "z", periodic="yx", tolerance=TIGHT)
    assert shifted == pytest.approx(permeability(spheres(10, 0.3)[0], 1, "z", "periodic", tolerance=TIGHT), rel=1e-4)


def test_equations_are_symmetric_and_conserve_volume():
    mask = np.random.default_rng(0).random((5, 6, 7)) < 0.8
    shear, divergence, inlet, layers = equations(mask, ("periodic", "wall"))
    assert abs(shear - shear.T).max() == 0
    assert np.linalg.eigvalsh(shear.toarray()).min() > 0
    assert divergence.shape == (mask.sum(), len(inlet))
    # What flows out of all voxels is what passes the two ends.
    ends = np.zeros(len(inlet))
    ends[: len(layers)][layers == 0], ends[: len(layers)][layers == 5] = -1, 1
    np.testing.assert_array_equal(np.asarray(divergence.sum(axis=0)).ravel(), ends)


@pytest.mark.parametrize(
    ("unit", "factor"), [(None, 0.25), ("µm²", 0.25), ("voxel²", 1), ("m²", 0.25e-12), ("darcy", 0.25 / 0.9869233)]
)
def test_units(unit, factor):
    volume = Volume(np.ones((2, 4, 4), np.uint8), ("grain", "pore"), 0.5)
    alone = permeability(volume.labels, 1, "z")
    assert permeability(volume, "pore", "z", unit=unit) == pytest.approx(alone * factor, rel=1e-6)


def test_what_does_not_percolate_and_what_nothing_holds():
    labels = np.ones((6, 4, 4), np.uint8)
    assert permeability(labels, 1, "z", "mirror") == permeability(labels, 1, "z", "periodic") == math.inf
    assert permeability(labels, 1, "z") > 0
    labels[3] = 0
    assert permeability(labels, 1, "z") == permeability(labels, 0, "z") == 0.0
    assert permeability(labels, 0, "x") == pytest.approx(permeability(labels[3:4], 0, "x") / 6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unit": "mD"}, "`unit` must be one of 'µm²', 'm²', 'darcy', 'voxel²', or None. Received: 'mD'"),
        ({"unit": "m²"}, "The voxel size is unknown: for m² pass `voxel_size=` in µm, or take 'voxel²'"),
        ({"boundary": "slip"}, "`boundary` must be 'wall', 'mirror', 'periodic', or None .* Received: 'slip'"),
        ({"axis": "y"}, "at least two voxels long along the direction of transport"),
        ({"phase": 2}, "`phase` must be .* from 0 to 1"),
        ({"tolerance": 0}, "`tolerance` must be a number"),
    ],
)
def test_what_is_refused(options, message):
    given = {"phase": 1, "axis": "z"} | options
    with pytest.raises(ValueError, match=message):
        permeability(np.ones((4, 1, 4), np.uint8), **given)


def test_the_record_has_it_on_request():
    labels = np.zeros((4, 6, 6), np.uint8)
    labels[:, 1:5, 1:5] = 1
    volume = Volume(labels, ("grain", "pore"), 2.0)
    record = measure(volume, transport=False, shapes=False, permeability="pore")
    assert record.permeability[1, 0] == pytest.approx(permeability(volume, "pore", "z"))
    assert record.permeability[1, 1:].tolist() == [0, 0]
    assert np.isnan(record.permeability[0]).all()
    assert record.units["permeability"] == record.to_dict()["units"]["permeability"] == "µm²"
    assert type(record).from_dict(record.to_dict()).to_dict() == record.to_dict()
    assert "permeability k" in str(record)
    without = measure(volume, transport=False, shapes=False)
    assert without.permeability is None
    assert "permeability" not in without.to_dict()
    assert "permeability" not in without.units


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ((4, 4), {}, "`permeability` must be left out for a slice, which does not tell it. Received: True"),
        ((4, 4, 4), {"voxel_size": None}, "`permeability` must be left out for a volume whose voxel size is unknown"),
        ((4, 4, 4), {"block": 2}, "`permeability` must be left out where a part .* or block by block"),
        ((4, 4, 4), {"exclude": [0]}, "`permeability` must be left out where a part of an image is measured"),
        ((4, 4, 4), {"permeability": "oil"}, "`permeability` must be a bool, or phases by name or index: .*'oil'"),
    ],
)
def test_what_the_record_refuses(given, options, message):
    labels = np.random.default_rng(0).integers(0, 2, given)
    with pytest.raises(ValueError, match=message):
        measure(labels, **{"voxel_size": 1.0, "permeability": True} | options)
