import numpy as np
import pytest

from kerasgan3d.sampling import LatentField, generate, plan_tiles

MARGIN = (1, 1)


def function(latents):
    """A network by hand: every voxel is the sum of the 3^3 latents around its own, and its place in the cell."""
    sums = sum(
        latents[:, 1 + z : -1 + z or None, 1 + y : -1 + y or None, 1 + x : -1 + x or None]
        for z in (-1, 0, 1)
        for y in (-1, 0, 1)
        for x in (-1, 0, 1)
    )
    voxels = sums.repeat(2, 1).repeat(2, 2).repeat(2, 3)
    place = np.indices((2, 2, 2)).reshape(3, 8).T @ [4, 2, 1]
    tiled = np.tile(place.reshape(2, 2, 2), sums.shape[1:4])
    return voxels + tiled[None, ..., None].astype("float32")


def volume(size, field=None, progress=None, f=function, **options):
    plan = plan_tiles(size, stride=2, margin=MARGIN, **options)
    return generate(f, field or LatentField(0, 3), plan, progress=progress)


@pytest.mark.parametrize("tile", [2, 3, (2, 4, 8), 100], ids=str)
@pytest.mark.parametrize("batch", [None, 1, 3, 1000], ids=str)
def test_tiles_and_batches_have_no_effect(tile, batch):
    np.testing.assert_array_equal(volume((7, 8, 9), tile=tile, batch=batch), volume((7, 8, 9)))


def test_it_is_the_function_of_the_field():
    field = LatentField(4, 3)
    expected = function(field.window((-1, -1, -1), (6, 6, 6))[None])[0]
    np.testing.assert_array_equal(volume(8, field, tile=2), expected)


def test_a_shifted_window_agrees():
    np.testing.assert_array_equal(volume(4, offset=(3, 2, 1)), volume(8)[3:7, 2:6, 1:5])


@pytest.mark.parametrize("offset", [(1, 0, 0), (0, -3, 0), (0, 0, 4), (5, 6, -7)], ids=str)
def test_a_periodic_window_rolls(offset):
    rolled = volume(8, periodic=True, offset=offset, tile=4)
    np.testing.assert_array_equal(rolled, np.roll(volume(8, periodic=True), [-o for o in offset], (0, 1, 2)))


def test_latents_are_given_as_float32_batches_of_one_shape():
    seen = []

    def spy(latents):
        seen.append((latents.shape, latents.dtype))
        return function(latents)

    volume((8, 8, 6), f=spy, tile=4, batch=3)
    assert all(dtype == np.float32 for _, dtype in seen)
    assert sorted(shape for shape, _ in seen) == sorted(
        [(3, 4, 4, 4, 3), (1, 4, 4, 4, 3), (3, 4, 4, 3, 3), (1, 4, 4, 3, 3)]
    )


def test_labels_keep_their_dtype():
    labels = volume((3, 4, 5), f=lambda latents: (function(latents)[..., 0] > 3).astype("uint8"), tile=2)
    assert (labels.shape, labels.dtype) == ((3, 4, 5), np.uint8)
    assert volume((3, 4, 5)).shape == (3, 4, 5, 3)


def test_progress_rises_to_the_total():
    calls = []
    volume((7, 8, 9), progress=lambda done, total: calls.append((done, total)), tile=4, batch=2)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    assert calls[-1] == (7 * 8 * 9, 7 * 8 * 9)
    assert {total for _, total in calls} == {7 * 8 * 9}
    assert len(calls) > 1


@pytest.mark.parametrize("f", [lambda latents: latents, lambda latents: function(latents)[0]], ids=["size", "batch"])
def test_a_function_of_another_shape_is_refused(f):
    with pytest.raises(ValueError, match=r"`function` must turn latents \(1, 6, 6, 6, 3\) into \(1, 8, 8, 8\) voxels"):
        volume(8, f=f)
