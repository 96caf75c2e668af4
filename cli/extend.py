"""``kerasgan3d extend``."""

import sys
from pathlib import Path

import click

from kerasgan3d.cli.group import CommandError
from kerasgan3d.cli.hub import takes_generators
from kerasgan3d.cli.options import (
    Axes,
    NumbersCommand,
    Size,
    WholeNumber,
    json_option,
    overwrite_option,
    reading_options,
    refuse_generator,
)
from kerasgan3d.cli.output import by, echo, print_facts, print_json, print_table, refuse_existing
from kerasgan3d.cli.progress import heartbeat, progress_bar
from kerasgan3d.cli.quiet import quiet_tensorflow


@click.command(
    "extend",
    cls=NumbersCommand,
    epilog="""\b
Examples:
  kerasgan3d extend scan.tif nmc-cathode --size 256 -o larger.zarr
  kerasgan3d extend scan.tif nmc-cathode --size 192 --periodic -o closed.tif
  kerasgan3d extend scan.tif nmc-cathode --size 128 --unknown holes.tif -o filled.tif
  kerasgan3d extend micrograph.png nmc-cathode --size 64 256 256 --at 0 0 0 -o beneath.tif
""",
)
@click.argument("scan", type=click.Path(path_type=Path))
@click.argument("name")
@click.option("--size", type=Size(), required=True, help="Voxels of the whole: one number, or three for z, y and x.")
@click.option("--periodic", is_flag=True, help="Make the result periodic along all axes.")
@click.option("--periodic-axes", type=Axes(), help="Make it periodic along these axes only, such as yx.")
@click.option(
    "--unknown",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="An image of the scan's shape; voxels where it is not 0 are unknown and are generated.",
)
@click.option("--at", type=int, nargs=3, metavar="Z Y X", help="Position of the scan's first voxel; default: centred.")
@click.option(
    "--normal",
    type=click.Choice(("z", "y", "x")),
    default="z",
    show_default=True,
    help="Axis that a single slice is normal to.",
)
@click.option("--resample", is_flag=True, help="Resample the scan to the generator's voxel size.")
@click.option(
    "--seed",
    type=WholeNumber(0, 2**64 - 1),
    metavar="N",
    help="Seed of the generated part; drawn and printed if left out.",
)
@click.option(
    "--starts",
    type=WholeNumber(min=1),
    default=3,
    show_default=True,
    help="Number of fits, of which the best is taken.",
)
@click.option("--steps", type=WholeNumber(min=1), default=150, show_default=True, help="Steps of each fit.")
@click.option(
    "--fit",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="File of the fit, from which a repeated command resumes and larger volumes are generated; default: "
    "OUTPUT.fit.npz.",
)
@reading_options
@json_option
@overwrite_option
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="The file: .tif, .npy, .zarr or .vti."
)
@takes_generators("name")
def command(
    scan,
    name,
    size,
    periodic,
    periodic_axes,
    unknown,
    at,
    normal,
    resample,
    seed,
    starts,
    steps,
    fit,
    as_json,
    overwrite,
    output,
    **reading,
):
    """Continue a scan: keep it exactly, and generate a structure that fits it.

    The latents near the scan's faces are fitted to it; elsewhere the structure is the seed's. The quality of the fit is
    printed, with statistics across the joint and within the scan. SCAN is a volume of the generator's phases, or a
    single slice.
    """
    import kerasgan3d
    from kerasgan3d.steering import extension

    kerasgan3d.io.check_writable(output)
    refuse_existing(output, overwrite or kerasgan3d.io.partial_path(output).exists())
    fit = fit or output.with_name(f"{output.name}.fit.npz")
    refuse_generator(scan, "The scan comes first, then the generator.")
    volume, mask = _read(scan, unknown, normal, reading)
    with quiet_tensorflow() as stderr:
        generator = kerasgan3d.load_generator(name)
        if resample and generator.voxel_size is not None:
            volume = volume.resample(generator.voxel_size)
            mask = mask and mask.resample(generator.voxel_size)
        options = {"periodic": periodic_axes or periodic, "seed": seed, "unknown": mask, "at": at}
        try:
            with heartbeat("fitting", stderr if stderr is not None else sys.stderr) as progress:
                found = extension(
                    generator,
                    volume,
                    size,
                    **options,
                    starts=starts,
                    steps=steps,
                    state=fit,
                    progress=progress or False,
                )
            result = _written(generator, found.job, output, overwrite, stderr)
        except KeyboardInterrupt as error:
            raise CommandError(
                f"interrupted; the fit is kept in {fit}: the same command goes on", exit_code=130
            ) from error
    result = {"output": output, "fit": fit, **result, **found.report}
    if as_json:
        print_json(result)
    else:
        _print(result)


def _read(scan, unknown, normal, reading):
    """Return a scan and the mask of its unknown voxels, as Volumes; None for no mask.

    Raises:
        ValueError, OSError: if one cannot be read, or their shapes differ.
    """
    import numpy as np

    from kerasgan3d import Volume, io

    axis, given = "zyx".index(normal), dict(reading)
    path = io.raw_path(scan, given.pop("shape"), given.pop("dtype"))
    if len(io.image_shape(path, fill_gaps=given["fill_gaps"])) == 3:
        volume = io.read(scan, **reading)
    else:
        labels, phase_map, voxel_size = io.read_labels(path, **given)
        provenance = {"file": io.source_name(path)}
        volume = Volume(np.expand_dims(labels, axis), phase_map.names, voxel_size, provenance=provenance)
    if unknown is None:
        return volume, None
    mask = np.asarray(io.open_image(unknown)) != 0
    mask = np.expand_dims(mask, axis) if mask.ndim == 2 else mask
    if mask.shape != volume.shape:
        raise ValueError(
            f"{unknown} must have the scan's shape, {by(volume.shape)} voxels. Received: {by(mask.shape)}."
        )
    return volume, Volume(mask, ("known", "unknown"), volume.voxel_size)


def _written(generator, job, output, overwrite, stderr):
    """Sample a job into a file; return the facts to print."""
    import kerasgan3d

    with progress_bar("sampling", stderr, "voxels") as bar:
        if output.suffix.lower() in kerasgan3d.io.STREAM_SUFFIXES:
            streamed = generator.stream(output, job, overwrite=overwrite, progress=bar or False)
            fractions, checksum = streamed.fractions, streamed.checksum
        else:
            volume = generator.sample(job, progress=bar or False)
            kerasgan3d.io.write(volume, output, overwrite=overwrite)
            fractions, checksum = volume.fractions, kerasgan3d.io.checksum(volume.labels)
    return {
        "shape": job.size,
        "periodic": job.periodic,
        "voxel_size": generator.voxel_size,
        "fractions": {phase: float(share) for phase, share in zip(generator.phases, fractions, strict=True)},
        "seed": job.seed,
        "offset": job.offset,
        "checksum": checksum,
    }


def _print(result):
    from kerasgan3d.checks import axis_letters

    axes = axis_letters(result["periodic"])
    print_table(
        ["measure", "across the joint", "within the scan", "generated", "standard errors"],
        [[row["measure"], *map(_number, list(row.values())[1:])] for row in result["joint"]],
    )
    echo()
    best = result["starts"][result["chosen"]]
    spread = [start["touching"] for start in result["starts"]]
    print_facts(
        [
            ("wrote", result["output"]),
            ("voxels", by(result["shape"]) + (f", periodic along {', '.join(axes)}" if axes else "")),
            ("scan", f"from {by(result['at'])} on"),
            ("agreement", f"{best['touching']:.3f} of the scan's voxels at the joint, {best['agreement']:.3f} of all "
             f"{result['counted_voxels']} that count; of {len(spread)} starts {min(spread):.3f} to {max(spread):.3f}"),
            ("latents", f"mean {result['latents']['mean']:.3f}, deviation {result['latents']['deviation']:.3f}"),
            ("fractions", ", ".join(f"{phase} {share:.3f}" for phase, share in result["fractions"].items())),
            ("seed", result["seed"]),
            ("fit", result["fit"]),
        ]
    )  # fmt: skip


def _number(value):
    return "" if value is None else f"{value:.4g}"
