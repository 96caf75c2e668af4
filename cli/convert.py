"""``kerasgan3d convert``."""

from pathlib import Path

import click

from kerasgan3d.cli.options import (
    SAMPLE_FIRST,
    Box,
    NumbersCommand,
    RealNumber,
    overwrite_option,
    reading_options,
    refuse_generator,
)
from kerasgan3d.cli.output import by, echo, refuse_existing


@click.command(
    "convert",
    cls=NumbersCommand,
    epilog="""\b
Examples:
  kerasgan3d convert slices scan.zarr --map 0=pore,128=Ni,255=YSZ --voxel-size 0.065
  kerasgan3d convert scan.nrrd part.tif --crop 0:256,:,: --resample-to 0.4
  kerasgan3d convert scan.raw scan.tif --shape 400 500 600 --dtype uint8
  kerasgan3d convert "slices/*.jpg" scan.tif --map 0=pore,255=solid --tolerance 60
""",
)
@click.argument("source", metavar="IN")
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path))
@click.option(
    "--crop", type=Box(), metavar="z0:z1,y0:y1,x0:x1", help="Keep this box of voxels; a colon alone is the whole axis."
)
@click.option(
    "--resample-to",
    type=RealNumber(min=0, min_open=True),
    metavar="µm",
    help="Resample to voxels of this edge, by nearest label.",
)
@reading_options
@overwrite_option
def command(source, target, overwrite, **options):
    """Convert a volume to another format; crop it, resample it, name its phases.

    Output formats are TIFF, NumPy, OME-Zarr and VTI. IN may be a file of any readable format, a folder or a pattern of
    slices, or a dataset in a file, such as scan.h5:/group/dataset.
    """
    from kerasgan3d import io

    refuse_existing(target, overwrite)
    refuse_generator(source, SAMPLE_FIRST)
    record = io.convert(source, target, overwrite=overwrite, **options)
    edge = "of unknown size" if record.voxel_size is None else f"of {record.voxel_size:g} µm"
    echo(f"wrote {target}: {by(record.shape)} voxels {edge}, {', '.join(record.phases)}")
