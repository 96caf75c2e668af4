"""Verdicts of a comparison: tests that pass or fall short, and measures that differ by more than chance."""

import math

from kerasgan3d.metrics.registry import ALL, COMPARED
from kerasgan3d.report.record import Verdict

NOTABLE = 0.05
PASSES, SHORT, UNTOLD = "passes", "falls short", "cannot be told"
# Bars for every material: the largest difference of S2(r)/S2(0) between the diagonals of a plane, the largest variation
# of label changes over the stride, the largest difference of label changes where a periodic volume closes, the
# classifier's accuracy, and how much nearer the nearest real window may be than for real sub-volumes.
_LEANING, _LATTICE, _SEAM, _CLASSIFIER, _COPIES = 0.02, 0.02, 0.05, 0.65, 0.1
# A difference passes if it is at most this many times the difference between real sub-volumes.
_OF_REAL = 2
_MINUS = "\N{MINUS SIGN}"
_NOTHING = "\N{EN DASH}"


def headline(measures, short=True):
    """Return the main measures, one per phase; transport as the mean of the axes if it has one.

    Args:
        measures: a comparison's "measures".
        short: False returns every measure that is judged.

    Returns:
        Entries of `measures`, in the order volume fraction, surface area, triple-phase boundary, chords, diffusivity.
    """
    chosen = []
    for key in (key for key, row in COMPARED.items() if row.bar is not None and (row.headline or not short)):
        mine = [entry for entry in measures if entry["key"] == key]
        chosen += [entry for entry in mine if entry.get("axis") == "mean"] or mine
    return chosen


def verdicts_of(record):
    """Judge every test of a comparison.

    A test has an effect size, such as the relative difference of two means, and a limit: a bar that holds for every
    material, or twice the same effect between sub-volumes of two halves of the real image, where that is more. It
    passes if the effect is within the limit and twice its standard error is at most the limit. It falls short if the
    effect exceeds the limit by more than two standard errors. Otherwise it cannot be decided with so many volumes.

    Args:
        record: A ComparisonRecord; its verdicts are ignored.

    Returns:
        list of Verdict, worst first.
    """
    return sorted(_judged(record), key=lambda v: ((SHORT, UNTOLD, PASSES).index(v.outcome), -v.badness))


def _judged(record):
    count, phases = record.samples.generated, record.phases
    for row in headline(record.measures, short=False):
        measure = ALL[row.key]
        if row.relative_difference is not None and measure.bar is not None:
            errors = (row.real_from_real, row.standard_error, count)
            yield _verdict(measure.name, row.phase, row.relative_difference, measure.bar, *errors, relative=True)
        if measure.spread is not None and row.deviation_ratio:
            # As logarithms, so that half as much and twice as much are equally far.
            error = 1 / math.sqrt(count - 1) if count > 1 else None
            apart = None if row.spread_from_real is None else math.log(row.spread_from_real)
            bar = math.log(measure.spread[1])
            yield _verdict(
                f"spread of {measure.name}", row.phase, math.log(row.deviation_ratio), bar, apart, error, count
            )
    for key, curves in ({"two_point_correlation": record.two_point_correlation} | record.curves).items():
        measure = ALL.get(key)
        if measure is not None and measure.bar is not None and curves is not None and curves.worst is not None:
            yield from _per_phase(measure.name, phases, curves.worst, measure.bar, curves, count)
    sides = record.leaning
    if sides is not None and sides.generated is not None:
        real = [None] * len(phases) if sides.real is None else sides.real.largest
        errors = sides.generated.error_of_largest or [None] * len(phases)
        for phase, value, apart, error in zip(phases, sides.generated.largest, real, errors, strict=True):
            yield _verdict("leaning", phase, value, _LEANING, apart, error, count)
    lattice = record.lattice
    if lattice is not None and lattice.largest_swing is not None:
        key = "label_change_rate"
        real, error = ((found or {}).get(key) for found in (lattice.real_swing, lattice.swing_error))
        volumes = None if record.seam is None else record.seam.count  # the same periodic volumes
        yield _verdict("stride lattice", None, lattice.largest_swing[key], _LATTICE, real, error, volumes)
    seam = record.seam
    if seam is not None and seam.largest is not None:
        errors = (seam.interior, seam.standard_error, seam.count)
        yield _verdict("seam", None, seam.largest, _SEAM, *errors, relative=True)
    test = record.classifier
    if test is not None and test.score is not None:
        # The effect is the distance from guessing.
        yield _verdict("classifier", None, test.score - 0.5, _CLASSIFIER - 0.5, None, test.standard_error, count)
    nearest = record.nearest
    if nearest is not None and nearest.generated_distances is not None and nearest.real_distances is not None:
        ours, theirs = nearest.generated_distances, nearest.real_distances
        nearer = max(0.0, 1 - ours.least / theirs.mean) if theirs.mean else 0.0
        apart = 1 - theirs.least / theirs.mean if theirs.mean else None
        yield _verdict("copies", None, nearer, _COPIES, apart, None, None, relative=True)


def _per_phase(name, phases, values, bar, found, count):
    nothing = [None] * len(phases)
    rows = zip(phases, values, found.real_from_real or nothing, found.standard_error or nothing, strict=True)
    for phase, value, apart, error in rows:
        if _known(value):
            yield _verdict(name, phase, value, bar, apart, error, count)


def _verdict(test, phase, value, bar, real_from_real, error, count, *, relative=False):
    """Judge one effect; from `count`, its number of volumes, follows the number that would decide it."""
    limit = bar if not _known(real_from_real) else max(bar, _OF_REAL * real_from_real)
    error = error if _known(error) else None
    beyond = abs(value) > limit
    told = error is None or (abs(value) - 2 * error > limit if beyond else 2 * error <= limit)
    outcome, needed = (SHORT if beyond else PASSES) if told else UNTOLD, None
    if error is not None and not told and count:
        # The number that reduces two standard errors to the difference that must be resolved.
        wanted = max(abs(value) - limit, limit / 10) if beyond else limit
        needed = math.ceil(count * (2 * error / wanted) ** 2)
    return Verdict(test, outcome, value, limit, bar, phase, real_from_real, error, needed, relative)


LIMIT_NOTE = "‡ Twice what real sub-volumes differ by among themselves, where that is more than the bar."


def verdict_text(verdict: Verdict) -> str:
    """Return a verdict in words, such as "pore +13.3 %, limit 6 %, short by 7.3 %"; ‡ stands for `LIMIT_NOTE`."""
    value, limit = _shown_effect(verdict, verdict.value), _shown_effect(verdict, verdict.limit, signed=False)
    mark = "‡" if verdict.limit > verdict.bar else ""
    text = f"{verdict.phase + ' ' if verdict.phase else ''}{value}, limit {limit}{mark}"
    if verdict.outcome == SHORT and not verdict.test.startswith("spread"):
        text += f", short by {_shown_effect(verdict, abs(verdict.value) - verdict.limit, signed=False)}"
    if verdict.outcome == UNTOLD and verdict.needed:
        text += f", about {float(f'{verdict.needed:.2g}'):,.0f} would tell"
    return text


def verdict_lines(verdicts):
    """Return (test, outcome, text) of each test, with all its phases, worst first."""
    lines = []
    for test in dict.fromkeys(verdict.test for verdict in verdicts):
        mine = [verdict for verdict in verdicts if verdict.test == test]
        lines.append((test, mine[0].outcome, "; ".join(map(verdict_text, mine))))
    return lines


def conclusion(verdicts, samples="sub-volumes"):
    """Return one sentence on the worst verdict; empty without verdicts."""
    if not verdicts:
        return ""
    short, untold = ([v for v in verdicts if v.outcome == outcome] for outcome in (SHORT, UNTOLD))
    worst, total = verdicts[0], len(verdicts)
    what = f"{worst.test}{f' of {worst.phase}' if worst.phase else ''}"
    value, limit = _shown_effect(worst, worst.value), _shown_effect(worst, worst.limit, signed=False)
    if short:
        text = f"Falls short in {len(short)} of {total} tests, most in {what}: {value}, where {limit} passes."
        return text + (f" {len(untold)} cannot be told with this many {samples}." if untold else "")
    if untold:
        passed = total - len(untold)
        text = f"Falls short nowhere, but {len(untold)} of {total} tests cannot be told with this many {samples}"
        return f"{text}, such as {what}: {value}, where {limit} passes; {passed} {'passes' if passed == 1 else 'pass'}."
    return f"Passes all {total} tests; nearest to its limit is {what}: {value}, where {limit} passes."


def _shown_effect(verdict, value, *, signed=True):
    """Return an effect as text, in its customary unit."""
    if verdict.test.startswith("spread"):
        return f"{fixed(math.exp(value))} times" if signed else f"{fixed(math.exp(-value))} to {fixed(math.exp(value))}"
    if verdict.test == "classifier":
        return fixed(value + 0.5) if signed or value == verdict.limit else fixed(value)
    if verdict.relative:
        return percent(value) if signed else f"{100 * value:.3g} %"
    return fixed(value, 3)


def judge(entry):
    """Classify the difference of a measure's means: "alike", "noise", "differs", or "unknown".

    "alike" is a relative difference of at most 5 %. A larger one is "noise" if it is less than two standard errors of
    the difference of the means, sqrt(s_r^2 / n_r + s_g^2 / n_g), as happens where sub-volumes are few or vary much.
    Sub-volumes of one image overlap, so that the true error of the real mean is larger still. Relative to a real mean
    of 0, no difference is small.
    """
    if not (_known(entry.get("real_mean")) and _known(entry.get("generated_mean"))):
        return "unknown"
    if abs(entry["generated_mean"] - entry["real_mean"]) <= NOTABLE * abs(entry["real_mean"]):
        return "alike"
    counts = {side: sum(value is not None for value in entry.get(side) or ()) for side in ("real", "generated")}
    # Stored statistics may lack single values: their number is then taken to be that of the other side.
    most = max(counts.values()) or 1
    variance = sum((entry.get(f"{side}_std") or 0.0) ** 2 / (count or most) for side, count in counts.items())
    distance = abs(entry["generated_mean"] - entry["real_mean"])
    return "noise" if distance < 2 * math.sqrt(variance) else "differs"


def means_and_deviations(entry):
    """Return a measure's two sides as texts such as "0.412 ± 0.021".

    The smaller deviation is given to two digits, the other numbers to the same decimal place, at most six digits.

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


def number(value, digits=4):
    """Return a number with ``digits`` significant digits, or a dash for None."""
    if not _known(value):
        return _NOTHING
    return f"{value:.{digits}g}".replace("-", _MINUS)


def fixed(value, decimals=2):
    """Return a number with ``decimals`` decimals, or a dash for None."""
    if not _known(value):
        return _NOTHING
    return f"{value:.{decimals}f}".replace("-", _MINUS)


def percent(value, minus=_MINUS):
    """Return a relative difference as "+2.1 %", or a dash for None."""
    if not _known(value):
        return _NOTHING
    return f"{100 * value:+.1f} %".replace("-", minus)


def _pair(mean, deviation, decimals):
    if not _known(mean):
        return _NOTHING
    if decimals is None:
        return number(mean)
    text = f"{mean:.{decimals}f}" + (f" ± {deviation:.{decimals}f}" if _known(deviation) else "")
    return text.replace("-", _MINUS)


def _known(value):
    return value is not None and math.isfinite(value)
