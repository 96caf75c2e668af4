"""``kerasgan3d sample``."""

import time
from pathlib import Path

import click

from kerasgan3d.cli.hub import takes_generators
from kerasgan3d.cli.options import Axes, NumbersCommand, Size, json_option, overwrite_option
from kerasgan3d.cli.output import by, in_bytes, print_facts, print_json, refuse_existing
from kerasgan3d.cli.progress import progress_bar
from kerasgan3d.cli.quiet import quiet_tensorflow


@click.command(
    "sample",
    cls=NumbersCommand,
    epilog="""\b
Examples:
  kerasgan3d sample nmc-cathode --size 128 --periodic --seed 0 -o cathode.tif
  kerasgan3d sample nmc-cathode --size 64 256 256 --periodic-axes yx -o slab.vti
  kerasgan3d sample nmc-cathode --size 1024 --dry-run
""",
)
@click.argument("name")
@click.option("--size", type=Size(), required=True, help="Voxels: one number, or three for z, y and x.")
@click.option("--periodic", is_flag=True, help="Make the volume continue at its opposite faces, along all axes.")
@click.option("--periodic-axes", type=Axes(), help="Make it continue along these axes only, such as yx.")
@click.option(
    "--seed",
    type=click.IntRange(0, 2**64 - 1),
    metavar="N",
    help="Which volume: the same seed gives the same voxels. Drawn and printed if left out.",
)
@click.option(
    "--offset",
    type=int,
    nargs=3,
    default=(0, 0, 0),
    metavar="Z Y X",
    help="Where the volume begins in the endless structure that the seed names, voxels.",
)
@click.option("--tile", type=click.IntRange(min=1), metavar="N", help="Voxels per side computed at once.")
@click.option("--batch", type=click.IntRange(min=1), metavar="N", help="Tiles computed at once.")
@click.option(
    "--probabilities", is_flag=True, help="Also write the probability of each phase, as NAME-probabilities.tif."
)
@click.option("--dry-run", is_flag=True, help="Print what would be computed; write nothing.")
@json_option
@overwrite_option
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The file: .tif, .npy, .zarr or .vti.")
@takes_generators("name")
def command(
    name, size, periodic, periodic_axes, seed, offset, tile, batch, probabilities, dry_run, as_json, overwrite, output
):
    """Generate a volume.

    NAME is one of those that ``kerasgan3d list`` prints, or the folder of a generator that you trained.
    """
    import kerasgan3d

    options = {"periodic": periodic_axes or periodic, "offset": offset, "tile": tile, "batch": batch}
    _check_preset(name, size, options)
    outputs = _check_outputs(output, probabilities, overwrite, dry_run)

    with quiet_tensorflow() as stderr:
        generator = kerasgan3d.load_generator(name)
        plan = generator.plan(size, **options)
        if dry_run:
            # One float32 per phase and voxel: more than labels and network together.
            maps = 4 * len(generator.phases) * plan.bytes_output if probabilities else None
            _print_plan(plan, maps, outputs, as_json)
            return
        began = time.perf_counter()
        with progress_bar("sampling", stderr) as progress:
            volume = generator.sample(size, seed=seed, progress=progress, **options)
        seed = volume.provenance.get("seed", seed)
        maps = None
        if probabilities:
            with progress_bar("probabilities", stderr) as progress:
                maps = generator.sample_probabilities(size, seed=seed, progress=progress, **options)
        seconds = time.perf_counter() - began

    if maps is not None:
        kerasgan3d.io.write_probabilities(maps, outputs[1], volume.phases, volume.voxel_size, overwrite=overwrite)
    kerasgan3d.io.write(volume, outputs[0], overwrite=overwrite)
    _print_result(volume, outputs, seed, seconds, as_json)


def _check_preset(name, size, options):
    """Check name and numbers while nothing is loaded: Keras takes seconds to import.

    Raises:
        ValueError: there is no such generator, or a number does not fit it.
    """
    import kerasgan3d
    from kerasgan3d.sampling.plan import plan_tiles

    widths = (kerasgan3d.zoo.info(name).get("generator") or {}).get("widths")
    # Every up-sampling layer doubles the resolution; there is one behind each width.
    stride = 2 ** len(widths) if isinstance(widths, list) else 1
    known = {key: value for key, value in options.items() if value is not None}
    plan_tiles(size, stride=stride, margin=(0, 0), **known)


def _check_outputs(output, probabilities, overwrite, dry_run):
    """Return the files to be written.

    Raises:
        click.UsageError: no output was given.
        ValueError, OSError: one of them cannot be written.
    """
    import kerasgan3d

    if output is None:
        if dry_run:
            return []
        raise click.UsageError("Missing option '-o': the file to write.", click.get_current_context())
    outputs = [output]
    kerasgan3d.io.check_writable(output)
    if probabilities:
        outputs.append(output.with_name(f"{output.stem}-probabilities{output.suffix}"))
        kerasgan3d.io.check_writable(outputs[1], suffixes=kerasgan3d.io.PROBABILITY_SUFFIXES)
    for path in outputs:
        refuse_existing(path, overwrite)
    return outputs


def _print_plan(plan, maps, outputs, as_json):
    """Print a plan; `maps` is the number of bytes of the probabilities, None where there are none."""
    if as_json:
        keys = ("size", "tiles", "tile_shape", "latent_shape", "bytes_output", "bytes_peak")
        facts = {key: getattr(plan, key) for key in keys}
        print_json({**facts, **({} if maps is None else {"bytes_probabilities": maps}), "outputs": outputs})
        return
    click.echo(plan.describe())
    if maps is not None:
        click.echo(f"{'maps':<8}{in_bytes(maps)} of probabilities, in memory too")
    for path in outputs:
        click.echo(f"would write {path}")


def _print_result(volume, outputs, seed, seconds, as_json):
    fractions = [float(fraction) for fraction in volume.fractions]
    if as_json:
        print_json(
            {
                "outputs": outputs,
                "shape": volume.shape,
                "voxel_size": volume.voxel_size,
                "size_um": volume.size_um,
                "periodic": volume.periodic,
                "fractions": dict(zip(volume.phases, fractions, strict=True)),
                "seed": seed,
                "seconds": round(seconds, 3),
            }
        )
        return
    axes = "".join(axis for axis, periodic in zip("zyx", volume.periodic, strict=True) if periodic)
    lengths = by(float(f"{length:.4g}") for length in volume.size_um) if volume.size_um else None
    shares = zip(volume.phases, fractions, strict=True)
    print_facts(
        [
            *(("wrote", path) for path in outputs),
            ("voxels", by(volume.shape) + (f", periodic along {', '.join(axes)}" if axes else "")),
            ("extent", f"{lengths} µm, voxels of {volume.voxel_size:g} µm" if lengths else "unknown voxel size"),
            ("fractions", ", ".join(f"{phase} {fraction:.3f}" for phase, fraction in shares)),
            ("seed", seed),
            ("time", f"{seconds:.1f} s"),
        ]
    )
