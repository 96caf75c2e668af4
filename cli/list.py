"""``kerasgan3d list``."""

import click

from kerasgan3d.cli.options import json_option
from kerasgan3d.cli.output import in_bytes, print_json, print_table


@click.command(
    "list",
    epilog="""\b
Examples:
  kerasgan3d list
  kerasgan3d list --json
""",
)
@json_option
def command(as_json):
    """List the generators that come with kerasgan3d."""
    import kerasgan3d

    facts = [{"name": name, **kerasgan3d.zoo.info(name)} for name in kerasgan3d.zoo.list_presets()]
    if as_json:
        keys = ("name", "phases", "voxel_size", "description")
        print_json(
            [{**{key: fact.get(key) for key in keys}, "bytes": fact.get("weights", {}).get("bytes")} for fact in facts]
        )
        return
    if not facts:
        click.echo("No generators come with this installation.")
        return
    print_table(("NAME", "PHASES", "VOXEL", "WEIGHTS", "DESCRIPTION"), [_row(fact) for fact in facts])


def _row(fact):
    size, count = fact.get("voxel_size"), fact.get("weights", {}).get("bytes")
    return (
        fact["name"],
        ", ".join(fact.get("phases", ())) or "-",
        f"{size:g} µm" if size else "-",
        in_bytes(count) if count else "-",
        " ".join(str(fact.get("description") or "").split()),
    )
