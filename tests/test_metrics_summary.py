"""Many records as one table, by the names of phases and axes."""

import csv
import json
import sys

import numpy as np
import pytest

from kerasgan3d import Volume, measure
from kerasgan3d.metrics import summary
from kerasgan3d.metrics.summary import summarise

NAMES = ("pore", "NMC", "CBD")


def records(count=3, **options):
    """Of volumes of noise; nothing of the last phase begins at the first slice."""
    found = {}
    for seed in range(count):
        labels = np.random.default_rng(seed).integers(0, 3, (6, 7, 8)).astype(np.uint8)
        labels[0] %= 2
        found[f"v{seed}"] = measure(Volume(labels, NAMES, 0.5, True), shapes=False, **options)
    return found


def test_mean_and_standard_deviation_by_name():
    given = records()
    found = summarise(given)
    shares = np.array([record.volume_fraction for record in given.values()])
    np.testing.assert_array_equal(found.mean["volume_fraction"], shares.mean(axis=0))
    np.testing.assert_array_equal(found.std["volume_fraction"], shares.std(axis=0, ddof=1))
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert told["count"] == 3
    assert told["mean"]["volume_fraction"] == dict(zip(NAMES, shares.mean(axis=0), strict=True))
    assert told["volumes"]["v1"]["interfacial_area"]["pore"]["CBD"] == given["v1"].interfacial_area[0, 2]
    assert told["volumes"]["v2"]["mean_chord_length"]["NMC"]["x"] == given["v2"].mean_chord_length[1, 2]
    assert len(told["std"]["two_point_correlation"]["pore"]["z"]) == 4
    assert told["units"]["triple_phase_boundary_density"] == "1/µm²"
    assert isinstance(told["mean"]["triple_phase_boundary_density"], float)
    assert told["volumes"]["v0"]["tortuosity_factor"]["CBD"]["z"] == "inf"
    assert told["mean"]["tortuosity_factor"]["CBD"]["z"] == "inf"
    assert told["std"]["tortuosity_factor"]["CBD"]["z"] is None


def test_numbers_have_each_pair_once_and_no_curve():
    numbers = list(summarise(records(1, transport=False)).numbers())
    assert [n[1:4] for n in numbers if n.measure == "interfacial_area"] == [
        ("pore", "NMC", None),
        ("pore", "CBD", None),
        ("NMC", "CBD", None),
    ]
    assert {n.axis for n in numbers if n.measure == "mean_chord_length"} == set("zyx")
    assert not {"two_point_correlation", "radial_two_point_correlation"} & {n.measure for n in numbers}
    assert all(np.isnan(n.std) and n.values == (n.mean,) for n in numbers)


@pytest.mark.parametrize("suffix", ["csv", "json", pytest.param("parquet", marks=pytest.mark.peer)])
def test_tables_are_read_back(tmp_path, suffix):
    if suffix == "parquet":
        parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    found = summarise(records(2, transport=False))
    path = tmp_path / f"table.{suffix}"
    found.save(path)
    expected = [[*n[:-1], *n.values] for n in found.numbers()]
    if suffix == "json":
        assert json.loads(path.read_text("utf-8")) == found.to_dict()
        return
    if suffix == "csv":
        with path.open(encoding="utf-8", newline="") as stream:
            head, *rows = csv.reader(stream)
        rows = [[*(text or None for text in row[:5]), *map(float, row[5:])] for row in rows]
    else:
        table = parquet.read_table(path)
        head, rows = table.column_names, [list(row.values()) for row in table.to_pylist()]
    assert head == ["measure", "phase", "other_phase", "axis", "unit", "mean", "std", "v0", "v1"]
    assert rows == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "Received: none"),
        (
            {"a": np.zeros((4, 4, 4), int), "b": np.ones((4, 4, 4), int)},
            "phase 0 in 3 dimensions; phase 0, phase 1 in 3",
        ),
        ({"a": np.zeros((4, 4, 4), int), "b": np.zeros((4, 4), int)}, "phase 0 in 2 dimensions; phase 0 in 3"),
    ],
)
def test_records_that_do_not_belong_together(given, message):
    with pytest.raises(ValueError, match=message):
        summarise({name: measure(image, transport=False) for name, image in given.items()})


def test_a_table_of_another_kind(tmp_path):
    with pytest.raises(ValueError, match="must end in .csv, .json, .parquet. Received: .*table.xlsx"):
        summarise(records(1, transport=False)).save(tmp_path / "table.xlsx")
    with pytest.raises(FileNotFoundError, match="the folder of the table must exist"):
        summarise(records(1, transport=False)).save(tmp_path / "no" / "table.csv")


def test_a_library_that_is_missing_is_named_before_the_work(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ModuleNotFoundError, match=r"pyarrow is not installed; .* pip install 'kerasgan3d\[tables\]'"):
        summary.check_table(tmp_path / "table.parquet")
    assert summary.check_table(tmp_path / "table.csv").name == "table.csv"
