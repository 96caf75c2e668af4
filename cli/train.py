"""``kerasgan3d train``."""

from pathlib import Path

import click

from kerasgan3d.cli.options import DefaultOption
from kerasgan3d.cli.training import recipe_option, run_training, training_options


@click.command(
    "train",
    epilog="""\b
Examples:
  kerasgan3d train scan.tif -o run --phases pore,NMC,CBD --voxel-size 0.398 --axial z
  kerasgan3d train slice.tif -o run --map 0=pore,128=Ni,255=YSZ --voxel-size 0.065 --minutes 60
  kerasgan3d train 'slices/*.tif' -o run --voxel-size 0.4 --hold-out 0:64,:,:
  kerasgan3d train a.tif b.tif c.tif -o run --voxel-size 0.065
  kerasgan3d train --normal-z 'top/*.tif' --normal-x 'side/*.tif' --axial z -o run --voxel-size 0.4
  kerasgan3d train scan.h5:/volume/labels -o run --mask inside.tif --resample-to 0.8
  kerasgan3d train slice.tif -o run --voxel-size 0.065 --exclude 640:756,1325:1655
  kerasgan3d train scan.tif -o run --dry-run
""",
)
@click.argument("data", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--architecture",
    cls=DefaultOption,
    type=click.Choice(("deep", "compact", "paper")),
    show_default="the recipe's",
    help="Architecture of the networks.",
)
@recipe_option("default")
@training_options
def command(data, **options):
    """Train a generator on a segmented image.

    DATA is a segmented image: a volume (a file, a folder of slices, a quoted pattern of slices, or a dataset of an HDF5
    file), or one slice of an isotropic material. Several DATA are volumes of one material, or independent slices of an
    isotropic one. The run's folder holds checkpoints: to resume an interrupted run, repeat the command.
    """
    run_training(_train, data, **options)


def _train(data, output, *, dry_run, **options):
    import kerasgan3d

    result = kerasgan3d.train(data, output, dry_run=dry_run, **options)
    if not dry_run:
        kerasgan3d.zoo.complete(result)
    return result
