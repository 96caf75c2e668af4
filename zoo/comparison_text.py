"""What the card of a preset says of its comparison with the material."""


def comparison_text(found, phases):
    """Return a table and sentences, in Markdown.

    Args:
        found: What `compare_preset` returned.
        phases: Names of the phases.
    """
    parts = {
        "leaning": _leaning,
        "volumes": _volumes,
        "classifier": _classifier,
        "nearest": _nearest,
        "seam": _seam,
        "lattice": _lattice,
        "large": _large,
        "solid": _solid,
    }
    lines = [_samples(found), _correlation(found, phases)]
    lines += [sentence(found[key], phases) for key, sentence in parts.items() if key in found]
    lines += [_peer(title, peer, phases) for title, peer in found.get("peers", {}).items()]
    return "\n".join([_table(found), "", *(f"- {line}" for line in lines)])


def _table(found):
    titles = list(found.get("peers", {}))
    real = "slice" if found["samples"]["dimensions"] == 2 else "real"
    header = ["measure", real, "generated", "difference", "spread, generated over real"]
    for title in titles:
        header += [title, "difference"]
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    for i, row in enumerate(found["measures"]):
        unit = "" if row["unit"] == "1" else row["unit"]
        name = ", ".join(part for part in (row["key"].replace("_", " "), row["phase"], unit) if part)
        cells = [name, _number(row["real_mean"]), _number(row["generated_mean"]), _percent(row)]
        cells.append("" if row["deviation_ratio"] is None else f"{row['deviation_ratio']:.2f}")
        for title in titles:
            theirs = found["peers"][title]["measures"][i]
            cells += [_number(theirs["generated_mean"]), _percent(theirs)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _samples(found):
    samples = found["samples"]
    size = samples["size"]
    if samples["dimensions"] == 3:
        return (
            f"{samples['real']} random sub-volumes of {size} voxels per side, and {samples['generated']} generated "
            "ones. Surfaces count voxel faces, triple-phase boundaries voxel edges; relative diffusivities are means "
            "of the three axes."
        )
    volumes = f", three of each of {found['volumes']['count']} volumes" if "volumes" in found else ""
    return (
        f"{samples['real']} random windows of {size} x {size} pixels of the slice, and {samples['generated']} slices "
        f"of generated volumes, normal to z, y and x{volumes}. Surfaces (voxel faces) and triple-phase boundaries "
        "(voxel edges) of volumes follow from slices by stereology, for an isotropic material."
    )


def _correlation(found, phases):
    return (
        "S2(r)/S2(0), the normalised two-point correlation, differs by at most "
        f"{_each(phases, found['two_point_correlation'])} for r up to {found['max_lag']} voxels."
    )


def _leaning(sides, phases):
    real = f"; those of real ones {_each(phases, sides['real']['largest'])}" if "real" in sides else ""
    p = sides["generated"]["smallest_p"]
    tested = "" if p is None else f" (smallest p of no difference {p:.1g}, corrected)"
    return (
        "Leaning: S2(r)/S2(0) along the two diagonals of a plane differs in generated volumes by at most "
        f"{_each(phases, sides['generated']['largest'])}{tested}{real}."
    )


def _volumes(volumes, phases):
    shown = [
        " ".join(part for part in (row["key"].replace("_", " "), row["phase"], _percent(row)) if part)
        for row in volumes["measures"]
        if row["relative_difference"] is not None
    ]
    return (
        f"The {volumes['count']} volumes themselves, measured in 3D, against the stereology of {volumes['windows']} "
        f"windows, as many as cover the slice: {', '.join(shown)}"
        "; S2(r)/S2(0) along z, y and x differs from the slice's by at most "
        f"{_each(phases, volumes['two_point_correlation'])}, and from axis to axis by "
        f"{_each(phases, volumes['anisotropy'])}."
    )


def _classifier(test, phases):
    return (
        f"A small classifier, trained on one half, tells {test['score']:.2f} ± {test['standard_error']:.2f} of the "
        "slices of the other half rightly (0.5: not to be told apart)."
    )


def _nearest(sides, phases):
    ours, theirs = sides["generated"], sides["real"]
    return (
        "Copies: the window of the real image that is most like a generated one differs from it in "
        f"{ours['mean']:.3f} of its voxels on average, {ours['least']:.3f} at least ({ours['count']} searched); real "
        f"ones that do not overlap differ in {theirs['mean']:.3f}, {theirs['least']:.3f} at least."
    )


def _seam(seam, phases):
    said = "nothing differs" if seam["smallest_p"] > 0.05 else "something differs"
    return (
        f"Seams: where {seam['count']} periodic volumes close, {said} from their interior beyond chance (smallest p "
        f"of {seam['tests']} tests {seam['smallest_p']:.2g}, corrected)."
    )


def _lattice(lattice, phases):
    swing = lattice["largest_swing"]
    return (
        f"Stride lattice: by position modulo {lattice['period']} voxels, volume fractions swing by at most "
        f"{100 * swing['volume_fraction']:.1f} % and label changes by {100 * swing['label_change_rate']:.1f} % of "
        f"their means (smallest p of flatness {lattice['smallest_p']:.1g}, corrected)."
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
        return f"Size: neither {what}, nor small volumes differ among themselves."
    share, errors, name = max(differences)
    return (
        f"Size: {what}, have the means of small volumes within {100 * share:.1f} % ({name}, {errors:.1f} standard "
        "errors)."
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
        f"Percolating in all directions of all of them: {', '.join(through) or 'no phase'}."
    )


def _peer(title, peer, phases):
    samples = peer["samples"]
    what = "slices of volumes" if samples["dimensions"] == 2 else "sub-volumes"
    return (
        f"{title[:1].upper()}{title[1:]}: {samples['generated']} {what}; S2(r)/S2(0) differs by at most "
        f"{_each(phases, peer['two_point_correlation'])}."
    )


def _each(phases, values):
    from kerasgan3d.report.verdict import fixed  # with matplotlib, which a list of generators does not need

    return ", ".join(f"{phase} {fixed(value, 3)}" for phase, value in zip(phases, values, strict=True))


def _number(value):
    return "" if value is None else f"{value:.4g}"


def _percent(row):
    difference = row["relative_difference"]
    return "" if difference is None else f"{100 * difference:+.1f} %"
