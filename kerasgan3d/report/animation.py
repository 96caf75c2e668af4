"""Animations: successive slices, or a body that turns or changes."""

import importlib.util
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from kerasgan3d.checks import check_axes, check_integer, check_number
from kerasgan3d.extras import MissingLibraryError
from kerasgan3d.files import replacing
from kerasgan3d.palette import phase_colors
from kerasgan3d.report.solid import AZIMUTH, ELEVATION, Projection, solid_image, turned
from kerasgan3d.volume import Volume

ANIMATIONS = {".gif": "GIF", ".webp": "WEBP"}
MOVIE = ".mp4"
KINDS = ("slices", "rotation")
_PIXELS = 384  # least length of the shorter edge, so that voxels are visible
_BODY = 480  # pixels of the longer edge


def check_animation(path: str | os.PathLike[str]) -> None:
    """Check that a path has the suffix of an animation, .gif, .webp or .mp4, which needs imageio-ffmpeg.

    Raises:
        ValueError: if it does not.
        MissingLibraryError: if it is .mp4, and imageio-ffmpeg is not installed.
    """
    suffix, can_film = Path(path).suffix.lower(), importlib.util.find_spec("imageio_ffmpeg") is not None
    known = [*ANIMATIONS, *([MOVIE] if can_film else [])]
    if suffix in known:
        return
    text = f"an animation must be a file of {', '.join(known)}. Received: {path}"
    if suffix == MOVIE:
        raise MissingLibraryError(f"{text}; .mp4 needs imageio_ffmpeg: pip install 'kerasgan3d[video]'.")
    raise ValueError(f"{text}.")


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
        path: The file, .gif, .webp or .mp4; an existing one is replaced. .mp4 is lossy, the others hold exact colours.
        colors: One colour per phase, or a dict from phase name to colour; see `phase_colors`.
        fps: Slices per second, 0.1 to 50.

    Raises:
        ValueError: if there are fewer than two slices, or an argument is invalid.
        MissingLibraryError: if the file is .mp4, and imageio-ffmpeg is not installed.
        OSError: if the file cannot be written.
    """
    check_animation(path)
    fps, palette = check_number(fps, "fps", 0.1, 50), phase_colors(phases, colors)
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
    _write(pictures, Path(path), fps)


def animate_bodies(
    bodies: Iterable[tuple[np.ndarray, float]],
    phases: Iterable[str],
    path: str | os.PathLike[str],
    *,
    colors: Mapping[str, Any] | Iterable[Any] | None = None,
    fps: float = 12,
) -> None:
    """Write volumes as an animation of solid bodies, as `render` draws them, without edges and lengths.

    Args:
        bodies: Pairs of labels (z, y, x), all of one shape, and the angle of the view around z, radians.
        phases, path, colors, fps: as for `animate`.

    Raises:
        ValueError, MissingLibraryError, OSError: as `animate`.
    """
    check_animation(path)
    fps, palette = check_number(fps, "fps", 0.1, 50), phase_colors(phases, colors)
    pictures = []
    for labels, azimuth in bodies:
        z, y, x = labels.shape
        # The canvas holds the body from all sides, at one scale, its axis in the middle.
        wide = math.hypot(x, y)
        high = z * math.cos(ELEVATION) + wide * math.sin(ELEVATION)
        scale = _BODY / max(wide, high)
        labels, azimuth = turned(labels, azimuth)
        pixels = scale * max(Projection(labels.shape, azimuth).extent)
        body = Image.fromarray(solid_image(labels, palette, pixels=pixels, azimuth=azimuth))
        picture = Image.new("RGB", (math.ceil(wide * scale) + 2, math.ceil(high * scale) + 2), "white")
        picture.paste(body, ((picture.width - body.width) // 2, (picture.height - body.height) // 2), body)
        pictures.append(picture)
    if len(pictures) < 2:
        raise ValueError(f"`bodies` must be two or more. Received: {len(pictures)}.")
    _write(pictures, Path(path), fps)


def animate_volume(
    volume: Volume,
    path: str | os.PathLike[str],
    kind: str = "rotation",
    *,
    axis: int | str = "z",
    frames: int = 72,
    colors: Mapping[str, Any] | Iterable[Any] | None = None,
    fps: float = 12,
) -> None:
    """Write a volume as an animation: its slices one after the other, or the body as it turns once around z.

    Args:
        volume: A Volume.
        path: The file, .gif, .webp or .mp4; one that exists is replaced.
        kind: "slices" or "rotation".
        axis: What slices are normal to.
        frames: How many pictures a rotation has, at least 2.
        colors, fps: as for `animate`.

    Raises:
        ValueError, MissingLibraryError, OSError: as `animate`.
    """
    if kind not in KINDS:
        raise ValueError(f"`kind` must be {' or '.join(KINDS)}. Received: {kind!r}.")
    (normal,) = check_axes(axis)
    steps = range(check_integer(frames, "frames", 2))
    if kind == "slices":
        animate(np.moveaxis(volume.labels, normal, 0), volume.phases, path, colors=colors, fps=fps)
        return
    bodies = ((volume.labels, AZIMUTH + 2 * math.pi * step / frames) for step in steps)
    animate_bodies(bodies, volume.phases, path, colors=colors, fps=fps)


def _write(pictures, path, fps):
    """Write pictures of one size."""
    suffix = path.suffix.lower()
    with replacing(path) as temporary:
        if suffix == MOVIE:
            _film(pictures, temporary, fps)
            return
        if suffix == ".webp":
            pictures = [picture.convert("RGB") for picture in pictures]
        exact: dict[str, Any] = {"lossless": True} if suffix == ".webp" else {"optimize": False}
        duration = round(1000 / fps)
        options = {"save_all": True, "append_images": pictures[1:], "duration": duration, "loop": 0, **exact}
        pictures[0].save(temporary, format=ANIMATIONS[suffix], **options)


def _film(pictures, path, fps):
    """Write pictures as H.264, as everything plays it: with an even number of pixels along either edge."""
    import imageio_ffmpeg  # pyright: ignore[reportMissingImports]

    width, height = (length + length % 2 for length in pictures[0].size)
    options = {"codec": "libx264", "quality": 8, "macro_block_size": 2, "output_params": ["-f", "mp4"]}
    film = imageio_ffmpeg.write_frames(str(path), (width, height), fps=fps, **options)
    film.send(None)
    for picture in pictures:
        frame = Image.new("RGB", (width, height), "white")
        frame.paste(picture)
        film.send(frame.tobytes())
    film.close()
