import dataclasses
import json

import numpy as np
import pytest

from kerasgan3d import phases as module
from kerasgan3d.phases import PhaseMap, from_one_hot, one_hot, value_counts

THREE = ("pore", "Ni", "YSZ")


@pytest.fixture(params=[4, 1 << 22], ids=["many chunks", "one chunk"])
def chunk(request, monkeypatch):
    monkeypatch.setattr(module, "_CHUNK", request.param)


def image_of(*values, dtype=np.uint8, shape=None):
    """An image of these values that is larger than one chunk, not contiguous, and must not be changed."""
    shape = shape or (3, 4, len(values))
    image = np.resize(np.array(values, dtype), shape).transpose()
    image.flags.writeable = False
    return image


@pytest.mark.parametrize(
    "greys",
    [
        pytest.param((0, 1), id="two labels"),
        pytest.param((0, 1, 2), id="three labels"),
        pytest.param(tuple(range(10)), id="ten labels"),
        pytest.param((0, 255), id="two greys"),
        pytest.param((0, 127, 255), id="three greys, rounded down"),
        pytest.param((0, 128, 255), id="three greys, rounded up"),
        pytest.param((0, 85, 170), id="three quarters of four"),
        pytest.param((0, 85, 170, 255), id="four greys"),
        pytest.param((0, 64, 127, 191, 255), id="five greys, rounded both ways"),
        pytest.param((0, 51, 102, 153, 204, 255), id="six greys"),
        pytest.param((0, 36, 72, 109, 145, 182, 218, 255), id="eight greys"),
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, ">u2", np.int32, np.uint64])
def test_conventions_are_recognised_without_being_told(greys, dtype):
    image = image_of(*greys, dtype=dtype)
    phases = PhaseMap.infer(image)
    assert phases.greys == greys
    assert phases.names == tuple(f"phase {k}" for k in range(len(greys)))
    np.testing.assert_array_equal(phases.encode(image), image_of(*range(len(greys))))


def test_a_boolean_image_has_two_phases():
    mask = image_of(False, True, dtype=bool)
    phases = PhaseMap.infer(mask, ("pore", "solid"))
    assert phases == PhaseMap(("pore", "solid"), (0, 1))
    np.testing.assert_array_equal(phases.encode(mask), mask.astype(np.uint8))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        pytest.param((0, 100, 200), r"values 0 \(33.3 %\), 100 \(33.3 %\), 200 .* neither labels", id="odd greys"),
        pytest.param((0, 2), "neither labels 0, 1, 2", id="a label is missing"),
        pytest.param((1, 2), "neither labels 0, 1, 2", id="labels from one"),
        pytest.param((0, 127, 254), "neither labels", id="not up to 255"),
        pytest.param((0, 126, 255), "neither labels", id="not evenly spread"),
        pytest.param((0, 127), "could be two phases, or an image of 0/127/255", id="ambiguous 127"),
        pytest.param((0, 128), "could be two phases, or an image of 0/128/255", id="ambiguous 128"),
        pytest.param((7,), r"at least two phases. Received: only the value 7 \(100 %\)", id="a single value"),
        pytest.param(tuple(range(40)), "must be segmented.*Received: 40 different values 0 ", id="grey-scale"),
    ],
)
def test_other_values_are_refused_with_what_to_pass(values, message):
    with pytest.raises(ValueError, match=message) as caught:
        PhaseMap.infer(image_of(*values))
    assert "mapping" in str(caught.value)
    assert "--" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_advice_can_be_followed():
    image = image_of(0, 100, 200)
    with pytest.raises(ValueError, match=r"mapping=\{0: 'pore', 100: 'Ni', 200: 'YSZ'\}"):
        PhaseMap.infer(image, THREE)
    assert PhaseMap.infer(image, mapping={0: "pore", 100: "Ni", 200: "YSZ"}) == PhaseMap(THREE, (0, 100, 200))


@pytest.mark.parametrize(
    "image", [np.array([0.0, 1.0]), np.array([0.0, np.nan]), np.array([1j]), np.array(["a"])], ids=lambda i: str(i[-1])
)
@pytest.mark.parametrize("call", [PhaseMap.infer, PhaseMap(("pore", "solid")).encode], ids=["infer", "encode"])
def test_images_of_other_than_integers_are_refused(call, image):
    with pytest.raises(ValueError, match=f"must be of integers. Received: {image.dtype}. Segment"):
        call(image)


def test_an_empty_image_is_refused():
    with pytest.raises(ValueError, match="Received: an empty image"):
        PhaseMap.infer(np.zeros((0, 3), int))


@pytest.mark.parametrize("values", [(0,), (2,), (0, 2), (0, 1), (0, 1, 2)])
def test_labels_within_the_names_may_lack_a_phase(values):
    assert PhaseMap.infer(image_of(*values), THREE) == PhaseMap(THREE)


@pytest.mark.parametrize(
    ("values", "names"), [((0, 255), THREE), ((0, 128, 255), ("pore", "solid")), ((0, 1, 2), ("pore", "solid"))]
)
def test_a_wrong_number_of_names_is_refused_with_both(values, names):
    with pytest.raises(ValueError, match=rf"Received: {len(names)} names \(pore, .*\) for {len(values)} grey values 0"):
        PhaseMap.infer(image_of(*values), names)


def test_a_mapping_may_name_greys_that_the_image_lacks():
    mapping = {0: "pore", 128: "Ni", 255: "YSZ"}
    assert PhaseMap.infer(image_of(0, 128), mapping=mapping) == PhaseMap(THREE, (0, 128, 255))


def test_a_mapping_is_used_strictly():
    image = image_of(0, 255, 255, 3)
    with pytest.raises(ValueError, match=r"\(0 = pore, 255 = solid\). Received: 12 other voxels, value 3 \(25 %\)"):
        PhaseMap.infer(image, mapping={0: "pore", 255: "solid"})


def test_labels_follow_the_mapping_or_the_names():
    mapping = {255: "solid", 0: "pore"}
    assert PhaseMap.infer(image_of(0, 255), mapping=mapping) == PhaseMap(("solid", "pore"), (255, 0))
    assert PhaseMap.infer(image_of(0, 255), ("pore", "solid"), mapping) == PhaseMap(("pore", "solid"), (0, 255))
    with pytest.raises(ValueError, match="must be the same. Received: pore, Ni and solid, pore"):
        PhaseMap.infer(image_of(0, 255), ("pore", "Ni"), mapping)


@pytest.mark.parametrize("mapping", [{}, [(0, "pore")], "0=pore"], ids=repr)
def test_a_mapping_must_be_a_dict(mapping):
    with pytest.raises(ValueError, match="`mapping` must be a dict"):
        PhaseMap.infer(image_of(0, 255), mapping=mapping)


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize(
    ("greys", "dtype"),
    [
        ((0, 128, 255), np.uint8),
        ((0, -128, -1), np.int8),
        ((-5, 300, 40000), np.int32),
        ((7, 65535, 0), ">u2"),
        ((-300, 0, 300), ">i2"),
        ((-1, 0, 2**32 - 1), np.int64),
        ((0, 3, 2**32 - 1), np.uint64),
    ],
    ids=str,
)
def test_decode_undoes_encode(greys, dtype):
    phases = PhaseMap(THREE, greys)
    image = image_of(*greys, greys[0], dtype=dtype, shape=(2, 3, 5))
    labels = phases.encode(image)
    assert labels.dtype == np.uint8
    assert labels.shape == image.shape
    np.testing.assert_array_equal(np.array(greys, np.int64)[labels], image.astype(np.int64))
    np.testing.assert_array_equal(phases.decode(labels).astype(np.int64), image.astype(np.int64))


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.uint64])
def test_encode_refuses_unknown_greys_and_says_how_many(dtype):
    image = image_of(0, 255, 127, 4, 4, dtype=dtype)
    with pytest.raises(ValueError, match=r"Received: 36 other voxels, values 4 \(40 %\), 127 \(20 %\)"):
        PhaseMap(("pore", "solid"), (0, 255)).encode(image)


def test_encode_knows_no_grey_that_the_type_cannot_hold():
    with pytest.raises(ValueError, match="2 other voxels, value 44"):
        PhaseMap(("pore", "solid"), (-1, 300)).encode(np.array([44, 44], np.uint8))
    with pytest.raises(ValueError, match="2 other voxels, value 44"):
        PhaseMap(("pore", "solid"), (-1, -2)).encode(np.array([44, 44], np.uint32))


def test_all_255_labels_can_be_used():
    phases = PhaseMap([f"grain {k}" for k in range(255)])
    image = np.arange(255).reshape(5, 51)
    np.testing.assert_array_equal(phases.encode(image), image)
    with pytest.raises(ValueError, match="1 other voxels, value 255"):
        phases.encode(np.array([255], np.uint8))


@pytest.mark.parametrize(
    ("greys", "dtype"),
    [((0, 255), np.uint8), ((0, 256), np.uint16), ((0, 65536), np.uint32), ((-1, 127), np.int8), ((-1, 255), np.int16)],
    ids=str,
)
def test_decode_uses_the_smallest_type(greys, dtype):
    assert PhaseMap(("pore", "solid"), greys).decode(np.array([[0, 1]])).dtype == dtype


@pytest.mark.parametrize(
    ("labels", "message"),
    [([0, 2], "must lie in 0 to 1. Received: 0 to 2"), ([-1], "Received: -1 to -1"), ([0.0], "must be integers")],
    ids=str,
)
def test_labels_of_no_phase_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        PhaseMap(("pore", "solid")).decode(np.array(labels))
    with pytest.raises(ValueError, match=message):
        one_hot(np.array(labels), 2)


@pytest.mark.parametrize(
    ("names", "greys", "message"),
    [
        ((), None, "1 to 255 phases. Received: 0"),
        ([str(k) for k in range(256)], None, "1 to 255 phases. Received: 256"),
        ("pore", None, "must be a sequence of strings.*Received: 'pore'"),
        (5, None, "must be a sequence of strings.*Received: 5"),
        (("pore", ""), None, "not empty. Received: ''"),
        (("pore", "a\nb"), None, "printable"),
        (("pore", 1), None, "Received: 1"),
        (("pore", "pore"), None, "names must be unique. Received: pore, pore"),
        (("pore", "solid"), (0,), "one value per phase. Received: 1 greys 0 for 2 phases pore, solid"),
        (("pore", "solid"), (0, 0), "unique, one per phase. Received: 0, 0"),
        (("pore", "solid"), (0, 1.5), "must be integers. Received: 0, 1.5"),
        (("pore", "solid"), 7, "sequence of integers. Received: 7"),
        (("pore", "solid"), (0, 2**40), "up to 32 bits"),
    ],
    ids=lambda value: f"{value!r:.30}",
)
def test_bad_names_and_greys_are_refused(names, greys, message):
    with pytest.raises(ValueError, match=message):
        PhaseMap(names, greys)


def test_a_phase_map_is_a_value():
    phases = PhaseMap(["pore", "Ni", "YSZ"], np.array([0, 128, 255]))
    assert phases == PhaseMap(THREE, (0, 128, 255))
    assert hash(phases) == hash(PhaseMap(THREE, (0, 128, 255)))
    assert len(phases) == 3
    with pytest.raises(dataclasses.FrozenInstanceError):
        phases.names = ()


def test_json_round_trip():
    phases = PhaseMap(THREE, (0, 128, 255))
    assert PhaseMap.from_dict(json.loads(json.dumps(phases.to_dict()))) == phases
    assert PhaseMap.from_dict({"names": ["pore", "solid"]}) == PhaseMap(("pore", "solid"))


@pytest.mark.parametrize("record", [None, [], {}, {"greys": [0]}, {"names": ["pore"], "colour": 1}], ids=repr)
def test_other_records_are_refused(record):
    with pytest.raises(ValueError, match="must be a dict with `names` and `greys`"):
        PhaseMap.from_dict(record)


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32])
def test_value_counts_agree_with_unique(dtype):
    image = np.random.default_rng(0).integers(-20 if dtype != np.uint8 else 0, 90, (4, 5, 6)).astype(dtype)
    values, counts = value_counts(image)
    expected, expected_counts = np.unique(image, return_counts=True)
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(counts, expected_counts)


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize("shape", [(), (7,), (2, 3, 4), (0, 3)])
def test_one_hot_and_back(shape):
    labels = np.random.default_rng(0).integers(0, 3, shape)
    channels = one_hot(labels, 3)
    assert channels.shape == (*shape, 3)
    assert channels.dtype == np.float32
    np.testing.assert_array_equal(channels.sum(-1), np.ones(shape))
    back = from_one_hot(channels)
    assert back.dtype == np.uint8
    np.testing.assert_array_equal(back, labels)
    np.testing.assert_array_equal(from_one_hot(one_hot(labels, 3, bool)), labels)


@pytest.mark.parametrize("n", [0, 256, 2.0, True, None], ids=repr)
def test_the_number_of_phases_is_checked(n):
    with pytest.raises(ValueError, match=f"must be an integer from 1 to 255. Received: {n}"):
        one_hot(np.zeros(3, int), n)


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        (np.float32(1), r"Received: shape \(\)"),
        (np.zeros((2, 0)), r"Received: shape \(2, 0\)"),
        (np.zeros((2, 256)), r"Received: shape \(2, 256\)"),
        (np.full((2, 3), np.nan), "Received: NaN"),
        (np.zeros((2, 3), complex), "Received: complex128"),
    ],
    ids=["no axis", "no channel", "too many channels", "NaN", "complex"],
)
def test_bad_probabilities_are_refused(probabilities, message):
    with pytest.raises(ValueError, match=message):
        from_one_hot(probabilities)
