"""What a comparison says in words and numbers: which measures differ, and by more than chance?"""

import math
import statistics

NOTABLE = 0.05
_HEADLINE = (
    "volume_fraction",
    "specific_surface_area",
    "triple_phase_boundary_density",
    "active_triple_phase_boundary_density",
    "relative_diffusivity",
)
_MINUS = "\N{MINUS SIGN}"
_NOTHING = "\N{EN DASH}"


def headline(measures):
    """Return the measures that are read first, one per phase; transport as the mean of the axes where there is one.

    Args:
        measures: a comparison's "measures".

    Returns:
        Entries of `measures`, in the order volume fraction, surface area, triple-phase boundary, diffusivity.
    """
    chosen = []
    for key in _HEADLINE:
        mine = [entry for entry in measures if entry["key"] == key]
        chosen += [entry for entry in mine if entry.get("axis") == "mean"] or mine
    return chosen


def judge(entry):
    """Say whether the means of a measure differ: "alike", "noise", "differs", or "unknown".

    "alike" is a relative difference of at most 5 %. A larger one is "noise" where it is less than two standard errors
    of the difference of the means, sqrt(s_r^2 / n_r + s_g^2 / n_g), as happens where sub-volumes are few or vary much.
    Sub-volumes of one image overlap, so that the true error of the real mean is larger still. Of a real mean of 0 no
    difference is a small share.
    """
    if not (_known(entry.get("real_mean")) and _known(entry.get("generated_mean"))):
        return "unknown"
    if abs(entry["generated_mean"] - entry["real_mean"]) <= NOTABLE * abs(entry["real_mean"]):
        return "alike"
    counts = {side: sum(value is not None for value in entry.get(side) or ()) for side in ("real", "generated")}
    # Of stored statistics the values may be unknown: they are taken for as many as there are of the other side.
    most = max(counts.values()) or 1
    variance = sum((entry.get(f"{side}_std") or 0.0) ** 2 / (count or most) for side, count in counts.items())
    distance = abs(entry["generated_mean"] - entry["real_mean"])
    return "noise" if distance < 2 * math.sqrt(variance) else "differs"


def summary(measures, samples="sub-volumes"):
    """Return one or two sentences on the headline measures, plain text; empty where no difference is known.

    Args:
        measures: a comparison's "measures".
        samples: what was measured, such as "sub-volumes".
    """
    entries = [entry for entry in headline(measures) if judge(entry) != "unknown"]
    if not entries:
        return ""
    verdicts = [judge(entry) for entry in entries]
    alike, noise, differs = (verdicts.count(word) for word in ("alike", "noise", "differs"))
    text = f"Of {len(entries)} means, {alike or 'none'} {'differ' if alike > 1 else 'differs'} by at most "
    text += f"{NOTABLE:.0%}".replace("%", " %")
    if noise:
        text += f", {noise} by more but within the scatter of the {samples}"
    text += f", {differs} by more than that." if differs else "."
    ratios = [entry["deviation_ratio"] for entry in entries if entry.get("deviation_ratio") is not None]
    if ratios:
        text += (
            f" Generated {samples} scatter {statistics.median(ratios):.2f} times as much as real ones (median of the "
            "measures)."
        )
    return text


def means_and_deviations(entry):
    """Return a measure's two sides as texts such as "0.412 ± 0.021".

    The smaller of the deviations is given to two digits, the rest to the same place, six digits at most.

    Args:
        entry: an entry of a comparison's "measures".
    """
    sides = [(entry.get(f"{side}_mean"), entry.get(f"{side}_std")) for side in ("real", "generated")]
    places = []
    for mean, deviation in sides:
        if _known(mean) and _known(deviation) and deviation > 0:
            largest = math.floor(math.log10(max(abs(mean), deviation)))
            places.append(min(1 - math.floor(math.log10(deviation)), 5 - largest))
    decimals = max(0, *places) if places else None
    return [_pair(mean, deviation, decimals) for mean, deviation in sides]


def largest_differences(correlation):
    """Return the largest difference of a comparison's two-point correlations for each phase, over the axes.

    None for a phase that one of the sides does not hold.

    Args:
        correlation: what `kerasgan3d.report.statistics.correlation_record` returned.
    """
    known = ([value for value in row if _known(value)] for row in correlation["largest_difference"])
    return [max(row, default=None) for row in known]


def number(value, digits=4):
    """Return a number to so many significant digits, or a dash for None."""
    if not _known(value):
        return _NOTHING
    return f"{value:.{digits}g}".replace("-", _MINUS)


def fixed(value, decimals=2):
    """Return a number to so many decimals, or a dash for None."""
    if not _known(value):
        return _NOTHING
    return f"{value:.{decimals}f}".replace("-", _MINUS)


def percent(value):
    """Return a relative difference as "+2.1 %", or a dash for None."""
    if not _known(value):
        return _NOTHING
    return f"{100 * value:+.1f} %".replace("-", _MINUS)


def _pair(mean, deviation, decimals):
    if not _known(mean):
        return _NOTHING
    if decimals is None:
        return number(mean)
    text = f"{mean:.{decimals}f}" + (f" ± {deviation:.{decimals}f}" if _known(deviation) else "")
    return text.replace("-", _MINUS)


def _known(value):
    return value is not None and math.isfinite(value)
