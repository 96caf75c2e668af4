"""``kerasgan3d info``."""

import click

from kerasgan3d.cli.options import complete_generators, json_option
from kerasgan3d.cli.output import echo, in_bytes, print_facts, print_json, print_table
from kerasgan3d.folder import architectures


@click.command(
    "info",
    epilog="""\b
Examples:
  kerasgan3d info nmc-cathode
  kerasgan3d info nmc-cathode --json
  kerasgan3d info org/name
""",
)
@click.argument("name", shell_complete=complete_generators)
@json_option
def command(name, as_json):
    """Show the facts of a generator: phases, training data, measured fidelity.

    NAME is a generator that ``kerasgan3d list`` prints, the folder of a generator that you trained, or org/name on the
    Hugging Face Hub, from which only the facts are downloaded.
    """
    import kerasgan3d

    facts = kerasgan3d.zoo.info(name)
    if as_json:
        print_json(facts)
        return
    weights = facts.get("weights") or {}
    size = facts.get("voxel_size")
    print_facts(
        [
            ("name", facts.get("name", name)),
            ("version", facts.get("version")),
            ("description", facts.get("description")),
            ("phases", ", ".join(facts.get("phases") or ())),
            ("voxel size", f"{size:g} µm" if size else "unknown"),
            ("weights", in_bytes(weights["bytes"]) if weights.get("bytes") else None),
            ("sha256", weights.get("sha256")),
            ("repository", facts.get("repo")),
            ("commit", facts.get("revision")),
            *((key, facts.get(key)) for key in ("data", "citation", "licence")),
        ]
    )
    for title in ("generator", "training"):
        if facts.get(title):
            echo(f"\n{title}")
            print_facts([(_words(key), _entry(key, value)) for key, value in facts[title].items()], indent="  ")
    if facts.get("comparison"):
        _print_comparison(facts["comparison"])
    dimensions = (facts.get("samples") or {}).get("compared_in", 3)
    rows = list(
        _fidelity(facts.get("fidelity") or {}, facts.get("phases") or (), "µm" if size else "voxel", dimensions)
    )
    if rows:
        echo("\nfidelity")
        print_table(("measure", "real", "generated"), rows, indent="  ")
    for key, title in (("two_point_correlation", "S2(r)/S2(0)"), ("granulometry", "granulometry")):
        found = facts.get(key)
        if isinstance(found, dict) and found.get("difference") is not None:
            echo(f"  largest difference of {title}: {_text(found['difference'])}")


def _print_comparison(facts):
    """Print the results of the comparison with the material: each test, worst first."""
    from kerasgan3d.report.record import ComparisonRecord
    from kerasgan3d.report.verdict import conclusion, verdict_lines
    from kerasgan3d.zoo.comparison_text import odd_comparisons_refused

    try:
        record = ComparisonRecord.from_dict(facts)
        with odd_comparisons_refused():
            found, rows = conclusion(record.verdicts, record.unit_of_samples), verdict_lines(record.verdicts)
    except ValueError as error:  # an untrusted folder: still show the other facts
        echo(f"\nThe comparison with the material cannot be read: {error}")
        return
    if rows:
        echo("\ncompared with the material")
        echo(f"  {found}")
        print_table(("test", "outcome", "found"), rows, indent="  ")


def _fidelity(fidelity, phases, length, dimensions=3):
    """Yield (measure, real, generated) as texts, one row per phase where there is one number per phase."""
    for key, values in fidelity.items():
        measure = _measure(key, length, dimensions)
        if not isinstance(values, dict):
            yield measure, "", _text(values)
            continue
        real, generated = values.get("real"), values.get("generated")
        given = [value for value in (real, generated) if value is not None]
        if given and all(isinstance(value, (list, tuple)) and len(value) == len(phases) for value in given):
            for index, phase in enumerate(phases):
                yield (
                    f"{measure}, {phase}",
                    *("-" if value is None else _text(value[index]) for value in (real, generated)),
                )
        else:
            yield measure, *("-" if value is None else _text(value) for value in (real, generated))


def _measure(key, length, dimensions):
    """Return the name of a measure with its unit."""
    from kerasgan3d.metrics.registry import ALL

    if key not in ALL:
        return _words(key)
    name, unit = ALL[key].name, ALL[key].unit_in(dimensions)
    return name if unit == "1" else f"{name} ({unit.replace('µm', length)})"


def _entry(key, value):
    """Return an entry of a group of facts as text."""
    if key == "recipe" and isinstance(value, dict) and "name" in value:
        known = {**value, "architecture": architectures(value)} if "architecture" in value else value
        keys = ("architecture", "loss", "steps", "batch", "crop", "size")
        shown = [f"{key} {known[key]}" for key in keys if key in known]
        return ", ".join([str(value["name"]), *shown]) + " (all settings: --json)"
    if key == "symmetry" and isinstance(value, dict) and "kind" in value:
        along = f" along {'zyx'[value['axis']]}" if value["kind"] == "axial" and value.get("axis") in (0, 1, 2) else ""
        return f"{value['kind']}{along}"
    return _text(value)


def _words(key):
    return str(key).replace("_", " ")


def _text(value):
    """Return a value of a preset's record as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(item) for item in value)
    if isinstance(value, dict):
        return "; ".join(f"{_words(key)} {_text(item)}" for key, item in value.items())
    return "" if value is None else str(value)
