"""``kerasgan3d reproduce``."""

from pathlib import Path

import click

from kerasgan3d.cli.hub import pulled
from kerasgan3d.cli.options import complete_generators, json_option, overwrite_option
from kerasgan3d.cli.output import by, print_facts, print_json, refuse_existing
from kerasgan3d.cli.progress import progress_bar
from kerasgan3d.cli.quiet import quiet_tensorflow


@click.command(
    "reproduce",
    epilog="""\b
Examples:
  kerasgan3d reproduce cathode.tif
  kerasgan3d reproduce cathode.zarr -o again.zarr
  kerasgan3d reproduce anode.tif --generator run
""",
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--generator",
    metavar="NAME",
    shell_complete=complete_generators,
    help="The generator, if it neither ships nor is on the Hub: the folder of one that you trained or tuned.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="A file for the volume that is made again.")
@json_option
@overwrite_option
def command(file, generator, output, as_json, overwrite):
    """Make a generated volume again, and compare it with the file.

    FILE is a volume that kerasgan3d generated. Its provenance states everything that determines the voxels: seed,
    place, requested fractions, blend, and the digest of the generator's weights. The exit code is 1 if voxels differ.
    If the weights are not here, the message says which version of kerasgan3d, or which commit on the Hub, has them.
    """
    import kerasgan3d

    if output is not None:
        refuse_existing(output, overwrite)
        kerasgan3d.io.check_writable(output)
    name = None if generator is None else pulled(generator)
    with quiet_tensorflow() as stderr, progress_bar("sampling", stderr, "voxels") as progress:
        found = kerasgan3d.reproduce(file, output, generator=name, overwrite=overwrite, progress=progress)
    if as_json:
        print_json(
            {
                "file": file,
                "same": found.same,
                "differing": found.differing,
                "first": found.first,
                "box": found.box,
                "generator": found.generator,
                "seed": found.job.seed,
                "shape": found.job.size,
                "output": found.path,
            }
        )
    else:
        print_facts(
            [
                ("generator", found.generator.get("name")),
                ("version", found.generator.get("version")),
                ("weights", found.generator.get("sha256")),
                ("seed", found.job.seed),
                ("voxels", by(found.job.size)),
                ("wrote", found.path),
                ("result", found),
            ]
        )
    click.get_current_context().exit(0 if found.same else 1)
