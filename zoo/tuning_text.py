"""The section of a card on tuning: targets, results, and changes of shapes."""

from kerasgan3d.texts import markdown


def tuning_text(facts):
    """Return the section of a card on tuning, in Markdown; an empty string for a generator that was not tuned.

    Args:
        facts: Facts of a preset folder, as returned by `kerasgan3d.folder.read_facts`.
    """
    found = facts.get("tuning")
    if not found:
        return ""
    origin, judged = facts.get("tuned_from", {}), found.get("judged", {})
    digest = f" (sha256 of its weights: {markdown(origin['sha256'])})" if origin.get("sha256") else ""
    text = (
        f"Tuned from {markdown(origin.get('name') or 'another generator')}{digest}: the mean of its noise was moved "
        f"until volumes of {_by(found.get('size'))} voxels had what was wanted on average; nothing else was changed. "
        f"At each lattice point the shift m adds |m|² / 2 = {found.get('cost', float('nan')):.3g} of information. "
        f"Measured of {judged.get('count', '?')} windows of {_by(judged.get('size'))} voxels, of seeds that it was not "
        "tuned on:"
    )
    lines = ["## Tuned", "", text, "", "| wanted | before | after | change | deviation of one window |"]
    lines.append("|---|---|---|---|---|")
    lines += [
        f"| {_named(name, row)} | {_sides(row)} | {_number(row.get('before_std'))} |"
        for name, row in found.get("measures", {}).items()
    ]
    lines += ["", "What it cost in shapes:", "", "| measure | before | after | change |", "|---|---|---|---|"]
    lines += [f"| {_named(name, row)} | {_sides(row)} |" for name, row in found.get("shapes", {}).items()]
    if found.get("classifier", {}).get("score") is not None:
        score, error = (found["classifier"].get(key, float("nan")) for key in ("score", "standard_error"))
        lines += [
            "",
            f"A classifier tells slices of both apart in {score:.2f} ± {error:.2f} of the cases; 0.50 is chance.",
        ]
    return "\n".join([*lines, "", ""])


def _named(name, row):
    unit = row.get("unit", "1")
    return markdown(name.replace("_", " ") + ("" if unit == "1" else f", {unit}"))


def _sides(row):
    before, after = row.get("before"), row.get("after")
    change = f"{100 * (after / before - 1):+.1f} %" if before and after is not None else ""
    return f"{_number(before)} | {_number(after)} | {change}"


def _number(value):
    return "" if value is None else f"{value:.4g}"


def _by(numbers):
    return " x ".join(f"{number:g}" for number in numbers or ())
