"""Make the figures of the page on the paper: ``python docs/paper.py FIGURE``; without one, the page alone.

Each figure writes its measurement files and pictures to docs/paper, and docs/paper.md is made from these. Where
``--data`` does not hold the real data that a figure needs, it says what it leaves out. Rows that are complete are
kept, so that an interrupted command repeats only the one it was at; `ways`, and the comparison of `statistics`, are
made in one go.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import paper_closed
import paper_diversity
import paper_looks
import paper_made
import paper_methods
import paper_periodicity
import paper_statistics
import paper_ways

from kerasgan3d import list_presets

OUT = Path(__file__).resolve().with_suffix("")
HEAD = """\
# The paper's figures and claims

Gayon-Lombardo, Mosser, Brandon and Cooper, "Pores for thought" (npj Comput. Mater. 6, 2020, 82) generates periodic
three-phase electrodes with a generative adversarial network. This page repeats its figures with the generators of this
package and tests its claims. `python docs/paper.py FIGURE` makes a section again with the generators that are in the
package then; `--data` names the folder of the real images, which are not part of this repository, and what is missing
there is left out. Walks between seeds are on the page [Steer structures](steering.md).
"""


class Made(NamedTuple):
    """A figure: what measures it, the section made of its files, and its defaults."""

    about: str
    measure: Callable
    section: Callable
    count: int
    sizes: tuple[int, ...]


FIGURES = {
    "looks": Made(
        "the data, volumes in 3D, confidence, and flux through periodic tilings",
        paper_looks.measure,
        paper_looks.section,
        count=8,
        sizes=(64, 128),
    ),
    "statistics": Made(
        "box plots, relative diffusivity against volume fraction, and S2",
        paper_statistics.measure,
        paper_statistics.section,
        count=400,
        sizes=(64,),
    ),
    "periodicity": Made(
        "relative diffusivity of periodic and of cut volumes against their size",
        paper_periodicity.measure,
        paper_periodicity.section,
        count=20,
        sizes=(32, 48, 64, 96, 128, 256),
    ),
    "closed": Made(
        "relative diffusivity of cuts of a scan, and of the same cuts closed",
        paper_closed.measure,
        paper_closed.section,
        count=8,
        sizes=(64,),
    ),
    "ways": Made("ways of being periodic", paper_ways.measure, paper_ways.section, count=16, sizes=(128,)),
    "diversity": Made(
        "the number of different volumes, and their spread",
        paper_diversity.measure,
        paper_diversity.section,
        count=200,
        sizes=(64,),
    ),
    "methods": Made(
        "other ways to make a microstructure",
        paper_methods.measure,
        paper_methods.section,
        count=80,
        sizes=(64, 128, 256),
    ),
    "made": Made("materials of four and six phases", paper_made.measure, paper_made.section, count=100, sizes=(256,)),
}


def main(arguments=None):
    """Measure a figure, if one is named, and write the page."""
    options = parsed(arguments)
    if options.figure is not None:
        figure = FIGURES[options.figure]
        options.count = options.count or figure.count
        options.sizes = options.sizes or figure.sizes
        varied = figure is FIGURES["periodicity"]  # of any number of sizes
        if options.count < 2 or not (varied or len(options.sizes) == len(figure.sizes)):
            sizes = " ".join(map(str, figure.sizes))
            raise SystemExit(f"{options.figure} takes a --count of at least 2, and --sizes like {sizes}.")
        options.names = options.name or list(list_presets())
        options.out.mkdir(parents=True, exist_ok=True)
        figure.measure(options)
    options.out.with_suffix(".md").write_text(page(options.out), encoding="utf-8")


def page(out=OUT):
    """Return the page: a section for each figure that has been measured."""
    measured = {name: [file for file in sorted(out.glob(f"{name}-*.json")) if complete(file)] for name in FIGURES}
    rows = [
        f"| `{name}` | {figure.about} | {figure.count} | {'yes' if measured[name] else 'not yet'} |"
        for name, figure in FIGURES.items()
    ]
    parts = [HEAD, "\n".join(["| figure | | count | measured |", "|---|---|---|---|", *rows, ""])]
    parts += [figure.section(measured[name]).rstrip() + "\n" for name, figure in FIGURES.items() if measured[name]]
    return "\n".join(parts)


def complete(file):
    """Return whether a measurement was not interrupted."""
    return json.loads(file.read_text("utf-8"))["complete"]


def parsed(arguments):
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figure", nargs="?", choices=FIGURES)
    parser.add_argument("--name", action="append", help="a generator or its folder; repeatable. Default: all presets")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the real images")
    parser.add_argument("--count", type=int, help="seeds or volumes")
    parser.add_argument("--sizes", type=int, nargs="+", help="voxels per side")
    parser.add_argument("--axis", choices="zyx", default="z", help="axis of transport")
    parser.add_argument("--large", type=int, default=paper_periodicity.LARGE, help="width of the very large volumes")
    parser.add_argument("--other", action="append", default=[], metavar="LABEL=FOLDER", help="for methods: a generator")
    parser.add_argument("--steps", type=int, default=150, help="for closed: steps of each fit")
    parser.add_argument("--workers", type=int, default=2, help="processes that solve")
    parser.add_argument("--work", type=Path, default=Path("runs/paper"), help="folder of what is kept but not shown")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the files; the page lies beside it")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
