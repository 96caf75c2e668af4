"""3D view of a volume: three faces, ray-cast in orthographic projection."""

import math
from dataclasses import dataclass

import numpy as np

# Slightly off the symmetric isometric view, so that the two side faces differ in width as well as in shade.
AZIMUTH = math.radians(40)
ELEVATION = math.radians(30)
_SHADE = {"z": 1.0, "x": 0.86, "y": 0.7}
_SUPERSAMPLING = 2


@dataclass(frozen=True)
class Projection:
    """Orthographic view of a box from above, its corner (0, 0, 0) at the back and z pointing down.

    Args:
        shape: (z, y, x), voxels.

    The three visible faces are the first slice in z, the last in y (to the left) and the last in x (to the right), so
    that the top face looks like the first slice of the image stack.
    """

    shape: tuple

    def __call__(self, points):
        """Project points (..., 3), in voxels z, y, x, to (..., 2): right and down, in voxels of the picture's plane."""
        return np.asarray(points, dtype=float) @ self.axes + np.array([self.shape[1] * math.sin(AZIMUTH), 0.0])

    @property
    def axes(self):
        """Projected unit vectors of z, y and x: (3, 2), right and down."""
        sin, cos, tilt = math.sin(AZIMUTH), math.cos(AZIMUTH), math.sin(ELEVATION)
        return np.array([[0.0, math.cos(ELEVATION)], [-sin, cos * tilt], [cos, sin * tilt]])

    @property
    def extent(self):
        """Width and height of the picture, in voxels of its plane."""
        z, y, x = self.shape
        return float(self((0, 0, x))[0]), float(self((z, y, x))[1])


def solid_image(labels, colors, *, pixels):
    """Draw the three visible faces of a volume, voxel by voxel, without interpolation.

    Args:
        labels: integer array (z, y, x).
        colors: uint8 array (n, 3), the colour of each label.
        pixels: length of the picture's longer side.

    Returns:
        uint8 array (height, width, 4), red, green, blue and opacity; transparent around the body.
    """
    view = Projection(labels.shape)
    scale = pixels * _SUPERSAMPLING / max(view.extent)
    width, height = (max(1, round(side * scale / _SUPERSAMPLING)) * _SUPERSAMPLING for side in view.extent)
    right = (np.arange(width) + 0.5) / scale
    down = (np.arange(height)[:, None] + 0.5) / scale
    image = np.zeros((height, width, 4), dtype=np.uint8)
    for name, face, corner, axes in _faces(labels, view):
        to_face = np.linalg.inv(axes.T)
        row, column = (
            across * (right - corner[0]) + along * (down - corner[1]) for across, along in to_face.astype(np.float32)
        )
        inside = (row >= 0) & (row < face.shape[0]) & (column >= 0) & (column < face.shape[1])
        shaded = np.rint(colors * _SHADE[name]).astype(np.uint8)
        image[inside, :3] = shaded[face[row[inside].astype(np.intp), column[inside].astype(np.intp)]]
        image[inside, 3] = 255
    return _average(image)


def _faces(labels, view):
    """List the visible faces: name, labels (rows, columns), projected corner and projected row and column vectors."""
    z, y, x = view.axes
    depth, height, width = labels.shape
    return (
        ("z", labels[0], view((0, 0, 0)), np.array([y, x])),
        ("y", labels[:, -1], view((0, height, 0)), np.array([z, x])),
        ("x", labels[:, :, -1], view((0, 0, width)), np.array([z, y])),
    )


def _average(image):
    """Reduce the supersampled picture, weighting colours by opacity so that the rim does not darken."""
    height, width = (side // _SUPERSAMPLING for side in image.shape[:2])
    blocks = image.reshape(height, _SUPERSAMPLING, width, _SUPERSAMPLING, 4).astype(np.float32)
    opacity = blocks[..., 3:].sum(axis=(1, 3))
    color = (blocks[..., :3] * blocks[..., 3:]).sum(axis=(1, 3)) / np.maximum(opacity, 1)
    result = np.concatenate([color, opacity / _SUPERSAMPLING**2], axis=-1)
    return np.rint(result).astype(np.uint8)
