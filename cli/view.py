"""``kerasgan3d view``."""

from pathlib import Path

import click

from kerasgan3d.cli.generated import generated
from kerasgan3d.cli.hub import check_there
from kerasgan3d.cli.options import (
    READING,
    Axes,
    NumbersCommand,
    Size,
    WholeNumber,
    complete_files_and_generators,
    json_option,
    overwrite_option,
    reading_options,
    refuse_given,
)
from kerasgan3d.cli.output import echo, print_json, refuse_existing

_SIZE = (64, 64, 64)


@click.command(
    "view",
    cls=NumbersCommand,
    epilog="""\b
Examples:
  kerasgan3d view cathode.tif -o cathode.html
  kerasgan3d view scan.tif -o scan.html --map 0=pore,128=Ni,255=YSZ --voxel-size 0.065
  kerasgan3d view nmc-cathode --size 96 --periodic --seed 7 -o seven.html
""",
)
@click.argument("source", metavar="FILE|NAME", shell_complete=complete_files_and_generators)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The page: .html.")
@reading_options
@click.option("--size", type=Size(), help="Voxels to generate, of a generator's NAME; default: 64.")
@click.option("--periodic", is_flag=True, help="Generate a volume that continues at its opposite faces.")
@click.option("--periodic-axes", type=Axes(), help="It continues along these axes only, such as yx.")
@click.option("--seed", type=WholeNumber(0, 2**63), metavar="N", help="Seed of what is generated; default: 0.")
@click.option("--title", help="Heading of the page.")
@overwrite_option
@json_option
def command(source, output, size, periodic, periodic_axes, seed, title, overwrite, as_json, **reading):
    """Write a page in which a volume turns: phases to hide, cuts, slices along three axes.

    The page is one file, which any browser opens without a network. FILE is a volume, or NAME a generator of which a
    volume is made.
    """
    import kerasgan3d
    from kerasgan3d.report.viewer import SUFFIXES, view

    kerasgan3d.io.check_writable(output, suffixes=SUFFIXES)
    refuse_existing(output, overwrite)
    asked = {"--size": size, "--seed": seed, "--periodic": periodic, "--periodic-axes": periodic_axes}
    if _is_generator(source):
        refuse_given("for files, and this is a generator", {f"--{name}": reading[name] for name in READING})
        (volume,) = generated(source, size or _SIZE, 1, seed, periodic_axes or periodic).values()
    else:
        refuse_given("for generators, and this is a file", asked)
        check_there(source)
        file = kerasgan3d.io.raw_path(Path(source), reading.pop("shape"), reading.pop("dtype"))
        volume = kerasgan3d.io.open_volume(file, **reading)
        title = title or Path(source).name
    page = view(volume, output, title=title)
    if as_json:
        facts = {"shape": volume.shape, "shown": page.shape, "voxel_size": volume.voxel_size}
        print_json({"output": output, **facts, "periodic": volume.periodic, "bytes": output.stat().st_size})
    else:
        echo(f"wrote {output}")


def _is_generator(source):
    """Tell whether a name is that of a generator: here, or else on the Hub."""
    import kerasgan3d

    found = kerasgan3d.zoo.is_generator(source)
    return found or (not Path(source).exists() and kerasgan3d.zoo.on_hub(source) is not None)
