"""Measuring, keeping and going on: whatever the moment of an end, nothing that was kept is lost."""

import json
import os
import resource
import shutil
import subprocess
import sys

import numpy as np
import pytest

from kerasgan3d.files import WriteError
from kerasgan3d.io import write
from kerasgan3d.material.statistics import spread
from kerasgan3d.models.preset import load_preset
from kerasgan3d.report.run_figure import FRAMES, keep_frame, read_frames
from kerasgan3d.training import monitor, train
from kerasgan3d.training.keeper import Keeper
from kerasgan3d.training.log import read_log, write_log
from kerasgan3d.training.monitor import Limits, Report
from kerasgan3d.training.state import read_state
from kerasgan3d.volume import Volume
from kerasgan3d.zoo.card import card_text

NAMES = ("pore", "solid")


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 2, shape).astype("uint8")


@pytest.fixture(autouse=True)
def _small(monkeypatch, shrink, request):
    shrink(monkeypatch, traced=request.node.get_closest_marker("slow") is not None)


@pytest.fixture(scope="module")
def tiny(tiny_recipes):
    return tiny_recipes["plain"].with_changes(steps=6)


def errors_are(monkeypatch, *errors):
    """Let measurements find these errors, one after another."""
    found, fidelity = iter(errors), monitor.fidelity
    monkeypatch.setattr(monitor, "fidelity", lambda *args: {**fidelity(*args), "error": next(found)})


@pytest.fixture(scope="module")
def moments(tmp_path_factory, shrink, tiny):
    """A run, its folder as it was before and after every file of it came into place, and its GAN."""
    folder = tmp_path_factory.mktemp("run")
    write(Volume(noise(36, 36, 36), NAMES, 0.5), folder / "scan.npy")
    found, gans = [], []
    with pytest.MonkeyPatch.context() as monkeypatch:
        shrink(monkeypatch)
        errors_are(monkeypatch, 0.5, 0.75, 0.25)  # that fall, rise and fall: the best is kept at steps 2 and 6
        replace, state = os.replace, monitor.Monitor.__init__

        def watched(source, target):
            look()
            replace(source, target)
            look()

        def look():
            if (folder / "run").exists():
                found.append(folder / "moments" / f"{len(found):03d}")
                shutil.copytree(folder / "run", found[-1])

        def noted(self, gan, *args, **options):
            gans.append(gan)
            state(self, gan, *args, **options)

        monkeypatch.setattr("os.replace", watched)
        monkeypatch.setattr(monitor.Monitor, "__init__", noted)
        train(folder / "scan.npy", folder / "run", recipe=tiny)
    return folder, found, gans[0]


def resumed(gan, folder):
    """The monitor and keeper of a run that goes on in a folder."""
    reference = json.loads((folder.parent / "reference.json").read_text("utf-8"))
    keeper = Keeper(folder)
    card = {"training": json.loads((folder / "run.json").read_text("utf-8"))}
    watching = monitor.Monitor(gan, 6, keeper, reference, card, Limits())
    keeper.resume(gan.state(), watching.keep)
    return watching, keeper


def test_whatever_the_moment_of_an_end_the_run_goes_on_from_its_state(moments, tmp_path):
    folder, found, gan = moments
    shutil.copy(folder / "run" / "best" / "reference.json", tmp_path)
    final = read_log(folder / "run" / "log.csv")
    assert [row["step"] for row in final] == ["2", "4", "6"]
    kept, seen = {}, set()
    for k, moment in enumerate(found):
        if not (moment / "state.npz").exists():
            continue
        here = shutil.copytree(moment, tmp_path / str(k))
        _, keeper = resumed(gan, here)
        seen.add(keeper.step)
        # The log ends with the state, line by line that of the run that was not interrupted.
        assert keeper.rows == final[: keeper.step // 2] == read_log(here / "log.csv")
        assert keeper.best_step == {2: 2, 4: 2, 6: 6}[keeper.step]
        assert keeper.best == {2: 0.5, 4: 0.5, 6: 0.25}[keeper.step]
        best = load_preset(here / "best")
        assert best.card["training"]["steps"] == keeper.best_step
        weights = kept.setdefault(keeper.best_step, best.get_weights())
        for a, b in zip(best.get_weights(), weights, strict=True):
            np.testing.assert_array_equal(a, b)
        if keeper.best_step == keeper.step:
            for a, b in zip(best.get_weights(), gan.average.generator.get_weights(), strict=True):
                np.testing.assert_array_equal(a, b)
        assert not [path for path in here.iterdir() if path.name.endswith(".tmp")]
    assert seen == {2, 4, 6}
    assert len(found) > 20


def test_a_best_generator_that_is_gone_is_told(moments, tmp_path):
    folder, found, gan = moments
    shutil.copy(folder / "run" / "best" / "reference.json", tmp_path)
    here = shutil.copytree(next(m for m in reversed(found) if state_step(m) == 4), tmp_path / "run")
    for path in here.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
    with pytest.raises(ValueError, match=r"best must hold the best generator .* that of step 2. Received: none"):
        resumed(gan, here)


def state_step(folder):
    if not (folder / "state.npz").exists():
        return None
    return int(read_state(folder / "state.npz")["extra step"])


def test_a_full_disk_leaves_the_last_checkpoint(moments, tmp_path):
    here = shutil.copytree(moments[0] / "run", tmp_path / "run")
    shutil.copy(here / "best" / "reference.json", tmp_path)
    _, keeper = resumed(moments[2], here)
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    keeper.step += 2
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, limits[1]))
    try:
        with pytest.raises(WriteError, match=r"state.npz could not be written whole.* Is there room on the disk\?"):
            keeper.record(moments[2].state(), {"step": "8"}, 0.1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before


def test_every_flip_of_a_state_is_found_or_harmless(moments, tmp_path):
    path = tmp_path / "state.npz"
    data = (moments[0] / "run" / "state.npz").read_bytes()
    expected, rng, said = read_state(moments[0] / "run" / "state.npz"), np.random.default_rng(0), []
    for place in rng.integers(0, len(data), 60):
        spoiled = bytearray(data)
        spoiled[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(spoiled)
        try:
            found = read_state(path)
        except ValueError as error:
            said.append(str(error))
            continue
        assert set(found) == set(expected)
        assert all(np.array_equal(found[name], expected[name]) for name in found)
    assert len(said) > 20
    assert all("state.npz is damaged" in text for text in said)


_KILLED = """
import functools, os, signal, sys
from kerasgan3d.models import ARCHITECTURES
from kerasgan3d.material import material
from kerasgan3d.training import load_recipe, monitor, train
folder, when = sys.argv[1:]
ARCHITECTURES["deep"] = {**ARCHITECTURES["deep"], "latent_channels": 4, "widths": (6, 4), "depths": (1, 1)}
monitor.SAMPLES = {"count": 2, "seed": 2**33}
material.reference_statistics = functools.partial(material.reference_statistics, count=20)
recipe = load_recipe(folder + "/recipe.json")
def die():
    os.kill(os.getpid(), signal.SIGKILL)
summarise = monitor.summarise
def killed(*args):
    if when == "measuring":
        die()
    return summarise(*args)
monitor.summarise = killed
train(folder + "/scan.npy", folder + "/run", recipe=recipe,
      tick=lambda done, steps: die() if when == "training" and done == 3 else None)
"""


def without_time(rows):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def state_of(folder):
    """The variables of a state, in order: their names count the models that a process made."""
    arrays = read_state(folder / "state.npz")
    return [arrays[name] for name in sorted(arrays) if not name.startswith("extra ")]


@pytest.mark.slow
def test_a_killed_run_ends_as_one_that_was_not(tmp_path, tiny_recipes):
    write(Volume(noise(36, 36, 36), NAMES, 0.5), tmp_path / "scan.npy")
    recipe = tiny_recipes["plain"].with_changes(terms={"surface_areas": 1.0})
    (tmp_path / "recipe.json").write_text(json.dumps(recipe.to_dict()), "utf-8")
    for when in ("training", "measuring"):  # after the first checkpoint, before the second
        command = [sys.executable, "-c", _KILLED, str(tmp_path), when]
        assert subprocess.run(command, capture_output=True, check=False).returncode == -9
        assert state_step(tmp_path / "run") == 2
    for name in ("run", "whole"):
        train(tmp_path / "scan.npy", tmp_path / name, recipe=recipe)
    one, other = (read_log(tmp_path / name / "log.csv") for name in ("run", "whole"))
    assert without_time(one) == without_time(other)
    one, other = (load_preset(tmp_path / name / "best").get_weights() for name in ("run", "whole"))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)
    one, other = (state_of(tmp_path / name) for name in ("run", "whole"))
    assert len(one) == len(other) > 10
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (tmp_path / "run" / FRAMES).read_bytes() == (tmp_path / "whole" / FRAMES).read_bytes()
    left = {path.name for path in (tmp_path / "run").iterdir()}
    assert left == {"best", "evolution.npz", "log.csv", "monitor.png", "run.json", "state.npz"}


# Slices of one seed


def frames_of(folder, *measurements):
    folder.mkdir(exist_ok=True)
    for number in measurements:
        keep_frame(folder, number, 10 * number, np.full((3, 4, 5), number % 250, np.uint8))
    return read_frames(folder)[0].tolist()


def test_two_slices_per_doubling_stay_and_the_latest(tmp_path):
    assert frames_of(tmp_path / "few", *range(8)) == [0, 1, 2, 3, 4, 6, 7]
    numbers, steps, slices = read_frames(tmp_path / "few")
    np.testing.assert_array_equal(steps, 10 * numbers)
    np.testing.assert_array_equal(slices, np.broadcast_to(numbers[:, None, None], (7, 4, 5)))
    stay = [0, 1, 2, 3, 4, 6, 8, 12, 16, 23, 32, 46, 64, 91]
    assert frames_of(tmp_path / "many", *range(100), 2000, 2048) == [*stay, 2048]


def test_slices_of_a_resumed_run_are_those_of_one_that_was_not_interrupted(tmp_path):
    # Interrupted after the slice of measurement 6 was kept and before its state, then within measurement 6 and after 7.
    frames_of(tmp_path / "resumed", *range(7), 6, 6, *range(7, 9), 8)
    frames_of(tmp_path / "whole", *range(9))
    one, other = ((tmp_path / name / FRAMES).read_bytes() for name in ("resumed", "whole"))
    assert one == other
    frames_of(tmp_path / "resumed", 0)
    assert frames_of(tmp_path / "resumed", 1) == [0, 1]


def test_damaged_slices_do_not_end_a_run(tmp_path):
    (tmp_path / FRAMES).write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"evolution.npz is damaged"):
        read_frames(tmp_path)
    assert frames_of(tmp_path, 5, 6) == [6]
    np.savez(tmp_path / FRAMES, numbers=[1], steps=[1, 2], slices=np.zeros((1, 2, 2)))
    with pytest.raises(ValueError, match="must hold a step and a slice of each measurement"):
        read_frames(tmp_path)


# Stopping early, spread, log, TensorBoard


def test_patience_counts_measurements_without_a_smaller_error():
    rows = [{"step": str(step), "error": error} for step, error in ((2, "0.25"), (4, "0.5"), (5, "0.5"))]
    for patience, out in ((None, False), (1, True), (2, True), (3, False)):
        assert Limits(patience=patience).patience_is_out(rows) == out, patience
    rows[-1]["error"] = "0.25"  # as small as the smallest: the count begins anew
    assert not Limits(patience=1).patience_is_out(rows)
    assert not Limits(patience=1).patience_is_out([])


def test_the_generator_that_is_kept_is_the_best_and_the_card_says_so(moments, tmp_path, monkeypatch, tiny):
    errors_are(monkeypatch, 0.25, 0.75)
    train(moments[0] / "scan.npy", tmp_path / "run", recipe=tiny, steps=4)
    card = load_preset(tmp_path / "run" / "best").card
    assert card["training"]["steps"] == 2
    assert "chosen by the morphology" in card_text(tmp_path / "run" / "best")
    assert read_state(tmp_path / "run" / "state.npz")["extra best"] == 0.25


def test_a_run_without_progress_stops(moments, tmp_path, monkeypatch, tiny):
    errors_are(monkeypatch, 0.5, 0.75, 0.25)
    ticks = []
    scan = moments[0] / "scan.npy"
    train(scan, tmp_path / "run", recipe=tiny, patience=1, tick=lambda *done: ticks.append(done))
    assert [row["step"] for row in read_log(tmp_path / "run" / "log.csv")] == ["2", "4"]
    assert ticks == [(step, 6) for step in range(1, 5)]
    # The same again is over at once; more patience goes on.
    train(scan, tmp_path / "run", recipe=tiny, patience=1)
    assert len(read_log(tmp_path / "run" / "log.csv")) == 2
    train(scan, tmp_path / "run", recipe=tiny, patience=2)
    assert len(read_log(tmp_path / "run" / "log.csv")) == 3


def test_a_run_that_diverges_keeps_what_it_had(moments, tmp_path):
    here = shutil.copytree(moments[0] / "run", tmp_path / "run")
    shutil.copy(here / "best" / "reference.json", tmp_path)
    watching, _ = resumed(moments[2], here)
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match=r"training diverged at step 6: .*nan.*best holds the best generator, if any"):
        watching.on_epoch_end(3, {"critic_loss": float("nan")})
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before


def test_spread_is_that_of_the_data():
    reference = {
        "phases": ["a", "b"],
        "sub_volumes": {"dimensions": 3},
        "std": {"volume_fraction": [0.1, 0.1]},
    }
    shares = np.array([0.4, 0.5, 0.6])
    samples = [np.repeat([0, 1], [round(1000 * s), round(1000 * (1 - s))]).reshape(10, 10, 10) for s in shares]
    assert spread(reference, samples) == pytest.approx(1.0)
    assert spread(reference, [samples[0]] * 5) == 0
    assert spread({**reference, "std": {"volume_fraction": [0.0, 0.0]}}, samples) is None
    assert spread(reference, samples[:1]) is None


def test_slices_are_compared_with_slices():
    reference = {"phases": ["a", "b"], "sub_volumes": {"dimensions": 2}, "std": {"volume_fraction": [0.5, 0.5]}}
    # Layers along z: the middle slice normal to z is of one phase, the others half and half.
    sample = (np.indices((8, 8, 8))[0] % 2).astype("uint8")
    shares = [0.0, 0.5, 0.5] * 2
    assert spread(reference, [sample] * 2) == pytest.approx(np.std(shares, ddof=1) / 0.5)


def test_a_report_is_a_line():
    report = Report(100, 200, 90.0, {}, {"error": 0.5}, 0.25)
    assert str(report) == "step 100 of 200, 1.5 min: error 0.500, best 0.250"
    assert str(report._replace(spread=0.9)).endswith("best 0.250, spread 0.90 of the data's")


def test_a_log_keeps_the_lines_of_older_versions(tmp_path):
    (tmp_path / "log.csv").write_text("step,error\n2,0.5\n4,0.25\nbroken", "utf-8")
    rows = [*read_log(tmp_path / "log.csv"), {"step": "6", "error": "0.1", "spread": "0.9"}]
    write_log(rows, tmp_path / "log.csv")
    assert (tmp_path / "log.csv").read_text("utf-8") == "step,error,spread\n2,0.5,\n4,0.25,\n6,0.1,0.9\n"
    assert read_log(tmp_path / "nothing.csv") == []


def test_tensorboard_is_asked_for_where_it_is_missing(moments, tmp_path, monkeypatch, tiny):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="pip install tensorboard"):
        train(moments[0] / "scan.npy", tmp_path / "run", recipe=tiny, tensorboard=True)
    assert not (tmp_path / "run").exists()


def test_tensorboard_is_told_what_was_measured(moments, tmp_path, tiny):
    pytest.importorskip("tensorboard")
    train(moments[0] / "scan.npy", tmp_path / "run", recipe=tiny, steps=1, tensorboard=True)
    assert any(b"epoch_error" in path.read_bytes() for path in (tmp_path / "run" / "tensorboard").rglob("events*"))
