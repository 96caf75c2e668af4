"""``kerasgan3d measure``."""

import math
import re
import sys
import warnings
from functools import partial
from pathlib import Path

import click

from kerasgan3d.cli.generated import check_generating, generated, generating_options
from kerasgan3d.cli.options import (
    Axes,
    Box,
    NumbersCommand,
    RealNumber,
    WholeNumber,
    complete_files_and_generators,
    json_option,
    overwrite_option,
    reading_options,
)
from kerasgan3d.cli.output import by, echo, print_json, print_table, refuse_existing
from kerasgan3d.cli.progress import progress_bar

_NO_SIZE = (
    "does not say how large a voxel is: measures with a unit are left out. Give the edge in µm with --voxel-size."
)


class MeasureCommand(NumbersCommand):
    """A command whose ``--confidence`` may come without a number: ``--confidence cathode.tif``."""

    def parse_args(self, ctx, args):
        """Parse the arguments, after giving a ``--confidence`` without a number its default."""
        return super().parse_args(
            ctx,
            [
                f"{word}=0.95" if word == "--confidence" and not re.fullmatch(r"-?[\d.]+", after) else word
                for word, after in zip(args, [*args[1:], ""], strict=False)
            ],
        )


class Excluded(click.ParamType):
    """A box, ``640:756,:,0:90``, or a phase by name or number."""

    name = "box | phase"

    def convert(self, value, param, ctx):
        """Return a box, as ``Box`` does, or the text."""
        return Box().convert(value, param, ctx) if isinstance(value, str) and ":" in value else value


@click.command(
    "measure",
    cls=MeasureCommand,
    epilog="""\b
Examples:
  kerasgan3d measure cathode.tif
  kerasgan3d measure scan.tif --phases pore,NMC,CBD --voxel-size 0.398 --transport pore
  kerasgan3d measure slice.tif --map 0=pore,128=Ni,255=YSZ --voxel-size 0.065
  kerasgan3d measure real.tif generated.tif --no-transport --json
  kerasgan3d measure core.tif --map 0=outside,1=pore,2=grain --exclude outside
  kerasgan3d measure huge.zarr --no-shapes --block 256 --workers 2
  kerasgan3d measure cathode.tif --confidence --within 0.02
  kerasgan3d measure a.tif b.tif c.tif --summary -o table.csv
  kerasgan3d measure rock.tif --transport pore --permeability --particles
  kerasgan3d measure nmc-cathode --count 20 --size 128 -o cathodes.json
""",
)
@click.argument(
    "files",
    metavar="FILE...",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path),
    shell_complete=complete_files_and_generators,
)
@reading_options
@click.option("--mask", type=click.Path(path_type=Path), metavar="FILE", help="Measure only where this image is not 0.")
@click.option(
    "--exclude",
    type=Excluded(),
    multiple=True,
    metavar="BOX|PHASE",
    help="Leave out a box, z0:z1,y0:y1,x0:x1, or a phase, by name or number. Repeat it for several.",
)
@click.option(
    "--periodic/--not-periodic",
    default=None,
    help="Treat the image as periodic along all axes, or not, overriding the file.",
)
@click.option("--periodic-axes", type=Axes(), help="Treat it as periodic along these axes only, such as yx.")
@click.option(
    "--transport",
    multiple=True,
    metavar="PHASE",
    help="Compute diffusion (and flow, with --permeability) through this phase only, by name or number. Repeat it for "
    "several.",
)
@click.option("--no-transport", is_flag=True, help="Skip diffusion, which takes the most time.")
@click.option(
    "--shapes/--no-shapes",
    default=True,
    help="Measure granulometry, specks and holes, or not; for a large volume they take most of the time.",
)
@click.option(
    "--particles",
    is_flag=True,
    help="Measure separated particles (median diameters, sphericities, contacts), lineal paths and profiles. Slow.",
)
@click.option(
    "--permeability",
    is_flag=True,
    help="Compute creeping flow through every phase, or those of --transport; about ten times slower than diffusion.",
)
@click.option(
    "--max-lag", type=WholeNumber(min=0), metavar="N", help="Largest lag of the two-point correlation in voxels."
)
@click.option(
    "--block",
    type=WholeNumber(min=1),
    metavar="N",
    help="Measure in blocks of N voxels per edge to save memory, without mesh, radial correlation and transport. "
    "Default: 256 for volumes of more than 512³ voxels, no blocks for others.",
)
@click.option(
    "--confidence",
    type=RealNumber(0, 1, min_open=True, max_open=True),
    metavar="[LEVEL]",
    help="Estimate confidence intervals of the material's values from each volume alone; default level: 0.95.",
)
@click.option(
    "--within",
    type=RealNumber(min=0, min_open=True),
    metavar="SHARE",
    help="With --confidence: estimate the volume size for intervals of this fraction of the value; default: 0.05.",
)
@generating_options
@click.option("--summary", is_flag=True, help="Print mean and standard deviation over all volumes instead of each.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Write the summary as a table, .csv or .parquet with a row per number and a column per volume, or as .json.",
)
@overwrite_option
@click.option(
    "--workers", type=WholeNumber(min=1), metavar="N", help="Number of processes that measure blocks in parallel."
)
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
    particles,
    permeability,
    max_lag,
    block,
    confidence,
    within,
    size,
    count,
    seed,
    summary,
    output,
    overwrite,
    workers,
    as_json,
    **reading,
):
    """Measure volumes and slices: fractions, surfaces, triple-phase boundaries, connectivity, transport.

    FILE is a volume, a folder of its slices, or a single slice, from which stereology estimates the values of a volume.
    Without a voxel size, measures with a unit are left out. A volume larger than memory is measured block by block,
    with the same results. With --size, the argument is the NAME of a generator, whose volumes are measured and
    summarised.
    """
    ctx = click.get_current_context()
    if transport and no_transport:
        raise click.UsageError("Either --transport or --no-transport, not both.", ctx)
    if periodic_axes and periodic is not None:
        raise click.UsageError("Either --periodic-axes or --periodic or --not-periodic, not two of them.", ctx)
    if within is not None and confidence is None:
        raise click.UsageError("--within goes with --confidence.", ctx)
    generator_alone = {"--count": count, "--seed": seed}
    files_alone = {"--mask": mask, **{f"--{key.replace('_', '-')}": value for key, value in reading.items()}}
    check_generating(ctx, files, size, generator_alone, files_alone)
    if output is not None:
        from kerasgan3d.metrics.summary import check_table

        refuse_existing(check_table(output), overwrite)
    asked = (mask, exclude, periodic_axes or periodic, transport, max_lag, block)
    given = {"shapes": shapes}
    given |= {"particles": True} if particles else {}
    given |= {"transport": False} if no_transport else {}
    given |= {} if workers is None else {"workers": workers}
    given |= {} if confidence is None else {"confidence": confidence}
    given |= {} if within is None else {"within": within}
    if size:
        volumes = generated(str(files[0]), size, count, seed, periodic_axes or periodic)
        subjects = {name: partial(_asked, volume, name, *asked) for name, volume in volumes.items()}
    else:
        subjects = {str(file): partial(_read, file, reading, *asked) for file in files}
    summary = summary or bool(size and len(subjects) > 1) or output is not None
    if len(subjects) > 1:
        # Open all files first, so that no work is lost over a later one.
        kinds = {_kind(*opened()) for opened in subjects.values()}
        if summary:
            from kerasgan3d.metrics.summary import check_alike

            check_alike(kinds)
    records, noted = {}, {}
    for name, opened in subjects.items():
        what = "measuring" if len(subjects) == 1 else f"measuring {len(records) + 1} of {len(subjects)}"
        image, own, voxel_size = opened()
        filled = getattr(image, "provenance", {}).get("filled_planes")
        noted[name] = {"filled_planes": filled} if filled else {}
        flow = {"permeability": own.get("transport", True)} if permeability else {}
        records[name] = _measured(name, image, own, voxel_size, given | flow, what)
        if not (summary or as_json):
            if len(records) > 1:
                echo()
            echo(name, bold=True)
            echo(records[name])
    if summary:
        _sum_up(records, output, as_json)
    elif as_json:
        found = [{"file": name, **noted[name], **record.to_dict()} for name, record in records.items()]
        print_json(found if len(found) > 1 else found[0])


def _kind(image, own, _):
    """Return the names of the phases of an image, and its dimensions."""
    return tuple(getattr(image, "phases", None) or own["phases"]), len(image.shape)


def _measured(name, image, own, size, given, what):
    """Return the Measurement of an image, and print warnings and notes about it on stderr."""
    import kerasgan3d

    with progress_bar(what, sys.stderr) as bar:
        told = None if bar is None else lambda done, total, _: bar(done, total)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", RuntimeWarning)
            measurement = kerasgan3d.measure(image, progress=told, **{**own, **given})
    for warning in caught:
        echo(f"kerasgan3d: warning: {name}: {warning.message}", err=True)
    if size is None:
        echo(f"kerasgan3d: note: {name} {_NO_SIZE}", err=True)
    return measurement


def _sum_up(records, output, as_json):
    """Print means and standard deviations of records, and write them."""
    from kerasgan3d.metrics.summary import summarise

    found = summarise(records)
    if output is not None:
        found.save(output)
    if as_json:
        print_json(found.to_dict())
        return
    rows = [
        [number.measure, " - ".join(filter(None, (number.phase, number.other_phase))), number.axis or ""]
        + [f"{number.mean:.4g}", "-" if math.isnan(number.std) else f"{number.std:.2g}"]
        + ["" if number.unit == "1" else number.unit]
        for number in found.numbers()
    ]
    echo(f"{len(records)} volumes" if len(records) > 1 else next(iter(records)), bold=True)
    print_table(["measure", "phase", "axis", "mean", "std", "unit"], rows)
    if output is not None:
        echo(f"wrote {output}")


def _read(file, reading, mask, exclude, periodic, transport, max_lag, block):
    """Return a volume, or the labels of a slice, the arguments of `measure` that go with it, and its voxel size.

    A volume that is measured block by block stays in its file.

    Raises:
        ValueError, OSError: If it cannot be read, or an option does not fit it.
    """
    from kerasgan3d import io
    from kerasgan3d.metrics.record import BLOCK, IN_MEMORY

    given, reading = {}, dict(reading)
    file = io.raw_path(file, reading.pop("shape"), reading.pop("dtype"))
    stored = io.image_shape(file, fill_gaps=reading["fill_gaps"])
    if len(stored) == 3:
        if block is None and math.prod(stored) > IN_MEMORY:
            block = BLOCK
        if block is not None:
            given["block"] = block
        image = io.read(file, **reading) if block is None else io.open_volume(file, **reading, in_memory=0)
        names, size = image.phases, image.voxel_size
    else:
        image, phase_map, size = io.read_labels(file, **reading)
        names = phase_map.names
        given |= {"phases": names, "voxel_size": size}
        if isinstance(periodic, tuple):
            if periodic[0]:
                raise ValueError(f"{file}: `--periodic-axes` of a slice must be of y and x. Received: z.")
            periodic = periodic[1:]
    asked = _asked(image, file, mask, exclude, periodic, transport, max_lag, given.get("block"), names)
    return image, {**given, **asked[1]}, size


def _asked(image, file, mask, exclude, periodic, transport, max_lag, block, names=None):
    """Return an image, the arguments of `measure` that the options give, and its voxel size.

    Raises:
        ValueError, OSError: If an option does not fit it.
    """
    from kerasgan3d import io

    given = {} if block is None else {"block": block}
    names, shape = image.phases if names is None else names, image.shape
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
    return image, given, getattr(image, "voxel_size", None)


def _phase(text, names, file, option):
    """Return the name or the index of a phase."""
    if text in names:
        return text
    if text.isdecimal() and int(text) < len(names):
        return int(text)
    raise ValueError(
        f"{file}: `{option}` must be a phase, {', '.join(names)}, or 0 to {len(names) - 1}. Received: {text}."
    )
