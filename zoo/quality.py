"""The quality of a generator in a line, from the verdicts of its comparison with the material."""

from typing import Any

# Figures of the line, by the names of the tests of a comparison: key, words, and what turns its effect into text.
_FIGURES = {
    "volume fraction": ("volume_fraction", "fractions within", "{:.1%}"),
    "specific surface area": ("specific_surface_area", "surfaces", "{:.1%}"),
    "triple-phase boundary": ("triple_phase_boundary_density", "triple-phase boundaries", "{:.1%}"),
    "two-point correlation": ("two_point_correlation", "S2", "{:.3f}"),
    "granulometry": ("granulometry", "granulometry", "{:.3f}"),
    "classifier": ("classifier", "classifier", "{:.2f}"),
}


def quality(facts: dict[str, Any]) -> dict[str, Any] | None:
    """Return figures on the quality of a generator; None where it was not compared with its material.

    Args:
        facts: Facts of a generator, as ``kerasgan3d.zoo.info`` returns them.

    Returns:
        dict: "tests", "passed" and "undecided" (numbers of tests); and the largest difference of any phase in
        "volume_fraction", "specific_surface_area" and "triple_phase_boundary_density" (relative),
        "two_point_correlation" and "granulometry" (absolute); "classifier", its accuracy (0.5 is chance).
    """
    verdicts = (facts.get("comparison") or {}).get("verdicts")
    if not verdicts:
        return None
    outcomes = [verdict["outcome"] for verdict in verdicts]
    told = {"tests": len(verdicts), "passed": outcomes.count("passes"), "undecided": outcomes.count("cannot be told")}
    for test, (key, _, _) in _FIGURES.items():
        effects = [abs(verdict["value"]) for verdict in verdicts if verdict["test"] == test]
        if effects:
            told[key] = max(effects) + (0.5 if key == "classifier" else 0)  # its effect is what exceeds chance
    return told


def quality_line(found: dict[str, Any]) -> str:
    """Return the result of `quality` as a line."""
    undecided = f", {found['undecided']} undecided" if found["undecided"] else ""
    figures = (
        f"{words} {form.format(found[key])}".replace("%", " %")
        for key, words, form in _FIGURES.values()
        if key in found
    )
    return f"passes {found['passed']} of {found['tests']} tests{undecided}; {', '.join(figures)}"
