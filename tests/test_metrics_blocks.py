"""A volume that is measured block by block has the numbers that it has in memory, to the last bit."""

import dataclasses
import math
from itertools import product

import dask
import dask.array as da
import h5py
import numpy as np
import pytest
from scipy import ndimage

from kerasgan3d import io, measure
from kerasgan3d.metrics import _workers, record
from kerasgan3d.metrics._measure import OnBlocks
from kerasgan3d.metrics.registry import MEASURES
from kerasgan3d.volume import Volume

NAMES = ("pore", "NMC", "CBD")
COUNTED = (
    "volume_fraction",
    "specific_surface_area",
    "interfacial_area",
    "triple_phase_boundary_density",
    "active_triple_phase_boundary_density",
    "connected_fraction",
    "two_point_correlation",
    "granulometry",
    "mean_chord_length",
    "euler_characteristic",
    "speck_density",
    "hole_density",
)
AROUND = ("granulometry", "speck_density", "hole_density")  # what lies around a block counts
PERIODIC = list(product((False, True), repeat=3))


class Elsewhere:
    """Labels that can only be read by slices, and remember what was read."""

    def __init__(self, labels):
        self._labels = labels
        self.shape, self.dtype = labels.shape, labels.dtype
        self.read = []

    def __getitem__(self, window):
        assert all(isinstance(part, slice) and part.step is None for part in window)
        self.read.append(self._labels[window].shape)
        assert 0 not in self.read[-1], "nothing is read, which stacks of files cannot"
        return self._labels[window]


def grains(shape, phases=3, seed=0, sigma=1.0):
    """Random labels in lumps of a few voxels, of which some percolate and some do not."""
    field = ndimage.gaussian_filter(np.random.default_rng(seed).random(shape), sigma, mode="wrap")
    return np.digitize(field, np.quantile(field, np.arange(1, phases) / phases)).astype(np.uint8)


def noise(shape, phases, seed=0):
    return np.random.default_rng(seed).integers(0, phases, shape).astype(np.uint8)


def assert_alike(found, expected):
    """Compare what is counted, and see that the rest is left out."""
    assert (found.phases, found.shape, found.periodic) == (expected.phases, expected.shape, expected.periodic)
    for name in COUNTED:
        mine, theirs = getattr(found, name), getattr(expected, name)
        assert (mine is None) == (theirs is None), name
        if theirs is not None:
            np.testing.assert_array_equal(mine, theirs, err_msg=name)
            assert np.asarray(mine).dtype == np.asarray(theirs).dtype
    assert found.specific_surface_area_marching_cubes is found.radial_two_point_correlation is None
    assert found.relative_diffusivity is found.tortuosity_factor is found.macmullin_number is None


def check(labels, block, **given):
    expected = measure(labels, voxel_size=0.4, transport=False, **given)
    assert_alike(measure(labels, voxel_size=0.4, block=block, workers=1, **given), expected)
    return expected


@pytest.mark.parametrize(
    "periodic", PERIODIC, ids=["".join("zyx"[a] for a in range(3) if p[a]) or "-" for p in PERIODIC]
)
@pytest.mark.parametrize(
    ("shape", "phases", "block"),
    [
        ((7, 11, 5), 3, 4),
        ((5, 7, 7), 2, 3),
        ((1, 13, 2), 4, 5),
        ((2, 3, 17), 5, 2),
        ((3, 3, 3), 3, 1),
        ((6, 4, 5), 3, 100),
    ],
)
def test_blocks_change_no_bit(shape, phases, block, periodic):
    for labels in (noise(shape, phases), grains(shape, phases, seed=1, sigma=0.6)):
        check(labels, block, phases=phases, periodic=periodic, max_lag=min(shape) - 1)


@pytest.mark.parametrize("periodic", [False, True, (True, False, True)], ids=["bounded", "periodic", "mixed"])
def test_a_volume_where_some_clusters_percolate_and_some_do_not(periodic):
    expected = check(grains((24, 21, 26)), 8, periodic=periodic, max_lag=20)
    assert np.any((expected.connected_fraction > 0) & (expected.connected_fraction < 1))
    assert 0 < expected.active_triple_phase_boundary_density < expected.triple_phase_boundary_density


@pytest.mark.parametrize("block", [4, 7])
def test_edges_between_clusters_that_percolate_and_others_that_do_not(block):
    labels = noise((12, 13, 11), 3)
    labels[:, ::4] = 0
    labels[:, 1::4, :4] = 1
    labels[3:9, 2::4, 2:6] = 2
    labels[:, 2::8, 2:6] = 2
    for periodic in PERIODIC:
        expected = check(labels, block, periodic=periodic)
        assert 0 < expected.active_triple_phase_boundary_density < expected.triple_phase_boundary_density


def serpentine(size):
    """One channel, a voxel wide, that runs to and fro through every layer and from layer to layer."""
    labels = np.zeros((size,) * 3, np.uint8)
    labels[::2, ::2] = 1
    for y in range(1, size, 2):
        labels[::2, y, -1 if y % 4 == 1 else 0] = 1
    for z in range(1, size, 2):
        labels[z, -1 if z % 4 == 1 else 0, -1 if size % 4 == 3 else 0] = 1
    return labels


@pytest.mark.parametrize("block", [2, 5])
def test_a_channel_that_winds_through_many_blocks(block):
    labels = serpentine(9)
    # One cluster of many windings: cut anywhere, its ends are apart.
    assert ndimage.label(labels)[1] == 1
    found = measure(labels, voxel_size=1, block=block, workers=1)
    np.testing.assert_array_equal(found.connected_fraction[1], [1, 1, 1])
    labels[4, 4, 4] = 0
    cut = measure(labels, voxel_size=1, block=block, workers=1)
    assert cut.connected_fraction[1, 0] == 0
    check(labels, block)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("block", [2, 3, 9])
def test_percolation_by_way_of_a_periodic_face_only(axis, block):
    labels = np.zeros((6, 7, 5), np.uint8)
    labels[:3, 0, 2] = 1
    labels[2:, -1, 2] = 1
    order = np.roll(range(3), axis)
    labels = np.ascontiguousarray(np.transpose(labels, order))
    along, side = (int(np.flatnonzero(order == k)[0]) for k in (0, 1))
    for periodic in PERIODIC:
        found = measure(labels, voxel_size=1, periodic=periodic, block=block, workers=1)
        assert found.connected_fraction[1, along] == (1 if periodic[side] else 0)
        # The two ends are in contact where that axis is periodic, which is no way through.
        assert found.connected_fraction[1].sum() == found.connected_fraction[1, along]


def test_the_two_ends_themselves_are_not_joined():
    labels = np.zeros((6, 3, 3), np.uint8)
    labels[[0, 1, 4, 5], 1, 1] = 1
    assert not measure(labels, voxel_size=1, periodic=True, block=2, workers=1).connected_fraction[1].any()


@pytest.mark.parametrize("workers", [None, 1])
def test_a_dask_array_whose_chunks_are_made_once_a_pass(workers):
    labels = grains((12, 15, 18))
    made = []

    def make(block_info=None):
        where = block_info[None]["array-location"]
        made.append(tuple(where))
        return labels[tuple(slice(*bounds) for bounds in where)].copy()

    lazy = da.map_blocks(make, chunks=((4,) * 3, (5,) * 3, (6,) * 3), dtype=np.uint8)
    given = {"voxel_size": 0.4, "phases": NAMES, "periodic": (True, False, True), "max_lag": 7}
    with dask.config.set(scheduler="synchronous"):
        found = measure(lazy, block=8, workers=workers, **given)
    assert_alike(found, measure(labels, transport=False, **given))
    assert len(made) == 2 * len(set(made)) == 2 * 27


def test_the_scheduler_that_is_active_does_the_work(monkeypatch):
    def refuse(*arguments):
        raise AssertionError("processes were started")

    monkeypatch.setattr(_workers, "side_by_side", refuse)
    labels = grains((8, 8, 8))
    with dask.config.set(scheduler="threads", num_workers=2):
        found = measure(Elsewhere(labels), voxel_size=1, block=4)
    assert_alike(found, measure(labels, voxel_size=1, transport=False))


def stored(folder, kind, volume):
    path = folder / f"volume.{kind}"
    if kind == "h5":
        with h5py.File(path, "w") as file:
            file.create_dataset("labels", data=np.array([0, 127, 255], np.uint8)[volume.labels], chunks=(4, 5, 6))
    else:
        volume.save(path)
    return path


@pytest.mark.parametrize("kind", ["zarr", "tif", "npy", "h5"])
def test_files(tmp_path, kind):
    volume = Volume(grains((9, 14, 11)), NAMES, 0.4, (True, False, True), {"seed": 3})
    opened = io.open_volume(stored(tmp_path, kind, volume), phases=NAMES, voxel_size=0.4, in_memory=0)
    assert isinstance(opened, io.StoredVolume)
    assert (opened.shape, opened.phases, opened.voxel_size) == (volume.shape, NAMES, 0.4)
    # HDF5 files say nothing of it.
    assert opened.periodic == (volume.periodic if kind != "h5" else (False,) * 3)
    assert opened.provenance == (volume.provenance if kind != "h5" else {"file": "volume.h5"})
    found = measure(opened, periodic=volume.periodic, block=6, workers=1)
    assert_alike(found, measure(volume, transport=False))


def test_small_volumes_are_read(tmp_path):
    volume = Volume(grains((5, 5, 5)), NAMES, 0.4, True)
    volume.save(tmp_path / "a.zarr")
    opened = io.open_volume(tmp_path / "a.zarr")
    assert isinstance(opened, Volume)
    assert (opened.phases, opened.voxel_size, opened.periodic) == (NAMES, 0.4, (True,) * 3)
    np.save(tmp_path / "slice.npy", volume.labels[0])
    with pytest.raises(ValueError, match="must hold a 3D volume"):
        io.open_volume(tmp_path / "slice.npy", in_memory=0)


def test_the_number_of_workers_changes_nothing_and_errors_stay_one_line(tmp_path):
    volume = Volume(grains((12, 14, 11)), NAMES, 0.4, True)
    volume.save(tmp_path / "a.zarr")
    expected = measure(volume, transport=False)
    calls = []
    found = measure(
        io.open_volume(tmp_path / "a.zarr", in_memory=0),
        block=7,
        workers=2,
        progress=lambda *call: calls.append(call),
    )
    assert_alike(found, expected)
    assert calls[-1] == (calls[-1][1], calls[-1][1], "done")
    labels = volume.labels.copy()
    labels[-1, -1, -1] = 200
    for workers in (1, 2):
        with pytest.raises(ValueError, match="Received 3 with label 200 present: pass at least 201") as caught:
            measure(Elsewhere(labels), voxel_size=1, phases=3, block=7, workers=workers)
        assert str(caught.value).count("\n") == 0


def what_is_read(shape, block, max_lag, **given):
    """Return how many voxels are read at once at the most, and how many of all, as a share of the volume."""
    lazy = Elsewhere(grains(shape))
    measure(lazy, voxel_size=1, phases=3, periodic=True, max_lag=max_lag, block=block, workers=1, **given)
    # A window that wraps is read in pieces, one that does not at once.
    read = [math.prod(window) for window in lazy.read]
    return max(read), sum(read) / math.prod(shape)


def test_what_is_read_at_once_does_not_grow_with_the_volume():
    block, max_lag = 6, 4
    measured = [what_is_read((size,) * 3, block, max_lag, shapes=False) for size in (12, 18, 30)]
    largest, share = zip(*measured, strict=True)
    assert max(largest) <= (block + 1) ** 3
    # Two passes of blocks with the voxels ahead, and three arms.
    assert max(share) <= 2 * ((block + 1) / block) ** 3 + 3 * max_lag / block + 1e-9


def test_a_margin_is_read_with_the_block_and_in_the_first_pass_only(monkeypatch):
    for key in AROUND:
        monkeypatch.delitem(MEASURES, key)
    seen = []

    def count(part):
        seen.append([part.around(margin)[0].shape for margin in (0, 2, 3)])
        return part.labels.size

    row = dataclasses.replace(MEASURES["mean_chord_length"], on_blocks=OnBlocks(lambda *_: 0, count, margin=3))
    monkeypatch.setitem(MEASURES, "mean_chord_length", row)
    block, max_lag = 6, 4
    largest, share = zip(*(what_is_read((size,) * 3, block, max_lag) for size in (12, 18, 30)), strict=True)
    assert max(largest) <= (block + 2 * 3) ** 3
    assert max(share) <= ((block + 2 * 3) / block) ** 3 + ((block + 1) / block) ** 3 + 3 * max_lag / block + 1e-9
    # Each measure sees as much as it asks for.
    assert all(shapes == [(block + 2 * margin,) * 3 for margin in (0, 2, 3)] for shapes in seen)


def test_what_shapes_read_at_once_does_not_grow_with_the_volume():
    block, max_lag, margin, side = 20, 4, 26, 20
    shapes = [(size, side, side) for size in (66, 80, 130)]
    largest, share = zip(*(what_is_read(shape, block, max_lag) for shape in shapes), strict=True)
    # Along y and x the volume is less than what lies around: it is read once, and wrapped.
    assert max(largest) <= (block + 2 * margin) * side**2
    # The last block of a volume may be smaller than the others.
    blocks = [-(-shape[0] // block) for shape in shapes]
    for number, shape, read in zip(blocks, shapes, share, strict=True):
        first, second = shape[0] + 2 * margin * number, shape[0] + number
        assert read <= (first + second + (number + 2 * shape[0] / side) * max_lag) / shape[0] + 1e-9


@pytest.mark.parametrize("periodic", [False, True, (False, True, False), (True, False, True)], ids=str)
@pytest.mark.parametrize(
    ("shape", "phases", "block"),
    [
        pytest.param((70, 45, 72), 2, 40, id="blocks beyond the margin"),
        pytest.param((66, 38, 31), 4, 24, id="blocks within the margin"),
        pytest.param((21, 9, 34), 3, 8, id="a margin beyond the volume"),
    ],
)
def test_shapes_with_what_lies_around_a_block(shape, phases, block, periodic):
    labels = grains(shape, phases, seed=2, sigma=1.8)
    specks = np.random.default_rng(3).random(shape) < 0.003
    labels[specks] = noise(shape, phases)[specks]
    expected = check(labels, block, phases=phases, periodic=periodic, max_lag=3)
    assert np.all(expected.speck_density > 0)
    assert np.any((expected.granulometry > 0) & (expected.granulometry < 1))


def test_shapes_that_are_not_asked_for_are_not_counted(monkeypatch):
    given = {"voxel_size": 0.4, "phases": 3, "periodic": (True, False, True), "block": 8, "workers": 1}
    labels = grains((12, 15, 18))
    expected = measure(labels, **given)
    for key in AROUND:
        row = dataclasses.replace(MEASURES[key], on_blocks=OnBlocks(value=None, count=None, margin=None))
        monkeypatch.setitem(MEASURES, key, row)
    calls = []
    found = measure(labels, shapes=False, progress=lambda *call: calls.append(call), **given)
    for key in COUNTED:
        np.testing.assert_array_equal(found[key], None if key in AROUND else expected[key], err_msg=key)
    done, totals, _ = zip(*calls, strict=True)
    assert list(done) == sorted(done)
    assert set(totals) == {done[-1]}


def test_without_a_number_of_phases_it_is_the_highest_label_and_one():
    labels = grains((5, 6, 7), 4)
    found = measure(Elsewhere(labels), voxel_size=1, block=3, workers=1)
    assert_alike(found, measure(labels, voxel_size=1, transport=False))
    mask = labels > 1
    assert_alike(
        measure(Elsewhere(mask), voxel_size=1, block=3, workers=1), measure(mask, voxel_size=1, transport=False)
    )
    full = np.zeros((3, 3, 3), bool)
    assert len(measure(Elsewhere(full), voxel_size=1, block=2, workers=1).phases) == 2


@pytest.mark.parametrize("dtype", [np.int64, np.uint16, bool])
def test_any_integer_type(dtype):
    labels = grains((5, 6, 7), 2).astype(dtype)
    found = measure(Elsewhere(labels), voxel_size=1, phases=2, block=4, workers=1)
    assert_alike(found, measure(labels, voxel_size=1, phases=2, transport=False))


def test_what_lies_elsewhere_is_measured_at_once_while_it_is_small(monkeypatch, tmp_path):
    labels = grains((6, 6, 6))
    np.save(tmp_path / "a.npy", labels)
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    expected = measure(labels, voxel_size=1, phases=NAMES).to_dict()
    for lazy in (Elsewhere(labels), mapped, da.from_array(labels, chunks=3)):
        assert measure(lazy, voxel_size=1, phases=NAMES).to_dict() == expected
    monkeypatch.setattr(record, "IN_MEMORY", labels.size - 1)
    for lazy in (Elsewhere(labels), mapped, da.from_array(labels, chunks=3)):
        assert measure(lazy, voxel_size=1, phases=NAMES, workers=1).relative_diffusivity is None
    # Whoever has it in memory has room for it.
    assert measure(labels, voxel_size=1, phases=NAMES).to_dict() == expected


def test_a_volume_brings_along_what_it_is():
    volume = Volume(grains((6, 7, 8)), NAMES, 0.4, (True, False, False))
    assert_alike(measure(volume, block=3, workers=1), measure(volume, transport=False))
    assert measure(volume, voxel_size=1, periodic=True, block=8).periodic == (True,) * 3


def test_progress_rises_to_the_end():
    calls = []
    measure(grains((9, 9, 9)), voxel_size=1, block=4, workers=1, progress=lambda *call: calls.append(call))
    done = [call[0] for call in calls]
    assert done == sorted(done)
    assert done[0] == 0
    assert {call[1] for call in calls} == {done[-1]}
    assert len(set(done)) > 27
    assert calls[-1][2] == "done"


@pytest.mark.parametrize(
    ("labels", "given", "message"),
    [
        pytest.param(np.zeros((4, 4, 4)), {}, "must be integers.*Received dtype float64", id="float"),
        pytest.param(noise((4, 4, 4), 3) * 100, {"phases": 3}, "Received 3 with label 200 present", id="label"),
        pytest.param(noise((4, 4, 4), 3).astype(int) - 1, {"phases": 3}, "from 0 to 254.*from -1", id="negative"),
        pytest.param(noise((4, 4, 4), 3), {"max_lag": -1}, "`max_lag` must be an integer from 0 to 3.*-1", id="lag"),
        pytest.param(noise((4, 4, 4), 3), {"max_lag": 4}, "`max_lag` must be an integer from 0 to 3.*4", id="far"),
        pytest.param(noise((4, 4, 4), 3), {"block": 0}, "`block` must be an integer of at least 1. .*: 0", id="block"),
        pytest.param(noise((4, 4, 4), 3), {"block": 2.5}, "`block` must be an integer of at least 1", id="fraction"),
        pytest.param(noise((4, 4, 4), 3), {"workers": 0}, "`workers` must be an integer of at least 1", id="workers"),
        pytest.param(noise((4, 4, 4), 3), {"transport": [1]}, "`transport` must be a bool where", id="transport"),
        pytest.param(noise((4, 4, 4), 3), {"periodic": "w"}, "`periodic` must be one bool", id="periodic"),
        pytest.param(noise((4, 4, 4), 3)[0], {}, "`block` must be left out for a slice", id="slice"),
        pytest.param(noise((4, 4, 4), 3)[:0], {}, "at least one voxel", id="empty"),
        pytest.param(noise((4, 4, 4), 3)[None], {}, r"must be a volume \(z, y, x\)", id="batch"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(labels, given, message):
    with pytest.raises(ValueError, match=message) as caught:
        measure(Elsewhere(labels), **{"voxel_size": 1, "block": 2, "workers": 1, **given})
    assert "\n" not in str(caught.value)


def test_blocks_are_of_arrays():
    with pytest.raises(ValueError, match=r"`block` is for arrays.*Received: list"):
        measure([[[0, 1]]], voxel_size=1, block=2)
