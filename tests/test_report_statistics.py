import json

import numpy as np
import pytest
from scipy import stats

from kerasgan3d.metrics.ensemble import measure_samples, sample_values
from kerasgan3d.report.record import plain
from kerasgan3d.report.statistics import correlation_record, delta_ssa, measure_rows, reference_values

PHASES = ("pore", "Ni", "YSZ")


def measured(count, seed, size=8):
    rng = np.random.default_rng(seed)
    samples = rng.integers(3, size=(count, size, size, size), dtype=np.uint8)
    return measure_samples(list(samples), n_phases=3, voxel_size=0.5, workers=1, transport=False)


REAL, GENERATED = measured(6, 0), measured(5, 1)


def row(rows, key, phase=None, other=None, axis=None):
    (found,) = (r for r in rows if (r["key"], r["phase"], r["other"], r["axis"]) == (key, phase, other, axis))
    return found


def test_a_row_holds_the_values_and_what_follows_from_them():
    found = row(measure_rows(REAL, GENERATED, PHASES), "specific_surface_area", "Ni")
    real, generated = REAL["specific_surface_area"][:, 1], GENERATED["specific_surface_area"][:, 1]
    assert (found["real"], found["generated"]) == (real.tolist(), generated.tolist())
    assert found["relative_difference"] == pytest.approx(generated.mean() / real.mean() - 1)
    assert found["deviation_ratio"] == pytest.approx(generated.std(ddof=1) / real.std(ddof=1))
    assert (found["ks_distance"], found["ks_p"]) == pytest.approx(tuple(stats.ks_2samp(real, generated)))
    assert (found["unit"], found["estimated"]) == ("1/µm", False)


def test_there_is_one_row_per_phase_pair_and_axis():
    values = {"relative_diffusivity": np.arange(18.0).reshape(2, 3, 3)}
    rows = measure_rows(REAL | values, GENERATED | values, PHASES)
    counts = {key: sum(r["key"] == key for r in rows) for key in ("volume_fraction", "interfacial_area")}
    assert counts == {"volume_fraction": 3, "interfacial_area": 3}
    assert sum(r["key"] == "connected_fraction" for r in rows) == 9
    assert sum(r["key"] == "active_triple_phase_boundary_density" for r in rows) == 1
    assert row(rows, "interfacial_area", "Ni", "YSZ")["real"] == REAL["interfacial_area"][:, 2].tolist()
    assert row(rows, "relative_diffusivity", "Ni", axis="y")["real"] == [4, 13]
    assert row(rows, "relative_diffusivity", "Ni", axis="mean")["real"] == [4, 13]
    assert row(rows, "relative_diffusivity", "YSZ", axis="mean")["real_mean"] == 11.5


def test_the_same_on_both_sides_does_not_differ():
    for found in measure_rows(REAL, REAL, PHASES):
        assert found["ks_distance"] == 0
        assert found["relative_difference"] in (0, None)
        assert found["deviation_ratio"] in (1, None)


def test_what_has_no_value_is_none_and_json_holds_the_rest():
    nothing = {"connected_fraction": np.zeros((1, 3, 3)), "volume_fraction": np.zeros((1, 3))}
    rows = measure_rows(nothing, nothing, PHASES)
    found = row(rows, "volume_fraction", "pore")
    assert (found["relative_difference"], found["deviation_ratio"], found["real_std"]) == (None, None, None)
    json.dumps(plain(rows), allow_nan=False)


def test_correlations_are_normalised_with_a_band_of_what_single_sub_volumes_show():
    real, generated = REAL["two_point_correlation"], GENERATED["two_point_correlation"]
    found = correlation_record(real, generated, "zyx")
    mean = real.mean(0) / real.mean(0)[..., :1]
    np.testing.assert_allclose(found["real"]["mean"], mean)
    single = real / real[..., :1]
    np.testing.assert_allclose(found["real"]["low"], np.percentile(single, 5, axis=0))
    np.testing.assert_allclose(found["real"]["high"], np.percentile(single, 95, axis=0))
    difference = generated.mean(0) / generated.mean(0)[..., :1] - mean
    np.testing.assert_allclose(found["largest_difference"], abs(difference).max(-1))
    assert (found["lags"], found["axes"]) == (list(range(5)), ["z", "y", "x"])


def test_a_phase_that_is_absent_has_no_correlation():
    values = np.ones((4, 2, 1, 3)) * np.array([[[1], [0.0]]])[:, :, :, None].reshape(1, 2, 1, 1)
    values[0, 1] = (0.5, 0.25, 0.125)
    found = correlation_record(values, values * [[[[1]], [[0]]]], ["x"])
    assert found["real"]["mean"][1] == [[1.0, 0.5, 0.25]]
    assert found["real"]["low"][1] == [[1.0, 0.5, 0.25]]
    assert found["generated"]["mean"][1] == [[None] * 3]
    assert found["largest_difference"] == [[0.0], [None]]
    json.dumps(plain(found), allow_nan=False)


def test_delta_ssa_is_the_relative_difference_of_surfaces_and_of_slopes_in_percent():
    rows = measure_rows(REAL, GENERATED, PHASES)
    found = delta_ssa(rows, PHASES)
    ratio = GENERATED["specific_surface_area"].mean(0) / REAL["specific_surface_area"].mean(0)
    np.testing.assert_allclose(found, 100 * (ratio - 1))
    # 1/2 of the area of the faces normal to an axis is what S2 falls by at the first step along it; at an end that is
    # not periodic a voxel lacks its neighbour, which is of no account here but for a per cent of chance.
    slopes = [
        (s["two_point_correlation"][..., 0] - s["two_point_correlation"][..., 1]).sum(-1).mean(0)
        for s in (REAL, GENERATED)
    ]
    np.testing.assert_allclose(found, 100 * (slopes[1] / slopes[0] - 1), atol=2)


def reference(samples=True):
    mean = REAL["two_point_correlation"].mean(0)
    statistics = {
        "mean": {
            "volume_fractions": REAL["volume_fraction"].mean(0).tolist(),
            "specific_surface_area": REAL["specific_surface_area"].mean(0).tolist(),
            "triple_phase_boundary_density": REAL["triple_phase_boundary_density"].mean(0).tolist(),
            "two_point_correlation": (mean / mean[..., :1]).tolist(),
        },
        "std": {"volume_fractions": REAL["volume_fraction"].std(0, ddof=1).tolist()},
    }
    return {**statistics, "samples": sample_values(REAL)} if samples else statistics


def test_statistics_with_samples_are_as_good_as_data():
    rows = measure_rows(reference_values(reference()), GENERATED, PHASES)
    for found, expected in zip(rows, measure_rows(REAL, GENERATED, PHASES), strict=True):
        assert found["ks_distance"] == pytest.approx(expected["ks_distance"], abs=1e-12)
        assert found["real_mean"] == pytest.approx(expected["real_mean"], rel=1e-5)


def test_statistics_without_samples_compare_means():
    rows = measure_rows(reference_values(reference(samples=False)), GENERATED, PHASES)
    full = measure_rows(REAL, GENERATED, PHASES)
    for key in ("volume_fraction", "specific_surface_area"):
        found, expected = row(rows, key, "YSZ"), row(full, key, "YSZ")
        assert found["relative_difference"] == pytest.approx(expected["relative_difference"])
        assert (found["real"], found["ks_distance"]) == (None, None)
    assert row(rows, "volume_fraction", "YSZ")["deviation_ratio"] is not None
    assert row(rows, "specific_surface_area", "YSZ")["deviation_ratio"] is None
    assert row(rows, "triple_phase_boundary_density")["real_mean"] == pytest.approx(
        REAL["triple_phase_boundary_density"].mean()
    )
    assert row(rows, "connected_fraction", "pore", axis="z")["real_mean"] is None
    curve = np.array(reference()["mean"]["two_point_correlation"])
    found = correlation_record(curve, GENERATED["two_point_correlation"], "zyx")
    np.testing.assert_allclose(found["real"]["mean"], curve)
    assert found["real"]["low"] is None


@pytest.mark.parametrize("samples", [True, False], ids=["samples", "means"])
def test_statistics_in_voxels_become_micrometres(samples):
    statistics = {**reference(samples), "voxel_size": None}
    in_voxels, known = reference_values(statistics), reference_values(statistics, 0.5)
    for key, factor in {"volume_fraction": 1, "specific_surface_area": 2, "triple_phase_boundary_density": 4}.items():
        np.testing.assert_allclose(known[key], factor * np.array(in_voxels[key]))
    stated = reference_values({**statistics, "voxel_size": 0.25}, 0.5)
    np.testing.assert_array_equal(stated["specific_surface_area"], in_voxels["specific_surface_area"])


def test_numbers_of_slices_in_voxels_become_micrometres_by_their_own_power():
    values = {"euler_characteristic": [[0.1, -0.2, 0.3]], "mean_chord_length": [[[4.0, 5.0]] * 3]}
    for dimensions, factor in ((2, 4), (3, 8)):
        facts = {"mean": {}, "voxel_size": None, "sub_volumes": {"dimensions": dimensions}, "samples": values}
        known = reference_values(facts, 0.5)
        np.testing.assert_allclose(known["euler_characteristic"], factor * np.array(values["euler_characteristic"]))
        np.testing.assert_allclose(known["mean_chord_length"], 0.5 * np.array(values["mean_chord_length"]))


def test_plain_values():
    value = {"a": np.array([1.0, np.nan]), "b": [np.float32(0.5), np.inf, None, "x"], "c": np.int64(3)}
    assert plain(value) == {"a": [1.0, None], "b": [0.5, None, None, "x"], "c": 3}
