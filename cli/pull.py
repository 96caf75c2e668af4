"""``kerasgan3d pull``."""

import click

from kerasgan3d.cli.hub import pull
from kerasgan3d.cli.options import json_option
from kerasgan3d.cli.output import in_bytes, print_facts, print_json


@click.command(
    "pull",
    epilog="""\b
Examples:
  kerasgan3d pull org/name
  kerasgan3d pull org/name@v1.0
  kerasgan3d pull org/name --revision 0123abc --json
""",
)
@click.argument("name", metavar="ORG/NAME")
@click.option("--revision", metavar="REVISION", help="A branch, a tag or a commit; default: the main branch.")
@json_option
def command(name, revision, as_json):
    """Download a generator from the Hugging Face Hub into its cache.

    Facts and sizes are shown before the weights are downloaded. An interrupted download resumes; once complete, the
    generator works offline. For private repositories, set HF_TOKEN or run ``hf auth login``.
    """
    snapshot = pull(name, revision)
    facts = snapshot.facts()
    if as_json:
        print_json(
            {
                "name": facts.get("name"),
                "repo": snapshot.repo,
                "revision": snapshot.revision,
                "commit": snapshot.commit,
                "folder": snapshot.folder,
                "files": snapshot.files,
                "bytes": sum(snapshot.files.values()),
                "fetched": snapshot.fetched,
            }
        )
        return
    total = sum(snapshot.files.values())
    fetched = f"{in_bytes(snapshot.fetched)} fetched" if snapshot.fetched else "all of it in the cache before"
    print_facts(
        [
            ("pulled", f"{snapshot.repo}, {snapshot.revision}"),
            ("commit", snapshot.commit),
            ("size", f"{in_bytes(total)}, {fetched}"),
            ("folder", snapshot.folder),
            ("try", f"kerasgan3d sample {name.removeprefix('hf://')} --size 128 --periodic -o sample.tif"),
        ]
    )
