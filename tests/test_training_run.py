"""Whole runs, with networks small enough for seconds."""

import csv
import importlib
import json

import numpy as np
import pytest

from kerasgan3d.data import Symmetry
from kerasgan3d.io import write
from kerasgan3d.models import ARCHITECTURES, Generator
from kerasgan3d.models.preset import load_preset
from kerasgan3d.training import Recipe, calibrate, load_recipe, train
from kerasgan3d.volume import Volume

run = importlib.import_module("kerasgan3d.training.run")
monitor = importlib.import_module("kerasgan3d.training.monitor")
plan = importlib.import_module("kerasgan3d.training.plan")
NAMES = ["pore", "Ni", "YSZ"]
TINY = load_recipe("r1-slices").with_changes(
    crop=32, batch=1, slices=2, critic_widths=(4, 5), steps=4, monitor_every=2, calibrate=False
)


def blocks(*shape, phases=3):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, phases, [-(-n // 4) for n in shape]).astype("uint8")
    for axis in range(len(shape)):
        labels = labels.repeat(4, axis)
    return labels[tuple(slice(n) for n in shape)]


def make_small(monkeypatch):
    """The compact generator and what is measured of it, made tiny."""
    monkeypatch.setitem(
        ARCHITECTURES, "compact", {**ARCHITECTURES["compact"], "latent_channels": 4, "widths": (6, 4, 4, 4)}
    )
    monkeypatch.setattr(monitor, "SAMPLES", {"count": 2, "seed": 2**33})


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    make_small(monkeypatch)
    # One picture, of the run below, is enough.
    monkeypatch.setattr("kerasgan3d.training.monitor_figure.draw_monitor", lambda *args: None)


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    path = tmp_path_factory.mktemp("scan") / "scan.tif"
    write(Volume(blocks(40, 36, 44), NAMES, 0.25), path)
    return path


@pytest.fixture(scope="module")
def finished(scan, tmp_path_factory):
    """A run of four steps; the folder and what it reported."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        make_small(monkeypatch)
        output, reports = tmp_path_factory.mktemp("runs") / "deep" / "run", []
        best = train(scan, output, recipe=TINY, symmetry="axial-z", about={"licence": "MIT"}, progress=reports.append)
    return output, best, reports


def log_of(output):
    with open(output / "log.csv", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def without_time(rows):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def weights_of(folder):
    return load_preset(folder).get_weights()


def test_a_run_makes_a_preset(finished, scan):
    output, best, _ = finished
    assert best == output / "best"
    generator = load_preset(best)
    assert (generator.phases, generator.voxel_size) == (tuple(NAMES), 0.25)
    volume = generator.sample(32, periodic=True, seed=0)
    assert volume.provenance["generator"]["name"] == "run"
    card = generator.card
    assert card["licence"] == "MIT"
    assert card["training"]["data"]["file"] == "scan.tif"
    assert card["training"]["data"]["shape"] == [40, 36, 44]
    assert card["training"]["symmetry"] == {"kind": "axial", "axis": 0}
    assert card["training"]["steps"] in (2, 4)
    assert card["training"]["recipe"]["name"] == "r1-slices"
    real = np.bincount(blocks(40, 36, 44).ravel()) / blocks(40, 36, 44).size
    reference = json.loads((best / "reference.json").read_text("utf-8"))
    np.testing.assert_allclose(reference["bulk"]["volume_fraction"], real)
    assert card["fidelity"]["volume_fraction"]["real"] == reference["mean"]["volume_fraction"]


def test_a_run_reports_and_logs(finished):
    output, _, reports = finished
    assert [report.step for report in reports] == [2, 4]
    assert {report.steps for report in reports} == {4}
    assert all(np.isfinite(list(report.losses.values())).all() for report in reports)
    assert reports[-1].best_error == min(report.fidelity["error"] for report in reports)
    rows = log_of(output)
    assert [int(row["step"]) for row in rows] == [2, 4]
    assert [float(row["error"]) for row in rows] == pytest.approx([r.fidelity["error"] for r in reports], rel=1e-3)
    assert sorted(path.name for path in output.iterdir()) == ["best", "log.csv", "monitor.png", "run.json", "state.npz"]


def test_what_is_kept_is_the_best(finished):
    _, best, reports = finished
    errors = {report.step: report.fidelity["error"] for report in reports}
    assert errors[load_preset(best).card["training"]["steps"]] == min(errors.values())


def test_a_finished_run_is_left_as_it_is(finished, scan):
    output, best, _ = finished
    before, reports = (output / "state.npz").read_bytes(), []
    assert train(scan, output, recipe=TINY, symmetry=Symmetry("axial", 0), progress=reports.append) == best
    assert reports == []
    assert (output / "state.npz").read_bytes() == before


@pytest.mark.slow
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(finished, scan, tmp_path):
    output, _, _ = finished
    first = []
    train(scan, tmp_path / "run", recipe=TINY, symmetry="axial-z", minutes=1e-9, progress=first.append)
    assert [report.step for report in first] == [2]
    # Later lines, of a run that was stopped between its log and its state, are dropped.
    with open(tmp_path / "run" / "log.csv", "a", encoding="utf-8") as file:
        file.write((tmp_path / "run" / "log.csv").read_text("utf-8").splitlines()[-1].replace("2,", "4,", 1) + "\n")
    second = []
    best = train(scan, tmp_path / "run", recipe=TINY, symmetry="axial-z", progress=second.append)
    assert [report.step for report in second] == [4]
    assert without_time(log_of(tmp_path / "run")) == without_time(log_of(output))
    for a, b in zip(weights_of(best), weights_of(output / "best"), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_stages_change_settings_on_the_way(finished, scan, tmp_path):
    output, _, _ = finished
    stages = ({"from": 1, "s2_weight": 500.0, "layers": 2}, {"from": 3, "average_decay": 0.5, "statistics_decay": 0.5})
    recipe = TINY.with_changes(stages=stages, keep="last")
    whole = train(scan, tmp_path / "whole", recipe=recipe, symmetry="axial-z")
    rows = log_of(tmp_path / "whole")
    assert [row["step"] for row in rows] == ["1", "3", "4"]
    assert rows[2]["generator_loss"] != log_of(output)[1]["generator_loss"]
    for _ in range(3):  # one measurement a call
        parts = train(scan, tmp_path / "parts", recipe=recipe, symmetry="axial-z", minutes=1e-9)
    assert without_time(log_of(tmp_path / "parts")) == without_time(rows)
    for a, b in zip(weights_of(parts), weights_of(whole), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_a_stage_goes_on_with_a_wider_generator(scan, tmp_path, monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "wide", {**ARCHITECTURES["compact"], "widths": (7, 6, 4, 5)})
    recipe = TINY.with_changes(stages=({"from": 2, "architecture": "wide", "rate": 0.5},), keep="last")
    whole = train(scan, tmp_path / "whole", recipe=recipe, symmetry="axial-z")
    assert load_preset(whole).widths == (7, 6, 4, 5)
    for widths in ((6, 4, 4, 4), (7, 6, 4, 5)):  # one measurement a call
        parts = train(scan, tmp_path / "parts", recipe=recipe, symmetry="axial-z", minutes=1e-9)
        assert load_preset(parts).widths == widths
    assert without_time(log_of(tmp_path / "parts")) == without_time(log_of(tmp_path / "whole"))
    for a, b in zip(weights_of(parts), weights_of(whole), strict=True):
        np.testing.assert_array_equal(a, b)
    assert train(scan, tmp_path / "parts", recipe=recipe, symmetry="axial-z") == parts


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"steps": 6}, "recipe.steps 4, now 6"),
        ({"seed": 1}, "seed 0, now 1"),
        ({"symmetry": "isotropic"}, "symmetry.kind 'axial', now 'isotropic'"),
        ({"voxel_size": 0.5}, "voxel_size 0.25, now 0.5"),
        ({"phases": ["pore", "nickel", "YSZ"]}, "phases .*'Ni'.*, now .*'nickel'.*"),
    ],
    ids=str,
)
def test_other_settings_are_no_resumption(finished, scan, changes, what):
    output, _, _ = finished
    before = {path.name: path.read_bytes() for path in output.iterdir() if path.is_file()}
    with pytest.raises(ValueError, match=rf"holds a run with other settings: {what}. .*resume=False \(--restart\)"):
        train(scan, output, **{"recipe": TINY, "symmetry": "axial-z", **changes})
    assert {path.name: path.read_bytes() for path in output.iterdir() if path.is_file()} == before


def test_other_data_are_no_resumption(finished, tmp_path):
    output, _, _ = finished
    write(Volume(blocks(36, 36, 44), NAMES, 0.25), tmp_path / "scan.tif")
    with pytest.raises(ValueError, match=r"holds a run with other settings: data.shape .*; data.sha256"):
        train(tmp_path / "scan.tif", output, recipe=TINY, symmetry="axial-z")


@pytest.mark.slow
def test_starting_afresh_replaces_the_run(scan, tmp_path):
    for seed, resume in ((0, True), (1, False)):
        train(scan, tmp_path / "run", recipe=TINY.with_changes(steps=2), seed=seed, resume=resume)
    assert [row["step"] for row in log_of(tmp_path / "run")] == ["2"]
    assert load_preset(tmp_path / "run" / "best").card["training"]["seed"] == 1


def test_a_run_on_volumes_of_two_phases(tmp_path):
    write(Volume(blocks(36, 36, 36, phases=2), ["pore", "solid"], None), tmp_path / "scan.npy")
    recipe = TINY.with_changes(critic="volumes", spacing=4, steps=2, generator_updates=2, name="mine")
    best = train(tmp_path / "scan.npy", tmp_path / "run", recipe=recipe, name="two phases")
    generator = load_preset(best)
    assert (generator.phases, generator.voxel_size, generator.card["name"]) == (("pore", "solid"), None, "two phases")


def test_a_run_on_one_slice_calibrates_what_it_found(tmp_path, monkeypatch):
    import tifffile

    image = np.array([0, 127, 255], "uint8")[blocks(40, 44)]
    tifffile.imwrite(tmp_path / "slice.tif", image)
    monkeypatch.setattr(run, "calibrate", lambda *args: calibrate(*args, size=32, volumes=2, iterations=5))
    recipe = TINY.with_changes(calibrate=True, steps=2)
    best = train(tmp_path / "slice.tif", tmp_path / "run", recipe=recipe, phases=NAMES, voxel_size=0.1)
    card = load_preset(best).card
    wanted = np.bincount(blocks(40, 44).ravel()) / 40 / 44
    found = card["training"]["calibration"]
    assert np.abs(np.array(found["after"]) - wanted).max() <= np.abs(np.array(found["before"]) - wanted).max()
    # Calling again changes nothing: calibrated is calibrated.
    again = train(tmp_path / "slice.tif", tmp_path / "run", recipe=recipe, phases=NAMES, voxel_size=0.1)
    assert load_preset(again).card == card


@pytest.mark.parametrize("limit", [True, 0.05])
def test_biases_are_moved_by_no_more_than_the_recipe_says(scan, tmp_path, monkeypatch, limit):
    limits = []

    def found(generator, fractions, limit=0.5):
        limits.append(limit)
        return {}

    monkeypatch.setattr(run, "calibrate", found)
    train(scan, tmp_path / "run", recipe=TINY.with_changes(calibrate=limit, steps=2))
    assert limits == [0.5 if limit is True else 0.05]


def test_what_only_pulls_needs_a_generator_to_start_from(scan, tmp_path):
    with pytest.raises(ValueError, match="recipe settle starts from a generator. Received: none. Use `kerasgan3d.fine"):
        train(scan, tmp_path / "run", recipe="settle")
    assert not (tmp_path / "run").exists()


def test_a_dry_run_writes_nothing(scan, tmp_path):
    text = train(scan, tmp_path / "run", recipe=TINY, dry_run=True)
    assert isinstance(text, str)
    assert "40 x 36 x 44" in text
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"recipe": "best"}, "`recipe` must be one of"),
        (
            {"symmetry": "cubic"},
            "`symmetry` must be one of 'isotropic', 'orthotropic', 'axial-z', 'axial-y', 'axial-x'",
        ),
        ({"crop": 48}, "at least as large as a crop of 48 voxels per side. Received: 40 x 36 x 44"),
        ({"crop": 20}, "`crop` must be a multiple of 16"),
        ({"steps": 0}, "`steps` must be a positive integer"),
        ({"batch": 1.5}, "`batch` must be a positive integer"),
        ({"architecture": "large"}, "`architecture` must be .* 'wide', 'paper', 'deep'. Received: 'large'"),
        ({"phases": ["pore", "Ni"]}, "Every grey value must belong to a phase"),
        ({"mapping": {0: "pore"}}, "Every grey value must belong to a phase"),
        ({"seed": -1}, r"`seed` must be an integer from 0 to 2\*\*32 - 1. Received: -1"),
        ({"seed": 1.5}, r"`seed` must be an integer from 0 to 2\*\*32 - 1. Received: 1.5"),
        ({"seed": 2**32}, r"`seed` must be an integer from 0 to 2\*\*32 - 1. Received: 4294967296"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_mistakes_leave_no_folder(scan, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        train(scan, tmp_path / "run", **{"recipe": TINY, **options})
    assert not (tmp_path / "run").exists()


def test_missing_data(tmp_path):
    with pytest.raises(FileNotFoundError, match="no.tif"):
        train(tmp_path / "no.tif", tmp_path / "run", recipe=TINY)
    assert not (tmp_path / "run").exists()


def test_a_slice_of_an_axial_material_is_refused(tmp_path):
    import tifffile

    tifffile.imwrite(tmp_path / "slice.tif", blocks(40, 40))
    with pytest.raises(ValueError, match="one slice can only train an isotropic material"):
        train(tmp_path / "slice.tif", tmp_path / "run", recipe=TINY, symmetry="axial-z")


def test_the_recipe_used_here_is_one():
    assert isinstance(TINY, Recipe)


def test_an_output_that_can_be_no_folder_is_refused_before_anything_is_done(scan, tmp_path):
    (tmp_path / "file").write_text("mine")
    for output in (tmp_path / "file", tmp_path / "file" / "run"):
        for dry_run in (True, False):
            with pytest.raises(NotADirectoryError, match="must be a folder"):
                train(scan, output, recipe=TINY, dry_run=dry_run)
    assert (tmp_path / "file").read_text() == "mine"


def test_what_is_excluded_is_recorded_and_makes_another_run(scan, tmp_path):
    box = ((0, 8), (0, 36), (0, 44))
    best = train(scan, tmp_path / "run", recipe=TINY, steps=2, exclude=[box])
    assert load_preset(best).card["training"]["data"]["excluded"] == [[[0, 8], [0, 36], [0, 44]]]
    reference = json.loads((best / "reference.json").read_text("utf-8"))
    expected = np.bincount(blocks(40, 36, 44)[8:].ravel()) / (32 * 36 * 44)
    assert reference["bulk"]["volume_fraction"] == pytest.approx(expected.tolist())
    with pytest.raises(ValueError, match="other settings: data.excluded"):
        train(scan, tmp_path / "run", recipe=TINY, steps=2)
    with pytest.raises(ValueError, match="one \\(start, stop\\) per axis"):
        train(scan, tmp_path / "run", recipe=TINY, steps=2, exclude=[((0, 8), (0, 99), (0, 44))])


def test_what_is_held_out_is_compared_with_at_the_end(tmp_path):
    write(Volume(blocks(64, 36, 44), NAMES, 0.25), tmp_path / "scan.tif")
    box = ((32, 64), None, None)
    best = train(tmp_path / "scan.tif", tmp_path / "run", recipe=TINY, steps=2, hold_out=box)
    card = load_preset(best).card
    assert card["training"]["data"]["held_out"] == [[32, 64], [0, 36], [0, 44]]
    held = card["held_out"]
    assert held["box"] == [[32, 64], [0, 36], [0, 44]]
    assert held["error"] > 0
    assert held["error_of_training_data"] == pytest.approx(float(log_of(tmp_path / "run")[0]["error"]), rel=1e-3)
    reference = json.loads((best / "reference.json").read_text("utf-8"))
    trained = blocks(64, 36, 44)[:32]
    np.testing.assert_allclose(reference["bulk"]["volume_fraction"], np.bincount(trained.ravel()) / trained.size)
    # The same again changes nothing.
    assert train(tmp_path / "scan.tif", tmp_path / "run", recipe=TINY, steps=2, hold_out=box) == best
    assert load_preset(best).card == card


def test_a_run_on_slices_by_direction(tmp_path):
    import tifffile

    for name, shape in (("top0", (40, 36)), ("top1", (33, 50)), ("side", (40, 40))):
        tifffile.imwrite(tmp_path / f"{name}.tif", blocks(*shape), photometric="minisblack")
    data = {"z": str(tmp_path / "top*.tif"), "x": tmp_path / "side.tif"}
    options = {"recipe": TINY, "steps": 2, "phases": NAMES, "voxel_size": 0.5, "symmetry": "axial-z"}
    best = train(data, tmp_path / "run", **options)
    facts = load_preset(best).card["training"]["data"]
    assert facts["file"] == "3 images"
    assert [part["normal"] for part in facts["images"]] == ["z", "z", "x"]
    with pytest.raises(
        ValueError, match="other settings: data.file '3 images', now '2 images'; data.shape .*; data.images"
    ):
        train({**data, "z": tmp_path / "top0.tif"}, tmp_path / "run", **options)


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        ({}, ["phases  pore 0.", "crops   1 of 32", "size    ", "cost    about 1 min on two CPU cores", "a new run"]),
        ({"exclude": [((0, 2), None, None)]}, ["95 % of them used"]),
        ({"hold_out": ((0, 40), (0, 36), (0, 44))}, ["Exclude less"]),
        ({"resample_to": 0.125}, ["80 x 72 x 88 voxels of size 0.125"]),
    ],
    ids=["plain", "excluded", "held out", "resampled"],
)
def test_a_dry_run_says_what_was_found(scan, tmp_path, options, lines):
    try:
        text = train(scan, tmp_path / "run", recipe=TINY, dry_run=True, **options)
    except ValueError as error:
        text = str(error)
    assert [line for line in lines if line not in text] == [], text
    assert not (tmp_path / "run").exists()


def test_a_dry_run_tells_of_the_wider_generator_and_its_time(scan, tmp_path, monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "wide", {**ARCHITECTURES["compact"], "widths": (7, 6, 4, 5)})
    monkeypatch.setattr(plan, "_COSTS", {"compact": (1.0, 0.0), "wide": (3.0, 8.0)})
    recipe = TINY.with_changes(batch=64, steps=7200, stages=({"from": 3600, "architecture": "wide"},))
    text = train(scan, tmp_path / "run", recipe=recipe, dry_run=True)
    assert "compact, then wide generator" in text
    assert "about 4.0 h on two CPU cores" in text
    assert "some 8.6 GB" in text


@pytest.mark.parametrize(
    ("settings", "seconds"),
    [
        ({"upsampling": "resize", "widths": (6, 4, 4, 4)}, 1),
        ({"upsampling": "resize", "widths": (9, 6, 6, 6)}, 3),
        ({"upsampling": "transposed", "widths": (6, 4)}, 7),
    ],
)
def test_what_a_pretrained_generator_costs_is_that_of_the_preset_most_like_it(monkeypatch, settings, seconds):
    monkeypatch.setitem(ARCHITECTURES, "wide", {**ARCHITECTURES["compact"], "widths": (9, 7, 6, 6)})
    costs = {"compact": 1, "wide": 3, "paper": 7}
    assert costs[plan._like(Generator(2, 3, **settings))] == seconds


def test_a_dry_run_tells_of_the_run_that_goes_on(finished, scan):
    output, _, _ = finished
    text = train(scan, output, recipe=TINY, symmetry="axial-z", dry_run=True)
    assert "going on with the run in it" in text
    assert "1 min more, as fast as until now" in text


def test_structures_that_are_too_large_for_the_crop_are_told(tmp_path):
    labels = np.random.default_rng(0).integers(0, 2, (4, 4, 4)).astype("uint8")
    for axis in range(3):
        labels = labels.repeat(24, axis)
    write(Volume(labels, NAMES[:2], 0.25), tmp_path / "scan.npy")
    text = train(tmp_path / "scan.npy", tmp_path / "run", recipe=TINY, dry_run=True)
    assert "; there should be 2: pass a larger crop" in text or "structures are larger than crops" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patience": 0}, "`patience` must be a positive number of measurements. Received: 0"),
        ({"resample_to": -1}, "`resample_to` must be a positive number"),
        ({"mask": "no.tif"}, "does not exist"),
        ({"phases": [*NAMES, "void"]}, "no voxel of void"),
        ({"resample_to": 1.0}, "at least as large as a crop of 32 voxels per side. Received: 10 x 9 x 11"),
    ],
    ids=str,
)
def test_mistakes_about_the_data_lose_nothing(finished, scan, tmp_path, options, message):
    output, _, _ = finished
    before = {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}
    for folder, resume in ((tmp_path / "run", True), (output, False)):
        with pytest.raises((ValueError, OSError), match=message):
            train(scan, folder, recipe=TINY, resume=resume, **options)
    assert not (tmp_path / "run").exists()
    assert {path: path.read_bytes() for path in output.rglob("*") if path.is_file()} == before
