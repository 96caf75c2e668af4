"""``kerasgan3d render``."""

from pathlib import Path

import click

from kerasgan3d.cli.options import DefaultOption, NumbersCommand, json_option, overwrite_option, reading_options
from kerasgan3d.cli.output import echo, print_json, refuse_existing


@click.command(
    "render",
    cls=NumbersCommand,
    epilog="""\b
Examples:
  kerasgan3d render cathode.tif -o cathode.png
  kerasgan3d render scan.tif -o scan.pdf --map 0=pore,128=Ni,255=YSZ --voxel-size 0.065
""",
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The picture: .png, .pdf or .svg.")
@reading_options
@click.option("--axis", type=click.Choice(("z", "y", "x")), help="Draw only the middle slice normal to this axis.")
@click.option("--title", help="Text above the picture.")
@click.option(
    "--dpi", cls=DefaultOption, type=click.IntRange(10, 1200), metavar="N", show_default="150", help="Dots per inch."
)
@overwrite_option
@json_option
def command(file, output, axis, title, dpi, overwrite, as_json, **reading):
    """Draw a volume: 3D view, three slices, volume fractions."""
    import kerasgan3d

    kerasgan3d.report.check_picture(output)
    refuse_existing(output, overwrite)
    volume = kerasgan3d.io.read(file, **reading)
    given = {"dpi": dpi} if dpi else {}
    kerasgan3d.render(volume, output, axis=axis, title=title, **given)
    if as_json:
        facts = {"shape": volume.shape, "voxel_size": volume.voxel_size, "periodic": volume.periodic}
        shares = dict(zip(volume.phases, volume.fractions.tolist(), strict=True))
        print_json({"output": output, **facts, "fractions": shares})
    else:
        echo(f"wrote {output}")
