"""3D view of a volume: three faces, ray-cast in orthographic projection."""

import math
from dataclasses import dataclass

import numpy as np

# Slightly off the symmetric isometric view, so that the two side faces differ in width as well as in shade.
AZIMUTH = math.radians(40)
ELEVATION = math.radians(30)
_RIGHT, _LEFT = 0.86, 0.7  # shades of the faces x and y in that view; the upper face has 1
_SUPERSAMPLING = 2


@dataclass(frozen=True)
class Projection:
    """Orthographic view of a box from above, its corner (0, 0, 0) at the back and z pointing down.

    Args:
        shape: (z, y, x), voxels.
        azimuth: angle of the view around z, radians, 0 to pi / 2.

    The three visible faces are the first slice in z, the last in y (to the left) and the last in x (to the right), so
    that the top face looks like the first slice of the image stack.
    """

    shape: tuple
    azimuth: float = AZIMUTH

    def __call__(self, points):
        """Project points (..., 3), in voxels z, y, x, to (..., 2): right and down, in voxels of the picture's plane."""
        return np.asarray(points, dtype=float) @ self.axes + np.array([self.shape[1] * math.sin(self.azimuth), 0.0])

    @property
    def axes(self):
        """Projected unit vectors of z, y and x: (3, 2), right and down."""
        sin, cos, tilt = math.sin(self.azimuth), math.cos(self.azimuth), math.sin(ELEVATION)
        return np.array([[0.0, math.cos(ELEVATION)], [-sin, cos * tilt], [cos, sin * tilt]])

    @property
    def extent(self):
        """Width and height of the picture, in voxels of its plane."""
        z, y, x = self.shape
        return float(self((0, 0, x))[0]), float(self((z, y, x))[1])


def solid_image(labels, colors, *, pixels, azimuth=AZIMUTH):
    """Draw the three visible faces of a volume, voxel by voxel, without interpolation.

    Args:
        labels: integer array (z, y, x).
        colors: uint8 array (n, 3), the colour of each label.
        pixels: length of the picture's longer side.
        azimuth: angle of the view around z, radians; as it grows, the body turns to the left.

    Returns:
        uint8 array (height, width, 4), red, green, blue and opacity; transparent around the body.
    """
    labels, azimuth = turned(labels, azimuth)
    view = Projection(labels.shape, azimuth)
    scale = pixels * _SUPERSAMPLING / max(view.extent)
    width, height = (max(1, round(side * scale / _SUPERSAMPLING)) * _SUPERSAMPLING for side in view.extent)
    right = (np.arange(width) + 0.5) / scale
    down = (np.arange(height)[:, None] + 0.5) / scale
    image = np.zeros((height, width, 4), dtype=np.uint8)
    for shade, face, corner, axes in _faces(labels, view):
        if abs(np.linalg.det(axes)) < 1e-9:  # seen edge-on
            continue
        to_face = np.linalg.inv(axes.T)
        row, column = (
            across * (right - corner[0]) + along * (down - corner[1]) for across, along in to_face.astype(np.float32)
        )
        inside = (row >= 0) & (row < face.shape[0]) & (column >= 0) & (column < face.shape[1])
        shaded = np.rint(colors * shade).astype(np.uint8)
        image[inside, :3] = shaded[face[row[inside].astype(np.intp), column[inside].astype(np.intp)]]
        image[inside, 3] = 255
    return _average(image)


def turned(labels, azimuth):
    """Return labels (z, y, x) turned by quarters around z, and what is left of the azimuth, 0 to pi / 2."""
    quarters, rest = divmod(azimuth, math.pi / 2)
    return np.rot90(labels, -int(quarters), (1, 2)), rest


def _faces(labels, view):
    """List the visible faces: shade, labels (rows, columns), projected corner and projected row and column vectors."""
    z, y, x = view.axes
    depth, height, width = labels.shape
    left, right = (_shade(sine) for sine in (-math.sin(view.azimuth), math.cos(view.azimuth)))
    return (
        (1.0, labels[0], view((0, 0, 0)), np.array([y, x])),
        (left, labels[:, -1], view((0, height, 0)), np.array([z, x])),
        (right, labels[:, :, -1], view((0, 0, width)), np.array([z, y])),
    )


def _shade(sine):
    """Return the shade of an upright face from how far its normal points to the right: the light comes from there."""
    share = (sine + math.sin(AZIMUTH)) / (math.cos(AZIMUTH) + math.sin(AZIMUTH))
    return _LEFT * (1 - share) + _RIGHT * share


def _average(image):
    """Reduce the supersampled picture, weighting colours by opacity so that the rim does not darken."""
    height, width = (side // _SUPERSAMPLING for side in image.shape[:2])
    blocks = image.reshape(height, _SUPERSAMPLING, width, _SUPERSAMPLING, 4).astype(np.float32)
    opacity = blocks[..., 3:].sum(axis=(1, 3))
    color = (blocks[..., :3] * blocks[..., 3:]).sum(axis=(1, 3)) / np.maximum(opacity, 1)
    result = np.concatenate([color, opacity / _SUPERSAMPLING**2], axis=-1)
    return np.rint(result).astype(np.uint8)
