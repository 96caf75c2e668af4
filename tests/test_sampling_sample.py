"""Sampling as users know it: ``Generator.sample`` and ``sample_probabilities``."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from kerasgan3d.models import Generator
from kerasgan3d.models.preset import save_preset

OFFSETS = [(4, 0, 0), (0, 8, 0), (0, 0, -4), (1, 0, 0), (0, 3, 0), (0, 0, 7), (5, -6, 7), (400, -801, 33)]
architectures = pytest.mark.parametrize("upsampling", ["resize", "transposed"])


@pytest.fixture(scope="module", params=["resize", "transposed"])
def generator(request, make_generator):
    return make_generator(request.param, voxel_size=0.5, phases=("pore", "Ni", "YSZ"))


@pytest.fixture(scope="module")
def periodic(generator):
    return generator.sample((16, 12, 20), periodic=True, seed=1).labels


@pytest.fixture(scope="module")
def large(generator):
    return generator.sample((40, 44, 48), seed=1, offset=(-10, -10, -10)).labels


def test_a_sample_knows_what_it_is(generator):
    volume = generator.sample((5, 8, 6), periodic=(False, True, False), seed=3, offset=(1, -2, 3))
    assert (volume.shape, volume.labels.dtype) == ((5, 8, 6), np.uint8)
    assert (volume.phases, volume.voxel_size, volume.periodic) == (("pore", "Ni", "YSZ"), 0.5, (False, True, False))
    assert (volume.provenance["seed"], volume.provenance["offset"]) == (3, [1, -2, 3])
    assert "kerasgan3d" in volume.provenance
    assert set(np.unique(volume.labels)) <= {0, 1, 2}


def test_all_phases_occur_in_what_is_tested_here(periodic, large):
    for labels in (periodic, large):
        assert (np.bincount(labels.ravel(), minlength=3) > labels.size / 50).all()


@pytest.mark.parametrize("offset", OFFSETS, ids=str)
def test_offsets_roll_a_periodic_volume(generator, periodic, offset):
    rolled = generator.sample((16, 12, 20), periodic=True, seed=1, offset=offset, tile=8).labels
    np.testing.assert_array_equal(rolled, np.roll(periodic, [-o for o in offset], (0, 1, 2)))


@pytest.mark.parametrize(
    "axes", [(True, True, False), (True, False, True), (False, True, True), (False, False, True)], ids=str
)
def test_some_axes_are_periodic_and_the_others_open(generator, axes):
    size = (16, 12, 20)
    volume = generator.sample(size, periodic=axes, seed=1).labels
    for axis, is_periodic in enumerate(axes):
        offset, half = [0, 0, 0], size[axis] // 2 + 1
        offset[axis] = half
        moved = generator.sample(size, periodic=axes, seed=1, offset=offset).labels
        np.testing.assert_array_equal(
            np.take(moved, range(size[axis] - half), axis), np.take(volume, range(half, size[axis]), axis)
        )
        across = np.take(moved, range(size[axis] - half, size[axis]), axis)
        assert np.array_equal(across, np.take(volume, range(half), axis)) == is_periodic
        if not is_periodic:
            longer = list(size)
            longer[axis] += 9
            window = generator.sample(longer, periodic=axes, seed=1).labels
            np.testing.assert_array_equal(np.take(window, range(size[axis]), axis), volume)


def test_a_periodic_volume_is_no_repetition_of_a_smaller_one(generator, periodic):
    for axis in range(3):
        halves = np.split(periodic[:, :12, :], 2, axis)
        assert (halves[0] != halves[1]).mean() > 0.1


@pytest.mark.parametrize(
    ("size", "offset"),
    [((5, 9, 7), (0, 0, 0)), ((20, 1, 3), (7, -3, 5)), ((8, 8, 8), (-10, -10, -10)), ((1, 1, 1), (29, 33, 37))],
    ids=str,
)
def test_windows_of_one_structure_agree(generator, large, size, offset):
    window = tuple(slice(o + 10, o + 10 + n) for o, n in zip(offset, size, strict=True))
    np.testing.assert_array_equal(generator.sample(size, seed=1, offset=offset).labels, large[window])


@pytest.mark.parametrize("tile", [1, 4, 7, (8, 40, 12), 16, 1000], ids=str)
@pytest.mark.parametrize("batch", [1, 5])
def test_tiles_and_batches_have_no_effect(generator, large, tile, batch):
    if tile in (1, 4) and batch == 1:
        tile = (4, 44, 48)
    labels = generator.sample((40, 44, 48), seed=1, offset=(-10, -10, -10), tile=tile, batch=batch).labels
    np.testing.assert_array_equal(labels, large)


@architectures
def test_70_by_45_by_130_at_stride_16(make_generator, upsampling):
    generator = make_generator(upsampling, widths=(8, 6, 4, 4))
    volume = generator.sample((70, 45, 130), seed=2, tile=(48, 32, 64))
    assert volume.shape == (70, 45, 130)
    np.testing.assert_array_equal(generator.sample((70, 45, 130), seed=2).labels, volume.labels)
    part = generator.sample((20, 45, 17), seed=2, offset=(31, 0, 100)).labels
    np.testing.assert_array_equal(part, volume.labels[31:51, :, 100:117])
    rolled = generator.sample(32, seed=2, periodic=True, offset=(5, 17, -1)).labels
    np.testing.assert_array_equal(
        rolled, np.roll(generator.sample(32, seed=2, periodic=True).labels, (-5, -17, 1), (0, 1, 2))
    )


@architectures
def test_circular_and_valid_generators_sample_the_same(make_generator, upsampling):
    a = make_generator(upsampling).sample(12, periodic=True, seed=0).labels
    b = make_generator(upsampling, padding="circular").sample(12, periodic=True, seed=0).labels
    np.testing.assert_array_equal(a, b)


def test_a_folded_generator_samples_the_same(generator):
    np.testing.assert_array_equal(generator.folded().sample(9, seed=0).labels, generator.sample(9, seed=0).labels)


def test_seeds_make_different_volumes(generator):
    a, b = (generator.sample(12, seed=seed).labels for seed in (0, 1))
    assert (a != b).mean() > 0.1


def test_a_seed_nobody_gave_is_recorded(generator):
    volume = generator.sample(9, offset=2)
    again = generator.sample(9, seed=volume.provenance["seed"], offset=volume.provenance["offset"])
    np.testing.assert_array_equal(again.labels, volume.labels)
    assert again.provenance == volume.provenance


@pytest.mark.parametrize("seed", [2**32, 2**64 - 1, np.int64(5)], ids=repr)
def test_every_64_bit_seed_works_and_can_be_recorded(generator, seed):
    assert generator.sample(4, seed=seed).provenance["seed"] == int(seed)


def test_another_process_gives_the_same_volume(make_generator, tmp_path):
    save_preset(make_generator(), tmp_path / "preset")
    code = (
        "import hashlib, sys\nfrom kerasgan3d.models.preset import load_preset\n"
        "volume = load_preset(sys.argv[1]).sample((21, 9, 16), seed=11, periodic=(False, False, True), tile=8)\n"
        "print(hashlib.sha256(volume.labels.tobytes()).hexdigest())"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "TF_NUM_INTRAOP_THREADS": "2"}
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "preset")],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    here = make_generator().sample((21, 9, 16), seed=11, periodic=(False, False, True)).labels
    assert result.stdout.split()[-1] == hashlib.sha256(here.tobytes()).hexdigest()


@pytest.mark.parametrize("options", [{}, {"periodic": True, "offset": (3, 0, -5)}, {"tile": 4, "batch": 3}], ids=str)
def test_probabilities_belong_to_the_labels(generator, options):
    probabilities = generator.sample_probabilities((12, 16, 8), seed=4, **options)
    assert (probabilities.shape, probabilities.dtype) == ((12, 16, 8, 3), np.float32)
    np.testing.assert_allclose(probabilities.sum(-1), 1.0, atol=1e-6)
    second, first = np.sort(probabilities, -1)[..., -2:].transpose(3, 0, 1, 2)
    labels = generator.sample((12, 16, 8), seed=4, **options).labels
    differ = probabilities.argmax(-1) != labels
    assert not differ[first - second > 1e-4].any()


def test_new_weights_are_sampled(make_generator):
    generator, other = make_generator(), make_generator(seed=1)
    before = generator.sample(8, seed=0).labels
    probabilities = generator.sample_probabilities(8, seed=0)
    generator.set_weights(other.get_weights())
    np.testing.assert_array_equal(generator.sample(8, seed=0).labels, other.sample(8, seed=0).labels)
    np.testing.assert_array_equal(generator.sample_probabilities(8, seed=0), other.sample_probabilities(8, seed=0))
    assert (generator.sample(8, seed=0).labels != before).any()
    assert (generator.sample_probabilities(8, seed=0) != probabilities).any()


def test_sampling_changes_nothing(make_generator):
    generator = make_generator()
    before, count = generator.get_weights(), len(generator.variables)
    generator.sample(8, seed=0)
    assert len(generator.variables) == count
    for a, b in zip(before, generator.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("method", ["sample", "sample_probabilities"])
def test_progress_reaches_the_total(generator, method):
    calls = []
    getattr(generator, method)((9, 8, 7), seed=0, tile=4, progress=lambda *call: calls.append(call))
    assert len(calls) == 12
    assert calls[-1] == (9 * 8 * 7,) * 2
    assert [done for done, _ in calls] == sorted({done for done, _ in calls})


def test_the_plan_is_what_is_done(generator):
    calls = []
    options = {"periodic": (True, False, False), "offset": 3, "tile": 8, "batch": 2}
    plan = generator.plan((8, 9, 10), **options)
    generator.sample((8, 9, 10), seed=0, progress=lambda *call: calls.append(call), **options)
    assert (plan.stride, plan.margin, plan.period) == (4, generator.margin, (2, None, None))
    assert len(calls) <= plan.tiles
    assert plan.bytes_peak > plan.bytes_output == 720


@pytest.mark.parametrize("method", ["sample", "sample_probabilities", "plan"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0}, "`size` must be a positive integer"),
        ({"size": -4}, "`size` must be a positive integer"),
        ({"size": 8.0}, "`size` must be a positive integer"),
        ({"size": True}, "`size` must be a positive integer"),
        ({"size": (8, 8)}, "`size` must be a positive integer"),
        ({"size": "8"}, "`size` must be a positive integer"),
        ({"size": 9, "periodic": True}, "`size` must be a multiple of 4 along periodic axes. Received: 9 along z"),
        ({"size": (9, 8, 7), "periodic": (False, True, True)}, "Received: 7 along x; the nearest are 4 and 8"),
        ({"size": 8, "periodic": "xt"}, "`periodic` must be one bool"),
        ({"size": 8, "offset": 0.5}, "`offset` must be an integer"),
        ({"size": 8, "tile": 0}, "`tile` must be a positive integer"),
        ({"size": 8, "batch": 0}, "`batch` must be a positive integer"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_other_arguments_are_refused(generator, method, arguments, message):
    with pytest.raises(ValueError, match=message):
        getattr(generator, method)(**arguments)


@pytest.mark.parametrize("seed", [-1, 2**64, 1.0, True, "1"], ids=repr)
def test_other_seeds_are_refused(generator, seed):
    with pytest.raises(ValueError, match=r"`seed` must be an integer from 0 to 2\*\*64 - 1. Received: "):
        generator.sample(4, seed=seed)


def test_an_offset_out_of_the_field_is_refused(generator):
    with pytest.raises(ValueError, match="the latent field has indices from"):
        generator.sample(4, seed=0, offset=2**70)
    assert generator.sample(4, seed=0, offset=4 * 2**70, periodic=True) is not None


def test_zero_padding_is_refused_with_a_way_out():
    generator = Generator(2, 2, (2,), padding="zeros")
    with pytest.raises(ValueError, match=r"Received: padding='zeros'. Use generator.with_padding\('valid'\)"):
        generator.sample(4)
    assert generator.with_padding("valid").sample(4).shape == (4, 4, 4)


@pytest.mark.parametrize("seeds", [range(3, 6), [5, 3], (np.uint64(4),), np.array([3, 3])], ids=repr)
def test_several_seeds_give_a_list_of_volumes(generator, seeds):
    volumes = generator.sample((5, 8, 6), periodic="y", seed=seeds, offset=(1, 2, 3))
    assert [volume.provenance["seed"] for volume in volumes] == [int(seed) for seed in seeds]
    for seed, volume in zip(seeds, volumes, strict=True):
        alone = generator.sample((5, 8, 6), periodic="y", seed=int(seed), offset=(1, 2, 3))
        assert volume.equals(alone)
        assert volume.provenance == alone.provenance


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        ([], "several ints. Received: none"),
        ([1, -1], "`seed` must be an integer from 0.*-1"),
        ("12", "Received: '1'"),
        ([1, True], "Received: True"),
    ],
)
def test_seeds_that_are_none_are_refused_before_anything_is_made(generator, seed, message):
    with pytest.raises(ValueError, match=message):
        generator.sample(8, seed=seed, progress=lambda *_: pytest.fail("began"))


def test_progress_of_several_is_of_all(generator):
    calls = []
    generator.sample(8, seed=range(3), progress=lambda *call: calls.append(call))
    assert calls == [(512, 1536), (1024, 1536), (1536, 1536)]


def test_several_volumes_must_fit_into_memory_together(generator, monkeypatch):
    monkeypatch.setattr("os.sysconf", lambda name: 1)
    with pytest.raises(MemoryError, match="1536 bytes are needed"):
        generator.sample(8, seed=range(3))
