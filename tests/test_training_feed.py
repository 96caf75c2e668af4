import itertools
import threading

import numpy as np
import pytest

from kerasgan3d.data import SamplerPair, SliceSampler, Symmetry, VolumeSampler, _ahead, batches
from kerasgan3d.sampling.field import LatentField
from kerasgan3d.training.feed import Feed

LABELS = np.random.default_rng(0).integers(0, 3, (20, 20, 20)).astype("uint8")


def of_volumes(critic_updates=1, generator_updates=1, seed=0):
    sampler = VolumeSampler(LABELS, 16, 4)
    return Feed(sampler, (5, 5, 5, 3), [1], 4, 1, 16, critic_updates, generator_updates, seed)


def of_slices(critic_updates=1):
    symmetry = Symmetry("axial", 0)
    sampler = SliceSampler(LABELS, 16, [4 * 2, 4 * 2 * 2], symmetry)
    return Feed(sampler, (5, 5, 5, 3), [1, 2], 4, 2, 16, critic_updates, 1)


def arrays(step):
    return [*step["reals"], *step["mix"], step["latents"], step["picks"]]


def of_both(volume_crop=8):
    sampler = SamplerPair(SliceSampler(LABELS, 16, [4 * 2 * 3]), VolumeSampler(LABELS, volume_crop, 4))
    return Feed(sampler, (5, 5, 5, 3), [3, 1], 4, 2, 16, volume_crop=volume_crop)


def test_sub_volumes_beside_slices_begin_anywhere_within_the_crop():
    step = of_both().batch(0)
    assert [real.shape for real in step["reals"]] == [(1, 24, 16, 16), (1, 4, 8, 8, 8)]
    assert step["corners"].shape == (1, 3)
    assert step["corners"].dtype == "int32"
    corners = np.concatenate([of_both().batch(i)["corners"] for i in range(60)])
    assert set(corners.ravel()) == set(range(9))
    assert "corners" not in of_slices().batch(0)
    alone = Feed(SliceSampler(LABELS, 16, [4 * 2 * 3]), (5, 5, 5, 3), [3], 4, 2, 16).batch(0)
    for key in ("latents", "picks"):
        np.testing.assert_array_equal(step[key], alone[key])


@pytest.mark.parametrize(
    ("critic_updates", "generator_updates", "passes"), [(1, 1, 1), (1, 2, 2), (3, 1, 3), (2, 2, 3)]
)
def test_shapes(critic_updates, generator_updates, passes):
    step = of_volumes(critic_updates, generator_updates).batch(0)
    assert step["reals"][0].shape == (critic_updates, 4, 16, 16, 16)
    assert step["mix"][0].shape == (critic_updates, 4)
    assert step["latents"].shape == (passes, 4, 5, 5, 5, 3)
    assert step["picks"].shape == (passes, 3, 1)
    assert [a.dtype for a in arrays(step)] == ["uint8", "float32", "float32", "int32"]


def test_a_step_depends_on_the_seed_and_the_step_alone():
    first, again, later, other = of_volumes().batch(3), of_volumes().batch(3), of_volumes().batch(4), of_volumes(seed=1)
    for a, b in zip(arrays(first), arrays(again), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first["latents"], later["latents"])
    assert not np.array_equal(first["latents"], other.batch(3)["latents"])


def test_updates_of_a_step_see_different_data():
    step = of_volumes(critic_updates=2).batch(0)
    assert not np.array_equal(step["reals"][0][0], step["reals"][0][1])
    assert not np.array_equal(step["latents"][0], step["latents"][1])


def test_latents_lie_side_by_side_in_a_field_that_no_sample_shows():
    feed = of_volumes(generator_updates=2)
    step = feed.batch(3)["latents"]
    first = 3 * 2 * 4 * 5
    window = LatentField(2**40, 3).window((first, 0, 0), (2 * 4 * 5, 5, 5))
    np.testing.assert_array_equal(step.reshape(40, 5, 5, 3), window)


@pytest.mark.parametrize("make", [of_volumes, of_slices, of_both])
@pytest.mark.parametrize("devices", [2, 4])
def test_devices_share_a_step(make, devices):
    feed = make()
    whole, parts = feed.batch(1), feed.parts(1, devices)
    assert len(parts) == devices
    np.testing.assert_array_equal(np.concatenate([part["latents"] for part in parts], 1), whole["latents"])
    for part in parts:
        np.testing.assert_array_equal(part["picks"], whole["picks"])
    for i, (real, lots) in enumerate(zip(whole["reals"], feed.lots, strict=True)):
        # Generated slices lie by axis, then volume, then slice; a device has its volumes of every axis.
        lying = [part["reals"][i].reshape(1, lots, 4 // devices, -1, *real.shape[2:]) for part in parts]
        np.testing.assert_array_equal(np.concatenate(lying, 2).reshape(real.shape), real)
        assert [part["mix"][i].shape for part in parts] == [(1, real.shape[1] // devices)] * devices


def test_batches_begin_where_they_should():
    feed = of_slices()
    for step, found in enumerate(batches(feed, first=2, count=2), start=2):
        expected = feed.batch(step)
        np.testing.assert_array_equal(found["latents"], expected["latents"])
        for a, b in zip(found["reals"], expected["reals"], strict=True):
            np.testing.assert_array_equal(a, b)
    assert step == 3


def test_what_is_drawn_ahead_comes_in_order_and_ends():
    assert list(_ahead(iter(range(20)))) == list(range(20))


def test_what_goes_wrong_ahead_is_raised():
    def items():
        yield 1
        raise ValueError("the data are gone")

    ahead = _ahead(items())
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="the data are gone"):
        next(ahead)


def test_what_is_not_taken_stops_being_drawn():
    before = threading.active_count()
    ahead = _ahead(itertools.count())
    assert [next(ahead), next(ahead)] == [0, 1]
    assert threading.active_count() == before + 1
    ahead.close()
    assert threading.active_count() == before
