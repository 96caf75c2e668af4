"""``kerasgan3d publish``."""

import click

from kerasgan3d.cli.options import json_option
from kerasgan3d.cli.output import in_bytes, print_facts, print_json
from kerasgan3d.cli.quiet import quiet_tensorflow


@click.command(
    "publish",
    epilog="""\b
Examples:
  kerasgan3d publish run org/name
  kerasgan3d publish run org/name --private --dry-run
  kerasgan3d publish run org/name --licence cc-by-4.0 --citation 'Doe et al., J. Things 1 (2026) 1'
  kerasgan3d publish run org/name --revision v2
""",
)
@click.argument("source", metavar="FOLDER")
@click.argument("repo_id", metavar="ORG/NAME")
@click.option("--private", is_flag=True, help="Make a new repository private.")
@click.option("--revision", metavar="BRANCH", help="The branch, created if necessary; default: the main branch.")
@click.option("--name", metavar="NAME", help="For the card: name of the generator.")
@click.option("--version", metavar="VERSION", help="For the card: version of the generator, another for other weights.")
@click.option("--description", metavar="TEXT", help="For the card: description of the material.")
@click.option("--data", metavar="TEXT", help="For the card: origin of the training data.")
@click.option("--citation", metavar="TEXT", help="For the card: citation of the data.")
@click.option("--licence", metavar="TEXT", help="For the card: licence of the data and the generator.")
@click.option("--message", metavar="TEXT", help="Message of the commit.")
@click.option("--dry-run", is_flag=True, help="Check everything and print what would be uploaded; upload nothing.")
@json_option
def command(source, repo_id, private, revision, message, dry_run, as_json, **about):
    """Publish a generator on the Hugging Face Hub.

    FOLDER is a preset folder, the folder of a run, or the name of a shipped generator; it is not changed. If anything
    is missing, all of it is listed and nothing is uploaded. The card is made from the generator's files, which alone
    are uploaded, in one commit. Set HF_TOKEN to a token with write access, or run ``hf auth login``.
    """
    import kerasgan3d

    with quiet_tensorflow():
        published = kerasgan3d.zoo.publish(
            source, repo_id, private=private, revision=revision, about=about, message=message, dry_run=dry_run
        )
    if as_json:
        print_json(
            {
                "repo": published.repo,
                "url": published.url,
                "commit": published.commit,
                "files": published.files,
                "bytes": sum(published.files.values()),
            }
        )
        return
    files = "\n".join(f"{name}  {in_bytes(size)}" for name, size in published.files.items())
    print_facts(
        [
            ("would publish" if dry_run else "published", published.url or published.repo),
            ("commit", published.commit),
            ("files", files),
            ("size", in_bytes(sum(published.files.values()))),
        ]
    )
