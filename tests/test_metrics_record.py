import dataclasses
import json
import re

import numpy as np
import pytest

import kerasgan3d
from kerasgan3d import metrics as m
from kerasgan3d.metrics.record import Measurement, measure
from kerasgan3d.metrics.registry import MEASURES
from kerasgan3d.volume import Volume

NAMES = ("pore", "NMC", "CBD")


def random_labels(shape=(8, 9, 10), phases=3, seed=0):
    labels = np.random.default_rng(seed).integers(0, phases, shape).astype(np.uint8)
    labels.flags.writeable = False
    return labels


def channels():
    """Three phases side by side along y, straight along z and x: 2, 4 and 2 voxels wide."""
    return np.broadcast_to(np.repeat([0, 1, 2], [2, 4, 2]).astype(np.uint8)[:, np.newaxis], (6, 8, 5))


@pytest.fixture(scope="module")
def record():
    """The record of a volume that holds finite numbers, inf and NaN."""
    volume = Volume(channels(), NAMES, voxel_size=0.5, periodic=(False, False, True))
    return measure(volume, transport=("pore", "CBD"))


@pytest.mark.parametrize("periodic", [False, True, (True, False, True)], ids=["bounded", "periodic", "mixed"])
def test_a_record_holds_what_the_measures_say(periodic):
    volume = Volume(random_labels(), NAMES, voxel_size=0.5, periodic=periodic)
    record = measure(volume, max_lag=3)
    for name, value in {
        "volume_fraction": m.volume_fractions(volume),
        "specific_surface_area": m.specific_surface_area(volume),
        "specific_surface_area_marching_cubes": m.specific_surface_area(volume, "marching_cubes"),
        "interfacial_area": m.interfacial_areas(volume),
        "triple_phase_boundary_density": m.triple_phase_boundary_density(volume),
        "active_triple_phase_boundary_density": m.triple_phase_boundary_density(volume, active=True),
        "connected_fraction": m.connected_fractions(volume),
        "two_point_correlation": m.two_point_correlation(volume, 3),
        "radial_two_point_correlation": m.radial_two_point_correlation(volume, 3),
    }.items():
        np.testing.assert_allclose(getattr(record, name), value, rtol=1e-12, err_msg=name)
    assert (record.phases, record.voxel_size, record.shape) == (NAMES, 0.5, (8, 9, 10))
    assert record.periodic == volume.periodic
    assert record.stereology == ()
    np.testing.assert_allclose(record.distances, [0, 0.5, 1, 1.5])


def test_transport_is_that_of_each_phase_and_axis():
    block = np.repeat(np.repeat(np.repeat(random_labels((4, 4, 4), 2, 1), 2, 0), 2, 1), 2, 2)
    record = measure(block, voxel_size=1, periodic=(False, True, False))
    for phase in range(2):
        for axis in range(3):
            arguments = (block, phase, axis)
            kept = {"periodic": (False, True, False)}
            assert record.relative_diffusivity[phase, axis] == m.relative_diffusivity(*arguments, **kept)
            np.testing.assert_allclose(record.tortuosity_factor[phase, axis], m.tortuosity_factor(*arguments, **kept))
            np.testing.assert_allclose(record.macmullin_number[phase, axis], m.macmullin_number(*arguments, **kept))


def test_straight_channels_conduct_along_and_not_across():
    record = measure(channels(), voxel_size=1)
    np.testing.assert_allclose(record.relative_diffusivity, [[0.25, 0, 0.25], [0.5, 0, 0.5], [0.25, 0, 0.25]])
    np.testing.assert_allclose(record.tortuosity_factor, [[1, np.inf, 1]] * 3)
    np.testing.assert_allclose(record.macmullin_number, [[4, np.inf, 4], [2, np.inf, 2], [4, np.inf, 4]])
    np.testing.assert_allclose(record.connected_fraction, [[1, 0, 1]] * 3)


@pytest.mark.parametrize(
    ("transport", "solved"),
    [(True, "012"), ("NMC", "1"), (2, "2"), (["CBD", 0, "pore"], "02"), (np.int64(1), "1")],
)
def test_transport_of_the_phases_that_are_asked_for(transport, solved):
    record = measure(Volume(channels(), NAMES, voxel_size=1), transport=transport)
    for values in (record.relative_diffusivity, record.tortuosity_factor, record.macmullin_number):
        assert [str(phase) in solved for phase in range(3)] == (~np.isnan(values).all(axis=1)).tolist()


@pytest.mark.parametrize("transport", [False, ()])
def test_without_transport(transport):
    record = measure(channels(), voxel_size=1, transport=transport)
    assert record.relative_diffusivity is record.tortuosity_factor is record.macmullin_number is None
    assert record.connected_fraction is not None
    assert "tortuosity" not in str(record)


@pytest.mark.parametrize("shape", [(8, 9, 10), (8, 9)], ids=["volume", "slice"])
def test_without_shapes(shape):
    labels, calls = random_labels(shape), []
    with_shapes = measure(labels, voxel_size=1, transport=False)
    record = measure(labels, voxel_size=1, transport=False, shapes=np.False_, progress=lambda *call: calls.append(call))
    left_out = {"granulometry", "speck_density", "hole_density"}
    for key in MEASURES:
        np.testing.assert_array_equal(record[key], None if key in left_out else with_shapes[key], err_msg=key)
    assert record.euler_characteristic is not None
    assert record.mean_chord_length is not None
    assert not {"granulometry", "specks", "holes"} & {what for *_, what in calls}
    assert calls[-1] == (calls[-1][1], calls[-1][1], "done")
    assert {key for key, value in record.to_dict().items() if value is None} >= left_out
    assert_same(Measurement.from_dict(json.loads(json.dumps(record.to_dict(), allow_nan=False))), record)
    assert not re.search("share in|specks|holes|granulometry", str(record))
    assert all(name in str(with_shapes) for name in ("specks", "holes"))
    assert ("compare slices with slices" in str(record)) == (len(shape) == 2)


def test_a_phase_that_is_absent_does_not_conduct():
    record = measure(np.zeros((3, 3, 3), int), voxel_size=1, phases=("solid", "pore"))
    np.testing.assert_allclose(record.relative_diffusivity, [[1, 1, 1], [0, 0, 0]])
    assert np.isinf(record.tortuosity_factor[1]).all()
    assert np.isinf(record.macmullin_number[1]).all()


def test_an_axis_one_voxel_long_has_no_transport():
    record = measure(channels()[:1], voxel_size=1)
    assert np.isnan(record.relative_diffusivity[:, 0]).all()
    np.testing.assert_allclose(record.relative_diffusivity[:, 2], [0.25, 0.5, 0.25])
    assert record.two_point_correlation.shape == (3, 3, 1)


def test_two_phases_have_no_triple_phase_boundary():
    record = measure(random_labels(phases=2), voxel_size=1, transport=False)
    assert record.triple_phase_boundary_density is record.active_triple_phase_boundary_density is None
    assert "triple" not in str(record)


@pytest.mark.parametrize(
    ("phases", "names"),
    [
        (None, ("phase 0", "phase 1", "phase 2")),
        (4, ("phase 0", "phase 1", "phase 2", "phase 3")),
        (("a", "b", "c", "d"), ("a", "b", "c", "d")),
    ],
    ids=["found", "number", "names"],
)
def test_phases_of_an_array(phases, names):
    record = measure(random_labels(), voxel_size=1, phases=phases, transport=False)
    assert record.phases == names
    assert record.volume_fraction.shape == (len(names),)


@pytest.mark.parametrize(
    ("phases", "names"), [(None, NAMES), (("x", "y", "z"), ("x", "y", "z")), (4, (*NAMES, "phase 3"))]
)
def test_phases_of_a_volume(phases, names):
    assert measure(Volume(random_labels(), NAMES, 1), phases=phases, transport=False).phases == names


def test_arguments_overrule_the_volume():
    volume = Volume(random_labels(), NAMES, voxel_size=1, periodic=True)
    record = measure(volume, voxel_size=0.5, periodic=(False, False, True), transport=False)
    assert (record.voxel_size, record.periodic) == (0.5, (False, False, True))
    np.testing.assert_allclose(
        record.interfacial_area, m.interfacial_areas(volume.labels, voxel_size=0.5, periodic=(False, False, True))
    )


@pytest.mark.parametrize(("shape", "lags"), [((70, 80), 33), ((70, 20), 11), ((2, 9, 9), 2)])
def test_the_correlation_reaches_32_voxels_or_half_of_the_smallest_dimension(shape, lags):
    record = measure(random_labels(shape), voxel_size=1, transport=False)
    assert record.two_point_correlation.shape == (3, len(shape), lags)


def test_a_slice_tells_what_stereology_can():
    labels = random_labels((40, 50))
    record = measure(labels, voxel_size=0.1, phases=NAMES, periodic=(False, True), max_lag=5)
    expected = m.slice_statistics(labels, voxel_size=0.1, periodic=(False, True), max_lag=5)
    np.testing.assert_array_equal(record.volume_fraction, expected.area_fractions)
    np.testing.assert_array_equal(record.specific_surface_area, expected.specific_surface_area)
    np.testing.assert_allclose(record.interfacial_area.sum(axis=1), expected.specific_surface_area)
    assert record.triple_phase_boundary_density == expected.triple_phase_boundary_density
    np.testing.assert_array_equal(record.two_point_correlation, expected.two_point_correlation)
    assert (record.shape, record.periodic) == ((40, 50), (False, True))
    told = {name for name in record.units if getattr(record, name) is not None} - {"voxel_size"}
    own = {"granulometry", "euler_characteristic", "speck_density", "hole_density"}
    assert told == set(record.stereology) | own
    assert not own & set(record.stereology)
    np.testing.assert_array_equal(record.mean_chord_length, m.chord_lengths(labels, voxel_size=0.1, periodic="x").mean)
    assert record.connected_fraction is record.relative_diffusivity is record.radial_two_point_correlation is None
    assert record.specific_surface_area_marching_cubes is record.active_triple_phase_boundary_density is None


def test_all_slices_in_three_directions_have_the_interfaces_of_the_volume():
    labels = random_labels((6, 6, 6))
    slices = [np.take(labels, place, axis) for axis in range(3) for place in range(6)]
    estimates = [measure(part, voxel_size=0.5, phases=3, periodic=True).interfacial_area for part in slices]
    volume = m.interfacial_areas(labels, voxel_size=0.5, periodic=True)
    np.testing.assert_allclose(np.mean(estimates, axis=0), volume, rtol=1e-12)


def test_progress_rises_to_the_end():
    calls = []
    measure(channels(), voxel_size=1, progress=lambda *call: calls.append(call))
    done = [call[0] for call in calls]
    assert done == sorted(done)
    assert done[0] == 0
    assert {call[1] for call in calls} == {done[-1]}
    assert [call[2] for call in calls].count("diffusion") == 9
    assert calls[-1][2] == "done"


def test_units_are_those_of_the_numbers():
    record = measure(random_labels(), voxel_size=1, transport=False)
    finer = measure(random_labels(), voxel_size=0.5, transport=False)
    others = {"phases", "shape", "periodic", "stereology"}
    assert set(record.units) == {field.name for field in dataclasses.fields(Measurement)} - others
    for name, unit in record.units.items():
        value = getattr(record, name)
        if value is not None:
            factor = {"1": 1, "µm": 0.5, "1/µm": 2, "1/µm²": 4, "1/µm³": 8}[unit]
            np.testing.assert_allclose(getattr(finer, name), factor * np.asarray(value), err_msg=name)


def test_units_of_a_slice_are_those_of_the_numbers():
    record, finer = (measure(random_labels((24, 24)), voxel_size=size) for size in (1, 0.5))
    assert (record.units["euler_characteristic"], record.units["hole_density"]) == ("1/µm²", "1/µm²")
    for name, unit in record.units.items():
        value = getattr(record, name)
        if value is not None:
            factor = {"1": 1, "µm": 0.5, "1/µm": 2, "1/µm²": 4}[unit]
            np.testing.assert_allclose(getattr(finer, name), factor * np.asarray(value), err_msg=name)


def test_a_slice_has_shapes_of_its_own():
    y, x = np.mgrid[:20, :20]
    cell = ((y - 10) ** 2 + (x - 10) ** 2 <= 36).astype(np.uint8)  # a disc of radius 6
    cell[9:12, 9:12] = 0  # makes it a ring, around a hole of 9 pixels
    cell[0, 0] = 1  # a speck
    record = measure(np.tile(cell, (3, 4)), voxel_size=0.5, periodic=True, phases=("pore", "solid"))
    area = 0.5**2 * 400
    # Speck and ring less a hole; what is around them has the same with its sign.
    np.testing.assert_allclose(record.euler_characteristic * area, [-1, 1])
    np.testing.assert_allclose(record.speck_density * area, [1, 1])
    np.testing.assert_allclose(record.hole_density * area, [1, 1])
    lattice = np.tile(cell | ((y - 10) ** 2 + (x - 10) ** 2 <= 36), (3, 4))
    lattice[::20, ::20] = 0
    shares = measure(lattice, voxel_size=0.5, periodic=True, max_lag=2).granulometry[1]
    np.testing.assert_array_equal(shares[[0, 6, 7]], [1, 1, 0])  # discs of one radius on a lattice


def test_the_package_offers_it():
    assert kerasgan3d.measure is measure


def assert_same(one, other):
    for field in dataclasses.fields(Measurement):
        left, right = getattr(one, field.name), getattr(other, field.name)
        assert type(left) is type(right), field.name
        if isinstance(left, np.ndarray):
            np.testing.assert_array_equal(left, right, err_msg=field.name)
        else:
            assert left == right, field.name


def test_json_and_back(record):
    text = json.dumps(record.to_dict(), allow_nan=False)
    assert_same(Measurement.from_dict(json.loads(text)), record)
    assert_same(Measurement.from_dict(record.to_dict()), record)


def test_json_of_a_slice_and_back():
    record = measure(random_labels((8, 9)), voxel_size=0.5)
    assert_same(Measurement.from_dict(json.loads(json.dumps(record.to_dict(), allow_nan=False))), record)


def test_inf_and_nan_in_json_become_numbers_again(record):
    factors = json.loads(json.dumps(record.to_dict(), allow_nan=False))["tortuosity_factor"]
    assert factors[0][1] == "inf"
    assert factors[1] == [None] * 3
    np.testing.assert_array_equal(np.asarray(factors, float), record.tortuosity_factor)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 3}, '"format": 2'),
        ({"units": {"voxel_size": "nm"}}, "units of a measurement must be"),
        ({"phases": ["pore", "NMC"]}, "`volume_fraction` must be phases numbers"),
        ({"voxel_size": -1}, "`voxel_size` must be one positive number"),
        ({"shape": [6, 8]}, "`shape` and `periodic` must have one item for each"),
        ({"shape": 6}, "`shape` must be a list of numbers of voxels. Received: 6"),
        ({"periodic": [1, 0, 0]}, "`periodic` must be a list of bools"),
        ({"stereology": ["everything"]}, "`stereology` must be a list of names of measures"),
        ({"volume_fraction": None}, "`volume_fraction` must be phases numbers. Received: None"),
        ({"interfacial_area": [[0, 1]]}, "`interfacial_area` must be phases x phases numbers"),
        ({"tortuosity_factor": [["far"] * 3] * 3}, "`tortuosity_factor` must be phases x axes numbers"),
        ({"triple_phase_boundary_density": [1.0]}, "`triple_phase_boundary_density` must be one number"),
        ({"radial_two_point_correlation": [[1.0]] * 3}, "`radial_two_point_correlation` must be phases x lags"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_is_no_record_is_refused(record, change, message):
    with pytest.raises(ValueError, match=message):
        Measurement.from_dict({**record.to_dict(), **change})


def test_incomplete_records_are_refused(record):
    incomplete = record.to_dict()
    del incomplete["shape"]
    with pytest.raises(ValueError, match="every entry. Received: one without shape"):
        Measurement.from_dict(incomplete)
    with pytest.raises(ValueError, match="must be a dict"):
        Measurement.from_dict([])


@pytest.mark.parametrize(
    ("volume", "arguments", "message"),
    [
        (random_labels().astype(float), {"voxel_size": 1}, "Labels must be integers"),
        (random_labels((8,)), {"voxel_size": 1}, r"shape \(8,\)"),
        (random_labels(), {"voxel_size": 0}, "`voxel_size` must be one positive number"),
        (random_labels(), {"voxel_size": 1, "phases": 2}, "The number of phases must be more than the highest label"),
        (
            random_labels(),
            {"voxel_size": 1, "phases": ("a", "b")},
            "The number of phases must be more than the highest label",
        ),
        (random_labels(), {"voxel_size": 1, "periodic": (True, False)}, "`periodic` must be one bool, or one per axis"),
        (random_labels(), {"voxel_size": 1, "max_lag": 8}, "`max_lag` must be an integer from 0 to 7. Received: 8"),
        (random_labels(), {"voxel_size": 1, "max_lag": 1.5}, "`max_lag` must be an integer"),
        (
            random_labels(),
            {"voxel_size": 1, "transport": "pore"},
            "phase 2; 0 to 2. Received: 'pore'",
        ),
        (random_labels(), {"voxel_size": 1, "transport": [3]}, r"`transport` must be .*Received: \[3\]"),
        (random_labels(), {"voxel_size": 1, "transport": [True]}, r"`transport` must be .*Received: \[True\]"),
        (random_labels(), {"voxel_size": 1, "transport": None}, "`transport` must be .*Received: None"),
        (random_labels((8, 9)), {"voxel_size": 1, "transport": 0}, "`transport` must be a bool for a slice"),
        (random_labels(), {"voxel_size": 1, "shapes": None}, "`shapes` must be a bool. Received: None"),
        (random_labels((8, 9)), {"voxel_size": 1, "shapes": "specks"}, "`shapes` must be a bool. Received: 'specks'"),
        (random_labels(), {"voxel_size": 1, "shapes": 1, "block": 4}, "`shapes` must be a bool. Received: 1"),
    ],
)
def test_mistakes_are_told_before_anything_is_measured(volume, arguments, message):
    calls = []
    with pytest.raises(ValueError, match=message):
        measure(volume, progress=lambda *call: calls.append(call), **arguments)
    assert calls == []


def test_text_of_a_volume():
    lines = str(measure(Volume(channels(), NAMES, 0.5, (False, False, True)), transport="NMC")).splitlines()
    assert lines[0] == "volume of 6 x 8 x 5 voxels (z, y, x) of 0.5 µm, 3.00 x 4.00 x 2.50 µm, periodic along x"
    table = {" ".join(line.split()[:-3]): line.split()[-3:] for line in lines[2:] if line}
    assert table["unit"] == list(NAMES)
    assert table["volume fraction"] == ["0.250", "0.500", "0.250"]
    # One face per column of 8 voxels, 0.5 µm each: 1 / (8 x 0.5 µm).
    assert table["specific surface area, voxel faces 1/µm"] == ["0.250", "0.500", "0.250"]
    assert table["specific surface area, mesh 1/µm"] == ["0.250", "0.500", "0.250"]
    assert table["interface with NMC, voxel faces 1/µm"] == ["0.250", "-", "0.250"]
    assert table["tortuosity factor z"] == ["-", "1.00", "-"]
    assert table["y"] == ["-", "inf", "-"]
    assert table["two-point correlation S2, radial 1.00 µm"][0].startswith("0.")
    assert any(line.startswith("triple-phase boundary density, voxel edges  1/µm²  0") for line in lines)
    assert "inf: the phase does not connect the two ends of the volume." in lines
    assert "stereology" not in "".join(lines)


def test_decimal_points_are_below_each_other(record):
    table = str(record).split("\n\n")[1].splitlines()
    places = {line.index(".", len(line) - 8) for line in table[1:] if line[-8:].count(".") == 1}
    assert len(places) == 1


def test_text_of_a_slice_marks_estimates():
    text = str(measure(random_labels((20, 30)), voxel_size=0.065, phases=NAMES))
    assert text.startswith("slice of 20 x 30 pixels (y, x) of 0.065 µm, 1.30 x 1.95 µm, not periodic\n")
    assert "volume fraction *" in text
    assert "triple-phase boundary density, voxel edges *" in text
    assert "\n* Estimates of a volume's values from a slice by stereology" in text
    assert "tortuosity" not in text
    assert "inf:" not in text
    lines = text.splitlines()
    rows = {name: next(line for line in lines if line.startswith(name)) for name in ("share in", "Euler", "specks")}
    assert rows["share in"].startswith("share in discs of radius ")
    assert "1/µm²" in rows["Euler"]
    assert rows["specks"].startswith("specks, fewer than 27 pixels  ")
    chords = next(place for place, line in enumerate(lines) if line.startswith("mean chord length *"))
    assert [line.split()[-4] for line in lines[chords : chords + 2]] == ["y", "x"]
    assert "compare slices with slices" in text


@pytest.mark.parametrize(
    ("names", "tables"),
    [(("a",), 1), (("a phase with a long name", "b", "c"), 1), (tuple(f"phase number {i}" for i in range(12)), 6)],
    ids=["one", "long", "many"],
)
def test_text_fits_100_columns_and_shows_every_phase(names, tables):
    labels = np.arange(60).reshape(3, 4, 5) % len(names)
    text = str(measure(labels, voxel_size=0.001, phases=names, transport=False))
    assert max(map(len, text.splitlines())) <= 100
    heads = [line for line in text.splitlines() if line.split()[:1] == ["unit"]]
    assert len(heads) == text.count("volume fraction") == tables
    shown = " ".join(" ".join(heads).split())
    assert all(name[:15] in shown for name in names)


def test_a_record_is_short_where_it_is_not_printed():
    assert repr(measure(np.eye(4, dtype=int), voxel_size=0.25)) == (
        "Measurement(4 x 4 pixels of 0.25 µm, phases phase 0/phase 1)"
    )
    volume = Volume(np.indices((2, 3, 4)).sum(0) % 2, ("pore", "solid"), 0.5)
    assert repr(measure(volume, transport=False)) == "Measurement(2 x 3 x 4 voxels of 0.5 µm, phases pore/solid)"
