"""A web app: choose a generator, look at what it makes, measure it, take it along.

For one's own machine (``kerasgan3d app``) and for a Space of Hugging Face (packaging/space). It needs gradio:
pip install "kerasgan3d[app]".
"""

from __future__ import annotations

import atexit
import base64
import functools
import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kerasgan3d.checks import check_integer, check_seed
from kerasgan3d.extras import library
from kerasgan3d.metrics import measure
from kerasgan3d.report import view
from kerasgan3d.sampling.conditions import read_fractions
from kerasgan3d.texts import html_text, markdown
from kerasgan3d.volume import Volume
from kerasgan3d.zoo.loading import list_presets, load_generator

LARGEST = 256  # voxels along an edge, on one's own machine
PUBLIC = 128  # where strangers share one
_DIFFUSION = 96  # voxels along an edge up to which it is computed: some seconds a phase and axis
_FILES = 20
_HOUR = 3600
# The page's names of what messages call by the names of arguments.
_LABELS = {
    "size": "Voxels along an edge",
    "periodic": "Periodic along",
    "seed": "Seed",
    "fractions": "Volume fractions",
    "beyond=True": "Allow what it has not learned",
}
_WELCOME = """# kerasgan3d
Periodic 3D images of multi-phase microstructures, as many as you like. A seed names one; the same seed gives the same
voxels again."""


def serve(names: Iterable[str] | None = None, *, largest: int = LARGEST, **options: Any) -> Any:
    """Serve the app until it is interrupted; on this machine alone unless `server_name`, or the Space, says otherwise.

    Args:
        names, largest: as for `build`.
        **options: those of ``gradio.Blocks.launch``: `server_name`, `server_port`, `inbrowser` ...

    Raises:
        ValueError, MissingLibraryError: as `build`.
        OSError: if the port is taken.
    """
    app = build(names, largest=largest)
    gradio = library("gradio", "app", "the app")
    # Fonts that are there: nothing is fetched from elsewhere.
    theme = gradio.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
    return app.queue(max_size=20, default_concurrency_limit=1).launch(theme=theme, ssr_mode=False, **options)


def build(names: Iterable[str] | None = None, *, largest: int = LARGEST) -> Any:
    """Return the app, a gradio.Blocks.

    Args:
        names: The generators to choose from, as `load_generator` takes them; those that ship if None. No others can be
            asked for.
        largest: The most voxels along an edge, 16 to 1024.

    Raises:
        ValueError: If there are no names, or `largest` is out of bounds.
        MissingLibraryError: If gradio is not installed.
    """
    gradio = library("gradio", "app", "the app")
    folder = Path(tempfile.mkdtemp(prefix="kerasgan3d-app-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    desk = Desk(list_presets() if names is None else names, largest, folder)
    with gradio.Blocks(title="kerasgan3d", analytics_enabled=False, delete_cache=(_HOUR, _HOUR)) as app:
        volume = gradio.State(None, time_to_live=_HOUR)
        gradio.Markdown(_WELCOME)
        with gradio.Row():
            with gradio.Column(scale=1, min_width=260):
                name = gradio.Dropdown(list(desk.names), value=desk.names[0], label="Generator")
                about = gradio.Markdown()
                size = gradio.Slider(16, largest, min(64, largest), step=16, label=_LABELS["size"])
                periodic = gradio.CheckboxGroup(["z", "y", "x"], value=["z", "y", "x"], label=_LABELS["periodic"])
                seed = gradio.Number(0, precision=0, label=_LABELS["seed"])
                fractions = gradio.Textbox(label=_LABELS["fractions"], visible=False)
                beyond = gradio.Checkbox(label=_LABELS["beyond=True"], visible=False)
                generate = gradio.Button("Generate", variant="primary")
                file = gradio.DownloadButton("Download TIFF", interactive=False)
            with gradio.Column(scale=3, min_width=420):
                with gradio.Tab("Look"):
                    page = gradio.HTML()
                with gradio.Tab("Measure"):
                    diffusion = gradio.Checkbox(label=f"Diffusion too, up to {_DIFFUSION} voxels along an edge: slower")
                    count = gradio.Button("Measure")
                    table = gradio.HTML()
        asked = [name, size, periodic, seed, fractions, beyond]
        for event in (app.load, name.change):
            event(_told(desk.describe), [name], [about, size, fractions, beyond])
        generate.click(_told(desk.generate), asked, [volume, page, table, file])
        count.click(_told(desk.measure), [volume, diffusion], [table])
    return app


class Desk:
    """What the app does when asked to: every request is checked here, whatever the page allows.

    Args:
        names, largest: as for `build`.
        folder: Where the files are written that people take along.
    """

    def __init__(self, names: Iterable[str], largest: int, folder: Path):
        self.names, self.largest = tuple(names), check_integer(largest, "largest", 16, 1024)
        if not self.names:
            raise ValueError("`names` must name a generator at least. Received: none.")
        self._folder, self._loaded = folder, functools.lru_cache(maxsize=4)(load_generator)

    def describe(self, name: str) -> tuple:
        """Return what is known of a generator, the sizes that it makes, and the fields of fractions if it takes any."""
        gradio, generator = library("gradio", "app", "the app"), self._generator(name)
        card, stride = generator.card, generator.stride
        lines = [markdown(card.get("description") or ""), f"Phases: {', '.join(map(markdown, generator.phases))}."]
        if generator.voxel_size:
            lines.append(f"Voxels of {generator.voxel_size:g} µm.")
        conditional = generator.conditions is not None
        if not conditional:
            lines.append("Volume fractions are those of its training data; they cannot be chosen.")
        most = max(stride, self.largest // stride * stride)
        first = min(max(stride, 64 // stride * stride), most)
        size = gradio.update(minimum=stride, maximum=most, step=stride, value=first)
        fractions = gradio.update(visible=conditional, value="", **(_advice(generator) if conditional else {}))
        return " ".join(lines), size, fractions, gradio.update(visible=conditional, value=False)

    def generate(self, name: str, size: int, periodic: list[str], seed: int, fractions: str, beyond: bool) -> tuple:
        """Return a volume, the page that shows it, no measures yet, and its file.

        Fractions are those of some or all phases, with commas between them: "pore=0.45, NMC=0.4"; none where empty.

        Raises:
            ValueError: If the generator is not on offer, or a size, a seed or fractions cannot be.
        """
        gradio, generator = library("gradio", "app", "the app"), self._generator(name)
        size, seed = check_integer(size, "size", 1, self.largest), check_seed(seed)
        axes = "".join(periodic) or False
        wanted = read_fractions(filter(str.strip, (fractions or "").split(",")))
        volume = generator.sample(size, periodic=axes, seed=seed, fractions=wanted, beyond=bool(beyond))
        label = f"{generator.card.get('name', 'volume')}-{size}-seed-{seed}.tif"
        return volume, _frame(volume), "", gradio.update(value=self._written(volume, label), interactive=True)

    def measure(self, volume: Volume | None, diffusion: bool) -> str:
        """Return the measures of a volume as HTML.

        Raises:
            ValueError: If there is none, or it is too large.
        """
        if volume is None:
            raise ValueError("Generate a volume first; then it can be measured.")
        if diffusion and max(volume.shape) > _DIFFUSION:
            raise ValueError(
                f"Diffusion is computed here up to {_DIFFUSION} voxels along an edge. Received: {max(volume.shape)}; "
                "download the volume and use kerasgan3d measure."
            )
        return measure(volume, transport=diffusion)._repr_html_()

    def _generator(self, name):
        if name not in self.names:
            raise ValueError(f"The generator must be one of {', '.join(self.names)}. Received: {name!r}.")
        return self._loaded(name)

    def _written(self, volume, label):
        """Return the file of a volume; the oldest of many are removed."""
        for old in sorted(self._folder.iterdir(), key=lambda path: path.stat().st_mtime)[: -_FILES + 1]:
            shutil.rmtree(old, ignore_errors=True)
        path = Path(tempfile.mkdtemp(dir=self._folder)) / label
        volume.save(path)
        return str(path)


def _advice(generator):
    """Return an example and an explanation for the field of a conditional generator's fractions."""
    known, phases = generator.conditions, generator.phases
    ranges = zip(map(markdown, phases), known.lowest, known.highest, strict=True)
    learned = ", ".join(f"{phase} {low:.3g} to {high:.3g}" for phase, low, high in ranges)
    info = (
        "Of some phases or all; left empty, they vary as in the training data. "
        f"Learned: {learned}. With two numbers or more they change along z, as in {markdown(phases[0])}=0.3:0.5."
    )
    return {"placeholder": f"{phases[0]}={known.mean[0]:.2g}", "info": info}


def _frame(volume):
    """Return the page of a volume in a frame: in base64, since gradio fills templates in what it shows."""
    data = base64.b64encode(view(volume).html.encode()).decode("ascii")
    title = html_text(repr(volume))
    return (
        f'<iframe src="data:text/html;charset=utf-8;base64,{data}" sandbox="allow-scripts" title="{title}" '
        'style="width: 100%; height: 62rem; border: 0"></iframe>'
    )


def _told(function):
    """Return a function whose errors of what was asked for are told in the page, in its words and in one line."""

    def named(found):
        return f'"{_LABELS[found[1]]}"' if found[1] in _LABELS else found[0]

    @functools.wraps(function)
    def handler(*arguments):
        try:
            return function(*arguments)
        except (ValueError, MemoryError, OSError) as error:
            line = re.sub(r"`([^`]+)`", named, " ".join(str(error).split()))
            # What gradio shows of an error is HTML.
            raise library("gradio", "app", "the app").Error(html_text(line), print_exception=False) from error

    return handler
