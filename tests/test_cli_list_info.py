import json

import numpy as np
import pytest
from click.testing import CliRunner

import kerasgan3d
from kerasgan3d.cli import main

FACTS = {
    "nmc": {
        "name": "nmc",
        "description": "Li-ion cathode,\n  calendered.",
        "phases": ["pore", "NMC", "CBD"],
        "voxel_size": 0.398,
        "generator": {"latent_channels": 64, "widths": [192, 96, 48, 24]},
        "training": {"data": "NREL", "citation": "Usseglio-Viretta et al. 2018", "hours": 8.25, "isotropic": False},
        "fidelity": {
            "volume_fraction": {"real": [0.4, 0.5, 0.1], "generated": [0.41, 0.49, 0.1]},
            "tpb_density": {"real": 0.1234567, "generated": 0.125},
            "tortuosity_factor": {"real": [1.5, 1.6], "generated": None},
        },
        "weights": {"sha256": "ab12", "bytes": 4_200_000},
    },
    "bare": {},
}


class Zoo:
    @staticmethod
    def list_presets():
        return list(FACTS)

    @staticmethod
    def info(name):
        if name not in FACTS:
            raise ValueError(f"`name` must be one of nmc, bare. Received: {name!r}")
        return FACTS[name]


@pytest.fixture(autouse=True)
def _zoo(monkeypatch):
    monkeypatch.setitem(vars(kerasgan3d), "zoo", Zoo)


def run(*args):
    return CliRunner().invoke(main, args, catch_exceptions=False)


def test_list_prints_one_line_per_generator():
    lines = [line.split("  ") for line in run("list").stdout.splitlines()]
    rows = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    assert rows == [
        ["NAME", "PHASES", "VOXEL", "WEIGHTS", "DESCRIPTION"],
        ["nmc", "pore, NMC, CBD", "0.398 µm", "4.2 MB", "Li-ion cathode, calendered."],
        ["bare", "-", "-", "-"],
    ]


def test_list_prints_json():
    nmc, bare = json.loads(run("list", "--json").stdout)
    assert nmc["phases"] == ["pore", "NMC", "CBD"]
    assert (nmc["voxel_size"], nmc["bytes"]) == (0.398, 4_200_000)
    assert bare["name"] == "bare"


VERDICTS = [
    *(("volume fraction", phase, "passes", value) for phase, value in (("pore", -0.0143), ("NMC", 0.01))),
    ("specific surface area", "pore", "passes", 0.02),
    ("two-point correlation", "pore", "falls short", 0.0314),
    ("holes", "NMC", "cannot be told", 2.4),
    ("classifier", None, "falls short", 0.2469),
]
QUALITY = {
    "tests": 6,
    "passed": 3,
    "undecided": 1,
    "volume_fraction": 0.0143,
    "specific_surface_area": 0.02,
    "two_point_correlation": 0.0314,
    "classifier": 0.7469,
}


@pytest.fixture
def judged(monkeypatch):
    keys = ("test", "phase", "outcome", "value")
    verdicts = [dict(zip(keys, verdict, strict=True)) for verdict in VERDICTS]
    facts = {**FACTS["nmc"], "version": "2", "comparison": {"verdicts": verdicts}}
    monkeypatch.setitem(FACTS, "nmc", facts)


def test_list_prints_versions_and_a_line_on_quality(judged):
    lines = run("list").stdout.splitlines()
    assert lines[0].split() == ["NAME", "VERSION", "PHASES", "VOXEL", "WEIGHTS", "DESCRIPTION"]
    assert lines[1].split()[:2] == ["nmc", "2"]
    assert lines[3] == ""
    assert lines[4].startswith("NAME  COMPARED WITH THE MATERIAL")
    assert lines[5:] == [
        "nmc   passes 3 of 6 tests, 1 undecided; fractions within 1.4 %, surfaces 2.0 %, S2 0.031, classifier 0.75"
    ]


def test_list_prints_the_same_as_json(judged):
    nmc, bare = json.loads(run("list", "--json").stdout)
    assert (nmc["version"], nmc["sha256"]) == ("2", "ab12")
    assert nmc["quality"] == pytest.approx(QUALITY)
    assert (bare["version"], bare["sha256"], bare["quality"]) == (None, None, None)


def test_info_prints_facts_and_a_table_of_fidelity():
    text = run("info", "nmc").stdout
    for fact in ("pore, NMC, CBD", "0.398 µm", "ab12", "192, 96, 48, 24", "Usseglio-Viretta et al. 2018", "8.25", "no"):
        assert fact in text
    table = [line.strip() for line in text.split("fidelity\n")[1].splitlines()]
    cells = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in table]
    assert cells == [
        ["measure", "real", "generated"],
        ["volume fraction, pore", "0.4", "0.41"],
        ["volume fraction, NMC", "0.5", "0.49"],
        ["volume fraction, CBD", "0.1", "0.1"],
        ["tpb density", "0.1235", "0.125"],
        ["tortuosity factor", "1.5, 1.6", "-"],
    ]


def test_info_of_a_trained_generator_names_its_source_and_sums_up_its_recipe(monkeypatch):
    facts = {
        "data": "NREL",
        "citation": "Usseglio-Viretta et al. 2018",
        "licence": "MIT",
        "training": {
            "recipe": {"name": "r1-slices", "architecture": "compact", "crop": 64, "r1": 0.5},
            "symmetry": {"kind": "axial", "axis": 0},
        },
        "voxel_size": 0.4,
        "fidelity": {"specific_surface_area": {"real": 1.0, "generated": 1.5}},
    }
    monkeypatch.setitem(FACTS, "bare", facts)
    lines = [" ".join(line.split()) for line in run("info", "bare").stdout.splitlines()]
    for line in (
        "data NREL",
        "citation Usseglio-Viretta et al. 2018",
        "licence MIT",
        "recipe r1-slices, architecture compact, crop 64 (all settings: --json)",
        "symmetry axial along z",
        "specific surface area (1/µm) 1 1.5",
    ):
        assert line in lines


def test_info_sums_up_a_recipe_of_views(monkeypatch):
    recipe = {"name": "default", "architecture": "deep", "loss": "hinge", "size": 64, "views": [{"kind": "slices"}]}
    monkeypatch.setitem(FACTS, "bare", {"training": {"recipe": recipe}})
    text = run("info", "bare").stdout
    assert "recipe  default, architecture deep, loss hinge, size 64 (all settings: --json)" in text


def test_info_tells_of_the_architectures_that_a_run_went_through(monkeypatch):
    recipe = {"name": "mine", "architecture": "compact", "stages": [{"from": 9}, {"from": 10, "architecture": "wide"}]}
    monkeypatch.setitem(FACTS, "bare", {"training": {"recipe": recipe}})
    assert "recipe  mine, architecture compact, then wide (all settings: --json)" in run("info", "bare").stdout


@pytest.mark.parametrize("axis", [None, 0])
def test_info_of_an_isotropic_generator_names_no_axis(monkeypatch, axis):
    monkeypatch.setitem(FACTS, "bare", {"training": {"symmetry": {"kind": "isotropic", "axis": axis}}})
    assert run("info", "bare").stdout.endswith("symmetry  isotropic\n")


def test_info_prints_what_there_is():
    assert run("info", "bare").stdout.split() == ["name", "bare", "voxel", "size", "unknown"]


def test_info_prints_json_numpy_or_not(monkeypatch):
    monkeypatch.setitem(FACTS["bare"], "fidelity", {"s": np.array([1.0, 2.0]), "n": np.float32(0.5)})
    assert json.loads(run("info", "nmc", "--json").stdout) == FACTS["nmc"]
    assert json.loads(run("info", "bare", "--json").stdout)["fidelity"] == {"s": [1.0, 2.0], "n": 0.5}


def test_unknown_names_are_refused_with_the_known_ones():
    result = run("info", "nmx")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "kerasgan3d: `name` must be one of nmc, bare. Received: 'nmx'\n"


def test_info_tells_the_units_of_slices_and_the_largest_differences(monkeypatch):
    facts = {
        "phases": ["pore", "grain"],
        "voxel_size": 0.5,
        "samples": {"compared_in": 2},
        "fidelity": {"speck_density": {"real": [1.0, 2.0], "generated": [3.0, 4.0]}},
        "two_point_correlation": {"difference": 0.0123, "max_lag": 32},
        "granulometry": {"difference": 0.25, "max_radius": 16},
    }
    monkeypatch.setitem(FACTS, "flat", facts)
    text = run("info", "flat").stdout
    assert "specks (1/µm²), grain  2     4\n" in text
    assert "largest difference of S2(r)/S2(0): 0.0123\n" in text
    assert "largest difference of granulometry: 0.25\n" in text


def test_info_tells_what_the_comparison_found(monkeypatch):
    from kerasgan3d.report.record import ComparisonRecord, GeneratedSide, MeasureRow, Samples, Side, Verdict

    sides = {"phases": ["pore", "grain"]}
    verdict = Verdict("granulometry", "falls short", 0.25, 0.12, 0.12, "grain", None, 0.01, None)
    row = MeasureRow("volume_fraction", "pore", real_mean=0.4, generated_mean=0.4)
    record = ComparisonRecord(
        Side("scan", **sides), GeneratedSide("made", **sides), Samples(4, 4, 96), [row], verdicts=[verdict]
    )
    monkeypatch.setitem(FACTS, "compared", {"comparison": record.to_dict()})
    text = run("info", "compared").stdout
    assert "Falls short in 1 of 1 tests, most in granulometry of grain: 0.250, where 0.120 passes." in text
    assert "granulometry" in text.split("compared with the material\n")[1]


def test_a_comparison_that_cannot_be_read_hides_no_other_facts(monkeypatch):
    monkeypatch.setitem(FACTS, "odd", {"comparison": {"format": 99}, "fidelity": {"n": 0.5}})
    result = run("info", "odd")
    assert result.exit_code == 0
    assert "The comparison with the material cannot be read: A comparison must be the record of" in result.stdout
    assert result.stdout.split("fidelity\n")[1].split() == ["measure", "real", "generated", "n", "0.5"]
