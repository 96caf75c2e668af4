"""A volume as a page that turns: one HTML file that needs nothing but a browser.

A page of ours instead of a library's: it draws the voxels themselves, by ray casting, so that nothing is meshed or
smoothed, and holds little more than the packed labels. The exports of PyVista (vtk.js), k3d and Plotly bring a whole
library of script each, and surfaces or points in place of voxels.
"""

from __future__ import annotations

import base64
import html
import importlib.resources
import os
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from kerasgan3d.checks import AXES, axis_letters
from kerasgan3d.files import replacing
from kerasgan3d.io import StoredVolume, check_writable, windows
from kerasgan3d.palette import phase_colors
from kerasgan3d.report.files import check_drawable
from kerasgan3d.texts import clipped, html_text, script_json
from kerasgan3d.volume import Volume

SUFFIXES = (".html", ".htm")
LONGEST = 256  # voxels along an edge: textures of every WebGL 2 are at least as large
_TITLE = 200  # characters


class View:
    """A page that shows a volume. Notebooks show it in a frame.

    Attributes:
        html: The page, which needs nothing from elsewhere.
        shape: The voxels (z, y, x) that it shows.
    """

    def __init__(self, html: str, shape: tuple[int, ...]):
        self.html, self.shape = html, shape

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = True) -> Path:
        """Write the page, whole or not at all.

        Args:
            path: The file, ending in .html or .htm.
            overwrite: Whether a file that exists may be replaced.

        Returns:
            The path as a `pathlib.Path`.

        Raises:
            ValueError: If it has another suffix.
            OSError: If the file cannot be written, or exists and may not be replaced.
        """
        path = check_writable(Path(path), overwrite=overwrite, suffixes=SUFFIXES)
        with replacing(path) as temporary:
            temporary.write_text(self.html, encoding="utf-8", newline="\n")
        return path

    def _repr_html_(self) -> str:
        style = "width: 100%; height: 62rem; border: 0"
        return f'<iframe srcdoc="{html.escape(self.html)}" sandbox="allow-scripts" style="{style}"></iframe>'

    def __repr__(self) -> str:
        return f"View({' x '.join(map(str, self.shape))} voxels, {len(self.html)} characters of HTML)"


def view(
    volume: Volume | StoredVolume,
    path: str | os.PathLike[str] | None = None,
    *,
    colors: Mapping[str, Any] | Iterable[Any] | None = None,
    title: str | None = None,
) -> View:
    """Make a page in which a volume turns.

    The page draws the voxels as a body, whose phases can be hidden and which can be cut open, and browses slices normal
    to z, y and x. Of a volume of more than 256 voxels along an edge it shows every second voxel along each axis, or
    every third and so on, and says so; fractions are always those of the whole volume.

    Args:
        volume: A Volume, or what `kerasgan3d.io.open_volume` leaves in its file.
        path: Where to save the page, as .html or .htm; a file that exists is replaced.
        colors: One colour per phase, or a dict from phase name to colour; see `phase_colors` for the default.
        title: The heading; by default the name of the generator and the seed, or of the file, that it came from.

    Returns:
        A View, which notebooks show.

    Raises:
        TypeError: If `volume` is no volume.
        ValueError: If a colour or a suffix is unknown.
        OSError: If the file cannot be written.

    Example:
        >>> volume.view("cathode.html")  # doctest: +SKIP
        View(128 x 128 x 128 voxels, 200001 characters of HTML)
    """
    check_drawable(volume, Volume | StoredVolume)
    if path is not None:
        check_writable(Path(path), suffixes=SUFFIXES)
    palette = phase_colors(volume.phases, colors).tolist()
    step = -(-max(volume.shape) // LONGEST)
    places = [np.arange((min(step, length) - 1) // 2, length, step) for length in volume.shape]
    labels, shares = _shown(volume.labels, places, len(volume.phases))
    title = clipped(_origin(volume) if title is None else title, _TITLE)
    made = View(
        Template(resource("view.html")).substitute(
            title=html_text(title),
            facts=html_text(_facts(volume)),
            notes=_note(step, labels.shape),
            phases="\n".join(map(_phase, volume.phases, palette, shares)),
            slices="\n".join(map(_slice, AXES, labels.shape)),
            data=script_json(_data(volume, labels, palette, step, places)),
            script=resource("slices.js") + resource("view.js"),
        ),
        labels.shape,
    )
    if path is not None:
        made.save(path)
    return made


def packed(labels: np.ndarray) -> str:
    """Return labels (z, y, x) as slices.js unpacks them."""
    data = zlib.compress(np.ascontiguousarray(labels, dtype=np.uint8).tobytes(), 9)
    return base64.b64encode(data).decode("ascii")


def resource(name: str) -> str:
    """Return a file of this room, a part of a page, as text."""
    return importlib.resources.files("kerasgan3d.report").joinpath(name).read_text("utf-8")


def _shown(labels, places, n):
    """Return the labels at some places along each axis, and the volume fractions of all, read once from z to z."""
    parts, counts = [], np.zeros(n, np.int64)
    for window in windows(labels):
        block, first = np.asarray(labels[window]), window[0].start
        counts += np.sum([np.bincount(plane.ravel(), minlength=n) for plane in block], axis=0)
        here = places[0][(places[0] >= first) & (places[0] < first + len(block))] - first
        parts.append(block[np.ix_(here, places[1], places[2])])
    return np.concatenate(parts), counts / counts.sum()


def _data(volume, labels, palette, step, places):
    edge = volume.voxel_size
    return {
        "shape": labels.shape,
        "step": step,
        "first": [int(along[0]) for along in places],
        "voxel_size": edge,
        "lengths": [f"{length * edge:.3g} µm" if edge else f"{length} voxels" for length in volume.shape],
        "colors": palette,
        "labels": packed(labels),
    }


def _origin(volume):
    """Return what a volume came from: a generator and a seed, or a file."""
    provenance = volume.provenance
    generator = provenance.get("generator")
    if isinstance(generator, dict) and generator.get("name"):
        return f"{generator['name']}, seed {provenance.get('seed')}"
    return str(provenance.get("file") or "Volume")


def _facts(volume):
    edge, shape = volume.voxel_size, volume.shape
    text = f"{' x '.join(map(str, shape))} voxels of {f'{edge:g} µm' if edge else 'unknown size'}"
    text += f", {' x '.join(f'{length * edge:.3g}' for length in shape)} µm" if edge else ""
    periodic = ", ".join(axis_letters(volume.periodic))
    return f"{text}; {f'periodic along {periodic}' if periodic else 'not periodic'}"


def _note(step, shape):
    if step == 1:
        return ""
    shown = " x ".join(map(str, shape))
    return (
        f'<p class="note">The volume is too large for a page: one voxel in {step} along each axis is shown, {shown} in '
        "all. Fractions are those of the whole volume.</p>"
    )


def _phase(name, color, share):
    swatch = f'<span class="swatch" style="background: rgb{tuple(color)}"></span>'
    percent = f"{share:.1%}".replace("%", " %")
    return (
        f'<label><input type="checkbox" checked>{swatch}<span>{html_text(clipped(name, _TITLE))}</span>'
        f"<span>{percent}</span></label>"
    )


def _slice(axis, length):
    places = f'min="0" max="{length - 1}" value="{length // 2}"'
    return (
        f"<figure><figcaption>{axis} = <output></output></figcaption>"
        '<div class="pane"><canvas></canvas><i></i><i></i></div>'
        f'<input type="range" {places} aria-label="Slice normal to {axis}"></figure>'
    )
