import numpy as np
import pytest
from scipy import ndimage

from kerasgan3d import metrics
from kerasgan3d.metrics.ensemble import UNITS, measure_samples, random_windows, sample_values, windows_touching


def noise(*shape, phases=3, seed=0):
    return np.random.default_rng(seed).integers(phases, size=shape, dtype=np.uint8)


def test_windows_lie_within_and_never_come_twice():
    corners = random_windows((5, 6, 7), 4, 20, seed=3)
    assert corners.shape == (20, 3)
    assert len({tuple(corner) for corner in corners}) == 20
    assert (corners >= 0).all()
    assert (corners <= (1, 2, 3)).all()


def test_all_places_are_drawn_where_there_are_fewer_than_asked_for():
    corners = random_windows((3, 4), 3, 100)
    assert sorted(map(tuple, corners)) == [(0, 0), (0, 1)]


def test_places_are_equally_likely():
    drawn = np.concatenate([random_windows((6,) * 2, 3, 4, seed=k) for k in range(500)])
    counts = np.unique(drawn, axis=0, return_counts=True)[1]
    assert len(counts) == 16
    assert abs(counts - 125).max() < 5 * np.sqrt(125 * 0.75)


def test_the_seed_names_the_windows():
    first, again, other = (random_windows((50, 60), 8, 10, seed=seed) for seed in (4, 4, 5))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("shape", [(9, 11), (6, 7, 8)])
def test_no_window_touches_what_is_excluded(shape):
    excluded = np.zeros(shape, bool)
    excluded[2, 3] = True
    corners = random_windows(shape, 3, 10**6, excluded=excluded)
    free = [c for c in np.ndindex(*(n - 2 for n in shape)) if not excluded[tuple(slice(k, k + 3) for k in c)].any()]
    assert sorted(map(tuple, corners)) == free


def test_nothing_excluded_is_as_no_mask():
    mask = np.zeros((9, 9), bool)
    np.testing.assert_array_equal(random_windows((9, 9), 4, 7, seed=1, excluded=mask), random_windows((9, 9), 4, 7, 1))


def test_windows_touching_agrees_with_looking_at_each():
    mask = np.random.default_rng(0).random((5, 6, 4)) < 0.05
    found = windows_touching(mask, (2, 3, 4))
    expected = [mask[z : z + 2, y : y + 3, x : x + 4].any() for z, y, x in np.ndindex(*found.shape)]
    assert found.shape == (4, 4, 1)
    np.testing.assert_array_equal(found.ravel(), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 7}, r"`size` must be at most the smallest dimension .*7 voxels, and an image of 6 x 8"),
        ({"size": 0}, r"`size` must be an integer of at least 1\. Received: 0"),
        ({"count": 0}, r"`count` must be an integer of at least 1"),
        ({"excluded": np.ones((6, 8), bool)}, r"There must be room for a sub-volume outside what is excluded"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_windows_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        random_windows(**{"shape": (6, 8), "size": 3, "count": 4, **options})


def test_every_measure_of_a_sub_volume_is_that_of_its_function():
    samples = [noise(8, 8, 8, seed=seed) for seed in range(3)]
    found = measure_samples(samples, n_phases=3, voxel_size=0.5, max_lag=4, workers=1)
    assert set(found) == {*UNITS, "two_point_correlation", "granulometry"}
    sample, options = samples[1], {"voxel_size": 0.5, "n_phases": 3}
    areas = metrics.interfacial_areas(sample, **options)
    for key, expected in {
        "volume_fraction": metrics.volume_fractions(sample),
        "specific_surface_area": metrics.specific_surface_area(sample, **options),
        "specific_surface_area_marching_cubes": metrics.specific_surface_area(sample, "marching_cubes", **options),
        "interfacial_area": [areas[0, 1], areas[0, 2], areas[1, 2]],
        "triple_phase_boundary_density": metrics.triple_phase_boundary_density(sample, **options),
        "active_triple_phase_boundary_density": metrics.triple_phase_boundary_density(sample, True, **options),
        "connected_fraction": metrics.connected_fractions(sample),
        "mean_chord_length": metrics.chord_lengths(sample, **options).mean,
        "euler_characteristic": metrics.euler_characteristic(sample, **options),
        "speck_density": metrics.specks(sample, **options).number,
        "hole_density": metrics.specks(sample, **options).holes,
        "two_point_correlation": metrics.two_point_correlation(sample, 4),
        # As S2 is: what begins with the volume fraction, so that means over means are shares.
        "granulometry": metrics.granulometry(sample, edges="open") * metrics.volume_fractions(sample)[:, None],
    }.items():
        np.testing.assert_array_equal(found[key][1], expected, err_msg=key)
    expected = [[metrics.relative_diffusivity(sample, phase, axis) for axis in range(3)] for phase in range(3)]
    np.testing.assert_allclose(found["relative_diffusivity"][1], expected, rtol=1e-7)


def test_two_phases_have_no_triple_phase_boundary_and_transport_is_optional():
    found = measure_samples([noise(6, 6, 6, phases=2)], n_phases=2, voxel_size=1, transport=False, workers=1)
    assert not {"triple_phase_boundary_density", "relative_diffusivity"} & set(found)
    assert found["interfacial_area"].shape == (1, 1)


def test_slices_in_three_directions_estimate_the_volume_without_bias():
    # The stereological identities hold exactly for the mean over all slices of a periodic volume; a volume that is
    # mirrored at its faces is one, and its slices lack only the faces of the outer boundary, as the volume does.
    volume = np.repeat(np.repeat(np.repeat(noise(6, 6, 6), 4, 0), 4, 1), 4, 2)
    slices = [np.take(volume, k, axis) for axis in range(3) for k in range(24)]
    of_slices = measure_samples(slices, n_phases=3, voxel_size=0.1, workers=1)
    of_volume = measure_samples([volume], n_phases=3, voxel_size=0.1, transport=False, workers=1)
    for key in ("volume_fraction", "specific_surface_area", "interfacial_area", "triple_phase_boundary_density"):
        np.testing.assert_allclose(of_slices[key].mean(0), of_volume[key][0], rtol=1e-12, err_msg=key)


def test_slices_of_random_structure_have_its_chords_along_their_axes():
    volume = ndimage.gaussian_filter(noise(48, 48, 48, phases=2).astype(float), 1.5, mode="wrap")
    labels = (volume > volume.mean()).astype(np.uint8)
    of_slices = measure_samples(list(labels), n_phases=2, voxel_size=0.25, workers=1)["mean_chord_length"]
    assert of_slices.shape == (48, 2, 2)
    of_volume = metrics.chord_lengths(labels, voxel_size=0.25).mean
    # Chords per length add up over slices of one share; these means of ratios come close.
    np.testing.assert_allclose(of_slices.mean(0), of_volume[:, 1:], rtol=0.03)
    share = np.stack([labels == phase for phase in range(2)]).mean((2, 3)).T
    number = (share[..., None] / of_slices).mean(0)
    np.testing.assert_allclose(share.mean(0)[:, None] / number, of_volume[:, 1:], rtol=1e-12)


def test_what_is_of_slices_alone_is_that_of_its_function():
    sample = noise(12, 12)
    found = measure_samples([sample], n_phases=3, voxel_size=0.5, max_lag=2, workers=1)
    options = {"voxel_size": 0.5, "n_phases": 3}
    fractions = np.bincount(sample.ravel()) / sample.size
    for key, expected in {
        "granulometry": metrics.granulometry(sample, edges="open", n_phases=3) * fractions[:, None],
        "mean_chord_length": metrics.chord_lengths(sample, **options).mean,
        "euler_characteristic": metrics.euler_characteristic(sample, **options),
        "speck_density": metrics.specks(sample, **options).number,
        "hole_density": metrics.specks(sample, **options).holes,
    }.items():
        np.testing.assert_array_equal(found[key][0], expected, err_msg=key)


def test_the_old_keyword_warns():
    with pytest.warns(DeprecationWarning, match="`phases` is called `n_phases` now"):
        found = measure_samples([noise(4, 4, 4)], phases=3, voxel_size=1, transport=False, workers=1)
    assert found["volume_fraction"].shape == (1, 3)


def test_the_number_of_workers_changes_nothing():
    samples = [noise(12, 12, 12, seed=seed) for seed in range(5)]
    calls = []
    one, two = (
        measure_samples(samples, n_phases=3, voxel_size=0.5, workers=n, progress=lambda *done: calls.append(done))
        for n in (1, 2)
    )
    assert set(one) == set(two)
    for key in one:
        np.testing.assert_array_equal(one[key], two[key], err_msg=key)
    assert calls == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)] * 2


def test_one_worker_starts_no_process(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a process was started")

    monkeypatch.setattr("kerasgan3d.metrics._workers.ProcessPoolExecutor", refuse)
    samples = [noise(6, 6, 6), noise(6, 6, 6, seed=1)]
    measure_samples(samples, n_phases=3, voxel_size=1, workers=1)
    with pytest.raises(AssertionError):
        measure_samples(samples, n_phases=3, voxel_size=1, workers=2)


def test_a_script_needs_no_guard(tmp_path):
    import subprocess
    import sys

    script = tmp_path / "script.py"
    script.write_text(
        "import numpy as np\n"
        "from kerasgan3d.metrics.ensemble import measure_samples\n"
        "print('once')\n"
        "samples = [np.eye(5, dtype=np.uint8)[None].repeat(5, 0)] * 2\n"
        "print(measure_samples(samples, n_phases=2, voxel_size=1, transport=False, workers=2)['volume_fraction'][1])\n"
        "print(__file__ is not None)\n"
    )
    result = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120)
    assert result.stdout.split("\n")[:3] == ["once", "[0.8 0.2]", "True"], result.stderr


def test_inputs_and_environment_stay_as_they_are(monkeypatch):
    import os

    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    sample = noise(6, 6, 6)
    sample.setflags(write=False)
    measure_samples([sample, sample], n_phases=3, voxel_size=1, workers=2)
    assert os.environ["OMP_NUM_THREADS"] == "7"


def test_values_go_through_json_to_six_digits():
    import json

    measured = measure_samples([noise(7, 7, 7), noise(7, 7, 7, seed=1)], n_phases=3, voxel_size=0.3, workers=1)
    values = json.loads(json.dumps(sample_values(measured), allow_nan=False))
    assert set(values) == set(UNITS)
    for key, kept in values.items():
        np.testing.assert_allclose(kept, measured[key], rtol=5e-6, err_msg=key)
    assert len(str(values["specific_surface_area"][0][0])) <= 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"samples": []}, r"`samples` must be sub-volumes of one size"),
        ({"samples": [noise(4, 4, 4), noise(5, 5, 5)]}, r"of shapes \[\(4, 4, 4\), \(5, 5, 5\)\]"),
        ({"samples": [noise(4, 4, 4).astype(float)]}, r"Labels must be integers"),
        ({"n_phases": 2}, r"The number of phases must be more than the highest label"),
        ({"voxel_size": None}, r"The voxel size is unknown"),
        ({"workers": 0}, r"`workers` must be an integer of at least 1"),
        ({"max_lag": 4}, r"`max_lag` must be an integer from 0 to 3"),
    ],
    ids=["none", "sizes", "floats", "phases", "voxel-size", "workers", "max-lag"],
)
def test_bad_input_is_refused(change, message):
    given = {"samples": [noise(4, 4, 4)] * 2, "n_phases": 3, "voxel_size": 1.0, **change}
    samples = given.pop("samples")
    with pytest.raises(ValueError, match=message):
        measure_samples(samples, **given)
