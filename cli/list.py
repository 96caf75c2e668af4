"""``kerasgan3d list``."""

import click

from kerasgan3d.cli.options import json_option
from kerasgan3d.cli.output import echo, in_bytes, print_json, print_table


@click.command(
    "list",
    epilog="""\b
Examples:
  kerasgan3d list
  kerasgan3d list --json
  kerasgan3d list --hub
  kerasgan3d list --hub --search cathode
""",
)
@click.option("--hub", is_flag=True, help="List generators published on the Hugging Face Hub.")
@click.option("--search", metavar="TEXT", help="With --hub: only generators whose name contains this text.")
@json_option
def command(hub, search, as_json):
    """List the generators that come with kerasgan3d, or those on the Hub.

    On the Hugging Face Hub, generators are found by their tag, kerasgan3d. To see your private ones, set HF_TOKEN or
    run ``hf auth login``.
    """
    import kerasgan3d

    if search is not None and not hub:
        raise click.UsageError("--search is for --hub.", click.get_current_context())
    if hub:
        _list_hub(kerasgan3d.zoo.search(search), as_json)
        return
    facts = [{"name": name, **kerasgan3d.zoo.info(name)} for name in kerasgan3d.zoo.list_presets()]
    from kerasgan3d.zoo.quality import quality, quality_line

    if as_json:
        keys = ("name", "version", "phases", "voxel_size", "description")
        weights = [fact.get("weights", {}) for fact in facts]
        print_json(
            [
                {**{key: fact.get(key) for key in keys}, **{key: held.get(key) for key in ("bytes", "sha256")}}
                | {"quality": quality(fact)}
                for fact, held in zip(facts, weights, strict=True)
            ]
        )
        return
    if not facts:
        echo("No generators come with this installation.")
        return
    columns = [_row(fact) for fact in facts]
    kept = [key for key in columns[0] if key != "VERSION" or any(row[key] for row in columns)]
    print_table(kept, [[row[key] for key in kept] for row in columns])
    judged = [(fact["name"], quality_line(found)) for fact in facts if (found := quality(fact))]
    if judged:
        echo()
        print_table(("NAME", "COMPARED WITH THE MATERIAL (LARGEST DIFFERENCES)"), judged)


def _list_hub(found, as_json):
    if as_json:
        print_json(found)
        return
    if not found:
        echo("No generators were found on the Hub.")
        return
    rows = [
        (
            str(fact["name"]),
            fact["updated"] or "-",
            "-" if fact["downloads"] is None else str(fact["downloads"]),
            fact["licence"] or "-",
            "private" if fact["private"] else "",
        )
        for fact in found
    ]
    print_table(("NAME", "UPDATED", "DOWNLOADS", "LICENCE", ""), rows)


def _row(fact):
    size, count = fact.get("voxel_size"), fact.get("weights", {}).get("bytes")
    return {
        "NAME": fact["name"],
        "VERSION": fact.get("version") or "",
        "PHASES": ", ".join(fact.get("phases", ())) or "-",
        "VOXEL": f"{size:g} µm" if size else "-",
        "WEIGHTS": in_bytes(count) if count else "-",
        "DESCRIPTION": " ".join(str(fact.get("description") or "").split()),
    }
