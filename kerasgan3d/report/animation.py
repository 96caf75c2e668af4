"""Animations of successive slices."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kerasgan3d.checks import check_number
from kerasgan3d.files import replacing
from kerasgan3d.palette import phase_colors

ANIMATIONS = {".gif": "GIF", ".webp": "WEBP"}
_PIXELS = 384  # least length of the shorter edge, so that voxels are visible


def check_animation(path: str | os.PathLike[str]) -> None:
    """Check that a path has the suffix of an animation.

    Raises:
        ValueError: if it does not.
    """
    if Path(path).suffix.lower() not in ANIMATIONS:
        raise ValueError(f"an animation must be a file of {', '.join(ANIMATIONS)}. Received: {path}.")


def animate(
    slices: Iterable[ArrayLike],
    phases: Iterable[str],
    path: str | os.PathLike[str],
    *,
    colors: Mapping[str, Any] | Iterable[Any] | None = None,
    fps: float = 12,
) -> None:
    """Write slices as an endlessly looping animation, each voxel a square of whole pixels.

    Args:
        slices: Arrays of labels (rows, columns), 0..n-1, all of one shape.
        phases: Names of the n phases.
        path: The file, .gif or .webp; an existing one is replaced.
        colors: One colour per phase, or a dict from phase name to colour; see `phase_colors`.
        fps: Slices per second, 0.1 to 50.

    Raises:
        ValueError: if there are fewer than two slices, or an argument is invalid.
        OSError: if the file cannot be written.
    """
    from PIL import Image

    check_animation(path)
    path, palette = Path(path), phase_colors(phases, colors)
    pictures, shapes = [], set()
    for labels in slices:
        labels = np.asarray(labels)
        if labels.ndim != 2 or labels.dtype.kind not in "iu" or labels.max() >= len(palette):
            raise ValueError(f"`slices` must be integers (rows, columns), 0 to {len(palette) - 1}.")
        factor = -(-_PIXELS // min(labels.shape))
        picture = Image.fromarray(labels.astype(np.uint8).repeat(factor, 0).repeat(factor, 1))
        picture.putpalette(palette.tobytes())
        pictures.append(picture)
        shapes.add(labels.shape)
    if len(pictures) < 2 or len(shapes) != 1:
        raise ValueError(f"`slices` must be two or more of one shape. Received: {len(pictures)} of {sorted(shapes)}.")
    kind = ANIMATIONS[path.suffix.lower()]
    if kind == "WEBP":
        pictures = [picture.convert("RGB") for picture in pictures]
    duration = round(1000 / check_number(fps, "fps", 0.1, 50))
    exact: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {"optimize": False}
    with replacing(path) as temporary:
        pictures[0].save(
            temporary, format=kind, save_all=True, append_images=pictures[1:], duration=duration, loop=0, **exact
        )
