import subprocess
import sys
from functools import partial
from inspect import signature

import numpy as np
import pytest

from kerasgan3d import metrics
from kerasgan3d.volume import Volume

LABELS = np.arange(24).reshape(2, 3, 4) % 3
MEASURES = {
    "volume_fractions": metrics.volume_fractions,
    "specific_surface_area": partial(metrics.specific_surface_area, voxel_size=1.0),
    "interfacial_areas": partial(metrics.interfacial_areas, voxel_size=1.0),
    "triple_phase_boundary_density": partial(metrics.triple_phase_boundary_density, voxel_size=1.0),
    "connected_fractions": metrics.connected_fractions,
    "percolating_voxels": metrics.percolating_voxels,
    "two_point_correlation": metrics.two_point_correlation,
    "normalised_two_point_correlation": metrics.normalised_two_point_correlation,
    "radial_two_point_correlation": metrics.radial_two_point_correlation,
}
# What measures that have a value per phase say of one that is absent.
OF_AN_ABSENT_PHASE = {
    "volume_fractions": 0,
    "specific_surface_area": 0,
    "interfacial_areas": [0, 0, 0],
    "connected_fractions": [0, 0, 0],
    "two_point_correlation": [[0, 0], [0, 0], [0, 0]],
    "radial_two_point_correlation": [0, 0],
}
DIMENSIONAL = {
    "faces": lambda volume, **given: metrics.specific_surface_area(volume, "faces", **given),
    "marching_cubes": lambda volume, **given: metrics.specific_surface_area(volume, "marching_cubes", **given),
    "interfacial_areas": metrics.interfacial_areas,
    "triple_phase_boundary_density": metrics.triple_phase_boundary_density,
}


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        pytest.param(LABELS.astype(float), "must be integers.*Received dtype float64", id="float"),
        pytest.param(np.full((2, 3, 4), np.nan), "must be integers.*Received dtype float64", id="NaN"),
        pytest.param(LABELS.astype(complex), "must be integers.*Received dtype complex128", id="complex"),
        pytest.param(LABELS.astype(object), "must be integers.*Received dtype object", id="object"),
        pytest.param(None, "must be integers.*Received dtype object", id="nothing"),
        pytest.param(3, r"must be a volume \(z, y, x\).*shape \(\)", id="number"),
        pytest.param(LABELS.ravel(), r"must be a volume \(z, y, x\).*shape \(24,\)", id="line"),
        pytest.param("anode.tif", "must be integers.*Volume.load", id="path"),
        pytest.param(LABELS[0], r"must be a volume \(z, y, x\).*slice_statistics.*\(3, 4\)", id="slice"),
        pytest.param(LABELS[None], r"must be a volume \(z, y, x\).*\(1, 2, 3, 4\)", id="batch"),
        pytest.param(LABELS[:0], r"at least one voxel.*\(0, 3, 4\)", id="empty"),
        pytest.param(LABELS - 1, "from 0 to 254.*from -1 to 1.*PhaseMap", id="negative"),
        pytest.param(LABELS * 1000, "from 0 to 254.*from 0 to 2000.*PhaseMap", id="grey 16 bit"),
    ],
)
def test_labels_that_are_no_volume_are_refused(measure, labels, message):
    with pytest.raises(ValueError, match=message):
        measure(labels)


@pytest.mark.parametrize(
    ("name", "keyword", "value", "message"),
    [
        pytest.param(name, keyword, value, message, id=f"{name}-{case}")
        for case, keyword, value, message in (
            ("text", "periodic", "zz", "`periodic` must be one bool, or one per axis"),
            ("two axes", "periodic", (True, True), "`periodic` must be one bool, or one per axis"),
            ("too few", "n_phases", 2, "Received 2 with label 2 present: pass at least 3"),
            ("fraction", "n_phases", 2.5, "`n_phases` must be an integer from 1 to 255. Received: 2.5"),
        )
        for name, measure in MEASURES.items()
        if keyword in signature(measure).parameters
    ],
)
def test_keywords_are_checked_by_every_measure_that_has_them(name, keyword, value, message):
    with pytest.raises(ValueError, match=message):
        MEASURES[name](LABELS, **{keyword: value})


@pytest.mark.parametrize(("name", "expected"), OF_AN_ABSENT_PHASE.items())
def test_what_is_said_of_an_absent_phase(name, expected):
    np.testing.assert_array_equal(MEASURES[name](2 * (LABELS > 0), n_phases=3)[1], expected)


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_volume_one_voxel_thin_has_values(name, periodic, axis):
    thin = np.moveaxis(LABELS.reshape(1, 4, 6), 0, axis)
    given = {"periodic": periodic} if "periodic" in signature(MEASURES[name]).parameters else {}
    values = np.asarray(MEASURES[name](thin, **given))
    assert np.isfinite(values).all()
    assert values.any() or name in ("connected_fractions", "triple_phase_boundary_density")


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_inputs_stay_as_they_are_whatever_their_integer_type(measure):
    expected = measure(LABELS.astype(np.uint8))
    for dtype in (np.uint8, np.int8, np.int64):
        labels = LABELS.astype(dtype)
        labels.flags.writeable = False
        np.testing.assert_array_equal(measure(labels), expected)
        np.testing.assert_array_equal(labels, LABELS)


@pytest.mark.parametrize("measure", DIMENSIONAL.values(), ids=DIMENSIONAL)
def test_a_measure_with_a_unit_asks_for_the_voxel_size(measure):
    with pytest.raises(ValueError, match=r"voxel size is unknown.*pass `voxel_size=` in µm"):
        measure(LABELS)
    with pytest.raises(ValueError, match=r"voxel size is unknown.*pass `voxel_size=` in µm"):
        measure(Volume(LABELS.astype(np.uint8)))


@pytest.mark.parametrize("voxel_size", [0, -0.1, float("nan"), float("inf"), "0.1", True, (1, 1, 1)])
def test_a_voxel_size_is_a_positive_number(voxel_size):
    with pytest.raises(ValueError, match="`voxel_size` must be one positive number"):
        metrics.interfacial_areas(LABELS, voxel_size=voxel_size)


@pytest.mark.parametrize("periodic", [1, "zz", "w", "", np.array(True), (True, False), (True, False, 1), (True,) * 4])
def test_periodic_is_one_bool_or_three(periodic):
    with pytest.raises(ValueError, match=r"`periodic` must be one bool, or one per axis \(z, y, x\)"):
        metrics.connected_fractions(LABELS, periodic=periodic)


@pytest.mark.parametrize(
    ("phases", "message"),
    [
        (2, "Received 2 with label 2 present: pass at least 3"),
        (0, "`n_phases` must be an integer from 1 to 255"),
        (256, "`n_phases` must be an integer from 1 to 255"),
        (3.0, "`n_phases` must be an integer"),
        (("pore", "Ni", "YSZ"), "`n_phases` must be an integer"),
    ],
)
def test_phases_is_a_count_that_covers_the_labels(phases, message):
    with pytest.raises(ValueError, match=message):
        metrics.volume_fractions(LABELS, n_phases=phases)


@pytest.mark.parametrize("measure", DIMENSIONAL.values(), ids=DIMENSIONAL)
def test_a_volume_brings_its_own_values_and_arguments_overrule_them(measure):
    labels = np.random.default_rng(1).integers(0, 3, (4, 5, 6), dtype=np.uint8)
    periodic = (True, False, True)
    volume = Volume(labels, phases=("a", "b", "c", "d"), voxel_size=0.25, periodic=periodic)
    own = measure(volume)
    np.testing.assert_array_equal(own, measure(labels, voxel_size=0.25, periodic=periodic, n_phases=4))
    other = measure(volume, voxel_size=0.5, periodic=False, n_phases=3)
    np.testing.assert_array_equal(other, measure(labels, voxel_size=0.5, periodic=False, n_phases=3))
    assert np.shape(own) == () or np.shape(own)[0] == 4
    assert not np.array_equal(own, other)


def test_volumes_bring_their_phases_and_periodic_axes_to_dimensionless_measures():
    labels = np.random.default_rng(2).integers(0, 2, (4, 5, 6), dtype=np.uint8)
    volume = Volume(labels, phases=("a", "b", "c"), periodic=True)
    np.testing.assert_array_equal(metrics.volume_fractions(volume), metrics.volume_fractions(labels, n_phases=3))
    for measure in (metrics.two_point_correlation, metrics.connected_fractions):
        np.testing.assert_array_equal(measure(volume), measure(labels, n_phases=3, periodic=True))
        assert not np.array_equal(measure(volume), measure(labels, n_phases=3, periodic=False))


def test_measures_load_no_network_library():
    code = (
        "import sys, kerasgan3d.metrics; "
        "print(sorted({'keras', 'tensorflow', 'skimage', 'matplotlib'} & {name.split('.')[0] for name in sys.modules}))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "[]"


@pytest.mark.parametrize("name", [name for name in MEASURES if "n_phases" in signature(MEASURES[name]).parameters])
def test_phases_is_the_old_name_of_the_number_of_phases(name):
    expected = MEASURES[name](LABELS, n_phases=3)
    with pytest.warns(DeprecationWarning, match="`phases` is called `n_phases` now"):
        np.testing.assert_array_equal(MEASURES[name](LABELS, phases=3), expected)
