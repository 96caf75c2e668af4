"""Voxels beside a joint are corrected so that surfaces continue there, the same everywhere along it."""

import numpy as np
import pytest
from scipy import ndimage

from kerasgan3d.sampling.scan import UNKNOWN, Scan
from kerasgan3d.steering.border import border_of

STRIDE, RIM = 16, 8
ABOVE = [(False, False), (False, False), (False, True)]  # generated voxels follow along x only


def scan_of(labels):
    return Scan(labels, np.zeros((0, 3)), np.zeros((0, 1)))


def surface_at(y):
    """Logits of two phases that are equal at a plane normal to y."""

    def logits(start, shape):
        height = np.broadcast_to((np.arange(shape[1]) + start[1] + 0.5 - y)[:, np.newaxis], shape) / 5
        return np.stack([-height, height], axis=-1).astype("float32")

    return logits


def slab(shape, y):
    return scan_of(np.broadcast_to(np.arange(shape[1])[:, np.newaxis] >= y, shape).astype("uint8"))


def test_nothing_changes_where_the_generator_makes_what_is_known():
    border = border_of(surface_at(12), slab((8, 24, 16), 12), ABOVE, (None,) * 3, STRIDE)
    assert border.shape == (24, 40, 32)
    assert (border == UNKNOWN).all()


@pytest.mark.parametrize("moved", [-2, 2])
def test_a_surface_goes_on_from_where_it_is_known_to_where_the_generator_has_it(moved):
    border = border_of(surface_at(12), slab((8, 24, 16), 12 + moved), ABOVE, (None,) * 3, STRIDE)
    known, beside = np.split(border, [16 + RIM], axis=2)
    assert (known == UNKNOWN).all()
    # How far the surface is moved in each layer beside the joint, in the middle along z.
    changed = beside[RIM + 4, RIM : RIM + 24] != UNKNOWN
    found = changed.sum(axis=0)
    assert found[0] == 2
    assert (np.diff(found) <= 0).all()
    assert (found[3:] == 0).all()
    assert set(np.unique(beside)) == {0 if moved > 0 else 1, UNKNOWN}
    assert sorted(np.flatnonzero(changed[:, 0])) == ([12, 13] if moved > 0 else [10, 11])


def test_what_is_corrected_at_once_is_not_seen(monkeypatch):
    rng, wide = np.random.default_rng(0), 24
    values = rng.standard_normal((96 + 2 * wide, 40 + 2 * wide, 40 + 2 * wide, 2))
    values = ndimage.gaussian_filter(values, (4, 4, 4, 0)).astype("float32")
    values /= values.std()

    def logits(start, shape):
        return values[tuple(slice(a + wide, a + wide + n) for a, n in zip(start, shape, strict=True))]

    inner = (slice(wide, -wide),) * 3
    scan = scan_of(np.roll(values[inner].argmax(-1), 2, axis=1).astype("uint8"))
    found = []
    for most in (40, 1000):
        monkeypatch.setattr("kerasgan3d.steering.border._MOST_VOXELS", most)
        found.append(border_of(logits, scan, ABOVE, (None,) * 3, STRIDE))
    assert np.count_nonzero(found[1] != UNKNOWN) > 100
    assert np.mean((found[0] != found[1])[found[1] != UNKNOWN]) < 0.01


def test_along_a_periodic_axis_as_long_as_the_scan_all_of_the_joint_is_corrected():
    def logits(start, shape):  # of a surface normal to z
        height = np.broadcast_to((np.arange(shape[0]) + start[0] - 11.5)[:, None, None], shape) / 5
        return np.stack([-height, height], axis=-1).astype("float32")

    labels = np.broadcast_to((np.arange(24) >= 14)[:, None, None], (24, 32, 16)).astype("uint8")
    period = (None, 32, None)
    border = border_of(logits, scan_of(labels), ABOVE, period, STRIDE)
    scan = Scan(labels, np.zeros((0, 3)), np.zeros((0, 1)), border=border)
    kept = scan.kept((0, 0, 16), (24, 32, RIM), period)
    np.testing.assert_array_equal(np.count_nonzero(kept[:, :, 0] != UNKNOWN, axis=0), 2)
    assert np.count_nonzero(kept != UNKNOWN) == scan.told()["corrected_voxels"]


@pytest.mark.parametrize("gap", [4, 8, 12, 24])
def test_both_sides_of_a_gap_are_corrected_alike(gap):
    period, beyond = (None, None, 16 + gap), [(False, False), (False, False), (True, True)]
    border = border_of(surface_at(12), slab((8, 24, 16), 14), beyond, period, STRIDE)
    job = Scan(np.zeros((8, 24, 16)), np.zeros((0, 3)), np.zeros((0, 1)), border=border)
    between = job.kept((0, 0, 16), (8, 24, gap), period)
    np.testing.assert_array_equal(between, between[:, :, ::-1])
    assert (between[4, 12:14, 0] == 0).all()
    kept = np.count_nonzero(job.kept((0, -RIM, 0), (8, 40, 16 + gap), period)[:, :, 16:] != UNKNOWN)
    assert kept == job.told()["corrected_voxels"] > 0


def test_holes_are_corrected_too():
    scan = slab((24, 24, 24), 14)
    labels = scan.labels.copy()
    labels[8:16, 8:16, 8:16] = UNKNOWN
    border = border_of(surface_at(12), scan_of(labels), [(False, False)] * 3, (None,) * 3, STRIDE)
    hole = border[RIM:-RIM, RIM:-RIM, RIM:-RIM]
    assert (hole[[8, 15], 12:14, 8:16] == 0).all()
    assert (hole[labels != UNKNOWN] == UNKNOWN).all()
