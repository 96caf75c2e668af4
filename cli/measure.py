"""``kerasgan3d measure``."""

import math
import sys
import warnings
from pathlib import Path

import click

from kerasgan3d.cli.options import Axes, json_option, map_option, phases_option, voxel_size_option
from kerasgan3d.cli.output import echo, print_json
from kerasgan3d.cli.progress import progress_bar


@click.command(
    "measure",
    epilog="""\b
Examples:
  kerasgan3d measure cathode.tif
  kerasgan3d measure scan.tif --phases pore,NMC,CBD --voxel-size 0.398 --transport pore
  kerasgan3d measure slice.tif --map 0=pore,128=Ni,255=YSZ --voxel-size 0.065
  kerasgan3d measure real.tif generated.tif --no-transport --json
  kerasgan3d measure huge.zarr --no-shapes --block 256 --workers 2
""",
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@phases_option
@map_option
@voxel_size_option
@click.option(
    "--periodic/--not-periodic",
    default=None,
    help="Whether the image continues at its opposite faces, if not as the file says.",
)
@click.option("--periodic-axes", type=Axes(), help="It continues along these axes only, such as yx.")
@click.option(
    "--transport",
    multiple=True,
    metavar="PHASE",
    help="Compute diffusion through this phase only: its name or number. May be given for several.",
)
@click.option("--no-transport", is_flag=True, help="Compute no diffusion, which takes the most time.")
@click.option(
    "--shapes/--no-shapes",
    default=True,
    help="Whether to measure granulometry, specks and holes, which take most of the time of a large volume.",
)
@click.option(
    "--max-lag", type=click.IntRange(min=0), metavar="N", help="Largest distance of the two-point correlation, voxels."
)
@click.option(
    "--block",
    type=click.IntRange(min=1),
    metavar="N",
    help="Measure in blocks of N voxels per edge, in little memory, without mesh, radial correlation and transport. "
    "Without it, volumes of more than 512³ voxels are measured so, in blocks of 256.",
)
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Processes that measure blocks side by side.")
@json_option
def command(
    files,
    phases,
    mapping,
    voxel_size,
    periodic,
    periodic_axes,
    transport,
    no_transport,
    shapes,
    max_lag,
    block,
    workers,
    as_json,
):
    """Measure volumes and slices: fractions, surfaces, triple-phase boundaries, connectivity, transport.

    FILE is a volume, a folder of the slices of one, or a single slice. Of a single slice, the values of a volume are
    estimated by stereology. A volume that is larger than memory is measured block by block, with the same numbers.
    """
    ctx = click.get_current_context()
    if transport and no_transport:
        raise click.UsageError("Either --transport or --no-transport, not both.", ctx)
    if periodic_axes and periodic is not None:
        raise click.UsageError("Either --periodic-axes or --periodic or --not-periodic, not two of them.", ctx)
    import kerasgan3d

    reading = {"phases": phases, "mapping": mapping, "voxel_size": voxel_size}
    asked = (periodic_axes or periodic, transport, max_lag, block)
    if len(files) > 1:
        # All of them first: the work on one is not to be lost over the next.
        for file in files:
            _read(file, reading, *asked)
    records = []
    for number, file in enumerate(files, 1):
        image, given = _read(file, reading, *asked)
        given["shapes"] = shapes
        if no_transport:
            given["transport"] = False
        if workers is not None:
            given["workers"] = workers
        what = "measuring" if len(files) == 1 else f"measuring {number} of {len(files)}"
        with progress_bar(what, sys.stderr) as bar:
            told = None if bar is None else lambda done, total, _, bar=bar: bar(done, total)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", RuntimeWarning)
                measurement = kerasgan3d.measure(image, progress=told, **given)
        for warning in caught:
            echo(f"kerasgan3d: warning: {file}: {warning.message}", err=True)
        if as_json:
            records.append({"file": str(file), **measurement.to_dict()})
            continue
        if number > 1:
            echo()
        echo(file, bold=True)
        echo(measurement)
    if as_json:
        print_json(records if len(files) > 1 else records[0])


def _read(file, reading, periodic, transport, max_lag, block):
    """Return a volume, or the labels of a slice, and the arguments of `measure` that go with it.

    A volume that is to be measured block by block stays in its file.

    Raises:
        ValueError, OSError: It cannot be read, does not say how large a voxel is, or an option does not fit it.
    """
    from kerasgan3d import io
    from kerasgan3d.metrics.record import BLOCK, IN_MEMORY

    given = {}
    stored = io.open_image(file, in_memory=0).shape
    if len(stored) == 3:
        if block is None and math.prod(stored) > IN_MEMORY:
            block = BLOCK
        if block is not None:
            given["block"] = block
        image = io.read(file, **reading) if block is None else io.open_volume(file, **reading, in_memory=0)
        names, size, shape = image.phases, image.voxel_size, image.shape
    else:
        image, phase_map, size = io.read_labels(file, **reading)
        names, shape = phase_map.names, image.shape
        given |= {"phases": names, "voxel_size": size}
        if isinstance(periodic, tuple):
            if periodic[0]:
                raise ValueError(f"{file}: `--periodic-axes` of a slice must be of y and x. Received: z.")
            periodic = periodic[1:]
    if size is None:
        raise ValueError(f"{file} does not say how large a voxel is: give it in µm with --voxel-size.")
    if max_lag is not None:
        if max_lag >= min(shape):
            raise ValueError(
                f"{file}: `--max-lag` must be less than the smallest dimension, {min(shape)}. Received: {max_lag}."
            )
        given["max_lag"] = max_lag
    if periodic is not None:
        given["periodic"] = periodic
    if transport:
        given["transport"] = [_phase(text, names, file) for text in transport]
        if "block" in given:
            raise ValueError(
                f"{file} is measured block by block, which does not tell transport: leave out --transport, or measure "
                "a part of the volume."
            )
        if len(shape) == 2:
            raise ValueError(f"{file} is a slice, which does not tell transport: leave out --transport.")
    return image, given


def _phase(text, names, file):
    """Return the name or the index of a phase."""
    if text in names:
        return text
    if text.isdecimal() and int(text) < len(names):
        return int(text)
    raise ValueError(
        f"{file}: `--transport` must be a phase, {', '.join(names)}, or 0 to {len(names) - 1}. Received: {text}."
    )
