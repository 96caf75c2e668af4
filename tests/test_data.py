import itertools

import numpy as np
import pytest

from kerasgan3d.data import SliceSampler, Symmetry, VolumeSampler, batches, counts, exclusion, fractions

SYMMETRIES = [Symmetry(), *(Symmetry("axial", axis) for axis in range(3)), Symmetry("orthotropic")]
symmetries = pytest.mark.parametrize("symmetry", SYMMETRIES, ids=lambda s: f"{s.kind} {s.axis}")


def noise(*shape, n=3):
    return np.random.default_rng(0).integers(0, n, shape).astype("uint8")


def layers_along(axis, shape=(12, 12, 12)):
    """Label = place along an axis: rows and columns of slices can be told by it."""
    return np.indices(shape, "uint8")[axis].copy()


def slice_sampler(labels, crop=8, symmetry=SYMMETRIES[0], count=2, **options):
    return SliceSampler(labels, crop, [count] * len(symmetry.groups), symmetry, **options)


@symmetries
def test_axes_are_in_groups_that_are_alike(symmetry):
    assert sorted(axis for group in symmetry.groups for axis in group) == [0, 1, 2]
    expected = {"isotropic": [3], "axial": [1, 2], "orthotropic": [1, 1, 1]}[symmetry.kind]
    assert [len(group) for group in symmetry.groups] == expected
    for a, b in itertools.product(range(3), repeat=2):
        assert symmetry.interchangeable(a, b) == any({a, b} <= set(group) for group in symmetry.groups)


@symmetries
@pytest.mark.parametrize("normal", range(3))
def test_sections_have_the_axis_that_differs_as_rows(symmetry, normal):
    rows, columns = symmetry.section_axes(normal)
    assert {rows, columns, normal} == {0, 1, 2}
    if symmetry.kind == "axial" and normal != symmetry.axis:
        assert rows == symmetry.axis
    else:
        assert rows < columns


@symmetries
def test_slices_are_a_pure_function_of_seed_and_step(symmetry):
    labels = noise(12, 14, 16)
    sampler = slice_sampler(labels, symmetry=symmetry, seed=3)
    at_5 = sampler.batch(5)
    for step in range(4):
        sampler.batch(step)
    for a, b in zip(at_5, slice_sampler(labels, symmetry=symmetry, seed=3).batch(5), strict=True):
        np.testing.assert_array_equal(a, b)
    for other in (sampler.batch(6), slice_sampler(labels, symmetry=symmetry, seed=4).batch(5)):
        assert any(not np.array_equal(a, b) for a, b in zip(at_5, other, strict=True))


@symmetries
def test_volumes_are_a_pure_function_of_seed_and_step(symmetry):
    labels = noise(12, 14, 16)
    make = lambda seed: VolumeSampler(labels, 8, 2, symmetry, seed=seed)  # noqa: E731
    (at_5,) = make(3).batch(5)
    np.testing.assert_array_equal(at_5, make(3).batch(5)[0])
    assert not np.array_equal(at_5, make(3).batch(6)[0])
    assert not np.array_equal(at_5, make(4).batch(5)[0])


def test_shapes_and_dtypes():
    labels, axial = noise(12, 14, 16), Symmetry("axial", 1)
    parts = SliceSampler(labels, 8, (3, 6), axial).batch(0)
    assert [(part.shape, part.dtype) for part in parts] == [((3, 8, 8), np.uint8), ((6, 8, 8), np.uint8)]
    (part,) = VolumeSampler(labels, 8, 5, axial).batch(0)
    assert (part.shape, part.dtype) == ((5, 8, 8, 8), np.uint8)


def test_data_are_left_as_they_are():
    labels = noise(12, 12, 12)
    before = labels.copy()
    labels.setflags(write=False)
    slice_sampler(labels).batch(0)
    VolumeSampler(labels, 8, 2).batch(0)
    np.testing.assert_array_equal(labels, before)


def differences(image):
    """The one step between neighbours along rows and along columns; all alike in layers."""
    return np.unique(np.diff(image.astype(int), axis=0)), np.unique(np.diff(image.astype(int), axis=1))


@pytest.mark.parametrize("axis", range(3))
def test_slices_of_an_axial_material_keep_its_axis_as_rows(axis):
    labels, symmetry = layers_along(axis), Symmetry("axial", axis)
    up = 0
    for step in range(20):
        across, along = SliceSampler(labels, 8, (2, 4), symmetry).batch(step)
        for image in across:
            assert len(np.unique(image)) == 1
        for image in along:
            rows, columns = differences(image)
            np.testing.assert_array_equal(columns, [0])
            assert rows.tolist() in ([1], [-1])
            up += rows[0] == 1
    assert 20 < up < 60


def test_slices_across_the_axis_are_transposed_too():
    symmetry, found = Symmetry("axial", 0), set()
    for step in range(20):
        across, _ = SliceSampler(layers_along(1), 8, (4, 1), symmetry).batch(step)
        for image in across:
            rows, columns = differences(image)
            found.add((int(rows[0]), int(columns[0])))
    assert found == {(1, 0), (-1, 0), (0, 1), (0, -1)}


@pytest.mark.parametrize("normal", range(3))
def test_slices_of_an_orthotropic_material_are_never_transposed(normal):
    symmetry = Symmetry("orthotropic")
    rows, columns = symmetry.section_axes(normal)
    for axis, still in ((rows, 1), (columns, 0)):
        for step in range(10):
            for image in slice_sampler(layers_along(axis), symmetry=symmetry, count=4).batch(step)[normal]:
                np.testing.assert_array_equal(differences(image)[still], [0])
                assert abs(differences(image)[1 - still]).tolist() == [1]


def orientations(samples, images):
    """Which of the given images, as bytes, occur among the samples."""
    found = {sample.tobytes() for sample in samples}
    assert found <= images
    return found


def all_views(array, orders):
    """Every view of an array under the given orders of its axes and all flips."""
    flips = list(itertools.product((1, -1), repeat=array.ndim))
    return {
        np.ascontiguousarray(array.transpose(order)[tuple(slice(None, None, s) for s in flip)]).tobytes()
        for order in orders
        for flip in flips
    }


@pytest.mark.parametrize(
    ("symmetry", "count"),
    [(Symmetry(), 48), (Symmetry("axial", 0), 16), (Symmetry("axial", 1), 16), (Symmetry("axial", 2), 16)]
    + [(Symmetry("orthotropic"), 8)],
    ids=str,
)
def test_volumes_are_seen_in_all_orientations_of_their_symmetry_and_no_other(symmetry, count):
    labels = np.arange(27, dtype="uint8").reshape(3, 3, 3)
    orders = [
        order
        for order in itertools.permutations(range(3))
        if all({order[axis] for axis in group} == set(group) for group in symmetry.groups)
    ]
    images = all_views(labels, orders)
    assert len(images) == count
    assert orientations(VolumeSampler(labels, 3, 1000, symmetry).batch(0)[0], images) == images


def test_one_slice_is_seen_in_eight_orientations():
    labels = np.arange(9, dtype="uint8").reshape(3, 3)
    images = all_views(labels, [(0, 1), (1, 0)])
    assert len(images) == 8
    assert orientations(slice_sampler(labels, 3, count=200).batch(0)[0], images) == images


@pytest.mark.parametrize(("spacing", "starts"), [(1, set(range(9))), (4, {0, 4, 8}), (8, {0, 8}), (100, {0})])
def test_sub_volumes_begin_at_multiples_of_the_spacing(spacing, starts):
    labels = np.indices((16, 16, 16), "uint8")[0].copy()
    (volumes,) = VolumeSampler(labels, 8, 400, Symmetry("orthotropic"), spacing).batch(0)
    assert {int(volume.min()) for volume in volumes} == starts
    assert all(volume.max() - volume.min() == 7 for volume in volumes)


def test_slices_come_from_everywhere():
    labels = np.indices((12, 12, 12), "uint8")[0].copy()
    symmetry, seen, starts = Symmetry("axial", 0), set(), set()
    for step in range(30):
        across, along = SliceSampler(labels, 8, (4, 4), symmetry).batch(step)
        seen |= {int(image[0, 0]) for image in across}
        starts |= {int(image.min()) for image in along}
    assert seen == set(range(12))
    assert starts == set(range(5))


@symmetries
def test_data_as_large_as_the_crop_are_enough(symmetry):
    assert slice_sampler(noise(8, 8, 8), symmetry=symmetry).batch(0)[0].shape == (2, 8, 8)
    assert VolumeSampler(noise(8, 8, 8), 8, 1, symmetry, spacing=8).batch(0)[0].shape == (1, 8, 8, 8)


@pytest.mark.parametrize("shape", [(7, 9, 9), (9, 7, 9), (9, 9, 7), (7, 9)], ids=str)
def test_smaller_data_are_refused(shape):
    message = (
        f"at least as large as a crop of 8 voxels per side. Received: {' x '.join(map(str, shape))}. Pass a smaller"
    )
    with pytest.raises(ValueError, match=message):
        slice_sampler(noise(*shape))
    if len(shape) == 3:
        with pytest.raises(ValueError, match=message):
            VolumeSampler(noise(*shape), 8, 1)


@pytest.mark.parametrize("symmetry", SYMMETRIES[1:], ids=lambda s: s.kind)
def test_one_slice_trains_isotropic_materials_only(symmetry):
    with pytest.raises(
        ValueError, match=f"only train an isotropic material. Received: a 2D image and '{symmetry.kind}'"
    ):
        slice_sampler(noise(12, 12), symmetry=symmetry)


def test_slices_of_several_sizes_are_drawn_by_their_crops():
    # Crops of 8: one in the first, nine in the second.
    images = [np.zeros((8, 8), "uint8"), np.ones((10, 10), "uint8")]
    (part,) = SliceSampler(images, 8, (3000,)).batch(0)
    assert part.shape == (3000, 8, 8)
    assert part[:, 0, 0].mean() == pytest.approx(0.9, abs=0.03)
    with pytest.raises(ValueError, match="at least as large as a crop of 8 .* Received: 7 x 20"):
        SliceSampler([*images, np.zeros((7, 20), "uint8")], 8, (1,))


@symmetries
def test_slices_by_direction_are_those_of_the_volume(symmetry):
    volume = layers_along(0) * 20 + layers_along(1) + layers_along(2) * 5 % 7
    sections = {axis: [np.take(volume, i, axis) for i in range(12)] for axis in range(3)}
    pairs = zip(*(slice_sampler(data, 12, symmetry, 300).batch(0) for data in (volume, sections)), strict=True)
    for group, (whole, cut) in zip(symmetry.groups, pairs, strict=True):
        # 300 draws meet nearly all of the slices in nearly all of their orientations, and no others.
        orders = [(0, 1), (1, 0)] if len(group) == 3 or (symmetry.kind == "axial" and len(group) == 1) else [(0, 1)]
        allowed = set()
        for normal in group:
            rows, columns = symmetry.section_axes(normal)
            for image in sections[normal]:
                allowed |= all_views(image if rows < columns else image.T, orders)
        for part in (whole, cut):
            assert len(orientations(part, allowed)) > 0.5 * min(300, len(allowed))


def test_directions_that_are_missing_are_named():
    with pytest.raises(ValueError, match="there must be slices normal to y in .* orthotropic .* Received: .* z, x"):
        slice_sampler({0: [noise(12, 12)], 2: [noise(12, 12)]}, symmetry=Symmetry("orthotropic"))


def test_a_critic_of_volumes_needs_a_volume():
    with pytest.raises(ValueError, match="needs a 3D image. Received: slices"):
        VolumeSampler([noise(12, 12)], 8, 1)
    with pytest.raises(ValueError, match=r"needs a 3D image. Received: shape \(12, 12\)"):
        VolumeSampler(noise(12, 12), 8, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("transverse",), "`kind` must be one of 'isotropic', 'axial', 'orthotropic'. Received: 'transverse'"),
        (("axial", 3), "`axis` must be 0, 1 or 2 .z, y, x.. Received: 3"),
        (("axial", "z"), "`axis` must be 0, 1 or 2 .z, y, x.. Received: 'z'"),
    ],
)
def test_other_symmetries_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Symmetry(*arguments)


def test_batches_are_those_of_the_steps():
    sampler = slice_sampler(noise(12, 12, 12), symmetry=Symmetry("axial"))
    for step, parts in enumerate(batches(sampler, first=7, count=3), start=7):
        for part, expected in zip(parts, sampler.batch(step), strict=True):
            assert part.dtype == "uint8"
            np.testing.assert_array_equal(part.numpy(), expected)
    assert step == 9


def test_fractions_are_counted_block_by_block(monkeypatch):
    labels, excluded = noise(12, 14, 16), np.zeros((12, 14, 16), bool)
    excluded[3:9, :, 4:] = True
    expected = np.bincount(labels[~excluded], minlength=4)
    monkeypatch.setattr("kerasgan3d.io.lazy._BLOCK_BYTES", 500)
    np.testing.assert_array_equal(counts(labels, 4, excluded), expected)
    np.testing.assert_allclose(fractions(labels, 4, excluded), expected / expected.sum())


def test_fractions():
    assert fractions(np.array([[0, 0], [2, 0]], "uint8"), 4).tolist() == [0.75, 0, 0.25, 0]


def test_an_exclusion_is_the_union_of_boxes():
    mask = exclusion((6, 5), [((1, 3), (0, 2)), (None, (4, 5))])
    expected = np.zeros((6, 5), bool)
    expected[1:3, 0:2] = expected[:, 4:] = True
    np.testing.assert_array_equal(mask, expected)
    assert exclusion((6, 5), ()) is None


@pytest.mark.parametrize(
    "box",
    [((0, 1),), ((0, 1), (0, 1), (0, 1)), ((2, 2), (0, 1)), ((0, 7), (0, 1)), ((-1, 2), (0, 1)), ((0, 1, 2), (0, 1))],
    ids=["few axes", "many axes", "empty", "outside", "negative", "step"],
)
def test_boxes_that_do_not_fit_are_refused(box):
    with pytest.raises(ValueError, match=r"one \(start, stop\) per axis within the data's 6 x 5 voxels"):
        exclusion((6, 5), [box])


@pytest.mark.parametrize("dimensions", [2, 3])
def test_slices_never_touch_what_is_excluded(dimensions):
    labels = np.zeros((24,) * dimensions, "uint8")
    box = ((9, 12),) * dimensions
    excluded = exclusion(labels.shape, [box])
    labels[excluded] = 1
    with_all = [SliceSampler(labels, 8, (6,)).batch(step)[0].max() for step in range(20)]
    without = [SliceSampler(labels, 8, (6,), excluded=excluded).batch(step)[0].max() for step in range(20)]
    assert max(with_all) == 1
    assert max(without) == 0


@symmetries
def test_sub_volumes_never_touch_what_is_excluded(symmetry):
    labels = np.zeros((24, 24, 24), "uint8")
    excluded = exclusion(labels.shape, [((9, 12), None, (4, 9))])
    labels[excluded] = 1
    with_all = [VolumeSampler(labels, 8, 4, symmetry).batch(step)[0].max() for step in range(10)]
    without = [VolumeSampler(labels, 8, 4, symmetry, excluded=excluded).batch(step)[0].max() for step in range(10)]
    assert max(with_all) == 1
    assert max(without) == 0


@pytest.mark.parametrize("sampler", [SliceSampler, VolumeSampler], ids=["slices", "sub-volumes"])
def test_an_exclusion_that_leaves_no_crop_is_refused(sampler):
    labels = noise(12, 12, 12)
    count = (1,) if sampler is SliceSampler else 1
    with pytest.raises(ValueError, match="Exclude less, or pass a smaller crop"):
        sampler(labels, 8, count, excluded=np.ones(labels.shape, bool))
