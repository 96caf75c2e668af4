"""What is measured on request: particles, lineal paths, deviations of profiles, in records and in comparisons."""

import json

import numpy as np
import pytest

from kerasgan3d import Volume, compare, measure
from kerasgan3d.metrics import fraction_profiles, lineal_path, particles
from kerasgan3d.metrics._measure import CURVES, PER_PHASE, PER_PHASE_AND_AXIS
from kerasgan3d.metrics.ensemble import measure_samples, sample_values
from kerasgan3d.metrics.record import Measurement
from kerasgan3d.metrics.registry import COMPARED, COMPARED_CURVES, MEASURES, ON_REQUEST, SAMPLED, places
from kerasgan3d.metrics.summary import summarise
from kerasgan3d.report.record import ComparisonRecord

PHASES = ("pore", "NMC", "CBD")
QUICK = {"count": 4, "size": 12, "classifier": False, "nearest": 0, "transport": False, "workers": 1}
ASKED = {"particles": True, "permeability": True}
OF_SUB_VOLUMES = [row for row in ON_REQUEST.values() if row.sampled]


def volume(shape=(14, 13, 12), periodic=True):
    return Volume(np.random.default_rng(0).integers(0, 3, shape).astype(np.uint8), PHASES, 0.5, periodic)


def balls(shape, *centres, radius=6.0):
    """Balls of phase 1 with centres in voxels."""
    grid = np.stack(np.indices(shape), -1) + 0.5
    return np.any([((grid - centre) ** 2).sum(-1) <= radius**2 for centre in centres], axis=0).astype(np.uint8)


@pytest.fixture(scope="module")
def record():
    return measure(volume(), transport=False, max_lag=4, **ASKED)


@pytest.mark.parametrize("row", ON_REQUEST.values(), ids=list(ON_REQUEST))
def test_a_row_says_what_it_is(row, record):
    assert row.key not in MEASURES
    assert row.method.endswith(".")
    assert (row.section is None) == (row.figure is None)
    shapes = {PER_PHASE: (3,), PER_PHASE_AND_AXIS: (3, 3), CURVES: (3, 3, 5)}
    assert np.shape(record[row.key]) == shapes[row.shape]
    assert measure(volume(), transport=False, shapes=False)[row.key] is None
    of_slice = measure(volume().labels[0], voxel_size=0.5, phases=PHASES, particles=True)
    assert (of_slice[row.key] is None) == (row.of_slice is None)
    assert (row.key in of_slice.stereology) == row.stereology


def test_records_of_it_go_to_json_tables_and_summaries(record):
    found = record.to_dict()
    assert Measurement.from_dict(json.loads(json.dumps(found))).to_dict() == found
    assert set(ON_REQUEST) <= set(found)
    assert "median particle diameter" in str(record)
    assert not set(ON_REQUEST) & set(measure(volume(), transport=False, shapes=False).to_dict())
    summary = summarise({"a": record, "b": record})
    assert set(ON_REQUEST) <= set(summary.mean)
    named = summary.to_dict()
    assert set(named["mean"]["permeability"]["pore"]) == {"z", "y", "x"}
    assert named["units"]["particle_diameter"] == "µm"


def test_particles_of_balls():
    # Two balls that touch and one across the corner of a periodic volume, of 6 voxels each.
    labels = balls((30, 30, 30), (10, 10, 9), (10, 10, 20))
    labels |= np.roll(balls((30, 30, 30), (15, 15, 15)), (15, 15, 15), (0, 1, 2))
    grown = Volume(labels, ("pore", "grain"), 0.5, True)
    record = measure(grown, transport=False, shapes=False, particles=True)
    assert record.particle_diameter[1] == pytest.approx(6, rel=0.02)
    assert record.particle_sphericity[1] == pytest.approx(1, abs=0.05)
    found = particles(grown, "grain")
    assert len(found) == 3
    assert record.particle_contact_area[1] == pytest.approx(found.contact[:, 1].sum() / 2 / 15**3)


def test_what_the_image_cuts_is_a_surface_of_the_particle():
    # Half a ball: of the volume 2/3 pi r³ and the surface 3 pi r².
    labels = balls((20, 24, 24), (0, 12, 12), radius=10)
    half = measure(labels, voxel_size=1, transport=False, shapes=False, particles=True)
    assert half.particle_sphericity[1] == pytest.approx(4 ** (2 / 3) / 3, rel=0.06)
    assert half.particle_diameter[1] == pytest.approx(20 * 0.5 ** (1 / 3), rel=0.02)


@pytest.mark.parametrize(("label", "expected"), [(0, [np.nan, 0.0]), (1, [0.0, np.nan])])
def test_a_phase_that_is_absent_or_alone(label, expected):
    record = measure(np.full((8, 8, 8), label, np.uint8), phases=2, voxel_size=1, transport=False, particles=True)
    for key in ("particle_diameter", "particle_sphericity", "particle_contact_area"):
        np.testing.assert_array_equal(record[key], expected)


def test_curves_and_profiles_are_those_of_their_functions(record):
    np.testing.assert_array_equal(record.lineal_path, lineal_path(volume(), 4))
    profiles = fraction_profiles(volume())
    np.testing.assert_allclose(record.fraction_profile_spread[:, 1], profiles[1].std(axis=1))


def test_what_is_no_bool_is_refused():
    with pytest.raises(ValueError, match=r"`particles` must be a bool. Received: 2"):
        measure(volume(), particles=2)


@pytest.mark.parametrize("options", [{"block": 8}, {"exclude": ["pore"]}])
def test_neither_parts_nor_blocks_have_particles(options):
    with pytest.raises(ValueError, match="`particles` must be left out where a part of an image is measured, or block"):
        measure(volume(), particles=True, **options)


@pytest.mark.parametrize("row", OF_SUB_VOLUMES, ids=lambda row: row.key)
def test_every_value_of_a_sub_volume_has_a_place(row):
    found = measure_samples([volume().labels], n_phases=3, voxel_size=0.5, workers=1, transport=False, particles=True)
    if row.is_curve:
        assert row.key in COMPARED_CURVES
        return
    assert row.key in set(COMPARED) - set(SAMPLED)
    single = [place for place in places(row, PHASES) if not any(isinstance(part, slice) for part in place.index)]
    assert len(single) == np.size(found[row.key][0])
    assert np.isfinite(found[row.key]).all()
    assert row.key in sample_values(found)


@pytest.fixture(scope="module")
def compared():
    return compare(volume((20, 20, 20)), [volume((16, 16, 16))], particles=True, **QUICK)


def test_a_comparison_judges_and_draws_it(compared, tmp_path):
    assert compared.measure("particle_diameter", "NMC").generated_mean > 0
    assert compared.record.curves["lineal_path"].axes == ["z", "y", "x"]
    tests = {verdict.test for verdict in compared.verdicts}
    assert {"median particle diameter", "lineal path", "deviation of profiles"} <= tests
    again = ComparisonRecord.from_dict(json.loads(json.dumps(compared.to_dict())))
    assert again.to_dict() == compared.to_dict()
    compared.save(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "Curves of lineal path, by phase, real and generated." in page
    assert "Box plots of median particle diameters, real and generated." in page
    assert compared.record.excerpt().to_dict()["curves"]["lineal_path"]["worst"] is not None


def test_a_comparison_has_it_on_request_alone():
    found = compare(volume((20, 20, 20)), [volume((16, 16, 16))], **QUICK)
    assert not {row.key for row in found.record.measures} & set(ON_REQUEST)
    assert "lineal_path" not in found.record.curves


def reference(samples, extra):
    """Statistics of sub-volumes, with or without what is measured on request."""
    measured = measure_samples(samples, n_phases=3, voxel_size=0.5, transport=False, particles=extra, workers=1)
    mean = {key: values.mean(0).tolist() for key, values in measured.items()}
    made_of = {"count": len(samples), "size": 12, "dimensions": 3, "seed": 0}
    statistics = {"phases": list(PHASES), "voxel_size": 0.5, "sub_volumes": made_of, "mean": mean}
    return statistics | {"std": {}, "samples": sample_values(measured)}


@pytest.mark.parametrize("extra", [False, True])
def test_references_with_and_without_it_are_compared(extra):
    samples = [np.random.default_rng(seed).integers(0, 3, (12, 12, 12)).astype(np.uint8) for seed in range(4)]
    found = compare(reference(samples, extra), [volume((16, 16, 16))], particles=True, **QUICK)
    row = found.measure("particle_diameter", "NMC")
    assert (row.real_mean is not None) == extra
    assert row.generated_mean is not None
    assert ("lineal_path" in found.record.curves) == extra
