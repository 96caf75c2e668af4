"""Sentences on the results of a comparison's tests, the same in a terminal and on a card."""

from functools import partial

from kerasgan3d.report.verdict import fixed, headline, percent


def correlation(curves, phases):
    """Describe the difference of the two-point correlations."""
    reach = "" if curves.max_lag is None else f" for r up to {curves.max_lag} voxels"
    worst = per_phase(phases, curves.worst)
    return f"S2(r)/S2(0), the normalised two-point correlation, differs by at most {worst}{reach}."


def granulometry(curves, phases, bodies="balls"):
    """Describe the difference of the fractions in balls, or discs."""
    reach = f"up to {curves.max_lag} voxels"
    worst = per_phase(phases, curves.worst)
    return f"Granulometry: the share of a phase in {bodies} of radius r, {reach}, differs by at most {worst}."


def leaning(found, phases):
    """Describe the difference between the diagonals of planes."""
    real = "" if found.real is None else f"; those of real ones {per_phase(phases, found.real.largest)}"
    p = found.generated.smallest_p
    tested = "" if p is None else f" (smallest p of no difference {p:.1g}, corrected)"
    return (
        "Leaning: S2(r)/S2(0) along the two diagonals of a plane differs in generated volumes by at most "
        f"{per_phase(phases, found.generated.largest)}{tested}{real}."
    )


def volumes(found, phases):
    """Describe generated volumes in comparison with stereological estimates from slices."""
    shown = [
        " ".join(part for part in (row.key.replace("_", " "), row.phase, percent(row.relative_difference, "-")) if part)
        for row in headline(found.measures)
        if row.relative_difference is not None
    ]
    return (
        f"The {found.count} volumes themselves, measured in 3D, against the stereology of {found.windows} windows, as "
        f"many as cover the slice: {', '.join(shown)}; S2(r)/S2(0) along z, y and x differs from the slice's by at "
        f"most {per_phase(phases, found.two_point_correlation.worst)}, and from axis to axis by "
        f"{per_phase(phases, found.anisotropy)}."
    )


def classifier(test, phases):
    """Describe the accuracy of the classifier."""
    return (
        f"A small classifier, trained on one half, tells {test.score:.2f} ± {test.standard_error:.2f} of the slices of "
        "the other half rightly (0.5: not to be told apart)."
    )


def nearest(found, phases):
    """Describe the distances of samples to the real image."""
    ours, theirs = found.generated_distances, found.real_distances
    if ours is None:
        return ""
    text = (
        "Copies: the window of the real image that is most like a generated one differs from it in "
        f"{ours.mean:.3f} of its voxels on average, {ours.least:.3f} at least ({ours.count} searched)"
    )
    if theirs is None:
        return f"{text}."
    return f"{text}; real ones that do not overlap differ in {theirs.mean:.3f}, {theirs.least:.3f} at least."


def seam(found, phases):
    """Describe the test for seams of periodic volumes."""
    said = "nothing differs" if found.smallest_p > 0.05 else "something differs"
    return (
        f"Seams: where {found.count} periodic volumes close, {said} from their interior beyond chance (smallest p "
        f"of {found.tests} tests {found.smallest_p:.2g}, corrected)."
    )


def lattice(found, phases):
    """Describe the variation of volumes with the stride."""
    swing = found.largest_swing
    if swing is None:
        return f"Stride lattice of {found.period} voxels: smallest p of flatness {found.smallest_p:.1g}, corrected."
    return (
        f"Stride lattice: by position modulo {found.period} voxels, volume fractions swing by at most "
        f"{100 * swing['volume_fraction']:.1f} % and label changes by {100 * swing['label_change_rate']:.1f} % of "
        f"their means (smallest p of flatness {found.smallest_p:.1g}, corrected)."
    )


def sentences(record):
    """Return a sentence for each test that was made, in reading order."""
    parts = (
        ("two_point_correlation", correlation),
        ("leaning", leaning),
        ("volumes", volumes),
        ("classifier", classifier),
        ("nearest", nearest),
        ("seam", seam),
        ("lattice", lattice),
    )
    told = [(record[key], tell) for key, tell in parts]
    bodies = "discs" if record.samples.dimensions == 2 else "balls"
    told.insert(1, (record.curves.get("granulometry"), partial(granulometry, bodies=bodies)))
    return [text for found, tell in told if found is not None and (text := tell(found, record.phases))]


def per_phase(phases, values):
    """Return a number for each phase, to three decimals."""
    return ", ".join(f"{phase} {fixed(value, 3)}" for phase, value in zip(phases, values, strict=True))
