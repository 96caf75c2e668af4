import numpy as np
import pytest
from scipy import ndimage

from kerasgan3d.report.seam import lattice_statistics, seam_statistics

PHASES = ("pore", "solid")


def materials(count, size=16, seed=0, mode="wrap"):
    """Volumes of a random material, periodic if the filter wraps."""
    fields = np.random.default_rng(seed).normal(size=(count, size, size, size))
    smooth = np.stack([ndimage.gaussian_filter(field, 1.5, mode=mode) for field in fields])
    return (smooth > 0).astype(np.uint8)


def found(statistics, key, phase="pore", axis="z"):
    (row,) = (r for r in statistics["measures"] if (r["key"], r["phase"], r["axis"]) == (key, phase, axis))
    return row


def test_periodic_volumes_show_no_seam_and_others_do():
    closed = seam_statistics(materials(16), PHASES, lag=2)
    assert min(row["p"] for row in closed["measures"]) > 0.05 / len(closed["measures"])
    torn = seam_statistics(materials(16, mode="reflect"), PHASES, lag=2)
    for axis in "zyx":
        row = found(torn, "label_change_rate", axis=axis)
        assert row["seam"] > 2 * row["interior"]
        assert row["p"] < 1e-6
        assert found(torn, "two_point_correlation", axis=axis)["p"] < 1e-3


def test_the_numbers_are_those_of_a_volume_drawn_by_hand():
    # One plane of 8 is solid, the last: the seam and the plane before it change everywhere, no others do.
    volume = np.zeros((8, 4, 4), np.uint8)
    volume[7] = 1
    other = np.zeros((8, 4, 4), np.uint8)
    statistics = seam_statistics([volume, other], PHASES, lag=1)
    assert (statistics["size"], statistics["count"]) == ([8, 4, 4], 2)
    row = found(statistics, "label_change_rate")
    assert (row["seam"], row["interior"]) == (0.5, pytest.approx(0.5 / 7))
    difference = np.array([1 - 1 / 7, 0])
    assert row["standard_error"] == pytest.approx(difference.std(ddof=1) / np.sqrt(2))
    # Around the seam are the two last and the two first planes; within, the four of the middle.
    row = found(statistics, "volume_fraction", "solid")
    assert (row["seam"], row["interior"]) == (pytest.approx(1 / 8), 0)
    row = found(statistics, "two_point_correlation", "pore")
    assert (row["seam"], row["interior"], row["lag"]) == (0.5, pytest.approx((6 / 7 + 1) / 2), 1)
    assert found(statistics, "label_change_rate", axis="x")["p"] == 1


def test_volumes_without_a_lattice_are_flat_and_p_is_what_it_says():
    p = [
        np.array(lattice_statistics(materials(16, seed=seed), PHASES, 4)["chi2_p"])[:, 0].ravel() for seed in range(20)
    ]
    p = np.concatenate(p)
    assert (p < 0.05).mean() < 0.15
    assert 0.35 < p.mean() < 0.65


@pytest.mark.parametrize("axis", range(3), ids="zyx")
def test_a_lattice_is_found_along_its_axis(axis):
    volumes = materials(12)
    lines = np.moveaxis(volumes, axis + 1, 1)
    lines[:, 1::4] |= np.random.default_rng(1).random(lines[:, 1::4].shape) < 0.1
    statistics = lattice_statistics(volumes, PHASES, 4)
    p = np.array(statistics["chi2_p"])
    assert p.shape == (3, 2)
    assert p[axis].max() < 1e-4
    assert np.delete(p, axis, 0).min() > 1e-3
    assert statistics["smallest_p"] < 1e-3
    fractions = np.array(statistics["fractions"])[axis, 1]
    assert fractions.argmax() == 1
    assert np.array(statistics["label_change_rates"]).shape == (3, 2, 4)
    assert np.array(statistics["label_change_standard_error"]).shape == (3, 2, 4)


def test_positions_are_counted_from_the_beginning_and_errors_are_between_volumes():
    volumes = np.zeros((2, 4, 4, 4), np.uint8)
    volumes[0, 1::2] = 1
    statistics = lattice_statistics(volumes, PHASES, 2)
    assert statistics["period"] == 2
    assert statistics["fractions"][0] == [[1.0, 0.5], [0.0, 0.5]]
    assert statistics["standard_error"][0] == [[0.0, 0.5], [0.0, 0.5]]
    assert statistics["label_change_rates"][0][0] == [0.5, 0.5]
    assert statistics["chi2_p"][1] == [1.0, 1.0]
