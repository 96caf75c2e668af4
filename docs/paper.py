"""Make the figures of the page on the paper: ``python docs/paper.py FIGURE``; without one, the page alone.

Each figure writes its measurement files and pictures to docs/paper, and docs/paper.md is made from these. Where
``--data`` does not hold the real data that a figure needs, it says what it leaves out. What is complete is kept, so
that the same command goes on where it was interrupted.
"""

import argparse
import json
import re
import textwrap
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import paper_closed
import paper_diversity
import paper_evolution
import paper_looks
import paper_made
import paper_methods
import paper_periodicity
import paper_statistics
import paper_ways
from paper_rows import MissingError, table, title_of

from kerasgan3d import list_presets

OUT = Path(__file__).resolve().with_suffix("")
PAPER = "https://doi.org/10.1038/s41524-020-0340-7"
HEAD = f"""\
# The paper's figures and claims

Gayon-Lombardo, Mosser, Brandon and Cooper, ["Pores for thought"]({PAPER})
(npj Comput. Mater. 6, 2020, 82) generates periodic three-phase electrodes with a generative adversarial network. This
page repeats its figures with the generators of this package and tests its claims. `python docs/paper.py FIGURE` makes a
section again with the generators that are in the package then; `--data` names the folder of the real images, which are
not part of this repository, and what is missing there is left out.

Two of its figures are on other pages: Figure S7, the time of a sample against its size, in
[Benchmarks](benchmarks.md), and Figure S8, a walk between two seeds, in [Steer structures](steering.md). Some of its
figures are named here by what they show, without their numbers.
"""
FIGURE_8 = "[Figure 8](https://www.nature.com/articles/s41524-020-0340-7/figures/8)"


class Made(NamedTuple):
    """A figure.

    Attributes:
        about: What it shows.
        paper: What of the paper it corresponds to.
        module: Has ``measure(subject, options)``, ``told(record, file)``, the part of the page of a measurement file,
            ``TITLE`` and ``TEXT`` of the section; and ``subjects(options)`` unless these are generators.
        count: Default of --count, None where there is none.
        sizes: Default of --sizes.
    """

    about: str
    paper: str
    module: ModuleType
    count: int | None = None
    sizes: tuple[int, ...] = ()


FIGURES = {
    "looks": Made(
        "the data, volumes in 3D, confidence, and flux through periodic tilings",
        f"Figure 3 (real beside generated), {FIGURE_8} (periodic volumes side by side, and the flux through them), and "
        "the slices of its data and of its network's confidence",
        paper_looks,
        count=8,
        sizes=(64, 128),
    ),
    "statistics": Made(
        "box plots, relative diffusivity against volume fraction, and S2",
        "Figures 4 and 6 (box plots), 5 and 7 (S2), S2 and S3 (relative diffusivity against volume fraction)",
        paper_statistics,
        count=400,
        sizes=(64,),
    ),
    "evolution": Made(
        "one seed through training, from noise to material",
        "the supplementary figure of a generated volume at several steps of training",
        paper_evolution,
    ),
    "periodicity": Made(
        "relative diffusivity of periodic and of cut volumes against their size",
        f"the claim that {FIGURE_8} illustrates: periodic boundaries reduce the volume that is representative",
        paper_periodicity,
        count=20,
        sizes=(32, 48, 64, 96, 128, 256),
    ),
    "closed": Made(
        "relative diffusivity of cuts of a scan, and of the same cuts closed",
        "the same claim, for real data, which the paper does not close",
        paper_closed,
        count=32,
        sizes=(64,),
    ),
    "ways": Made(
        "ways of being periodic",
        f"the change of the generator's input that makes the volumes of {FIGURE_8}",
        paper_ways,
        count=16,
        sizes=(128,),
    ),
    "diversity": Made(
        "the number of different volumes, and their spread",
        "no figure; its references 50 and 51 are on this test",
        paper_diversity,
        count=200,
        sizes=(64,),
    ),
    "methods": Made(
        "other ways to make a microstructure",
        "no figure; its published samples are among what is compared",
        paper_methods,
        count=64,
        sizes=(64, 128, 256),
    ),
    "made": Made(
        "materials of four and six phases",
        "the claim that the network takes n phases; its figures have three",
        paper_made,
        count=100,
        sizes=(256,),
    ),
}


def main(arguments=None):
    """Measure a figure, if one is named, and write the page."""
    options = parsed(arguments)
    done, missing = [], []
    if options.figure is not None:
        figure = FIGURES[options.figure]
        options.count, options.sizes = options.count or figure.count, options.sizes or figure.sizes
        varied = figure.module is paper_periodicity  # of any number of sizes
        if (figure.count and options.count < 2) or not (varied or len(options.sizes) == len(figure.sizes)):
            sizes = " ".join(map(str, figure.sizes))
            raise SystemExit(f"{options.figure} takes a --count of at least 2, and --sizes like {sizes}.")
        options.names = options.name or list(list_presets())
        options.out.mkdir(parents=True, exist_ok=True)
        for subject in getattr(figure.module, "subjects", lambda options: options.names)(options):
            try:
                figure.module.measure(subject, options)
                done.append(subject)
            except (MissingError, ModuleNotFoundError) as error:
                missing.append(str(error) if subject is None else f"{title_of(str(subject))} ({error})")
    options.out.with_suffix(".md").write_text(page(options.out), encoding="utf-8")
    if missing:
        line = f"left out of {options.figure}: {'; '.join(missing)}"
        if not done:
            raise SystemExit(line)
        print(line)


def page(out=OUT):
    """Return the page: a section for each figure that has been measured."""
    measured = {name: [file for file in sorted(out.glob(f"{name}-*.json")) if complete(file)] for name in FIGURES}
    rows = [
        [f"`{name}`", figure.about, figure.paper, figure.count or "", "yes" if measured[name] else "not yet"]
        for name, figure in FIGURES.items()
    ]
    parts = [HEAD, "\n".join([*table(("figure", "", "in the paper", "count", "measured"), rows), ""])]
    parts += [section(name, measured[name]) for name in FIGURES if measured[name]]
    return "\n".join(parts)


def section(name, files):
    """Return the section of a figure: its title, what it is, and a part per measurement file."""
    figure = FIGURES[name]
    lines = [f"## {figure.module.TITLE}", "", figure.module.TEXT, ""]
    lines += [f"In the paper: {figure.paper}. Here: `python docs/paper.py {name}`.", ""]
    for file in files:
        lines += figure.module.told(json.loads(file.read_text("utf-8")), file)
    return "\n".join(lines).rstrip() + "\n"


def complete(file):
    """Return whether a measurement was not interrupted."""
    return json.loads(file.read_text("utf-8"))["complete"]


def parsed(arguments):
    """Return the options of the command line."""
    text = f"{__doc__}\nfigures:\n"
    for name, figure in FIGURES.items():
        indent = {"initial_indent": f"  {name:12} ", "subsequent_indent": " " * 15}
        text += textwrap.fill(f"{figure.about}; in the paper: {plain(figure.paper)}", 100, **indent) + "\n"
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figure", nargs="?", choices=FIGURES, metavar="FIGURE", help="one of the above")
    parser.add_argument("--name", action="append", help="a generator or its folder; repeatable. Default: all presets")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the real images")
    parser.add_argument("--run", type=Path, help="for evolution: folder of a training run")
    parser.add_argument("--count", type=int, help="seeds or volumes")
    parser.add_argument("--sizes", type=int, nargs="+", help="voxels per side")
    parser.add_argument("--axis", choices="zyx", default="z", help="axis of transport")
    parser.add_argument("--large", type=int, default=paper_periodicity.LARGE, help="width of the very large volumes")
    parser.add_argument("--other", action="append", default=[], metavar="LABEL=FOLDER", help="for methods: a generator")
    parser.add_argument("--steps", type=int, default=100, help="for closed: steps of each fit")
    parser.add_argument("--workers", type=int, default=2, help="processes that solve")
    parser.add_argument("--work", type=Path, default=Path("runs/paper"), help="folder of what is kept but not shown")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the files; the page lies beside it")
    return parser.parse_args(arguments)


def plain(text):
    """Return a text without the addresses of its links."""
    return re.sub(r"\[(.*?)\]\(.*?\)", r"\1", text)


if __name__ == "__main__":
    main()
