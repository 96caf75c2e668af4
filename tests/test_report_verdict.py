"""Verdicts: an effect, its limit, and what so many volumes can tell."""

import dataclasses
import math

import numpy as np
import pytest

from kerasgan3d.metrics.ensemble import measure_samples
from kerasgan3d.report.record import (
    Classifier,
    ComparisonRecord,
    Distances,
    GeneratedSide,
    Lattice,
    Leaning,
    LeaningSide,
    MeasureRow,
    Nearest,
    Samples,
    Seam,
    Side,
)
from kerasgan3d.report.statistics import measure_rows
from kerasgan3d.report.verdict import PASSES, SHORT, UNTOLD, conclusion, headline, verdict_lines, verdicts_of

PHASES = ("pore", "solid")


def record(count=100, measures=(), **parts):
    facts = {"name": "scan.tif", "phases": list(PHASES), "voxel_size": 0.5}
    return ComparisonRecord(Side(**facts), GeneratedSide(**facts), Samples(count, count, 64), list(measures), **parts)


def fraction(difference, error, real_from_real=None):
    return MeasureRow(
        "volume_fraction",
        "pore",
        real_mean=0.5,
        generated_mean=0.5 * (1 + difference),
        relative_difference=difference,
        standard_error=error,
        real_from_real=real_from_real,
    )


@pytest.mark.parametrize(
    ("difference", "error", "real_from_real", "outcome", "limit"),
    [
        (0.015, 0.005, None, PASSES, 0.02),
        (-0.015, 0.005, None, PASSES, 0.02),
        (0.015, 0.011, None, UNTOLD, 0.02),
        (0.05, 0.01, None, SHORT, 0.02),
        (-0.05, 0.01, None, SHORT, 0.02),
        (0.05, 0.02, None, UNTOLD, 0.02),
        (0.05, 0.01, 0.03, PASSES, 0.06),
        (0.09, 0.01, 0.03, SHORT, 0.06),
        (0.05, 0.01, 0.001, SHORT, 0.02),
        (0.015, None, None, PASSES, 0.02),
    ],
)
def test_an_effect_is_judged_by_its_limit_and_its_error(difference, error, real_from_real, outcome, limit):
    (verdict,) = verdicts_of(record(measures=[fraction(difference, error, real_from_real)]))
    assert (verdict.outcome, verdict.phase, verdict.test) == (outcome, "pore", "volume fraction")
    assert verdict.limit == pytest.approx(limit)
    assert verdict.bar == 0.02
    assert (verdict.needed is not None) == (outcome == UNTOLD)


def test_counts_of_shapes_are_judged_but_not_in_short_tables():
    facts = {"phase": "pore", "generated_mean": 2.0, "standard_error": 0.01}
    rows = [
        MeasureRow(key, real_mean=real, relative_difference=difference, **facts)
        for key, real, difference in (
            ("euler_characteristic", 2.3, -0.13),
            ("speck_density", 1.9, 0.05),
            ("hole_density", 0.0, None),
        )
    ]
    found = {verdict.test: (verdict.outcome, verdict.bar) for verdict in verdicts_of(record(measures=rows))}
    # Of a real mean of zero no difference is a share.
    assert found == {"Euler characteristic": (SHORT, 0.1), "specks": (PASSES, 0.25)}
    assert headline(rows) == []


def test_how_many_volumes_would_tell():
    (verdict,) = verdicts_of(record(100, [fraction(0.0, 0.02)]))
    # Two standard errors of 0.04 must come down to 0.02: four times as many.
    assert verdict.needed == 400
    (enough,) = verdicts_of(record(400, [fraction(0.0, 0.01)]))
    assert enough.outcome == PASSES


def test_a_spread_half_as_wide_and_twice_as_wide_are_equally_far():
    rows = [
        dataclasses.replace(fraction(0.0, 0.001), deviation_ratio=ratio, phase=phase)
        for ratio, phase in ((0.5, "pore"), (2.0, "solid"))
    ]
    spreads = [verdict for verdict in verdicts_of(record(400, rows)) if verdict.test.startswith("spread")]
    assert [verdict.outcome for verdict in spreads] == [SHORT, SHORT]
    assert spreads[0].badness == pytest.approx(spreads[1].badness)
    lines = {test: text for test, _, text in verdict_lines(spreads)}
    assert "pore 0.50 times, limit 0.80 to 1.25;" in lines["spread of volume fraction"]


def test_every_test_is_judged():
    found = verdicts_of(
        record(
            leaning=Leaning(LeaningSide([0.05, 0.01], error_of_largest=[0.002, 0.002]), LeaningSide([0.015, 0.008])),
            lattice=Lattice(16, 1e-8, {"label_change_rate": 0.055, "volume_fraction": 0.02}),
            seam=Seam(count=16, smallest_p=0.5, tests=27, largest=0.01, standard_error=0.005, interior=0.012),
            classifier=Classifier(0.78, 0.01),
            nearest=Nearest(generated_distances=Distances(8, 0.3, 0.05), real_distances=Distances(8, 0.3, 0.28)),
        )
    )
    outcomes = {(verdict.test, verdict.phase): verdict.outcome for verdict in found}
    assert outcomes == {
        ("leaning", "pore"): SHORT,
        ("leaning", "solid"): PASSES,
        ("stride lattice", None): SHORT,
        ("seam", None): PASSES,
        ("classifier", None): SHORT,
        ("copies", None): SHORT,
    }
    texts = {test: text for test, _, text in verdict_lines(found)}
    assert "pore 0.050, limit 0.030‡, short by 0.020" in texts["leaning"]
    assert texts["classifier"] == "0.78, limit 0.65, short by 0.13"
    assert texts["copies"].startswith("+83.3 %, limit 13.3 %‡, short by")


def test_the_worst_comes_first_and_is_what_is_said():
    rows = [fraction(0.03, 0.001), dataclasses.replace(fraction(-0.2, 0.001), phase="solid")]
    found = verdicts_of(record(measures=rows))
    assert [verdict.phase for verdict in found] == ["solid", "pore"]
    text = conclusion(found)
    assert text == "Falls short in 2 of 2 tests, most in volume fraction of solid: −20.0 %, where 2 % passes."


def test_what_cannot_be_told_is_not_called_passed():
    text = conclusion(verdicts_of(record(measures=[fraction(0.0, 0.05)])), "windows")
    assert text.startswith("Falls short nowhere, but 1 of 1 tests cannot be told with this many windows, such as")
    assert conclusion([]) == ""
    passed = conclusion(verdicts_of(record(measures=[fraction(0.001, 0.001)])))
    assert passed.startswith("Passes all 1 tests; nearest to its limit is volume fraction of pore: +0.1 %")


def samples(count, seed, shift=0.0):
    """Fractions of sub-volumes that scatter around a half."""
    rng = np.random.default_rng(seed)
    pore = 0.5 + shift + 0.05 * rng.standard_normal(count)
    return {"volume_fraction": np.stack([pore, 1 - pore], axis=1)}


def test_an_image_that_is_alike_throughout_raises_no_limit():
    real = samples(400, 1)
    halves = [np.arange(400) % 2 == 0, np.arange(400) < 200]
    row = measure_rows(real, samples(400, 2), PHASES, halves=halves)[0]
    assert row.real_from_real < 0.005
    assert row.standard_error == pytest.approx(0.05 * math.sqrt(2 / 400) / 0.5, rel=0.1)


def test_an_image_whose_halves_differ_raises_the_limit_by_as_much():
    left, right = samples(400, 1, -0.05), samples(400, 2, 0.05)
    real = {key: np.concatenate([left[key], right[key]]) for key in left}
    row = measure_rows(real, samples(800, 3), PHASES, halves=[np.arange(800) < 400])[0]
    assert row.real_from_real == pytest.approx(0.2, abs=0.02)


def test_few_sub_volumes_raise_no_limit_by_their_scatter():
    found = []
    for seed in range(200):
        row = measure_rows(samples(8, seed), samples(8, 500 + seed), PHASES, halves=[np.arange(8) < 4])[0]
        found.append(row.real_from_real**2)
    # Without the correction this would be 0.07 squared on average.
    assert np.sqrt(np.mean(found)) < 0.06
    assert np.median(found) < 1e-3


def test_the_real_mean_is_that_of_the_whole_image_where_it_is_known():
    labels = np.random.default_rng(0).integers(0, 2, (12, 12, 12)).astype(np.uint8)
    real = measure_samples([labels[:6, :6, :6], labels[6:, 6:, 6:]], n_phases=2, voxel_size=1, workers=1)
    whole = {"volume_fraction": np.array([0.4, 0.6])}
    rows = {(row.key, row.phase): row for row in measure_rows(real, real, PHASES, whole=whole)}
    found = rows["volume_fraction", "pore"]
    assert (found.real_mean, found.real_mean_of) == (0.4, "image")
    assert found.relative_difference == pytest.approx(found.generated_mean / 0.4 - 1)
    assert rows["specific_surface_area", "pore"].real_mean_of == "sub-volumes"
