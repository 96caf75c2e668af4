"""The table of measures: what each row promises is so, and what earlier versions wrote is read."""

import json
from pathlib import Path

import numpy as np
import pytest

from kerasgan3d.folder import RENAMED, current_keys
from kerasgan3d.metrics._measure import PER_PAIR
from kerasgan3d.metrics.ensemble import measure_samples
from kerasgan3d.metrics.record import Measurement, measure
from kerasgan3d.metrics.registry import MEASURES, SAMPLED, places, sampled_value
from kerasgan3d.volume import Volume

NAMES = ("pore", "NMC", "CBD")
TRY = """
import numpy as np
from kerasgan3d import Volume, compare, measure
from kerasgan3d.metrics.record import Measurement

labels = np.random.default_rng(0).integers(0, 3, (24, 24, 24)).astype("uint8")
volume = Volume(labels, ("pore", "Ni", "YSZ"), 0.5, True)
record = measure(volume, transport=False)
expected = (2 / 3) ** 6  # a voxel's six neighbours are all of the other two phases
np.testing.assert_allclose(record.lone_voxels, expected, rtol=0.15)
assert "lone voxels" in str(record) and record.units["lone_voxels"] == "1"
assert Measurement.from_dict(record.to_dict()).lone_voxels.tolist() == record.lone_voxels.tolist()
assert measure(volume, block=12, workers=1).lone_voxels is None
quick = {"count": 4, "size": 12, "classifier": False, "nearest": 0, "transport": False, "workers": 1}
found = compare(volume, [volume], **quick)
assert found.measure("lone_voxels", "Ni").generated_mean > 0
assert "lone voxels" in {verdict.test for verdict in found.verdicts}
found.save("report.html")
page = open("report.html", encoding="utf-8").read()
assert "Box plots of lone voxels, real and generated." in page
"""
GOLDEN = json.loads((Path(__file__).parent / "golden" / "measurement.json").read_text("utf-8"))


def volume(shape=(9, 8, 7), periodic=False):
    return Volume(np.random.default_rng(0).integers(0, 3, shape).astype(np.uint8), NAMES, 0.5, periodic)


@pytest.mark.parametrize("row", MEASURES.values(), ids=list(MEASURES))
def test_a_row_says_what_it_is(row):
    assert MEASURES[row.key] is row
    assert row.name
    assert row.method.endswith(".")
    assert row.unless is None or row.unless in MEASURES
    assert (row.section is None) == (row.figure is None)
    sizes = {"phases": 3, "axes": 3, "lags": 3, "radii": 2}
    value = measure(volume(), max_lag=2)[row.key]
    assert np.shape(value) == tuple(sizes[dimension] for dimension in row.shape)


@pytest.mark.parametrize("row", MEASURES.values(), ids=list(MEASURES))
def test_blocks_and_slices_tell_what_a_row_says(row):
    options = {"voxel_size": 0.5, "phases": 3, "transport": False}
    by_blocks = measure(volume().labels, block=4, workers=1, **options)[row.key]
    assert (by_blocks is None) == (row.on_blocks is None)
    of_slice = measure(volume().labels[0], **options)
    assert (of_slice[row.key] is None) == (row.of_slice is None)
    assert (row.key in of_slice.stereology) == row.stereology
    assert row.of_slice is not None or not (row.stereology or row.unit_of_slice or row.label_of_slice)


@pytest.mark.parametrize("block", [None, 7])
@pytest.mark.parametrize("shape", [(9, 8, 7), (12, 11, 64), (12, 1, 13)], ids=str)
def test_how_an_array_lies_in_memory_changes_nothing(shape, block):
    labels = volume(shape).labels
    lain = [np.asfortranarray(labels), labels[::-1, :, ::-1].copy()[::-1, :, ::-1], np.repeat(labels, 2, 2)[..., ::2]]
    options = {"voxel_size": 0.5, "phases": 3, "transport": False}
    images = [labels, *lain] if block else [labels, *lain, labels[:, 0], *(image[:, 0] for image in lain)]
    records = [measure(image, block=block, workers=1, **options) for image in images]
    for number, record in enumerate(records):
        for key in MEASURES:
            np.testing.assert_array_equal(record[key], records[number // 4 * 4][key], err_msg=f"{number}: {key}")


@pytest.mark.parametrize("row", SAMPLED.values(), ids=list(SAMPLED))
def test_every_value_of_a_sub_volume_has_a_place(row):
    sample = volume((6, 6, 6)).labels
    values = measure_samples([sample], n_phases=3, voxel_size=0.5, workers=1)[row.key][0]
    found = list(places(row, NAMES))
    single = [place for place in found if not any(isinstance(part, slice) for part in place.index)]
    assert len(single) == np.size(values)
    assert len(found) == len(single) + (3 if row.mean_of_axes else 0)
    assert len({place[1:] for place in found}) == len(found)
    whole = measure(sample, voxel_size=0.5, phases=3)[row.key]
    np.testing.assert_allclose(values, sampled_value(row, whole), rtol=1e-7)
    if row.shape == PER_PAIR:
        assert [(place.phase, place.other) for place in found] == [("pore", "NMC"), ("pore", "CBD"), ("NMC", "CBD")]
        assert values.tolist() == [whole[0, 1], whole[0, 2], whole[1, 2]]


@pytest.mark.parametrize("row", [row for row in SAMPLED.values() if row.of_slice], ids=lambda row: row.key)
def test_every_value_of_a_window_has_a_place(row):
    sample = volume((12, 12, 1)).labels[..., 0]
    values = measure_samples([sample], n_phases=3, voxel_size=0.5, workers=1)[row.key][0]
    single = [place for place in places(row, NAMES, "yx") if not any(isinstance(part, slice) for part in place.index)]
    assert len(single) == np.size(values)
    assert {place.axis for place in single} <= {None, "y", "x"}
    np.testing.assert_allclose(values, sampled_value(row, measure(sample, voxel_size=0.5, phases=3)[row.key]))


@pytest.mark.parametrize("kind", ["volume", "slice"])
def test_a_record_of_the_first_format_is_read(kind):
    old = GOLDEN[kind]
    assert old["format"] == 1
    record = Measurement.from_dict(old)
    again = record.to_dict()
    assert again["format"] == 2
    assert {RENAMED.get(key, key) for key in old["stereology"]} == set(record.stereology)
    for key, value in current_keys(old).items():
        if key in MEASURES:
            assert again[key] == value, key


def test_what_was_measured_by_the_first_format_is_measured_today():
    old = GOLDEN["volume"]
    labels = np.random.default_rng(0).integers(0, 3, (4, 5, 6)).astype(np.uint8)
    record = measure(Volume(labels, NAMES, 0.5, "y"), max_lag=2, transport="NMC").to_dict()
    for key, value in current_keys(old).items():
        if key in MEASURES and value is not None:
            np.testing.assert_allclose(np.asarray(record[key], float), np.asarray(value, float), rtol=1e-9, err_msg=key)


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_old_names_of_attributes_warn(old, new):
    record = measure(volume(), transport=False)
    with pytest.warns(DeprecationWarning, match=f"`{old}` of a Measurement is now `{new}`"):
        assert getattr(record, old) is record[new]


def test_a_measure_that_there_is_not():
    record = measure(volume(), transport=False)
    with pytest.raises(AttributeError, match="no measure 'roundness'; there are volume_fraction, "):
        record.roundness  # noqa: B018
    with pytest.raises(KeyError, match="roundness"):
        record["roundness"]


def test_a_measure_is_one_file_and_one_row(walk):
    imported = "from kerasgan3d.metrics import lone"
    walk("Add a measure", "metrics/lone.py", "metrics/registry.py", "_ROWS", imported, TRY)
