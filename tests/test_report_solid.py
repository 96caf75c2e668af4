import numpy as np
import pytest

from kerasgan3d.report.solid import Projection, solid_image

SHAPES = {"cube": (8, 8, 8), "slab": (2, 9, 11), "column": (40, 3, 5), "voxel": (1, 1, 1)}
shapes = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
COLORS = np.array([[250, 0, 0], [0, 250, 0], [0, 0, 250]], dtype=np.uint8)


def visible_faces(shape):
    """Labels 0, 1 and 2 on the faces first in z, last in y and last in x; centres of the faces, voxels."""
    labels = np.zeros(shape, dtype=np.uint8)
    z, y, x = shape
    labels[1:, -1] = 1
    labels[1:, :, -1] = 2
    return labels, [(0, y / 2, x / 2), (0.5 + z / 2, y, x / 2), (0.5 + z / 2, y / 2, x)]


def pixel(image, view, point, pixels):
    right, down = view(point) * pixels / max(view.extent)
    return image[int(down), int(right)]


@shapes
def test_the_box_fills_its_extent(shape):
    view = Projection(shape)
    z, y, x = shape
    corners = view([(k, j, i) for k in (0, z) for j in (0, y) for i in (0, x)])
    np.testing.assert_allclose(corners.min(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(corners.max(axis=0), view.extent)


@pytest.mark.parametrize("shape", [(8, 8, 8), (6, 9, 11), (40, 5, 7)], ids=["cube", "slab", "column"])
def test_the_three_faces_stand_where_they_are_projected(shape):
    labels, centres = visible_faces(shape)
    labels.setflags(write=False)
    image = solid_image(labels, COLORS, pixels=400)
    for label, centre in enumerate(centres):
        color = pixel(image, Projection(shape), centre, 400)
        assert np.argmax(color[:3]) == label
        assert color[3] == 255


def test_each_face_has_its_own_shade():
    image = solid_image(np.zeros((8, 8, 8), dtype=np.uint8), COLORS, pixels=300)
    _, (top, left, right) = visible_faces((8, 8, 8))
    shades = [pixel(image, Projection((8, 8, 8)), centre, 300)[0] for centre in (top, right, left)]
    assert shades[0] == 250
    assert shades[0] > shades[1] > shades[2] > 100


@shapes
def test_the_body_covers_the_area_of_its_three_faces(shape):
    view = Projection(shape)
    z, y, x = (axis * length for axis, length in zip(view.axes, shape, strict=True))
    expected = sum(abs(a[0] * b[1] - a[1] * b[0]) for a, b in ((z, y), (z, x), (y, x)))
    image = solid_image(np.zeros(shape, dtype=np.uint8), COLORS, pixels=500)
    covered = image[..., 3].sum() / 255 * (max(view.extent) / 500) ** 2
    assert covered == pytest.approx(expected, rel=0.01)
    assert max(image.shape[:2]) == 500


def test_a_voxel_on_a_face_is_drawn_whole_and_unblurred():
    labels = np.zeros((10, 10, 10), dtype=np.uint8)
    labels[0, 3, 7] = 1
    view = Projection(labels.shape)
    image = solid_image(labels, COLORS, pixels=600)
    for y, x in ((3.1, 7.1), (3.1, 7.9), (3.9, 7.1), (3.9, 7.9)):
        np.testing.assert_array_equal(pixel(image, view, (0, y, x), 600), [0, 250, 0, 255])
    for y, x in ((2.9, 7.5), (4.1, 7.5), (3.5, 6.9), (3.5, 8.1)):
        np.testing.assert_array_equal(pixel(image, view, (0, y, x), 600), [250, 0, 0, 255])


def test_around_the_body_the_picture_is_transparent():
    image = solid_image(np.zeros((5, 5, 5), dtype=np.uint8), COLORS, pixels=100)
    assert not image[[0, 0, -1, -1], [0, -1, 0, -1], 3].any()
