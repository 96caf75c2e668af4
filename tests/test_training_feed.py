import itertools
import threading

import numpy as np
import pytest

from kerasgan3d.data import LabelledData, Symmetry, _ahead, batches
from kerasgan3d.models import Generator
from kerasgan3d.sampling.conditions import ConditionedField, Conditions
from kerasgan3d.sampling.field import LatentField
from kerasgan3d.seeds import TRAINING
from kerasgan3d.training.feed import Feed
from kerasgan3d.training.views import View, real_views

LABELS = np.random.default_rng(0).integers(0, 3, (20, 20, 20)).astype("uint8")
VIEWS = (View("slices", 8, count=4), View("volumes", 8, count=2))
CONDITIONS = Conditions(
    mean=(0.2, 0.3, 0.5),
    deviation=(0.1, 0.1, 0.1),
    root=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    taps=((0.6, 0.8, 0.0),) * 3,
    lowest=(0.0,) * 3,
    highest=(1.0,) * 3,
    gain=(1.0,) * 3,
    shift=(0.0,) * 3,
)
SYMMETRY = Symmetry("axial", 0)


def feed(volumes=4, updates=(1, 1), conditions=None, mix=True, seed=0, size=16):
    data = LabelledData.of(LABELS, SYMMETRY, n_phases=3)
    generator = Generator(3, 2, (4, 4), padding="circular", conditions=conditions)
    return Feed(real_views(data, VIEWS, 0.05, volumes, seed), generator, size, volumes, updates, mix, seed)


def arrays(step):
    return [*step["reals"], *step["mix"], step["latents"], step["shifts"]]


@pytest.mark.parametrize(("updates", "passes"), [((1, 1), 1), ((1, 2), 2), ((3, 1), 3), ((2, 2), 3)], ids=str)
def test_shapes(updates, passes):
    step = feed(updates=updates).batch(0)
    critics = updates[0]
    counts = (16, 32, 8)  # slices of each of the axes of a group, sub-volumes
    edges = ((8, 8), (8, 8), (8, 8, 8))
    assert [a.shape for a in step["reals"]] == [(critics, n, *e, 3) for n, e in zip(counts, edges, strict=True)]
    assert [a.shape for a in step["mix"]] == [(critics, n) for n in counts]
    assert step["latents"].shape == (passes, 4, 4, 4, 4, 2)
    assert step["shifts"].shape == (passes, 3)
    assert [str(a.dtype) for a in arrays(step)] == ["uint8"] * 3 + ["float32"] * 4 + ["int32"]
    assert feed(mix=False).batch(0)["mix"] == ()


@pytest.mark.parametrize("conditions", [None, CONDITIONS], ids=["latents", "conditions"])
def test_a_step_depends_on_the_seed_and_the_step_alone(conditions):
    first, again = feed(conditions=conditions), feed(conditions=conditions)
    again.batch(7)
    for a, b in zip(arrays(first.batch(3)), arrays(again.batch(3)), strict=True):
        np.testing.assert_array_equal(a, b)
    for other in (first.batch(4), feed(conditions=conditions, seed=1).batch(3)):
        for key in ("latents", "shifts"):
            assert not np.array_equal(first.batch(3)[key], other[key])
        assert not np.array_equal(first.batch(3)["reals"][0], other["reals"][0])


def test_updates_of_a_step_see_different_data():
    step = feed(updates=(2, 1)).batch(0)
    assert not np.array_equal(step["reals"][0][0], step["reals"][0][1])
    assert not np.array_equal(step["latents"][0], step["latents"][1])
    assert not np.array_equal(step["mix"][0][0], step["mix"][0][1])


def test_each_volume_is_a_periodic_one_of_a_field_that_no_sample_shows():
    found = feed(updates=(1, 2), seed=3).batch(5)["latents"].reshape(8, 4, 4, 4, 2)
    for i, volume in enumerate(found):
        field = LatentField(TRAINING + 3 * 2**24 + 5 * 2 * 4 + i, 2)
        np.testing.assert_array_equal(volume, field.window((0, 0, 0), (4,) * 3, (4,) * 3))


def test_shifts_are_anywhere_in_the_volume():
    one = feed()
    shifts = np.concatenate([one.batch(step)["shifts"] for step in range(60)])
    assert set(shifts.ravel()) == set(range(16))


def test_conditions_stand_last_their_mean_is_0_and_some_are_wide_contrasts():
    one = feed(volumes=1, conditions=CONDITIONS, size=32)
    latents = [one.batch(step)["latents"][0, 0] for step in range(60)]
    drawn, wide = [], 0
    for step, volume in enumerate(latents):
        assert volume.shape == (8, 8, 8, 5)
        np.testing.assert_allclose(volume[..., 2:].mean((0, 1, 2)), 0, atol=1e-5)
        field = ConditionedField(TRAINING + step, 2, CONDITIONS).window((0, 0, 0), (8,) * 3, (8,) * 3)
        np.testing.assert_array_equal(volume[..., :2], field[..., :2])
        y = field[..., 2:] - field[..., 2:].mean((0, 1, 2))
        if np.allclose(volume[..., 2:], y, atol=1e-5):
            drawn.append(step)
            continue
        # One plane is like another but for what is drawn: the wave is along one axis.
        profiles = [volume[..., 2:].mean(tuple(a for a in range(3) if a != axis)) for axis in range(3)]
        spread = sorted(profile.std(0).max() for profile in profiles)
        wide += spread[2] > 2 * spread[1]
    assert 60 * 0.5 < len(drawn) < 60 * 0.8
    assert wide > 0.8 * (60 - len(drawn))


@pytest.mark.parametrize("devices", [2, 4])
def test_devices_share_a_step(devices):
    one = feed()
    whole, parts = one.batch(1), one.parts(1, devices)
    assert len(parts) == devices
    np.testing.assert_array_equal(np.concatenate([part["latents"] for part in parts], 1), whole["latents"])
    for part in parts:
        np.testing.assert_array_equal(part["shifts"], whole["shifts"])
    for key in ("reals", "mix"):
        for i, values in enumerate(whole[key]):
            # Generated slices lie by plane, then volume; a device has its volumes at every place.
            lying = [part[key][i].reshape(1, -1, 4 // devices, *values.shape[2:]) for part in parts]
            np.testing.assert_array_equal(np.concatenate(lying, 2).reshape(values.shape), values)


def test_sizes_must_be_multiples_of_the_stride():
    with pytest.raises(ValueError, match="`size` must be a multiple of the stride, 4 voxels. Received: 18."):
        feed(size=18)


def test_batches_begin_where_they_should():
    one = feed()
    for step, found in enumerate(batches(one, first=2, count=2), start=2):
        expected = one.batch(step)
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
