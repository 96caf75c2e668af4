"""``kerasgan3d interpolate``."""

from pathlib import Path

import click

from kerasgan3d.cli.hub import takes_generators
from kerasgan3d.cli.options import (
    Axes,
    NumbersCommand,
    RealNumber,
    Seeds,
    Size,
    WholeNumber,
    complete_generators,
    fraction_options,
    json_option,
    overwrite_option,
)
from kerasgan3d.cli.output import print_facts, print_json, refuse_existing
from kerasgan3d.cli.progress import progress_bar
from kerasgan3d.cli.quiet import quiet_tensorflow


@click.command(
    "interpolate",
    cls=NumbersCommand,
    epilog="""\b
Examples:
  kerasgan3d interpolate nmc-cathode --seeds 1 2 --size 64 -o frames
  kerasgan3d interpolate nmc-cathode --seeds 1 2 1 --frames 49 --size 128 --periodic -o loop.gif
  kerasgan3d interpolate my-electrode --seeds 1 2 --fraction pore=0.35 -o frames
""",
)
@click.argument("name", shell_complete=complete_generators)
@click.option("--seeds", type=Seeds(), required=True, help="Two or more seeds; repeat the first at the end for a loop.")
@click.option("--frames", type=WholeNumber(min=2), default=25, show_default=True, help="Number of volumes.")
@click.option("--size", type=Size(), default="64", show_default=True, help="Voxels: one number, or three for z, y, x.")
@click.option("--periodic", is_flag=True, help="Make the volumes periodic along all axes.")
@click.option("--periodic-axes", type=Axes(), help="Make them periodic along these axes only, such as yx.")
@fraction_options
@click.option(
    "--axis",
    type=click.Choice(("z", "y", "x")),
    default="z",
    show_default=True,
    help="An animation shows the middle slices normal to this axis.",
)
@click.option("--body", is_flag=True, help="Show solid bodies instead of slices in an animation.")
@click.option("--fps", type=RealNumber(0.1, 50), default=12, show_default=True, help="Frames per second.")
@json_option
@overwrite_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="A folder of volumes, or an animation: .gif, .webp or .mp4.",
)
@takes_generators("name")
def command(
    name, seeds, frames, size, periodic, periodic_axes, fractions, beyond, axis, body, fps, as_json, overwrite, output
):
    """Generate a sequence of volumes from one seed to the next.

    Every volume of the sequence is a valid sample of the generator. In a folder they are named frame-00.tif and so on.
    """
    import kerasgan3d
    from kerasgan3d.report.animation import animate, animate_bodies, check_animation
    from kerasgan3d.report.solid import AZIMUTH
    from kerasgan3d.steering import interpolate

    if output.suffix:
        check_animation(output)
    else:
        _check_folder(output)
    refuse_existing(output, overwrite)
    with quiet_tensorflow() as stderr, progress_bar("sampling", stderr) as bar:
        generator = kerasgan3d.load_generator(name)
        options = {"periodic": periodic_axes or periodic, "fractions": fractions, "beyond": beyond}
        volumes = interpolate(generator, seeds, frames, size, **options)
        volumes = _counted(volumes, frames, bar)
        if output.suffix and body:
            animate_bodies(((volume.labels, AZIMUTH) for volume in volumes), generator.phases, output, fps=fps)
        elif output.suffix:
            animate((_middle(volume, axis) for volume in volumes), generator.phases, output, fps=fps)
        else:
            _write_folder(volumes, frames, output)
    if as_json:
        print_json({"output": output, "frames": frames, "seeds": seeds, "shape": size})
        return
    print_facts([("wrote", output), ("frames", frames), ("seeds", " ".join(map(str, seeds)))])


def _counted(volumes, frames, bar):
    """Yield volumes and advance a bar with each."""
    for done, volume in enumerate(volumes, start=1):
        yield volume
        if bar is not None:
            bar(done, frames)


def _middle(volume, axis):
    index = "zyx".index(axis)
    return volume.labels.take(volume.shape[index] // 2, index)


def _check_folder(folder):
    """Check that a folder holds only frames that may be replaced.

    Raises:
        FileExistsError: if it holds anything else.
    """
    if folder.exists() and not (folder.is_dir() and all(path.match("frame-*.tif") for path in folder.iterdir())):
        raise FileExistsError(f"{folder} holds other things than frames; choose another name")


def _write_folder(volumes, frames, folder):
    """Write all volumes, or none."""
    from kerasgan3d.files import replacing

    digits = len(str(frames - 1))
    with replacing(folder) as temporary:
        temporary.mkdir()
        for frame, volume in enumerate(volumes):
            volume.save(temporary / f"frame-{frame:0{digits}}.tif")
