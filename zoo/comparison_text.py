"""The section of a preset's card on its comparison with the material."""

import contextlib
from collections.abc import Iterator
from typing import Any

from kerasgan3d.texts import clipped, markdown


def comparison_text(found):
    """Return verdicts, a table and sentences, in Markdown.

    Args:
        found: Result of `compare_preset`, of this or an earlier version.

    Raises:
        ValueError: If it is not one.
    """
    from kerasgan3d.report.record import ComparisonRecord  # imports SciPy, which a list of generators does not need
    from kerasgan3d.report.tellings import sentences

    found = _escaped(found)
    record = ComparisonRecord.from_dict(found)
    with odd_comparisons_refused():
        peers = {markdown(title): ComparisonRecord.from_dict(peer) for title, peer in found.get("peers", {}).items()}
        lines = [_samples(record), *sentences(record)]
        lines += [
            tell(found[key], record.phases) for key, tell in (("large", _large), ("solid", _solid)) if key in found
        ]
        lines += [_peer(title, peer) for title, peer in peers.items()]
        parts = [*_verdicts(record), _table(record, peers), "", *(f"- {line}" for line in lines)]
        return "\n".join(parts)


@contextlib.contextmanager
def odd_comparisons_refused() -> Iterator[None]:
    """Refuse a comparison with inconsistent parts, wherever that shows: it may come from an untrusted source.

    Raises:
        ValueError: If the comparison is inconsistent.
    """
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
        why = clipped(str(error), 200)
        raise ValueError(
            f"`comparison` must be as kerasgan3d.compare makes it. Received: one that is not ({why})."
        ) from error


def _escaped(value: Any) -> Any:
    """Return a JSON value with its texts escaped for Markdown."""
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return markdown(value) if isinstance(value, str) else value


def _verdicts(record):
    """Return a sentence on the worst verdict, and a line for each test; nothing for versions without verdicts."""
    from kerasgan3d.report.verdict import LIMIT_NOTE, conclusion, verdict_lines

    if not record.verdicts:
        return []
    lines = (f"- **{outcome}** {test}: {text}" for test, outcome, text in verdict_lines(record.verdicts))
    return [conclusion(record.verdicts, record.unit_of_samples), "", *lines, "", LIMIT_NOTE, ""]


def _table(record, peers):
    from kerasgan3d.report.verdict import headline

    header = ["measure", "slice" if record.samples.dimensions == 2 else "real", "generated", "difference"]
    header.append("spread, generated over real")
    for title in peers:
        header += [title, "difference"]
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    for row in headline(record.measures):
        unit = "" if row.unit == "1" else row.unit
        name = ", ".join(part for part in (row.key.replace("_", " "), row.phase, unit) if part)
        cells = [name, _number(row.real_mean), _number(row.generated_mean), _percent(row)]
        cells.append("" if row.deviation_ratio is None else f"{row.deviation_ratio:.2f}")
        for peer in peers.values():
            theirs = peer.measure(row.key, row.phase, other=row.other, axis=row.axis)
            cells += [_number(theirs.generated_mean), _percent(theirs)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _samples(record):
    samples = record.samples
    size = samples.size
    if samples.dimensions == 3:
        return (
            f"The figures compare {samples.real} random sub-volumes of {size} voxels per side with {samples.generated} "
            "generated ones. Surface areas count voxel faces, triple-phase boundaries count voxel edges, and relative "
            "diffusivities are means over the three axes."
        )
    volumes = "" if record.volumes is None else f", three of each of {record.volumes.count} volumes"
    return (
        f"The figures compare {samples.real} random windows of {size} x {size} pixels of the slice with "
        f"{samples.generated} slices of generated volumes, normal to z, y and x{volumes}. Surface areas (voxel faces) "
        "and triple-phase boundaries (voxel edges) are derived from slices by stereology, for an isotropic material."
    )


def _large(large, phases):
    differences = [
        (abs(b / a - 1), abs(b - a) / e, row["key"].replace("_", " "))
        for row in large["measures"]
        for a, b, e in zip(row["small"], row["large"], row["standard_error"], strict=True)
        if a and e
    ]
    what = f"sub-volumes of {large['count']} periodic volumes of {large['size']} voxels per side, seams included"
    if not differences:
        return f"Size: neither {what} nor small volumes differ among themselves."
    share, errors, name = max(differences)
    return (
        f"Size: the means over {what}, agree with those of small volumes within {100 * share:.1f} % ({name}, "
        f"{errors:.1f} standard errors)."
    )


def _solid(solid, phases):
    values = ", ".join(
        f"{phase} {' / '.join(f'{v:.3g}' for v in row)}"
        for phase, row in zip(phases, solid["relative_diffusivity"], strict=True)
    )
    active = solid.get("active_triple_phase_boundary_density")
    through = [phase for phase, yes in zip(phases, solid["percolating"], strict=True) if yes]
    return (
        f"Means of {solid['count']} volumes of {solid['size']} voxels per side: relative diffusivity along z / y / x "
        f"{values}{'' if active is None else f'; active triple-phase boundary density {active:.3g} 1/µm²'}. "
        f"Phases that percolate in all directions in each of them: {', '.join(through) or 'none'}."
    )


def _peer(title, peer):
    from kerasgan3d.report.tellings import per_phase

    what = "slices of volumes" if peer.samples.dimensions == 2 else "sub-volumes"
    return (
        f"{title[:1].upper()}{title[1:]}: {peer.samples.generated} {what}; S2(r)/S2(0) differs by at most "
        f"{per_phase(peer.phases, peer.two_point_correlation.worst)}."
    )


def _number(value):
    return "" if value is None else f"{value:.4g}"


def _percent(row):
    difference = row.relative_difference
    return "" if difference is None else f"{100 * difference:+.1f} %"
