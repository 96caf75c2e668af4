"""What the measures of shape count on blocks adds up to what they count of the whole."""

from itertools import product

import numpy as np
import pytest
from scipy import ndimage

from kerasgan3d.metrics import _windows, chords, euler, openings, pieces
from kerasgan3d.metrics._halo import halo, with_halo

PERIODIC = list(product((False, True), repeat=3))
CASES = [
    ((7, 11, 5), 3, 4),
    ((5, 7, 7), 2, 3),
    ((1, 13, 2), 4, 5),
    ((2, 3, 17), 5, 2),
    ((3, 3, 3), 3, 1),
    ((16, 21, 18), 3, 9),
    ((6, 4, 5), 3, 100),
]


def noise(shape, n_phases, seed=0):
    return np.random.default_rng(seed).integers(0, n_phases, shape).astype(np.uint8)


def grains(shape, n_phases, seed=0, sigma=1.5):
    field = ndimage.gaussian_filter(np.random.default_rng(seed).random(shape), sigma, mode="wrap")
    return np.digitize(field, np.quantile(field, np.arange(1, n_phases) / n_phases)).astype(np.uint8)


def around(labels, plan, reach):
    """Yield each block with what lies around it, and which of that is the block."""
    for block in plan.blocks():
        window = halo(block.start, block.stop, plan.shape, plan.periodic, reach)
        yield np.asarray(_windows.window(labels, window.start, window.stop)), window.own


def ahead(labels, plan, axis, reach):
    """Yield each block with what follows it along an axis, and its own length there."""
    for block in plan.blocks():
        stop = list(block.stop)
        stop[axis] = plan.arm(block, axis, reach)[1][axis]
        yield np.asarray(_windows.window(labels, block.start, tuple(stop))), block.shape[axis]


@pytest.fixture(params=PERIODIC, ids=lambda p: "".join("zyx"[a] for a in range(3) if p[a]) or "-")
def periodic(request):
    return request.param


@pytest.fixture(params=CASES, ids=str)
def case(request, periodic):
    """Labels of either kind, the number of phases, and a plan."""
    shape, phases, block = request.param
    return (noise(shape, phases), grains(shape, phases)), phases, _windows.Plan(shape, periodic, block)


@pytest.mark.parametrize("edges", ["inner", "open"])
def test_openings(case, edges):
    both, phases, plan = case
    radii = (0.0, 1.0, 1.5, 2.0, 3.5)
    reach = openings.reach_of(radii)
    for labels in both:
        whole = openings.count_openings(*with_halo(labels, plan.periodic, reach), radii, phases, edges)
        parts = [openings.count_openings(part, own, radii, phases, edges) for part, own in around(labels, plan, reach)]
        np.testing.assert_array_equal(sum(parts), whole)
        np.testing.assert_array_equal(whole[1, :, 0], np.bincount(labels.ravel(), minlength=phases))


def test_specks(case):
    both, phases, plan = case
    for labels, smaller_than in product(both, (2, 9)):
        whole = pieces.count_specks(*with_halo(labels, plan.periodic, smaller_than - 1), phases, smaller_than)
        windows = around(labels, plan, smaller_than - 1)
        parts = [pieces.count_specks(part, own, phases, smaller_than) for part, own in windows]
        np.testing.assert_array_equal(sum(parts), whole)


def test_chords(case):
    both, phases, plan = case
    for labels, axis, max_length in product(both, range(3), (1, 6)):
        whole_plan = _windows.Plan(plan.shape, plan.periodic, max(plan.shape))
        ((labels_ahead, own),) = ahead(labels, whole_plan, axis, max_length + 1)
        whole = chords.count_chords(labels_ahead, own, axis, phases, max_length)
        parts = [
            chords.count_chords(part, own, axis, phases, max_length)
            for part, own in ahead(labels, plan, axis, max_length + 1)
        ]
        for name in whole._fields:
            np.testing.assert_array_equal(sum(getattr(part, name) for part in parts), getattr(whole, name))
        found = chords.chord_lengths(labels, max_length, voxel_size=1, periodic=plan.periodic, n_phases=phases)
        np.testing.assert_array_equal(found.counts[:, axis], whole.chords)


def test_arrangements(case):
    both, phases, plan = case
    for labels in both:
        cores = [np.asarray(_windows.window(labels, *plan.core(block))) for block in plan.blocks()]
        found = sum(euler.count_arrangements(core, phases) for core in cores)
        wrapped = np.pad(labels, [(0, int(wraps)) for wraps in plan.periodic], mode="wrap")
        np.testing.assert_array_equal(found, euler.count_arrangements(wrapped, phases))
