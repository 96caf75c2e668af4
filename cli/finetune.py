"""``kerasgan3d finetune``."""

from functools import partial
from pathlib import Path

import click

from kerasgan3d.cli.hub import takes_generators
from kerasgan3d.cli.options import complete_generators
from kerasgan3d.cli.training import recipe_option, run_training, training_options


@click.command(
    "finetune",
    epilog="""\b
Examples:
  kerasgan3d finetune nmc-cathode scan.tif -o run --phases pore,NMC,CBD --voxel-size 0.4 --axial z
  kerasgan3d finetune nmc-cathode slice.tif -o run --map 0=pore,128=Ni,255=YSZ --voxel-size 0.065 --minutes 30
  kerasgan3d finetune my-run 'slices/*.tif' -o other-run --hold-out 0:64,:,:
  kerasgan3d finetune nmc-cathode scan.tif -o run --resample-to 0.398 --dry-run --json
""",
)
@click.argument("source", metavar="NAME", shell_complete=complete_generators)
@click.argument("data", nargs=-1, type=click.Path(path_type=Path))
@recipe_option("finetune")
@training_options
@takes_generators("source")
def command(source, data, **options):
    """Train a pretrained generator on another material.

    NAME is a generator that ``kerasgan3d list`` prints, the folder of one, or org/name on the Hugging Face Hub; DATA is
    as for ``train``: a segmented image of at least two phases. Phases of the same name keep their weights, and the
    architecture stays that of the pretrained generator. ``--dry-run`` shows the matching of phases, and whether the
    structures have the same scale in voxels. To resume an interrupted run, repeat the command.
    """
    run_training(partial(_finetune, source), data, **options)


def _finetune(source, data, output, **options):
    import kerasgan3d

    return kerasgan3d.finetune(source, data, output, **options)
