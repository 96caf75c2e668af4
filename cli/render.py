"""``kerasgan3d render``."""

from pathlib import Path

import click

from kerasgan3d.cli.options import (
    SAMPLE_FIRST,
    DefaultOption,
    NumbersCommand,
    RealNumber,
    WholeNumber,
    json_option,
    overwrite_option,
    reading_options,
    refuse_generator,
    refuse_given,
)
from kerasgan3d.cli.output import echo, print_json, refuse_existing


@click.command(
    "render",
    cls=NumbersCommand,
    epilog="""\b
Examples:
  kerasgan3d render cathode.tif -o cathode.png
  kerasgan3d render scan.tif -o scan.pdf --map 0=pore,128=Ni,255=YSZ --voxel-size 0.065
  kerasgan3d render cathode.tif -o cathode.gif --animate rotation
""",
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="The picture: .png, .pdf or .svg; with --animate .gif, .webp or .mp4.",
)
@reading_options
@click.option(
    "--animate",
    type=click.Choice(("slices", "rotation")),
    help="Write an animation: all slices, one after the other, or the body as it turns once around z.",
)
@click.option(
    "--frames", cls=DefaultOption, type=WholeNumber(min=2), metavar="N", show_default="72", help="Of a rotation."
)
@click.option(
    "--fps", cls=DefaultOption, type=RealNumber(0.1, 50), metavar="N", show_default="12", help="Frames a second."
)
@click.option(
    "--axis",
    type=click.Choice(("z", "y", "x")),
    help="Draw only the middle slice normal to this axis; animate slices normal to it (default: z).",
)
@click.option("--title", help="Text above the picture.")
@click.option(
    "--dpi", cls=DefaultOption, type=WholeNumber(10, 1200), metavar="N", show_default="150", help="Dots per inch."
)
@overwrite_option
@json_option
def command(file, output, animate, frames, fps, axis, title, dpi, overwrite, as_json, **reading):
    """Draw a volume: 3D view, three slices, volume fractions. Or animate it.

    `kerasgan3d interpolate` animates a generator on the way from seed to seed, and `kerasgan3d view` writes a page in
    which a volume turns under the mouse.
    """
    import kerasgan3d
    from kerasgan3d.report.animation import animate_volume, check_animation

    if animate:
        refuse_given("for pictures, and --animate makes none", {"--title": title, "--dpi": dpi})
        check_animation(output)
    else:
        refuse_given("for animations; give --animate, too", {"--frames": frames, "--fps": fps})
        if output.suffix.lower() in (".gif", ".webp", ".mp4"):
            raise click.UsageError(f"{output} is an animation; give --animate, too.", click.get_current_context())
        kerasgan3d.report.check_picture(output)
    refuse_existing(output, overwrite)
    refuse_generator(file, SAMPLE_FIRST)
    volume = kerasgan3d.io.read(file, **reading)
    if animate:
        given = {"axis": axis, "frames": frames, "fps": fps}
        animate_volume(volume, output, animate, **{name: value for name, value in given.items() if value})
    else:
        kerasgan3d.render(volume, output, axis=axis, title=title, **({"dpi": dpi} if dpi else {}))
    if as_json:
        facts = {"shape": volume.shape, "voxel_size": volume.voxel_size, "periodic": volume.periodic}
        shares = dict(zip(volume.phases, volume.fractions.tolist(), strict=True))
        print_json({"output": output, **facts, "fractions": shares})
    else:
        echo(f"wrote {output}")
