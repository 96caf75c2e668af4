"""``kerasgan3d measure``."""

import math
import sys
import warnings
from pathlib import Path

import click

from kerasgan3d.cli.options import Axes, Box, NumbersCommand, json_option, reading_options
from kerasgan3d.cli.output import by, echo, print_json
from kerasgan3d.cli.progress import progress_bar

_NO_SIZE = "does not say how large a voxel is: what has a unit is left out. Give the edge in µm with --voxel-size."


class Excluded(click.ParamType):
    """A box, ``640:756,:,0:90``, or a phase by name or number."""

    name = "box | phase"

    def convert(self, value, param, ctx):
        """Return a box as ``Box`` does, or the text."""
        return Box().convert(value, param, ctx) if isinstance(value, str) and ":" in value else value


@click.command(
    "measure",
    cls=NumbersCommand,
    epilog="""\b
Examples:
  kerasgan3d measure cathode.tif
  kerasgan3d measure scan.tif --phases pore,NMC,CBD --voxel-size 0.398 --transport pore
  kerasgan3d measure slice.tif --map 0=pore,128=Ni,255=YSZ --voxel-size 0.065
  kerasgan3d measure real.tif generated.tif --no-transport --json
  kerasgan3d measure core.tif --map 0=outside,1=pore,2=grain --exclude outside
  kerasgan3d measure huge.zarr --no-shapes --block 256 --workers 2
""",
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@reading_options
@click.option("--mask", type=click.Path(path_type=Path), metavar="FILE", help="Measure only where this image is not 0.")
@click.option(
    "--exclude",
    type=Excluded(),
    multiple=True,
    metavar="BOX|PHASE",
    help="Leave out a box, z0:z1,y0:y1,x0:x1, or a phase, by name or number. May be given again.",
)
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
    mask,
    exclude,
    periodic,
    periodic_axes,
    transport,
    no_transport,
    shapes,
    max_lag,
    block,
    workers,
    as_json,
    **reading,
):
    """Measure volumes and slices: fractions, surfaces, triple-phase boundaries, connectivity, transport.

    FILE is a volume, a folder of the slices of one, or a single slice. Of a single slice, the values of a volume are
    estimated by stereology. Without a voxel size, what has a unit is left out. A volume that is larger than memory is
    measured block by block, with the same numbers.
    """
    ctx = click.get_current_context()
    if transport and no_transport:
        raise click.UsageError("Either --transport or --no-transport, not both.", ctx)
    if periodic_axes and periodic is not None:
        raise click.UsageError("Either --periodic-axes or --periodic or --not-periodic, not two of them.", ctx)
    import kerasgan3d

    asked = (mask, exclude, periodic_axes or periodic, transport, max_lag, block)
    if len(files) > 1:
        # All of them first: the work on one is not to be lost over the next.
        for file in files:
            _read(file, dict(reading), *asked)
    records = []
    for number, file in enumerate(files, 1):
        image, given, size = _read(file, dict(reading), *asked)
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
        if size is None:
            echo(f"kerasgan3d: note: {file} {_NO_SIZE}", err=True)
        if as_json:
            filled = getattr(image, "provenance", {}).get("filled_planes")
            noted = {"filled_planes": filled} if filled else {}
            records.append({"file": str(file), **noted, **measurement.to_dict()})
            continue
        if number > 1:
            echo()
        echo(file, bold=True)
        echo(measurement)
    if as_json:
        print_json(records if len(files) > 1 else records[0])


def _read(file, reading, mask, exclude, periodic, transport, max_lag, block):
    """Return a volume, or the labels of a slice, the arguments of `measure` that go with it, and its voxel size.

    A volume that is to be measured block by block stays in its file.

    Raises:
        ValueError, OSError: It cannot be read, or an option does not fit it.
    """
    from kerasgan3d import io
    from kerasgan3d.metrics.record import BLOCK, IN_MEMORY

    given = {}
    raw = [reading.pop(name, None) for name in ("shape", "dtype")]
    if raw != [None, None]:
        file = io.raw_path(file, *raw)
    stored = io.image_shape(file, fill_gaps=reading["fill_gaps"])
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
    if mask is not None:
        given["mask"] = io.open_image(mask)
        if tuple(given["mask"].shape) not in (shape, shape[1:]):
            raise ValueError(
                f"{mask} must have the shape of {file}, {by(shape)} voxels, or of a slice of it. Received: "
                f"{by(given['mask'].shape)}."
            )
    if exclude:
        given["exclude"] = [
            _phase(part, names, file, "--exclude") if isinstance(part, str) else part for part in exclude
        ]
    if max_lag is not None:
        if max_lag >= min(shape):
            raise ValueError(
                f"{file}: `--max-lag` must be less than the smallest dimension, {min(shape)}. Received: {max_lag}."
            )
        given["max_lag"] = max_lag
    if periodic is not None:
        given["periodic"] = periodic
    if transport:
        given["transport"] = [_phase(text, names, file, "--transport") for text in transport]
        if "block" in given:
            raise ValueError(
                f"{file} is measured block by block, which does not tell transport: leave out --transport, or measure "
                "a part of the volume."
            )
        if len(shape) == 2:
            raise ValueError(f"{file} is a slice, which does not tell transport: leave out --transport.")
    return image, given, size


def _phase(text, names, file, option):
    """Return the name or the index of a phase."""
    if text in names:
        return text
    if text.isdecimal() and int(text) < len(names):
        return int(text)
    raise ValueError(
        f"{file}: `{option}` must be a phase, {', '.join(names)}, or 0 to {len(names) - 1}. Received: {text}."
    )
