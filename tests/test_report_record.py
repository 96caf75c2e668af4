"""The record of a comparison: there and back, earlier formats, and three renderers that show the same numbers."""

import html
import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest

from kerasgan3d.report.page import page_text
from kerasgan3d.report.record import ComparisonRecord, plain
from kerasgan3d.report.terminal import comparison_lines
from kerasgan3d.report.verdict import headline, verdict_lines, verdicts_of
from kerasgan3d.zoo.comparison_text import comparison_text

GOLDEN = Path(__file__).parent / "golden"
NAMES = ("volumes", "slices", "reference")
SHIPPED = Path(__file__).parents[1] / "zoo" / "presets"


def old(name):
    return json.loads((GOLDEN / f"comparison-{name}.json").read_text("utf-8"))


@pytest.fixture
def record():
    """A record of the version before, judged, with a classifier."""
    content = old("volumes")
    content["classifier"] = {"score": 0.7312, "standard_error": 0.0123, "train": [4, 4], "test": [4, 4]}
    found = ComparisonRecord.from_dict(content)
    content = found.to_dict() | {"verdicts": plain(verdicts_of(found))}
    return ComparisonRecord.from_dict(content)


@pytest.mark.parametrize("name", NAMES)
def test_a_record_of_format_1_keeps_what_it_says(name):
    content = old(name)
    again = ComparisonRecord.from_dict(content).to_dict()
    assert again["format"] == 2
    for key, value in content.items():
        if key != "format":
            assert_holds(again[key], value, key)


def assert_holds(new, before, where):
    """Assert that all that a value said is still said, with the same numbers."""
    if isinstance(before, dict):
        for key, value in before.items():
            assert_holds(new[key], value, f"{where}.{key}")
    elif isinstance(before, list):
        assert len(new) == len(before), where
        for place, value in enumerate(before):
            assert_holds(new[place], value, f"{where}[{place}]")
    else:
        assert new == before, where


@pytest.mark.slow
def test_comparisons_of_the_version_before_have_the_same_numbers():
    module = importlib.util.spec_from_file_location("make_comparison", GOLDEN / "make_comparison.py")
    maker = importlib.util.module_from_spec(module)
    module.loader.exec_module(maker)
    for name, comparison in maker.make().items():
        content, new = old(name), comparison.to_dict()
        content.pop("format"), content.pop("seconds"), content.pop("delta_ssa")
        rows = {(r["key"], r["phase"], r["other"], r["axis"]): r for r in new["measures"]}
        for before in content.pop("measures"):
            found = rows[before["key"], before["phase"], before["other"], before["axis"]]
            # Real means are of the whole image now, where sub-volumes have the same on average.
            moved = {"real_mean", "relative_difference"} if found["real_mean_of"] == "image" else set()
            if moved and found["real"] is not None:
                assert before["real_mean"] == pytest.approx(np.mean(found["real"]), rel=1e-9)
            assert_close(found, {key: value for key, value in before.items() if key not in moved}, name)
        curves = content.pop("two_point_correlation")
        assert_close(new["two_point_correlation"]["generated"], curves["generated"], name)
        bands = {key: value for key, value in curves["real"].items() if key != "mean"}
        assert_close(new["two_point_correlation"]["real"], bands, name)
        volumes = content.pop("volumes")
        if volumes:
            named = {(r["key"], r["phase"], r["other"], r["axis"]): r for r in new["volumes"]["measures"]}
            for before in volumes["measures"]:
                found = named[before["key"], before["phase"], before["other"], before["axis"]]
                assert found["generated_mean"] == pytest.approx(before["generated_mean"], rel=1e-6)
            np.testing.assert_allclose(new["volumes"]["anisotropy"], volumes["anisotropy"], rtol=1e-6)
        assert_close(new, content, name)


def assert_close(new, before, where):
    """As `assert_holds`, but numbers need agree only as far as machines do."""
    if isinstance(before, dict):
        for key, value in before.items():
            assert_close(new[key], value, f"{where}.{key}")
    elif isinstance(before, list):
        assert len(new) == len(before), where
        for place, value in enumerate(before):
            assert_close(new[place], value, f"{where}[{place}]")
    elif isinstance(before, float):
        assert new == pytest.approx(before, rel=1e-6, abs=1e-12), where
    else:
        assert new == before, where


@pytest.mark.parametrize("name", NAMES)
def test_there_and_back(name):
    record = ComparisonRecord.from_dict(old(name))
    content = json.loads(json.dumps(record.to_dict(), allow_nan=False))
    assert ComparisonRecord.from_dict(content) == record
    short = record.excerpt()
    assert ComparisonRecord.from_dict(json.loads(json.dumps(short.to_dict()))) == short
    assert len(json.dumps(short.to_dict())) < len(json.dumps(content)) / 2
    assert all(row.real is row.generated is None for row in short.measures)


def test_page_terminal_and_card_show_the_same_numbers(record):
    terminal = "\n".join(comparison_lines(record))
    page = html.unescape(re.sub(r"<[^>]+>", "", page_text(record).split("</main>")[0]))
    card = comparison_text(record.excerpt().to_dict())
    shown = {"terminal": terminal, "page": page, "card": card}
    lines = verdict_lines(record.verdicts)
    assert len(lines) >= 8
    for test, outcome, text in lines:
        for where, content in shown.items():
            assert re.search(rf"{outcome}\W+{re.escape(f'{test}: {text}')}", content), (where, test)
    for row in headline(record.measures):
        if row.relative_difference is not None:
            difference = f"{100 * row.relative_difference:+.1f} %"
            for where, content in shown.items():
                assert difference in content.replace("\N{MINUS SIGN}", "-"), (where, row.key, row.phase)
        if row.deviation_ratio is not None:
            assert all(f"{row.deviation_ratio:.2f}" in content for content in shown.values())
    assert all("0.73 ± 0.01" in content for content in shown.values())
    least = f"{record.nearest.generated_distances.least:.3f}"
    assert all(least in content for content in shown.values())


@pytest.mark.parametrize("name", ["nmc-cathode", "sofc-anode"])
def test_what_a_shipped_card_holds_is_read(name):
    content = json.loads((SHIPPED / name / "kerasgan3d.json").read_text("utf-8"))["comparison"]
    record = ComparisonRecord.from_dict(content)
    assert record.samples.generated >= 400
    assert record.verdicts
    assert record.phases[0] == "pore"
    assert record.lattice.largest_swing["volume_fraction"] > 0
    assert all(value > 0 for value in record.two_point_correlation.worst)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 3}, "a dict of format 1 or 2. Received: 3"),
        ({"measures": None}, "a record without 'measures'"),
        ({"measures": [{"phase": "pore"}]}, "`comparison.measures` must hold key. Received: an object without"),
        ({"measures": 3}, r"`comparison.measures` must be list.*Received: 3"),
        ({"samples": {"real": "many", "generated": 1}}, "`comparison.samples.real` must be int. Received: 'many'"),
        ({"classifier": {"score": "good"}}, "`comparison.classifier.score` must be float. Received: 'good'"),
        ({"notes": "none"}, "`comparison.notes` must be list"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_is_no_record_is_refused(record, change, message):
    with pytest.raises(ValueError, match=message):
        ComparisonRecord.from_dict({**record.to_dict(), **change})


def test_what_a_later_version_of_the_format_adds_is_left_out(record):
    content = record.to_dict()
    content["samples"]["colour"] = content["weather"] = "blue"
    assert ComparisonRecord.from_dict(content) == record
