import json

import numpy as np
import pytest

from kerasgan3d.phases import PhaseMap
from kerasgan3d.volume import Volume

NAMES = ("pore", "NMC", "CBD")


@pytest.fixture
def labels():
    array = np.random.default_rng(0).integers(0, 3, (4, 5, 6)).astype(np.uint8)
    array.flags.writeable = False
    return array


@pytest.fixture
def volume(labels):
    return Volume(labels, NAMES, 0.398, periodic=True, provenance={"seed": 7})


def test_what_goes_in_comes_out(volume, labels):
    np.testing.assert_array_equal(volume.labels, labels)
    assert volume.phases == NAMES
    assert volume.voxel_size == 0.398
    assert volume.periodic == (True, True, True)
    assert volume.provenance == {"seed": 7}
    assert volume.shape == (4, 5, 6)
    assert volume.size_um == pytest.approx((4 * 0.398, 5 * 0.398, 6 * 0.398))


def test_defaults(labels):
    volume = Volume(labels)
    assert volume.phases == ("phase 0", "phase 1", "phase 2")
    assert volume.voxel_size is None
    assert volume.size_um is None
    assert volume.periodic == (False, False, False)
    assert volume.provenance == {}


@pytest.mark.parametrize("dtype", [np.int64, np.uint16, np.int8, ">i4"])
def test_integers_that_fit_become_uint8(labels, dtype):
    volume = Volume(labels.astype(dtype))
    assert volume.labels.dtype == np.uint8
    np.testing.assert_array_equal(volume.labels, labels)


def test_a_mask_is_a_volume_of_two_phases():
    assert Volume(np.eye(3, dtype=bool)[None], ("pore", "solid")).fractions == pytest.approx([2 / 3, 1 / 3])


def test_uint8_labels_are_not_copied(labels):
    assert np.shares_memory(Volume(labels).labels, labels)


def test_phases_may_be_more_than_labels_and_may_be_a_phase_map():
    blank = np.zeros((1, 1, 1), int)
    assert Volume(blank, PhaseMap(NAMES, (0, 128, 255))).phases == NAMES
    assert Volume(blank, list(NAMES)).fractions.tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels": np.zeros((4, 4), int)}, r"3D array \(z, y, x\) that is not empty. Received: shape \(4, 4\)"),
        ({"labels": np.zeros((4, 0, 4), int)}, r"not empty. Received: shape \(4, 0, 4\)"),
        ({"labels": np.zeros((2, 2, 2))}, "must be integers from 0 to n - 1. Received: float64"),
        ({"labels": np.full((2, 2, 2), -1)}, "must lie in 0 to 254. Received: -1 to -1"),
        ({"labels": np.full((2, 2, 2), 255)}, "Received: 255 to 255. Grey values become labels"),
        ({"labels": np.full((2, 2, 2), 2), "phases": ("a", "b")}, r"at least 3 names. Received: 2 \(a, b\)"),
        ({"phases": "pore"}, "sequence of strings"),
        ({"phases": ("a", "a")}, "unique"),
        ({"voxel_size": 0}, "one positive number.*Received: 0"),
        ({"voxel_size": -1.0}, "Received: -1.0"),
        ({"voxel_size": float("nan")}, "Received: nan"),
        ({"voxel_size": float("inf")}, "Received: inf"),
        ({"voxel_size": (1, 1, 1)}, "one positive number, the edge of a cubic voxel in µm"),
        ({"voxel_size": "0.4"}, "Received: '0.4'"),
        ({"voxel_size": True}, "Received: True"),
        ({"periodic": (True, False)}, "one bool, or one per axis"),
        ({"periodic": (1, 0, 1)}, "one bool, or one per axis"),
        ({"periodic": "zyz"}, "Received: 'zyz'"),
        ({"periodic": None}, "Received: None"),
        ({"provenance": "seed 7"}, "must be a dict. Received: 'seed 7'"),
        ({"provenance": {"seed": np.int64(7)}}, "JSON can hold. Received: .*int64"),
        ({"provenance": {"loss": float("nan")}}, "JSON can hold"),
    ],
    ids=lambda value: f"{value}".replace("\n", " ")[:40],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Volume(**({"labels": np.zeros((2, 2, 2), int)} | arguments))


@pytest.mark.parametrize(
    ("given", "stored"),
    [(False, (False,) * 3), (np.True_, (True,) * 3), ([True, False, True], (True, False, True))],
    ids=str,
)
def test_periodic_becomes_three_bools(labels, given, stored):
    assert Volume(labels, periodic=given).periodic == stored


def test_provenance_belongs_to_the_volume():
    provenance = {"sizes": (1, 2)}
    volume = Volume(np.zeros((1, 1, 1), int), provenance=provenance)
    volume.provenance["seed"] = 1
    assert provenance == {"sizes": (1, 2)}
    assert volume.provenance == json.loads(json.dumps(volume.provenance))


def test_numpy_sees_the_labels(volume):
    assert np.asarray(volume) is volume.labels or np.shares_memory(np.asarray(volume), volume.labels)
    assert np.asarray(volume, np.float32).dtype == np.float32
    assert not np.shares_memory(np.array(volume), volume.labels)


def test_fractions_are_shares(volume, labels):
    assert volume.fractions == pytest.approx([(labels == k).mean() for k in range(3)])
    assert volume.fractions.sum() == pytest.approx(1)


def test_one_hot_has_a_channel_per_phase(labels):
    channels = Volume(labels, (*NAMES, "binder")).one_hot()
    assert channels.shape == (4, 5, 6, 4)
    np.testing.assert_array_equal(channels.argmax(-1), labels)


def test_a_crop_is_periodic_only_where_it_is_whole(volume, labels):
    crop = volume[1:3, :, -6:]
    np.testing.assert_array_equal(crop.labels, labels[1:3])
    assert crop.periodic == (False, True, True)
    assert (crop.phases, crop.voxel_size) == (volume.phases, volume.voxel_size)
    assert crop.provenance == {"seed": 7, "history": [{"crop": [[1, 3], [0, 5], [0, 6]]}]}
    assert volume.provenance == {"seed": 7}


@pytest.mark.parametrize(
    ("window", "message"),
    [
        (0, "three slices"),
        ((slice(None), slice(None)), "three slices"),
        ((slice(None), slice(None), 0), "three slices"),
        ((slice(None), slice(None), slice(None, None, 2)), "steps of 1"),
        ((slice(2, 2), slice(None), slice(None)), "must hold voxels"),
        ((slice(9, 12), slice(None), slice(None)), "must hold voxels"),
    ],
    ids=str,
)
def test_other_crops_are_refused(volume, window, message):
    with pytest.raises(ValueError, match=message):
        volume[window]


def test_a_volume_is_not_a_sequence(volume):
    with pytest.raises(TypeError, match="not iterable"):
        iter(volume)


def test_rolling_there_and_back_changes_nothing(volume, labels):
    rolled = volume.roll((1, -2, 9))
    np.testing.assert_array_equal(rolled.labels, np.roll(labels, (1, -2, 9), (0, 1, 2)))
    np.testing.assert_array_equal(rolled.roll((-1, 2, -9)).labels, labels)
    assert rolled.provenance["history"] == [{"roll": [1, -2, 9]}]


def test_only_periodic_axes_roll(labels):
    volume = Volume(labels, periodic=(True, False, True))
    assert volume.roll((1, 0, 2)).periodic == volume.periodic
    with pytest.raises(ValueError, match="a shift of 1 along y of Volume"):
        volume.roll((0, 1, 0))


@pytest.mark.parametrize("shift", [1, (1, 2), (1.0, 0, 0), None], ids=repr)
def test_a_shift_is_three_integers(volume, shift):
    with pytest.raises(ValueError, match="must be three integers"):
        volume.roll(shift)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((NAMES, 0.398, True), "Volume(4 x 5 x 6 voxels of 0.398 µm, phases pore/NMC/CBD, periodic zyx)"),
        ((NAMES, 15.2, (True, False, False)), "Volume(4 x 5 x 6 voxels of 15.2 µm, phases pore/NMC/CBD, periodic z)"),
        ((NAMES,), "Volume(4 x 5 x 6 voxels of unknown size, phases pore/NMC/CBD, not periodic)"),
    ],
    ids=["periodic", "one axis", "bare"],
)
def test_repr(labels, arguments, text):
    assert repr(Volume(labels, *arguments)) == text


@pytest.mark.parametrize("name", ["volume.tif", "volume.npy"])
def test_save_and_load(tmp_path, volume, name):
    volume.save(tmp_path / name)
    with pytest.raises(FileExistsError, match="exists already"):
        volume.save(tmp_path / name, overwrite=False)
    loaded = Volume.load(tmp_path / name, voxel_size=0.5)
    np.testing.assert_array_equal(loaded.labels, volume.labels)
    assert loaded.voxel_size == 0.5
