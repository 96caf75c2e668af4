import json

import numpy as np
import pytest

from kerasgan3d import metrics
from kerasgan3d.material.statistics import fidelity, fidelity_facts, reference_statistics, summarise

NAMES = ("pore", "Ni", "YSZ")


def material(shape=(28, 26, 24), phases=3, scale=4, seed=0):
    """Blocks of random phases."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, phases, [-(-n // scale) for n in shape]).astype("uint8")
    for axis in range(len(shape)):
        blocks = blocks.repeat(scale, axis)
    return blocks[tuple(slice(n) for n in shape)]


@pytest.fixture(scope="module")
def reference():
    return reference_statistics(material(), NAMES, 0.5, size=16, count=6)


def test_statistics_say_what_they_are_of(reference):
    assert json.loads(json.dumps(reference, allow_nan=False)) == reference
    assert (reference["phases"], reference["voxel_size"]) == (list(NAMES), 0.5)
    assert reference["sub_volumes"] == {"count": 6, "size": 16, "dimensions": 3, "seed": 0}
    bulk = np.bincount(material().ravel()) / material().size
    np.testing.assert_allclose(reference["bulk"]["volume_fraction"], bulk)
    for statistics in (reference["mean"], reference["std"]):
        assert len(statistics["volume_fraction"]) == 3
        assert len(statistics["specific_surface_area"]) == 3
    assert np.shape(reference["mean"]["two_point_correlation"]) == (3, 3, 16)


def test_correlations_are_normalised(reference):
    s2 = np.array(reference["mean"]["two_point_correlation"])
    np.testing.assert_allclose(s2[..., 0], 1.0)
    assert (s2 <= 1 + 1e-12).all()


def test_means_and_deviations_are_those_of_the_samples():
    samples = [material((16, 16, 16), seed=seed) for seed in range(4)]
    found = summarise(samples, 3, 0.5)
    fractions = np.array([metrics.volume_fractions(sample, n_phases=3) for sample in samples])
    np.testing.assert_allclose(found["mean"]["volume_fraction"], fractions.mean(0))
    np.testing.assert_allclose(found["std"]["volume_fraction"], fractions.std(0, ddof=1))
    areas = [metrics.specific_surface_area(sample, voxel_size=0.5, periodic=False, n_phases=3) for sample in samples]
    np.testing.assert_allclose(found["mean"]["specific_surface_area"], np.mean(areas, 0))
    lines = [metrics.triple_phase_boundary_density(s, voxel_size=0.5, periodic=False, n_phases=3) for s in samples]
    assert found["mean"]["triple_phase_boundary_density"] == pytest.approx(np.mean(lines))


def test_one_sample_has_no_deviation():
    assert set(summarise([material((8, 8, 8))], 3, 1.0)["std"].values()) == {None}


def test_a_phase_that_is_absent_is_no_obstacle():
    found = summarise([np.zeros((8, 8, 8), "uint8"), material((8, 8, 8))], 3, 1.0)
    assert np.isfinite(found["mean"]["two_point_correlation"]).all()
    empty = summarise([np.zeros((8, 8, 8), "uint8")], 3, None)
    assert json.dumps(empty, allow_nan=False)


@pytest.mark.parametrize("phases", [2, 3])
@pytest.mark.parametrize("voxel_size", [0.5, None])
def test_identical_statistics_have_no_error(phases, voxel_size):
    names = NAMES[:phases]
    one = reference_statistics(material(phases=phases), names, voxel_size, size=16, count=4)
    found = fidelity(one, one)
    assert found["error"] == 0
    assert found["two_point_correlation"] == 0
    assert not np.any(found["volume_fraction"])
    assert ("triple_phase_boundary_density" in found) == (phases == 3)


def test_differences_are_relative():
    def statistics(fractions, area, line, s2):
        return {
            "mean": {
                "volume_fraction": fractions,
                "specific_surface_area": area,
                "triple_phase_boundary_density": line,
                "two_point_correlation": np.array(s2)[:, None],
            }
        }

    real = statistics([0.5, 0.5], [2.0, 2.0], 4.0, [[1.0, 0.5], [1.0, 0.25]])
    fake = statistics([0.4, 0.6], [3.0, 2.0], 3.0, [[1.0, 0.55, 0.1], [1.0, 0.25, 0.1]])
    found = fidelity(real, fake)
    np.testing.assert_allclose(found["volume_fraction"], [-0.2, 0.2])
    np.testing.assert_allclose(found["specific_surface_area"], [0.5, 0.0])
    assert found["triple_phase_boundary_density"] == pytest.approx(-0.25)
    assert found["two_point_correlation"] == pytest.approx(0.05)
    assert found["error"] == pytest.approx(np.mean([0.2, 0.5, 0.25, 0.05]))


def test_other_materials_differ(reference):
    coarse = reference_statistics(material(scale=8), NAMES, 0.5, size=16, count=6)
    assert fidelity(reference, coarse)["error"] > 0.1


def test_all_slices_tell_of_their_volume():
    # Over all slices of the three directions, the estimates of 3D measures from slices are identities.
    volume = material((12, 12, 12), scale=3)
    slices = [np.take(volume, i, axis) for axis in range(3) for i in range(12)]
    flat, solid = summarise(slices, 3, 0.5), summarise([volume], 3, 0.5)
    np.testing.assert_allclose(flat["mean"]["volume_fraction"], solid["mean"]["volume_fraction"])
    # Twelve planes of voxels have eleven faces between them: both kinds are counted alike.
    np.testing.assert_allclose(flat["mean"]["specific_surface_area"], solid["mean"]["specific_surface_area"])


def test_one_slice_is_compared_with_volumes():
    volumes = summarise([material((24, 24, 24), seed=seed) for seed in range(3)], 3, 0.5)
    flat = reference_statistics(material((60, 60)), NAMES, 0.5, size=24, count=20)
    assert flat["sub_volumes"]["dimensions"] == 2
    assert np.shape(flat["mean"]["two_point_correlation"]) == (3, 2, 24)
    found = fidelity(flat, volumes)
    assert 0 < found["error"] < 0.5


def test_the_facts_have_both_sides(reference):
    facts = fidelity_facts(reference, reference)
    assert json.dumps(facts, allow_nan=False)
    for key in ("volume_fraction", "specific_surface_area", "triple_phase_boundary_density"):
        values = facts["fidelity"][key]
        assert values["real"] == values["generated"] == reference["mean"][key]
        assert values["real_std"] == values["generated_std"] == reference["std"][key]
    assert facts["two_point_correlation"] == {"difference": 0.0, "max_lag": 32}


def test_reference_statistics_do_not_see_what_is_excluded():
    labels = np.zeros((40, 40), "uint8")
    labels[:, ::2] = 1
    excluded = np.zeros(labels.shape, bool)
    excluded[18:22, 10:30] = True
    labels[excluded] = 2
    seen = reference_statistics(labels, NAMES, 0.5, size=8, count=50)
    unseen = reference_statistics(labels, NAMES, 0.5, size=8, count=50, excluded=excluded)
    assert seen["mean"]["volume_fraction"][2] > 0
    assert unseen["mean"]["volume_fraction"] == pytest.approx([0.5, 0.5, 0])
    assert unseen["bulk"]["volume_fraction"] == pytest.approx([0.5, 0.5, 0])
    with pytest.raises(ValueError, match="beside what is excluded"):
        reference_statistics(labels, NAMES, 0.5, size=30, count=1, excluded=excluded)
