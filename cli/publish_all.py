"""``kerasgan3d publish-all``."""

import click

from kerasgan3d.cli.options import WholeNumber, json_option
from kerasgan3d.cli.output import in_bytes, print_json, print_table
from kerasgan3d.cli.progress import progress_bar
from kerasgan3d.cli.quiet import quiet_tensorflow


@click.command(
    "publish-all",
    epilog="""\b
Examples:
  kerasgan3d publish-all org --dry-run
  kerasgan3d publish-all org --private
  kerasgan3d publish-all org --no-examples
""",
)
@click.argument("owner")
@click.option("--private", is_flag=True, help="Make new repositories private.")
@click.option("--revision", metavar="BRANCH", help="The branch, created if necessary; default: the main branch.")
@click.option("--examples", default="kerasgan3d-examples", metavar="NAME", help="Name of the dataset of volumes.")
@click.option("--no-examples", is_flag=True, help="Publish no dataset.")
@click.option(
    "--size", type=WholeNumber(min=1), default=128, metavar="N", help="Voxels per side of a volume of the dataset."
)
@click.option("--count", type=WholeNumber(min=1), default=1, metavar="N", help="Volumes of each generator.")
@click.option("--dry-run", is_flag=True, help="Check everything and print what would be uploaded; upload nothing.")
@json_option
def command(owner, private, revision, examples, no_examples, size, count, dry_run, as_json):
    """Publish all pretrained generators on the Hugging Face Hub, with a dataset of volumes that they make.

    OWNER is your name or that of your organisation; each generator becomes OWNER/NAME. The dataset holds periodic
    volumes as TIFF and OME-Zarr, a card, and the licences. All generators are checked, and the volumes made, before
    anything is uploaded. Set HF_TOKEN to a token with write access, or run ``hf auth login``; HF_ENDPOINT selects a
    Hub of your own.
    """
    import kerasgan3d

    options = {"private": private, "revision": revision, "size": size, "count": count, "dry_run": dry_run}
    with quiet_tensorflow() as stderr, progress_bar("examples", stderr) as progress:
        published = kerasgan3d.zoo.publish_all(
            owner, examples=None if no_examples else examples, progress=progress or False, **options
        )
    sizes = [sum(each.files.values()) for each in published]
    if as_json:
        keys = ("repo", "url", "commit", "files")
        print_json(
            [
                {**{key: getattr(each, key) for key in keys}, "bytes": total}
                for each, total in zip(published, sizes, strict=True)
            ]
        )
        return
    rows = [
        (each.url or each.repo, each.commit or "-", str(len(each.files)), in_bytes(total))
        for each, total in zip(published, sizes, strict=True)
    ]
    print_table(("WOULD PUBLISH" if dry_run else "PUBLISHED", "COMMIT", "FILES", "SIZE"), rows)
