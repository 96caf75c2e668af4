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
    ("key", "box"),
    [
        (0, ((0, 1), (0, 5), (0, 6))),
        (-1, ((3, 4), (0, 5), (0, 6))),
        (np.int64(2), ((2, 3), (0, 5), (0, 6))),
        (slice(1, 3), ((1, 3), (0, 5), (0, 6))),
        (slice(-2, None), ((2, 4), (0, 5), (0, 6))),
        ((slice(None), slice(None)), ((0, 4), (0, 5), (0, 6))),
        ((slice(None), 2), ((0, 4), (2, 3), (0, 6))),
        ((1, 2, -3), ((1, 2), (2, 3), (3, 4))),
        ((..., slice(0, 99)), ((0, 4), (0, 5), (0, 6))),
        ((..., slice(0, 2)), ((0, 4), (0, 5), (0, 2))),
        ((0, ...), ((0, 1), (0, 5), (0, 6))),
        ((0, ..., 1), ((0, 1), (0, 5), (1, 2))),
    ],
    ids=str,
)
def test_indices_and_slices_give_volumes(volume, labels, key, box):
    crop = volume[key]
    np.testing.assert_array_equal(crop.labels, labels[tuple(slice(*part) for part in box)])
    assert crop.periodic == tuple(part == (0, length) for part, length in zip(box, volume.shape, strict=True))
    assert crop.provenance["history"] == [{"crop": [list(part) for part in box]}]
    assert crop.equals(volume.crop(box))


@pytest.mark.parametrize(
    ("window", "error", "message"),
    [
        ((slice(None), slice(None), slice(None, None, 2)), ValueError, "steps of 1. Received: 2 along x. `resample`"),
        (slice(None, None, -1), ValueError, "steps of 1. Received: -1 along z.*`flip`"),
        ((slice(2, 2), slice(None), slice(None)), ValueError, "must hold voxels"),
        ((slice(9, 12), slice(None), slice(None)), ValueError, "must hold voxels. Received: 9:12 along z, which has 4"),
        ((0, slice(3, 1)), ValueError, "must hold voxels. Received: 3:1 along y"),
        (slice("a"), ValueError, "Slices of a volume must be of integers"),
        (4, IndexError, "along z must lie within its 4 voxels, -4 to 3. Received: 4"),
        ((0, 0, -7), IndexError, "along x must lie within its 6 voxels, -6 to 5. Received: -7"),
        ((0, 0, 0, 0), ValueError, r"one to 3 indices or slices.*Received: \(0, 0, 0, 0\)"),
        ((), ValueError, "one to 3 indices or slices"),
        ((..., ...), ValueError, "one to 3 indices or slices"),
        (True, ValueError, "or the name of a phase. Received: True"),
        (1.0, ValueError, "Received: 1.0"),
        (None, ValueError, "Received: None"),
        (np.ones((4, 5, 6), bool), ValueError, "Received: array.*volume.labels takes"),
        ("pores", KeyError, "A phase must be one of 'pore', 'NMC', 'CBD'. Received: 'pores'"),
        ("pores", ValueError, "Received: 'pores'"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_other_indices_are_refused_in_a_line(volume, window, error, message):
    with pytest.raises(error, match=message) as caught:
        volume[window]
    assert "\n" not in str(caught.value)


def test_names_of_phases_give_masks(volume, labels):
    mask = volume["CBD"]
    assert (mask.dtype, type(mask)) == (bool, np.ndarray)
    np.testing.assert_array_equal(mask, labels == 2)


def test_equality_is_that_of_arrays(volume, labels):
    other = Volume((labels + 1) % 3, NAMES)
    for found, wanted in [
        (volume == 0, labels == 0),
        (volume == 0, labels == 0),
        (volume != 0, labels != 0),
        (volume == "NMC", labels == 1),
        (volume != "NMC", labels != 1),
        (volume == labels[0], labels == labels[0]),
        (labels == volume, np.ones(labels.shape, bool)),
        (volume == other, np.zeros(labels.shape, bool)),
        (volume != other, np.ones(labels.shape, bool)),
        (volume > 0, labels > 0),
    ]:
        assert type(found) is np.ndarray
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ("pores", "A phase must be one of"),
        (Volume(np.zeros((4, 5, 6), int), ("a", "b", "c")), "same shape and phases.*a/b/c.*`equals` tells"),
        (Volume(np.zeros((4, 5, 7), int), NAMES), "same shape and phases.*4 x 5 x 7"),
    ],
    ids=["unknown phase", "other phases", "other shape"],
)
def test_what_cannot_be_compared_says_so(volume, other, message):
    for compare in (lambda: volume == other, lambda: volume != other):
        with pytest.raises(ValueError, match=message):
            compare()


def test_equals_compares_all_but_provenance(volume, labels):
    assert volume.equals(Volume(labels.copy(), NAMES, 0.398, "zyx"))
    assert volume.equals(volume.roll((0, 0, 6)).flip("z").flip("z"))
    for other in (
        Volume((labels + 1) % 3, NAMES, 0.398, True),
        Volume(labels, ("pore", "CBD", "NMC"), 0.398, True),
        Volume(labels, NAMES, 0.4, True),
        Volume(labels, NAMES, 0.398, "yx"),
        volume[:3],
        labels,
        None,
    ):
        assert not volume.equals(other)


def test_a_volume_looks_like_its_array(volume, labels):
    assert (len(volume), volume.ndim, volume.size, volume.dtype) == (4, 3, 120, np.uint8)
    assert np.unique(volume).tolist() == [0, 1, 2]
    np.testing.assert_array_equal(np.asarray(volume), labels)
    np.testing.assert_array_equal(volume * 2, labels * 2)
    assert np.add.reduce(volume, axis=None) == labels.sum()
    assert {volume: 1}[volume] == 1
    with pytest.raises(TypeError):
        volume += 1


@pytest.mark.parametrize(
    ("axes", "numbers", "letters"), [("z", 0, "z"), ("xy", (1, 2), "yx"), (2, 2, "x"), ((0, "x"), (0, 2), "zx")]
)
def test_flipping_turns_axes_round(volume, labels, axes, numbers, letters):
    flipped = volume.flip(axes)
    np.testing.assert_array_equal(flipped.labels, np.flip(labels, numbers))
    assert flipped.periodic == volume.periodic
    assert flipped.provenance["history"] == [{"flip": letters}]
    assert flipped.flip(axes).equals(volume)


@pytest.mark.parametrize("axes", ["zz", "a", "", 3, -1, (), None, 1.0, True, (0, "z")], ids=repr)
def test_other_axes_are_refused(volume, axes):
    with pytest.raises(ValueError, match="`axes` must be letters of axes.*Received"):
        volume.flip(axes)


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
