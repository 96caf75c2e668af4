"""``kerasgan3d train``."""

from pathlib import Path

import click

from kerasgan3d.cli.options import exclude_option, map_option, phases_option, voxel_size_option
from kerasgan3d.cli.progress import progress_bar
from kerasgan3d.cli.quiet import quiet_tensorflow


@click.command(
    "train",
    epilog="""\b
Examples:
  kerasgan3d train scan.tif -o run --phases pore,NMC,CBD --voxel-size 0.398 --axial z
  kerasgan3d train slice.tif -o run --map 0=pore,128=Ni,255=YSZ --voxel-size 0.065 --minutes 60
  kerasgan3d train slice.tif -o run --voxel-size 0.065 --exclude 640:756,1325:1655
  kerasgan3d train scan.tif -o run --dry-run
""",
)
@click.argument("data", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The folder of the run.")
@click.option("--recipe", metavar="NAME", help="The training recipe.")
@click.option("--architecture", type=click.Choice(("compact", "paper")), help="The networks.")
@phases_option
@map_option
@voxel_size_option
@click.option("--isotropic", is_flag=True, help="The material is alike along all axes (the default).")
@click.option("--axial", type=click.Choice(("z", "y", "x")), help="The through-plane axis, unlike the other two.")
@exclude_option
@click.option("--steps", type=click.IntRange(min=1), metavar="N", help="Training steps.")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), metavar="MINUTES", help="Stop after so long.")
@click.option("--batch", type=click.IntRange(min=1), metavar="N", help="Samples per step.")
@click.option("--crop", type=click.IntRange(min=1), metavar="N", help="Voxels per side of a sample.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), metavar="N", help="Seed of everything random.")
@click.option("--resume/--restart", default=True, help="Go on from the run's last checkpoint (default), or begin anew.")
@click.option("--monitor-every", type=click.IntRange(min=1), metavar="N", help="Steps between two measurements.")
@click.option("--name", metavar="NAME", help="Name of the generator.")
@click.option("--description", metavar="TEXT", help="For the card: what the material is.")
@click.option("--citation", metavar="TEXT", help="For the card: what to cite for the data.")
@click.option("--licence", metavar="TEXT", help="For the card: the licence of the data and the generator.")
@click.option("--dry-run", is_flag=True, help="Check everything and print the plan; do not train.")
def command(data, output, isotropic, axial, resume, dry_run, **options):
    """Train a generator on a segmented image.

    DATA is a segmented image: a volume, or one slice of an isotropic material. The run's folder holds checkpoints, so
    that an interrupted run goes on when the same command is given again.
    """
    if isotropic and axial:
        raise click.UsageError(
            "A material is either --isotropic or has an --axial direction, not both.", click.get_current_context()
        )
    import kerasgan3d

    # What was not given is left out: defaults live in `kerasgan3d.train` alone.
    given = {key: value for key, value in options.items() if value not in (None, ())}
    about = {key: given.pop(key) for key in ("description", "citation", "licence") if key in given}
    if about:
        given["about"] = about
    if axial:
        given["symmetry"] = f"axial-{axial}"
    with quiet_tensorflow() as stderr, progress_bar("training", stderr) as bar:

        def progress(report):
            (click.echo if bar is None else bar.echo)(str(report))
            if bar is not None:
                bar(report.step, report.steps)

        result = kerasgan3d.train(data, output, resume=resume, dry_run=dry_run, progress=progress, **given)
        if not dry_run:
            kerasgan3d.zoo.complete(result)
    if dry_run:
        click.echo(str(result))
        return
    click.echo(f"wrote {result}")
    click.echo(f"try   kerasgan3d sample {result} --size 128 -o sample.tif")
