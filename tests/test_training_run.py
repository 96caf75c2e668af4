"""Whole runs, with networks small enough for seconds."""

import csv
import json

import numpy as np
import pytest

from kerasgan3d.data import Symmetry
from kerasgan3d.io import write
from kerasgan3d.models import Generator
from kerasgan3d.models.preset import load_preset
from kerasgan3d.report.run_figure import FRAMES, read_frames
from kerasgan3d.training import plan, train
from kerasgan3d.training.monitor import Limits
from kerasgan3d.volume import Volume

NAMES = ["pore", "Ni", "YSZ"]


def blocks(*shape, phases=3):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, phases, [-(-n // 4) for n in shape]).astype("uint8")
    for axis in range(len(shape)):
        labels = labels.repeat(4, axis)
    return labels[tuple(slice(n) for n in shape)]


@pytest.fixture(autouse=True)
def _small(monkeypatch, shrink):
    shrink(monkeypatch)


@pytest.fixture(scope="module")
def full(tiny_recipes):
    return tiny_recipes["full"]


@pytest.fixture(scope="module")
def plain(tiny_recipes):
    return tiny_recipes["plain"]


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    path = tmp_path_factory.mktemp("scan") / "scan.tif"
    write(Volume(blocks(40, 36, 44), NAMES, 0.25), path)
    return path


@pytest.fixture(scope="module")
def finished(scan, tmp_path_factory, shrink, full):
    """A run of four steps; the folder, what it reported, and what it said."""
    from kerasgan3d.report import run_figure

    draw = run_figure.draw_monitor
    with pytest.MonkeyPatch.context() as monkeypatch:
        shrink(monkeypatch)
        monkeypatch.setattr(run_figure, "draw_monitor", draw)  # one picture is enough
        output, reports, said = tmp_path_factory.mktemp("runs") / "deep" / "run", [], []
        options = {"symmetry": "axial-z", "about": {"licence": "MIT"}, "progress": reports.append, "say": said.append}
        best = train(scan, output, recipe=full, **options)
    return output, best, reports, said


def log_of(output):
    with open(output / "log.csv", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def without_time(rows):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def content(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_same_weights(one, other):
    for a, b in zip(load_preset(one).get_weights(), load_preset(other).get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_run_makes_a_preset(finished, scan):
    output, best, *_ = finished
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
    assert card["training"]["recipe"]["name"] == "default"
    real = np.bincount(blocks(40, 36, 44).ravel()) / blocks(40, 36, 44).size
    reference = json.loads((best / "reference.json").read_text("utf-8"))
    np.testing.assert_allclose(reference["bulk"]["volume_fraction"], real)
    assert card["fidelity"]["volume_fraction"]["real"] == reference["mean"]["volume_fraction"]


def test_what_a_conditional_generator_makes_of_wishes_is_measured_at_the_end(finished):
    generator = load_preset(finished[1])
    answers = generator.card["training"]["answers"]
    assert np.shape(answers["asked"]) == np.shape(answers["got"]) == (4, 3)
    assert generator.conditions.shift == pytest.approx(answers["shift"])
    assert [asked[0] for asked, _ in generator.conditions.response] == pytest.approx(
        np.min(answers["asked"], 0), abs=1e-4
    )
    wish = {"pore": generator.conditions.mean[0]}
    told, other = (generator.sample(16, periodic=True, seed=0, fractions=x).labels for x in (wish, None))
    assert (told != other).any()


def test_a_run_reports_and_logs(finished):
    output, _, reports, _ = finished
    assert [report.step for report in reports] == [2, 4]
    assert {report.steps for report in reports} == {4}
    assert all(np.isfinite(list(report.losses.values())).all() for report in reports)
    assert {"local_fractions_error", "surface_areas_error"} <= set(reports[0].losses)
    assert reports[-1].best_error == min(report.fidelity["error"] for report in reports)
    rows = log_of(output)
    assert [int(row["step"]) for row in rows] == [2, 4]
    assert [float(row["error"]) for row in rows] == pytest.approx([r.fidelity["error"] for r in reports], rel=1e-3)
    files = ["best", "evolution.npz", "log.csv", "monitor.png", "run.json", "state.npz"]
    assert sorted(path.name for path in output.iterdir()) == files


def test_a_run_keeps_slices_of_one_seed_from_noise_on(finished):
    numbers, steps, slices = read_frames(finished[0])
    assert (numbers.tolist(), steps.tolist()) == ([0, 1, 2], [0, 2, 4])
    size = json.loads((finished[1] / "reference.json").read_text("utf-8"))["sub_volumes"]["size"]
    assert slices.shape == (3, size, size)
    assert (slices[0] != slices[2]).any()


def test_a_run_says_what_it_found_and_which_part_begins(finished):
    said = finished[3]
    (facts,) = [line for line in said if "\n" in line]
    assert "40 x 36 x 44 voxels" in facts
    assert "slices of 16 x 16, of volumes of 16 x 16 x 16 pooled by 2" in facts
    assert [line for line in said if line != facts] == [
        "reading the data",
        "measuring its edges and local volume fractions",
        "preparing the networks",
        "measuring the data",
        "training from step 0",
        "measuring the response to requested volume fractions",
    ]


def test_what_is_kept_is_the_best(finished):
    _, best, reports, _ = finished
    errors = {report.step: report.fidelity["error"] for report in reports}
    assert errors[load_preset(best).card["training"]["steps"]] == min(errors.values())


def test_a_finished_run_is_left_as_it_is(finished, scan, full):
    output, best, *_ = finished
    before, reports = content(output), []
    assert train(scan, output, recipe=full, symmetry=Symmetry("axial", 0), progress=reports.append) == best
    assert reports == []
    assert content(output) == before


def test_an_interrupted_run_goes_on_as_if_it_had_not_been(finished, scan, tmp_path, full):
    output, *_ = finished

    def interrupt(done, steps):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(scan, tmp_path / "run", recipe=full, symmetry="axial-z", tick=interrupt)
    assert [row["step"] for row in log_of(tmp_path / "run")] == ["2"]
    # Later lines, of a run that was stopped between its log and its state, are dropped.
    with open(tmp_path / "run" / "log.csv", "a", encoding="utf-8") as file:
        file.write((tmp_path / "run" / "log.csv").read_text("utf-8").splitlines()[-1].replace("2,", "4,", 1) + "\n")
    second = []
    best = train(scan, tmp_path / "run", recipe=full, symmetry="axial-z", progress=second.append)
    assert [report.step for report in second] == [4]
    assert without_time(log_of(tmp_path / "run")) == without_time(log_of(output))
    assert (tmp_path / "run" / FRAMES).read_bytes() == (output / FRAMES).read_bytes()
    assert_same_weights(best, output / "best")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"steps": 6}, "recipe.steps 4, now 6"),
        ({"seed": 1}, "seed 0, now 1"),
        ({"symmetry": "isotropic"}, "symmetry.kind 'axial', now 'isotropic'"),
        ({"voxel_size": 0.5}, "voxel_size 0.25, now 0.5"),
        ({"phases": ["pore", "nickel", "YSZ"]}, "phases .*'Ni'.*, now .*'nickel'.*"),
        ({"loss": "logistic"}, "recipe.loss None, now 'logistic'"),
    ],
    ids=str,
)
def test_other_settings_are_no_resumption(finished, scan, full, changes, what):
    output, *_ = finished
    before = content(output)
    with pytest.raises(ValueError, match=rf"holds a run with other settings: {what}.*`resume=False`"):
        train(scan, output, **{"recipe": full, "symmetry": "axial-z", **changes})
    assert content(output) == before


def test_other_data_are_no_resumption(finished, tmp_path, full):
    output, *_ = finished
    write(Volume(blocks(36, 36, 44), NAMES, 0.25), tmp_path / "scan.tif")
    with pytest.raises(ValueError, match=r"holds a run with other settings: data.shape .*; data.sha256"):
        train(tmp_path / "scan.tif", output, recipe=full, symmetry="axial-z")


def test_starting_afresh_replaces_the_run(scan, tmp_path, plain):
    for seed, resume in ((0, True), (1, False)):
        train(scan, tmp_path / "run", recipe=plain.with_changes(steps=2), seed=seed, resume=resume)
    assert [row["step"] for row in log_of(tmp_path / "run")] == ["2"]
    assert read_frames(tmp_path / "run")[1].tolist() == [0, 2]
    assert load_preset(tmp_path / "run" / "best").card["training"]["seed"] == 1


# Precision: decided once


def test_the_precision_that_was_decided_is_kept_where_a_run_goes_on(scan, tmp_path, plain, monkeypatch):
    recipe = plain.with_changes(precision="auto", steps=1)
    for has in ("float32", "mixed_bfloat16"):  # what the machine would choose
        monkeypatch.setattr("kerasgan3d.training.run.precision_of", lambda p, has=has: has if p == "auto" else p)
        train(scan, tmp_path / "run", recipe=recipe)
    assert "precision" in json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))["recipe"]
    with pytest.raises(ValueError, match="other settings: recipe.precision 'float32', now 'mixed_bfloat16'"):
        train(scan, tmp_path / "run", recipe=recipe, precision="mixed_bfloat16")


# Time


def test_minutes_include_the_end_of_the_run(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    limits = Limits(minutes=2)
    limits.measuring, limits.comparing = 20.0, 30.0
    for seconds, out in ((0, False), (39, False), (41, True), (200, True)):
        now[0] = 100.0 + seconds
        assert limits.time_is_out == out, seconds
    assert not Limits().time_is_out


def test_time_that_is_out_ends_a_run_between_measurements(finished, scan, tmp_path, full, monkeypatch):
    asked, reports = iter([False, True]), []  # before the first step, after it
    with monkeypatch.context() as patch:
        patch.setattr(Limits, "time_is_out", property(lambda self: next(asked)))
        train(scan, tmp_path / "run", recipe=full, symmetry="axial-z", minutes=5, progress=reports.append)
    assert [report.step for report in reports] == [1]
    best = train(scan, tmp_path / "run", recipe=full, symmetry="axial-z", progress=reports.append)
    assert [report.step for report in reports] == [1, 2, 4]
    if load_preset(best).card["training"]["steps"] == load_preset(finished[1]).card["training"]["steps"]:
        assert_same_weights(best, finished[1])
    assert log_of(tmp_path / "run")[-1]["error"] == log_of(finished[0])[-1]["error"]


def test_a_run_that_has_no_time_to_learn_keeps_nothing(scan, tmp_path, plain):
    for _ in range(2):
        with pytest.raises(
            ValueError, match="`minutes` must leave time to learn. Received: 1e-09, .* Give mo"
        ) as error:
            train(scan, tmp_path / "run", recipe=plain, minutes=1e-9)
        assert "\n" not in str(error.value)
        assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["run.json"]
    assert train(scan, tmp_path / "run", recipe=plain, steps=4).is_dir()


# Kinds of data


def test_a_run_of_two_phases(tmp_path, plain):
    write(Volume(blocks(36, 36, 36, phases=2), ["pore", "solid"], None), tmp_path / "scan.npy")
    recipe = plain.with_changes(steps=1, generator_updates=2, critic_updates=2, name="mine")
    best = train(tmp_path / "scan.npy", tmp_path / "run", recipe=recipe, name="two phases")
    generator = load_preset(best)
    assert (generator.phases, generator.voxel_size, generator.card["name"]) == (("pore", "solid"), None, "two phases")


def test_a_run_of_four_phases(tmp_path, full):
    names = ["pore", "Ni", "YSZ", "CGO"]
    write(Volume(blocks(36, 40, 36, phases=4), names, 0.25), tmp_path / "scan.tif")
    terms = {"local_fractions": 0.15, "triple_phase_boundaries": 1.0}
    best = train(tmp_path / "scan.tif", tmp_path / "run", recipe=full.with_changes(terms=terms), steps=1)
    generator = load_preset(best)
    assert generator.phases == tuple(names)
    assert generator.conditions.n_phases == 4
    assert generator.card["training"]["terms"] == terms
    assert len(generator.card["fidelity"]["volume_fraction"]["generated"]) == 4
    volume = generator.sample(32, periodic=True, seed=0, fractions={"CGO": 0.25})
    assert volume.fractions.sum() == pytest.approx(1)


def test_a_run_on_one_slice(tmp_path, full):
    import tifffile

    image = np.array([0, 127, 255], "uint8")[blocks(40, 44)]
    tifffile.imwrite(tmp_path / "slice.tif", image)
    options = {"recipe": full, "steps": 1, "phases": NAMES, "voxel_size": 0.1}
    best = train(tmp_path / "slice.tif", tmp_path / "run", **options)
    card = load_preset(best).card
    assert card["samples"]["compared_in"] == 2
    assert card["training"]["notes"] == ["no volumes of 16 x 16 x 16 pooled by 2: the data are slices"]
    assert [view["kind"] for view in card["training"]["recipe"]["views"]] == ["slices"]
    # Calling again changes nothing: what was measured at the end is measured.
    before = content(best)
    assert train(tmp_path / "slice.tif", tmp_path / "run", **options) == best
    assert content(best) == before


def test_a_run_on_slices_by_direction(tmp_path, plain):
    import tifffile

    for name, shape in (("top0", (40, 36)), ("top1", (33, 50)), ("side", (40, 40))):
        tifffile.imwrite(tmp_path / f"{name}.tif", blocks(*shape), photometric="minisblack")
    data = {"z": str(tmp_path / "top*.tif"), "x": tmp_path / "side.tif"}
    options = {"recipe": plain, "steps": 1, "phases": NAMES, "voxel_size": 0.5, "symmetry": "axial-z"}
    best = train(data, tmp_path / "run", **options)
    facts = load_preset(best).card["training"]["data"]
    assert facts["file"] == "3 images"
    assert [part["normal"] for part in facts["images"]] == ["z", "z", "x"]
    with pytest.raises(
        ValueError, match="other settings: data.file '3 images', now '2 images'; data.shape .*; data.images"
    ):
        train({**data, "z": tmp_path / "top0.tif"}, tmp_path / "run", **options)


def test_what_is_asked_for_and_cannot_be_is_told_and_recorded(scan, tmp_path, plain):
    views = (*plain.views, {"kind": "slices", "size": 64, "pool": 2})
    terms = {"local_fractions": 1.0, "volume_fractions": 2.0}
    text = train(scan, tmp_path / "run", recipe=plain.with_changes(views=views, terms=terms, edges=0.1), dry_run=True)
    for line in (
        "note     slices of 16 x 16 pooled by 2 instead of slices of 64 x 64 pooled by 2: there is room for 16 voxels",
        "note     no local fractions: the generator is not told local fractions",
        "terms    volume_fractions 2\n",
        "not told volume fractions; relativistic loss",
    ):
        assert line in text, text


def test_a_recipe_that_starts_from_a_generator_needs_one(scan, tmp_path, plain):
    with pytest.raises(ValueError, match="recipe default starts from a generator. Received: none. Use `kerasgan3d.f"):
        train(scan, tmp_path / "run", recipe=plain.with_changes(architecture="pretrained"))
    assert not (tmp_path / "run").exists()


def test_a_dry_run_writes_nothing(scan, tmp_path, full):
    text = train(scan, tmp_path / "run", recipe=full, dry_run=True)
    assert isinstance(text, str)
    assert "40 x 36 x 44" in text
    assert "deep generator, told local volume fractions" in text
    assert not (tmp_path / "run").exists()


# Mistakes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"recipe": "best"}, "`recipe` must be one of"),
        (
            {"symmetry": "cubic"},
            "`symmetry` must be one of 'isotropic', 'orthotropic', 'axial-z', 'axial-y', 'axial-x'",
        ),
        ({"size": 18}, "`size` must be a multiple of 4 voxels. Received: 18"),
        ({"steps": 0}, "`steps` must be a positive integer"),
        ({"batch": 1.5}, "`batch` must be a positive integer"),
        ({"loss": "huber"}, "`loss` must be one of 'relativistic', .* Received: 'huber'"),
        ({"architecture": "large"}, "`architecture` must be .* 'paper', 'deep', .* Received: 'large'"),
        ({"phases": ["pore", "Ni"]}, "Every grey value must belong to a phase"),
        ({"mapping": {0: "pore"}}, "Every grey value must belong to a phase"),
        ({"seed": -1}, "`seed` must be an integer from 0 to 4294967295. Received: -1"),
        ({"seed": 1.5}, "`seed` must be an integer from 0 to 4294967295. Received: 1.5"),
        ({"seed": 2**32}, "`seed` must be an integer from 0 to 4294967295. Received: 4294967296"),
        ({"minutes": 0}, "`minutes` must be positive. Received: 0"),
        ({"minutes": -1}, "`minutes` must be a number of at least 0. Received: -1"),
        ({"warmup": -1}, "`warmup` must be an integer of at least 0. Received: -1"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_mistakes_leave_no_folder(scan, tmp_path, plain, options, message):
    with pytest.raises(ValueError, match=message):
        train(scan, tmp_path / "run", **{"recipe": plain, **options})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("keyword", "message"),
    [
        ("critic", "`critic` is of an earlier version: a recipe's `views` say what critics see."),
        ("crop", r"`crop` is of an earlier version: `size` is the edge of the periodic volume"),
        ("critic_warmup", r"`critic_warmup` is of an earlier version: `warmup` lets the generator's"),
        ("crops", r"train\(\) has no keyword 'crops'."),
    ],
)
def test_keywords_of_earlier_versions_name_what_replaces_them(scan, tmp_path, keyword, message):
    with pytest.raises(TypeError, match=message) as error:
        train(scan, tmp_path / "run", **{keyword: 64})
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_missing_data(tmp_path, plain):
    with pytest.raises(FileNotFoundError, match="no.tif"):
        train(tmp_path / "no.tif", tmp_path / "run", recipe=plain)
    assert not (tmp_path / "run").exists()


def test_a_slice_of_an_axial_material_is_refused(tmp_path, plain):
    import tifffile

    tifffile.imwrite(tmp_path / "slice.tif", blocks(40, 40))
    with pytest.raises(ValueError, match="one slice can only train an isotropic material"):
        train(tmp_path / "slice.tif", tmp_path / "run", recipe=plain, symmetry="axial-z")


def test_an_output_that_can_be_no_folder_is_refused_before_anything_is_done(scan, tmp_path, plain):
    (tmp_path / "file").write_text("mine")
    for output in (tmp_path / "file", tmp_path / "file" / "run"):
        for dry_run in (True, False):
            with pytest.raises(NotADirectoryError, match="must be a folder"):
                train(scan, output, recipe=plain, dry_run=dry_run)
    assert (tmp_path / "file").read_text() == "mine"


# Folders of earlier versions, and damaged ones


@pytest.fixture
def earlier(tmp_path, small_preset):
    """A folder of a run as version 0.1 left it."""
    import shutil

    shutil.copytree(small_preset, tmp_path / "old" / "best")
    np.savez(tmp_path / "old" / "state.npz", a=np.zeros(3))
    settings = {"recipe": {"name": "r1-slices", "crop": 64}, "seed": 0}
    (tmp_path / "old" / "run.json").write_text(json.dumps(settings), "utf-8")
    return tmp_path / "old"


@pytest.mark.parametrize(
    "options",
    [{}, {"recipe": "r1-slices"}, {"crop": 64}, {"seed": -1}, {"dry_run": True}, {"data": "no.tif"}],
    ids=str,
)
def test_a_run_of_an_earlier_version_is_refused_before_anything_else(earlier, scan, options):
    before = content(earlier)
    with pytest.raises(
        ValueError, match="holds a run of kerasgan3d 0.1, which that version resumes. Its best "
    ) as error:
        train(**{"data": scan, "output": earlier, **options})
    assert "\n" not in str(error.value)
    assert content(earlier) == before


def test_the_best_of_an_earlier_version_is_a_preset_as_before(earlier):
    from kerasgan3d import load_generator

    assert load_generator(earlier / "best").sample(16, seed=0).shape == (16, 16, 16)


def test_a_run_of_an_earlier_version_can_be_begun_anew(earlier, scan, plain):
    best = train(scan, earlier, recipe=plain, steps=1, resume=False)
    assert load_preset(best).phases == tuple(NAMES)


@pytest.mark.parametrize("missing", ["state.npz", "run.json"])
def test_a_folder_that_lacks_a_file_is_no_fresh_start(finished, scan, full, tmp_path, missing):
    import shutil

    output = shutil.copytree(finished[0], tmp_path / "run")
    (output / missing).unlink()
    before = content(output)
    with pytest.raises(ValueError, match=rf"{missing}.* start afresh with `resume=False`"):
        train(scan, output, recipe=full, symmetry="axial-z")
    assert content(output) == before


@pytest.mark.parametrize("spoil", ["flip", "cut", "empty", "text"])
def test_a_damaged_state_is_named_and_the_best_stays(finished, scan, full, tmp_path, spoil):
    import shutil

    output = shutil.copytree(finished[0], tmp_path / "run")
    data = bytearray((output / "state.npz").read_bytes())
    if spoil == "flip":
        data[len(data) // 2] ^= 1
    data = {"flip": data, "cut": data[:-30], "empty": b"", "text": b"step,error\n"}[spoil]
    (output / "state.npz").write_bytes(data)
    before = content(output)
    with pytest.raises(ValueError, match=r"state.npz is damaged: .* best/ is not touched; start afresh") as error:
        train(scan, output, recipe=full, symmetry="axial-z")
    assert "\n" not in str(error.value)
    assert {path: before[path] for path in before if "best" in path.parts} == content(output / "best")


@pytest.mark.parametrize("garbage", [b"\xff\xfe\x00\n\x00,,\n", b'step,error\n"2', b"\n" * 5, b"step\n2\n"], ids=repr)
def test_a_damaged_log_costs_no_more_than_its_lines(finished, scan, full, tmp_path, garbage):
    import shutil

    output = shutil.copytree(finished[0], tmp_path / "run")
    (output / "log.csv").write_bytes(garbage)
    assert train(scan, output, recipe=full, symmetry="axial-z") == output / "best"
    assert [row["step"] for row in log_of(output)] == ["4"]


def test_crops_are_as_large_as_there_is_room_beside_what_is_excluded(scan):
    from kerasgan3d.material.material import Material

    for thick, room in ((0, 36), (8, 32), (12, 28), (38, 4)):
        box = [((40 - thick, 40), None, None)] if thick else None
        assert Material(scan, Symmetry(), exclude=box).room(64) == room
    assert Material(scan, Symmetry()).room(16) == 16


def test_what_is_excluded_is_recorded_and_makes_another_run(scan, tmp_path, plain):
    box = ((0, 8), (0, 36), (0, 44))
    best = train(scan, tmp_path / "run", recipe=plain, steps=1, exclude=[box])
    assert load_preset(best).card["training"]["data"]["excluded"] == [[[0, 8], [0, 36], [0, 44]]]
    reference = json.loads((best / "reference.json").read_text("utf-8"))
    expected = np.bincount(blocks(40, 36, 44)[8:].ravel()) / (32 * 36 * 44)
    assert reference["bulk"]["volume_fraction"] == pytest.approx(expected.tolist())
    with pytest.raises(ValueError, match="other settings: data.excluded"):
        train(scan, tmp_path / "run", recipe=plain, steps=1)
    with pytest.raises(ValueError, match="one \\(start, stop\\) per axis"):
        train(scan, tmp_path / "run", recipe=plain, steps=1, exclude=[((0, 8), (0, 99), (0, 44))])


def test_what_is_held_out_is_compared_with_at_the_end(tmp_path, plain):
    write(Volume(blocks(64, 36, 44), NAMES, 0.25), tmp_path / "scan.tif")
    box = ((32, 64), None, None)
    best = train(tmp_path / "scan.tif", tmp_path / "run", recipe=plain, steps=1, hold_out=box)
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
    assert train(tmp_path / "scan.tif", tmp_path / "run", recipe=plain, steps=1, hold_out=box) == best
    assert load_preset(best).card == card


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        ({}, ["phases   pore 0.", "crops    8 of 16", "size     ", "cost     about 1 min on two CPU", "a new run"]),
        ({"exclude": [((0, 2), None, None)]}, ["95 % of them used"]),
        ({"hold_out": ((0, 40), (0, 36), (0, 44))}, ["Exclude less"]),
        ({"resample_to": 0.125}, ["80 x 72 x 88 voxels of size 0.125"]),
    ],
    ids=["plain", "excluded", "held out", "resampled"],
)
def test_a_dry_run_says_what_was_found(scan, tmp_path, plain, options, lines):
    try:
        text = train(scan, tmp_path / "run", recipe=plain, dry_run=True, **options)
    except ValueError as error:
        text = str(error)
    assert [line for line in lines if line not in text] == [], text
    assert not (tmp_path / "run").exists()


def test_a_dry_run_tells_time_and_memory(scan, tmp_path, plain, monkeypatch):
    monkeypatch.setattr(plan, "_COSTS", {"deep": (512.0, 512.0)})
    recipe = plain.with_changes(batch=2, steps=3600, generator_updates=3)
    text = train(scan, tmp_path / "run", recipe=recipe, dry_run=True)
    assert "about 4.0 h on two CPU cores" in text
    assert "some 2.9 GB" in text


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"upsampling": "resize", "widths": (6, 4, 4, 4)}, "compact"),
        ({"upsampling": "resize", "widths": (6, 4), "depths": (1, 0)}, "deep"),
        ({"upsampling": "transposed", "widths": (6, 4)}, "paper"),
    ],
)
def test_what_a_pretrained_generator_costs_is_that_of_the_architecture_most_like_it(settings, kind):
    assert plan._like(Generator(2, 3, **settings)) == kind


def test_a_dry_run_tells_of_the_run_that_goes_on(finished, scan, full):
    output, *_ = finished
    text = train(scan, output, recipe=full, symmetry="axial-z", dry_run=True)
    assert "resuming the run in it" in text
    assert "1 min more at the speed so far" in text


def test_structures_that_are_too_large_for_the_crop_are_told(tmp_path, plain):
    labels = np.random.default_rng(0).integers(0, 2, (4, 4, 4)).astype("uint8")
    for axis in range(3):
        labels = labels.repeat(24, axis)
    write(Volume(labels, NAMES[:2], 0.25), tmp_path / "scan.npy")
    text = train(tmp_path / "scan.npy", tmp_path / "run", recipe=plain, dry_run=True)
    assert "; there should be 2: pass a larger crop" in text or "structures are larger than crops" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patience": 0}, "`patience` must be a positive integer. Received: 0"),
        ({"resample_to": -1}, "`resample_to` must be a positive number"),
        ({"mask": "no.tif"}, "does not exist"),
        ({"phases": [*NAMES, "void"]}, "no voxel of void"),
        ({"resample_to": 5.0}, "at least one view must fit into the data and the generated volumes. Rec"),
    ],
    ids=str,
)
def test_mistakes_about_the_data_lose_nothing(finished, scan, tmp_path, plain, options, message):
    output, *_ = finished
    before = content(output)
    for folder, resume in ((tmp_path / "run", True), (output, False)):
        with pytest.raises((ValueError, OSError), match=message):
            train(scan, folder, recipe=plain, resume=resume, **options)
    assert not (tmp_path / "run").exists()
    assert content(output) == before
