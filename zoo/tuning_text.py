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
        f"Tuned from {markdown(origin.get('name') or 'another generator')}{digest}: the mean of its latents was "
        f"shifted until volumes of {_by(found.get('size'))} voxels met the targets on average; nothing else was "
        f"changed. At each lattice point the shift m adds |m|² / 2 = {found.get('cost', float('nan')):.3g} of "
        f"information (nats). The table gives the means of {judged.get('count', '?')} windows of "
        f"{_by(judged.get('size'))} voxels, with other seeds than those of the tuning:"
    )
    lines = ["## Tuned", "", text, "", "| target | before | after | change | standard deviation |"]
    lines.append("|---|---|---|---|---|")
    lines += [
        f"| {_named(name, row)} | {_sides(row)} | {_number(row.get('before_std'))} |"
        for name, row in found.get("measures", {}).items()
    ]
    lines += ["", "The shapes changed as follows:", "", "| measure | before | after | change |", "|---|---|---|---|"]
    lines += [f"| {_named(name, row)} | {_sides(row)} |" for name, row in found.get("shapes", {}).items()]
    if found.get("classifier", {}).get("score") is not None:
        score, error = (found["classifier"].get(key, float("nan")) for key in ("score", "standard_error"))
        lines += [
            "",
            f"A classifier tells slices of the two generators apart with an accuracy of {score:.2f} ± {error:.2f}; "
            "0.50 is chance.",
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
