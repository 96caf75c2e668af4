"""Views: what critics see of data and of generated volumes."""

import re

import numpy as np
import pytest
from keras import ops

from kerasgan3d.data import LabelledData, Symmetry
from kerasgan3d.models import SliceDiscriminator, VolumeDiscriminator
from kerasgan3d.training.views import KINDS, View, fitted, generated_views, pooled, real_views

SYMMETRIES = [Symmetry(), Symmetry("axial", 0), Symmetry("axial", 1), Symmetry("axial", 2), Symmetry("orthotropic")]
symmetries = pytest.mark.parametrize("symmetry", SYMMETRIES, ids=str)
SIZE = 16


def data(shape=(20, 22, 24), symmetry=Symmetry(), phases=3):  # noqa: B008
    labels = np.random.default_rng(0).integers(0, phases, shape).astype("uint8")
    return LabelledData.of(labels, symmetry, n_phases=phases)


def places(batch=2, size=SIZE):
    """Volumes whose channels say which volume, z, y and x a voxel is of."""
    found = np.stack(np.indices((batch, size, size, size)), axis=-1).astype("float32")
    return ops.convert_to_tensor(found)


# ---------------------------------------------------------------- one view


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "cubes"}, "`kind` of a view must be one of slices, volumes. Received: 'cubes'."),
        ({"pool": 3}, "`pool` of a view must be 1, 2 or 4. Received: 3."),
        ({"size": 0}, "`size` must be a positive integer. Received: 0."),
        ({"size": 8.0}, "`size` must be a positive integer. Received: 8.0."),
        ({"count": 0}, "`count` must be a positive integer. Received: 0."),
        ({"weight": -1.0}, "`weight` must be .* Received: -1.0."),
        ({"penalty": "much"}, "`penalty` must be .* Received: 'much'."),
        ({"size": 7}, "`size` of a view must be a multiple of its `pool`, and 8 times it or more. Received: 7 and 1."),
        ({"size": 18, "pool": 4}, "must be a multiple of its `pool`, and 8 times it or more. Received: 18 and 4."),
        ({"size": 28, "pool": 4}, "must be a multiple of its `pool`, and 8 times it or more. Received: 28 and 4."),
        ({"widths": (4, 0)}, "`widths` must be a positive integer. Received: 0."),
    ],
)
def test_other_views_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        View(**{"kind": "slices", "size": 16, **settings})


@pytest.mark.parametrize(
    "settings",
    [None, 5, [], {}, {"kind": "slices"}, {"size": 8}, {"kind": "slices", "size": 8, "number": 3}],
    ids=repr,
)
def test_a_view_is_a_dict_of_its_attributes(settings):
    with pytest.raises(ValueError, match="a view must be a dict with `kind` and `size`, and those of count, kind, "):
        View.of(settings)


def test_a_view_survives_its_dict():
    view = View("volumes", 32, pool=2, count=3, weight=0.3, penalty=0.5, widths=[4, 5])
    assert View.of(view.to_dict()) == view
    assert View.of(view) is view
    assert View.of({"kind": "slices", "size": 8}) == View("slices", 8)
    assert view.widths == (4, 5)


@pytest.mark.parametrize(
    ("view", "text"),
    [(View("slices", 64), "slices of 64 x 64"), (View("volumes", 32, pool=2), "volumes of 32 x 32 x 32 pooled by 2")],
)
def test_its_name(view, text):
    assert str(view) == text


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("size", "pool", "widths"), [(8, 1, 1), (15, 1, 1), (16, 1, 2), (64, 1, 4), (128, 2, 4), (64, 4, 2), (24, 2, 1)]
)
def test_a_critic_has_as_many_layers_as_there_is_room_for(kind, size, pool, widths):
    critic = View(kind, size, pool).critic(3)
    assert isinstance(critic, SliceDiscriminator if kind == "slices" else VolumeDiscriminator)
    assert len(critic.widths) == widths
    smaller = View(kind, size, pool, widths=(4, 5, 6, 7, 8)).critic(3)
    assert smaller.widths == (4, 5, 6, 7)[: len(smaller.widths)]
    if size // pool <= 16:
        x = np.zeros((2, *(size // pool,) * (2 if kind == "slices" else 3), 3), "float32")
        assert tuple(smaller(x).shape) == (2,)


# ---------------------------------------------------------------- what the data can fill


@pytest.mark.parametrize(
    ("view", "shape", "size", "expected", "note"),
    [
        (View("slices", 16), (20, 22, 24), 32, View("slices", 16), None),
        (View("slices", 64), (20, 22, 24), 32, View("slices", 20), "slices of 20 x 20 instead of slices of 64 x 64: t"),
        (View("slices", 64), (99, 99, 99), 32, View("slices", 32), "slices of 32 x 32 .*: there is room for 32 voxels"),
        (View("slices", 64, 4), (99, 99, 43), 64, View("slices", 40, 4), "slices of 40 x 40 pooled by 4 instead"),
        (View("volumes", 16), (20, 22), 32, None, "no volumes of 16 x 16 x 16: the data are slices"),
        (View("volumes", 32, 4), (30, 40, 40), 32, None, "no volumes of .* pooled by 4: there is room for 30 voxels"),
        (View("slices", 16), (20, 22), 32, View("slices", 16), None),
    ],
)
def test_views_shrink_or_are_left_out(view, shape, size, expected, note):
    always = View("slices", 8)
    found, notes = fitted([view, always], data(shape), size)
    assert found == [part for part in (expected, always) if part is not None]
    assert len(notes) == (note is not None)
    if note:
        (line,) = notes
        assert re.match(note, line), line


def test_critics_must_see_something():
    with pytest.raises(ValueError, match="at least one view must fit .* Received: .*no volumes of 16 x 16 x 16: the d"):
        fitted([View("volumes", 16)], data((20, 20)), 32)


# ---------------------------------------------------------------- generated volumes


@symmetries
@pytest.mark.parametrize("count", [1, 4, 8, 16, 5])
@pytest.mark.parametrize("size", [8, 16])
def test_slices_are_evenly_spaced_and_lie_as_the_real_ones(symmetry, size, count):
    found = generated_views(places(), [View("slices", size, count=count)], symmetry)
    assert len(found) == len(symmetry.groups)
    for part, group in zip(found, symmetry.groups, strict=True):
        part = np.array(part)
        assert part.shape == (2 * count * len(group), size, size, 4)
        for normal, mine in zip(group, np.split(part, len(group)), strict=True):
            np.testing.assert_array_equal(mine[:, 0, 0, 0], np.tile([0, 1], count))  # volume by volume
            rows, columns = symmetry.section_axes(normal)
            assert all(len(np.unique(one[..., normal + 1])) == 1 for one in mine)
            # Each plane of a volume once, evenly; windows of each by turns.
            planes = mine[::2, 0, 0, normal + 1]
            np.testing.assert_array_equal(np.sort(planes), np.arange(count) * SIZE // count)
            along = np.arange(size)
            for one in mine:
                np.testing.assert_array_equal(one[..., rows + 1], one[0, 0, rows + 1] + along[:, None] + 0 * along)
                np.testing.assert_array_equal(
                    one[..., columns + 1], one[0, 0, columns + 1] + along + 0 * along[:, None]
                )
            corners = {tuple(one[0, 0, [rows + 1, columns + 1]]) for one in mine}
            per_axis = SIZE // size
            assert corners == {(size * (i // per_axis), size * (i % per_axis)) for i in range(min(count, per_axis**2))}


@pytest.mark.parametrize("count", [1, 3, 8, 10])
def test_sub_volumes_lie_side_by_side(count):
    (found,) = generated_views(places(), [View("volumes", 8, count=count)], Symmetry("axial", 0))
    found = np.array(found)
    assert found.shape == (2 * count, 8, 8, 8, 4)
    np.testing.assert_array_equal(found[:, 0, 0, 0, 0], np.tile([0, 1], count))
    for one in found:
        for axis in range(3):
            expected = one[0, 0, 0, axis + 1] + np.arange(8)
            np.testing.assert_array_equal(np.moveaxis(one[..., axis + 1], axis, 0)[:, 0, 0], expected)
    corners = [tuple(one[0, 0, 0, 1:].astype(int)) for one in found[::2]]
    assert len(set(corners)) == min(count, 8)
    assert set(corners) <= {(8 * z, 8 * y, 8 * x) for z in range(2) for y in range(2) for x in range(2)}


@pytest.mark.parametrize("pool", [1, 2, 4])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_pooled_is_the_mean_of_blocks(pool, dimensions):
    x = np.random.default_rng(0).random((2, *(8, 12, 16)[:dimensions], 3)).astype("float32")
    shape = [2, *(m for n in x.shape[1:-1] for m in (n // pool, pool)), 3]
    expected = x.reshape(shape).mean(tuple(range(2, 2 * dimensions + 1, 2)))
    np.testing.assert_allclose(np.array(pooled(ops.convert_to_tensor(x), pool)), expected, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_pooled_views_are_the_means_of_the_others(kind):
    volumes = ops.convert_to_tensor(np.random.default_rng(0).random((2, SIZE, SIZE, SIZE, 3)).astype("float32"))
    whole = generated_views(volumes, [View(kind, 16, count=4)], Symmetry("axial", 1))
    for part, other in zip(whole, generated_views(volumes, [View(kind, 16, 2, 4)], Symmetry("axial", 1)), strict=True):
        np.testing.assert_allclose(np.array(pooled(part, 2)), np.array(other), rtol=1e-5)


def test_views_stand_one_after_the_other():
    views = [View("slices", 8, count=2), View("volumes", 16, 2, count=1), View("slices", 16, count=1)]
    shapes = [tuple(part.shape[:-1]) for part in generated_views(places(), views, Symmetry("axial", 1))]
    assert shapes == [(4, 8, 8), (8, 8, 8), (2, 8, 8, 8), (2, 16, 16), (4, 16, 16)]


# ---------------------------------------------------------------- real data


@symmetries
def test_real_and_generated_views_have_the_same_shapes(symmetry):
    views = [View("slices", 8, count=2), View("volumes", 8, count=3), View("slices", 16, count=1)]
    reals = real_views(data(symmetry=symmetry), views, 0.05, 2, 0).batch(0)
    fakes = generated_views(places(), views, symmetry)
    assert [real.shape[:-1] for real in reals] == [tuple(fake.shape[:-1]) for fake in fakes]
    assert {real.dtype for real in reals} == {np.dtype("uint8")}
    assert all(abs(real.astype(int).sum(-1) - 255).max() <= 2 for real in reals)


def test_a_batch_depends_on_the_seed_and_the_step_alone_and_views_are_independent():
    views = [View("slices", 8, count=3), View("slices", 8, count=3)]
    one, again = (real_views(data(), views, 0.05, 1, 5) for _ in range(2))
    again.batch(0)
    for a, b in zip(one.batch(4), again.batch(4), strict=True):
        np.testing.assert_array_equal(a, b)
    first, second = one.batch(4)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, one.batch(5)[0])
    assert not np.array_equal(first, real_views(data(), views, 0.05, 1, 6).batch(4)[0])


def test_real_slices_have_edges_that_are_soft_in_all_three_directions():
    labels = np.zeros((16, 16, 16), "uint8")
    labels[:, :, 8:] = 1
    of = LabelledData.of(labels, Symmetry("orthotropic"), n_phases=2)
    z, _, x = real_views(of, [View("slices", 16, count=32)], 0.1, 1, 0).batch(0)
    assert set(z.ravel()) == {0, 26, 230, 255}
    # Slices normal to x lie in one layer of voxels each; those beside the edge are soft throughout.
    assert {tuple(np.unique(one)) for one in x} == {(0, 255), (26, 230)}


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("symmetry", SYMMETRIES[1:], ids=str)
def test_generated_slices_lie_as_the_real_ones_do(axis, symmetry):
    # Layers along an axis: real slices (without flips) and generated ones must show them in the same direction.
    labels = (np.indices((SIZE,) * 3)[axis] % 2).astype("uint8")
    volumes = ops.convert_to_tensor(np.eye(2, dtype="float32")[labels][None])
    view = View("slices", SIZE, count=8)

    def directions(slices):
        """Whether layers are normal to the slice (no change), to its rows or to its columns."""
        return {
            (bool(np.diff(s.astype(int), axis=0).any()), bool(np.diff(s.astype(int), axis=1).any())) for s in slices
        }

    reals = real_views(LabelledData.of(labels, symmetry, n_phases=2), [view], 0.0, 2, 0).batch(0)
    for fake, real in zip(generated_views(volumes, [view], symmetry), reals, strict=True):
        found = directions(np.array(fake)[..., 1])
        # Where rows and columns are alike, real slices are transposed at random.
        assert found <= directions(real[..., 1])
        assert {tuple(sorted(d)) for d in directions(real[..., 1])} == {tuple(sorted(d)) for d in found}


def test_slices_of_one_micrograph_serve_all_axes():
    reals = real_views(data((30, 40)), [View("slices", 16, count=2)], 0.05, 3, 0)
    assert [part.shape for part in reals.batch(0)] == [(18, 16, 16, 3)]
    with pytest.raises(ValueError, match="one slice can only train an isotropic material"):
        real_views(data((30, 40), Symmetry("axial", 0)), [View("slices", 16)], 0.05, 1, 0)


def test_what_is_excluded_is_not_seen():
    labels = np.zeros((24, 24, 24), "uint8")
    labels[:, :, 12:] = 1
    excluded = labels > 0
    part = LabelledData.of(labels, excluded=excluded, n_phases=2)
    for real in real_views(part, [View("slices", 8, count=4), View("volumes", 8, count=4)], 0.1, 1, 0).batch(0):
        assert real[..., 0].min() == 255
