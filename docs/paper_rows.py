"""What the figures of docs/paper.py share: measurement files, generators, and data that are not in this repository."""

import functools
import io
import json
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tifffile

from kerasgan3d import Volume, load_generator
from kerasgan3d.folder import write_json
from kerasgan3d.io import read_labels
from kerasgan3d.phases import PhaseMap

FIRST = 500_000  # seed of the first volume of a figure


class MissingError(Exception):
    """Error raised where a figure does not find what it is made of; the message says what."""


class Data(NamedTuple):
    """The files in the folder of real data that belong to a generator."""

    real: str
    published: str  # how the names of the paper's samples of this material begin
    excluded: tuple = ()  # boxes that are no material, one (start, stop) per axis


PUBLISHED = "pores4thought-published-samples-64.zip"
DATA = {
    "nmc-cathode": Data("nrel-nmc-1-cal-cbd-bridge.tif", "NMC"),
    "sofc-anode": Data("netl-sofc-anode-z050.tif", "SOFC", (((640, 756), (1325, 1655)),)),
}


class Rows:
    """The rows of a measurement file, written one by one, so that an interrupted measurement goes on.

    Args:
        path: The file, .json. Rows of another setup are dropped, with a line that says so.
        setup: What all rows have in common, a dict of JSON values.
    """

    def __init__(self, path, **setup):
        self.path, self.setup, self.rows = Path(path), setup, {}
        if self.path.is_file():
            found = json.loads(self.path.read_text("utf-8"))
            if {key: found.get(key) for key in setup} == json.loads(json.dumps(setup)):
                self.rows = found["rows"]
            else:
                print(f"{self.path.name} was measured of something else, and begins anew")

    def row(self, key, compute):
        """Return the row of a key, computed and written where there is none."""
        if key not in self.rows:
            self.rows[key] = compute()
            self.write()
        return self.rows[key]

    def write(self, **facts):
        """Write the rows, with what has been found about all of them; the page shows them once they are complete."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_json({**self.setup, "complete": False, **facts, "rows": self.rows}, self.path)


@functools.cache
def generator_of(name):
    """Return the generator of a name or a folder, loaded once.

    Raises:
        MissingError: if there is none.
    """
    try:
        return load_generator(name)
    except (ValueError, OSError) as error:
        raise MissingError(str(error)) from error


def begun(figure, name, options, **setup):
    """Return the generator of a name, and the Rows of a figure of it.

    Args:
        figure: Name of the figure.
        name: Name of the generator, or its folder.
        options: The command's.
        setup: What all rows have in common besides the generator and its phases.
    """
    generator = generator_of(name)
    facts = {"generator": title_of(name), "weights": identity(generator), "phases": list(generator.phases)}
    return generator, Rows(options.out / f"{figure}-{title_of(name)}.json", **facts, **setup)


def identity(generator):
    """Return the first digits of the digest of a generator's weights."""
    return generator.card.get("weights", {}).get("sha256", "")[:12]


def title_of(name):
    """Return the name of a generator without the folders in which it lies."""
    return Path(name).name


def real_of(folder, name, generator):
    """Return the real image of a generator as a Volume; a slice is a volume of one voxel along z.

    Raises:
        MissingError: if it is not in the folder.
    """
    labels = read_labels(_file(folder, name), phases=generator.phases, voxel_size=generator.voxel_size).labels
    return Volume(np.atleast_3d(labels.T).T, generator.phases, generator.voxel_size)


def published_of(folder, name, generator):
    """Return the samples of the paper's own generator as Volumes.

    Raises:
        MissingError: if they are not in the folder.
    """
    with zipfile.ZipFile(_file(folder, name, PUBLISHED)) as archive:
        entries = sorted(entry for entry in archive.namelist() if entry.startswith(DATA[name].published))
        images = [tifffile.imread(io.BytesIO(archive.read(entry))) for entry in entries]
    # Every one holds all phases.
    labels = [PhaseMap.infer(image, generator.phases).encode(image) for image in images]
    return [Volume(each, generator.phases, generator.voxel_size) for each in labels]


def _file(folder, name, file=None):
    """Return the path of a file of a generator in the folder of data; default: of its real data."""
    if name not in DATA:
        raise MissingError(f"no data of {title_of(name)} are known")
    path = Path(folder) / (file or DATA[name].real)
    if not path.is_file():
        raise MissingError(f"{path.name} is not in {folder}")
    return path


def if_there(find, *given):
    """Return what a function finds; None, with a line that says what is left out, where it is missing."""
    try:
        return find(*given)
    except MissingError as error:
        print(f"left out: {error}")
        return None


def bootstrap(values, statistic, draws=2000, level=0.95):
    """Return the ends of the confidence interval of a statistic of independent values, by their percentiles.

    Args:
        values: Array (samples, ...).
        statistic: A function of such an array.
    """
    rng = np.random.default_rng(0)
    found = [statistic(values[rng.integers(len(values), size=len(values))]) for _ in range(draws)]
    return np.quantile(found, [(1 - level) / 2, (1 + level) / 2], axis=0)


def table(head, rows):
    """Return a table in Markdown as lines."""
    return [f"| {' | '.join(map(str, row))} |" for row in (head, ["---"] * len(head), *rows)]
