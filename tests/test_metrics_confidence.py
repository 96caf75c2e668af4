"""Confidence of single images: against scatter over many whose truth is known, and laws of the estimates."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from kerasgan3d import Volume, measure
from kerasgan3d.metrics import (
    Measurement,
    size_curve,
    specific_surface_area,
    triple_phase_boundary_density,
    volume_fraction_interval,
)
from kerasgan3d.metrics.confidence import _places, _products_by_distance
from kerasgan3d.metrics.connectivity import percolating_voxels

SCRIPT = Path(__file__).parent / "benchmarks" / "confidence.py"


@pytest.fixture(scope="module")
def script():
    """The script that measures the coverage."""
    spec = importlib.util.spec_from_file_location("benchmark_confidence", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blobs(script, size=20, seed=0, share=0.4, periodic=True):
    field = script.field(np.random.default_rng(seed), size, 1.0, periodic)
    return Volume((field > stats.norm.isf(share)).astype(np.uint8), ("pore", "grain"), 0.5, periodic)


def test_intervals_hold_the_truth(script):
    """Of 80 intervals of 95 % four miss; fewer than 71 hold it with a probability of 1 in 100."""
    found = script.coverage(80, 16, 0.8, 0.35, True, surface=True)
    for case in found.values():
        assert 71 / 80 <= case["coverage"] <= 1


def shipped(name):
    """Return a measurement file of docs/benchmarks."""
    file = Path(__file__).parent.parent / "docs" / "benchmarks" / name
    if not file.is_file():
        pytest.skip("the tests were taken out of the repository")
    return json.loads(file.read_text("utf-8"))


def test_the_shipped_measurement_is_within_90_to_98_percent():
    found = shipped("confidence.json")
    assert found["volumes"] == 200
    for case in found["cases"]:
        for row in case["found"].values():
            assert 0.9 <= row["coverage"] <= 0.98


def test_the_shipped_measurement_of_records_is_within_90_to_98_percent():
    found = shipped("confidence-records.json")
    assert found["volumes"] == 200
    assert {"triple_phase_boundary_density", "active_triple_phase_boundary_density"} < set(found["found"]["fields"])
    for key, row in found["found"]["fields"].items():
        assert 0.9 <= row["coverage"] <= 0.98, key


@pytest.mark.parametrize("shape", [(5, 5, 6), (9, 8)])
@pytest.mark.parametrize("wraps", [False, True])
def test_sums_of_products_by_distance(shape, wraps):
    values = np.random.default_rng(0).standard_normal(shape)
    sums, counts = np.zeros(3), np.zeros(3)
    for one in np.ndindex(shape):
        for other in np.ndindex(shape):
            lag = np.subtract(one, other)
            if wraps:
                lag = (lag + np.array(shape) // 2) % shape - np.array(shape) // 2
            distance = round(float(np.sqrt((lag**2).sum())))
            if distance <= 2:
                sums[distance] += values[one] * values[other]
                counts[distance] += 1
    wraps = (wraps,) * len(shape)
    np.testing.assert_allclose(_products_by_distance(values, wraps, 2), sums, atol=1e-10)
    np.testing.assert_array_equal(_places(shape, wraps, 2), counts)


def test_of_independent_voxels_it_is_binomial():
    labels = (np.random.default_rng(0).random((24, 24, 24)) < 0.2).astype(np.uint8)
    half = volume_fraction_interval(labels).half_width
    # The window of the estimate holds a few dozen pairs: its variance scatters by some 10 % here.
    np.testing.assert_allclose(half, 1.96 * np.sqrt(0.16 / labels.size), rtol=0.2)


@pytest.mark.parametrize("slices", [False, True], ids=["volume", "slice"])
@pytest.mark.parametrize("periodic", [False, True])
def test_laws(script, periodic, slices):
    labels = blobs(script, 24, periodic=periodic).labels
    labels = labels[0] if slices else labels
    options = {"periodic": periodic}
    found = volume_fraction_interval(labels, **options)
    share = np.bincount(labels.ravel()) / labels.size
    np.testing.assert_allclose(
        found.half_width[0], found.half_width[1], rtol=1e-9
    )  # one phase is what the other is not
    np.testing.assert_allclose(found.low, np.maximum(share - found.half_width, 0))
    np.testing.assert_allclose(found.high, np.minimum(share + found.half_width, 1))
    turned = volume_fraction_interval(labels[::-1].swapaxes(0, 1), **options)
    np.testing.assert_allclose(turned, found, rtol=1e-9)
    wider = volume_fraction_interval(labels, 0.99, 0.1, **options)
    assert (wider.half_width > found.half_width).all()
    exact = 24 * (found.half_width / (0.05 * share)) ** (2 / labels.ndim)
    np.testing.assert_allclose(found.edge, exact)
    if periodic:
        rolled = volume_fraction_interval(np.roll(labels, 5, 0), **options)
        np.testing.assert_allclose(rolled, found, rtol=1e-9)


def test_what_cannot_be_told_is_nan():
    assert np.isnan(volume_fraction_interval(np.zeros((16, 16, 16), int), n_phases=2)).all()
    half = np.zeros((16, 16, 16), int)
    half[:8] = 1
    assert np.isnan(volume_fraction_interval(half).half_width).all()  # correlated over all of it


def test_measure_tells_it_where_it_is_asked_for(script):
    volume = blobs(script)
    record = measure(volume, confidence=True, within=0.1, shapes=False)
    sure = record.confidence
    assert (sure.level, sure.within) == (0.95, 0.1)
    assert set(sure.intervals) == {
        "volume_fraction",
        "specific_surface_area",
        "interfacial_area",
        "relative_diffusivity",
    }
    np.testing.assert_array_equal(sure["volume_fraction"], volume_fraction_interval(volume, within=0.1))
    halves = [volume.labels[z : z + 10, y : y + 10, x : x + 10] for z in (0, 10) for y in (0, 10) for x in (0, 10)]
    areas = np.array([specific_surface_area(part, voxel_size=0.5) for part in halves])
    expected = stats.t.ppf(0.975, 7) * areas.std(axis=0, ddof=1) / np.sqrt(8)
    factor = sure["specific_surface_area"].half_width / expected
    assert (factor > 1).all()  # the parts are neither independent nor large
    assert (factor < 2.7).all()  # the square root of 7: of parts that say nothing
    assert factor[0] == pytest.approx(factor[1], rel=1e-9)
    assert sure["relative_diffusivity"].half_width.shape == (2, 3)
    text = str(record)
    assert "± volume fraction" in text
    assert "edge for 10 %" in text
    plain = measure(volume, shapes=False)
    assert plain.confidence is None
    assert "confidence" not in plain.to_dict()
    again = record.to_dict()
    assert {key: value for key, value in again.items() if key != "confidence"} == plain.to_dict()
    json.dumps(again, allow_nan=False)
    assert Measurement.from_dict(again).to_dict() == again


def test_active_boundaries_of_parts_are_those_of_the_image(script):
    """What percolates in the image is active in its parts, few of which it percolates through."""
    volume = script.of_two_fields(0, 24)
    sure = measure(volume, confidence=True, shapes=False, transport=False).confidence
    active = np.where(percolating_voxels(volume.labels, periodic=(True,) * 3), volume.labels, 3)
    factors = []
    for key, labels in (("triple", volume.labels), ("active_triple", active)):
        parts = [labels[z : z + 12, y : y + 12, x : x + 12] for z in (0, 12) for y in (0, 12) for x in (0, 12)]
        found = [
            triple_phase_boundary_density(part, phases_triple=(0, 1, 2), voxel_size=1.0, n_phases=4) for part in parts
        ]
        expected = stats.t.ppf(0.975, 7) * np.std(found, ddof=1) / np.sqrt(8)
        factors.append(sure[f"{key}_phase_boundary_density"].half_width / expected)
    assert factors[0] == pytest.approx(factors[1], rel=1e-9)


def test_of_a_slice_and_without_a_voxel_size(script):
    labels = blobs(script).labels[0]
    sure = measure(labels, confidence=0.9).confidence
    assert set(sure.intervals) == {"volume_fraction"}
    assert "specific_surface_area" in measure(labels, voxel_size=0.5, confidence=0.9).confidence.intervals


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"confidence": 1.0}, "`confidence` must be a number between 0 and 1, such as 0.95. Received: 1.0"),
        ({"confidence": 95}, "`confidence` must be a number from 0 to 1. Received: 95"),
        ({"confidence": True, "within": 0}, "`within` must be a positive share"),
        ({"confidence": True, "exclude": "pore"}, "`confidence` must be left out where a part"),
        ({"confidence": True, "block": 8}, "`confidence` must be left out where a part"),
    ],
    ids=str,
)
def test_what_is_refused(script, options, message):
    with pytest.raises(ValueError, match=message):
        measure(blobs(script), **options)


def test_images_too_small_are_refused():
    with pytest.raises(ValueError, match="at least 16 voxels along each axis. Received: 16 x 15 x 16"):
        measure(np.zeros((16, 15, 16), int), confidence=True)


@pytest.mark.parametrize("record", [{}, [], {"level": 0.9, "within": 0.1, "intervals": {"volume_fraction": 1}}])
def test_records_that_are_none_are_refused(script, record):
    right = measure(blobs(script), transport=False, shapes=False, confidence=True).to_dict()
    wrong = {**right, "confidence": record}
    with pytest.raises(ValueError, match="`confidence` must be what `Confidence.to_dict` makes"):
        Measurement.from_dict(wrong)


def test_a_curve_of_sizes(script):
    volumes = [blobs(script, 20, seed) for seed in range(2)]
    curve = size_curve(volumes, ["volume_fraction", "specific_surface_area"], [5, 10, 20])
    assert curve.counts.tolist() == [128, 16, 2]
    expected = np.mean([volume.fractions for volume in volumes], axis=0)
    np.testing.assert_allclose(curve.mean["volume_fraction"], [expected] * 3)
    tiles = [(volume.labels[:10, :10, :10] == 1).mean() for volume in volumes]
    assert curve.std["volume_fraction"][0, 1] > curve.std["volume_fraction"][1, 1] > 0.01 * abs(np.diff(tiles)[0])
    half = stats.t.ppf(0.975, 15) * curve.std["volume_fraction"][1]
    exact = 10 * (half / (0.05 * expected)) ** (2 / 3)
    np.testing.assert_allclose(curve.edges("volume_fraction"), exact)
    assert size_curve(volumes[:1]).sizes.tolist() == [8, 10]
    with pytest.raises(ValueError, match="`sizes` must be from 2 to 20 voxels"):
        size_curve(volumes, sizes=[21])
    with pytest.raises(ValueError, match="`keys` must be of volume_fraction, .* Received: 'roundness'"):
        size_curve(volumes, ["roundness"])
    with pytest.raises(ValueError, match="must tell triple_phase_boundary_density"):
        size_curve(volumes, ["triple_phase_boundary_density"])
