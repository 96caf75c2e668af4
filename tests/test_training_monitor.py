"""Measuring, keeping and going on: whatever the moment of an end, nothing that was kept is lost."""

import importlib
import json
import os
import resource
import shutil
import subprocess
import sys

import numpy as np
import pytest

from kerasgan3d.data import Symmetry
from kerasgan3d.files import WriteError
from kerasgan3d.io import write
from kerasgan3d.models import ARCHITECTURES
from kerasgan3d.models.preset import load_preset
from kerasgan3d.training import load_recipe, train
from kerasgan3d.training.assemble import make_gan
from kerasgan3d.training.log import read_log, write_log
from kerasgan3d.training.material import Material
from kerasgan3d.training.morphology import spread
from kerasgan3d.volume import Volume
from kerasgan3d.zoo.card import card_text

module = importlib.import_module("kerasgan3d.training.monitor")
NAMES = ("pore", "solid")
TINY = load_recipe("r1-slices").with_changes(
    crop=32, batch=1, slices=2, critic_widths=(4,), steps=6, monitor_every=2, calibrate=False
)
SMALL = {"latent_channels": 4, "widths": (6, 4, 4, 4)}


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 2, shape).astype("uint8")


def make_small(monkeypatch):
    """The compact generator and what is measured of it, made tiny; pictures left out."""
    monkeypatch.setitem(ARCHITECTURES, "compact", {**ARCHITECTURES["compact"], **SMALL})
    monkeypatch.setattr(module, "SAMPLES", {"count": 2, "seed": 2**33})
    monkeypatch.setattr("kerasgan3d.training.monitor_figure.draw_monitor", lambda *args: None)


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    make_small(monkeypatch)


@pytest.fixture(scope="module")
def moments(tmp_path_factory):
    """A run, and its folder as it was before and after every file of it came into place."""
    folder = tmp_path_factory.mktemp("run")
    write(Volume(noise(36, 36, 36), NAMES, 0.5), folder / "scan.npy")
    found = []
    with pytest.MonkeyPatch.context() as monkeypatch:
        make_small(monkeypatch)
        # Errors that fall, rise and fall: the best is kept at steps 2 and 6.
        errors = iter([0.5, 0.75, 0.25])
        fidelity = module.fidelity
        monkeypatch.setattr(module, "fidelity", lambda *args: {**fidelity(*args), "error": next(errors)})
        replace = os.replace

        def watched(source, target):
            look()
            replace(source, target)
            look()

        def look():
            if (folder / "run").exists():
                found.append(folder / "moments" / f"{len(found):03d}")
                shutil.copytree(folder / "run", found[-1])

        monkeypatch.setattr("os.replace", watched)
        train(folder / "scan.npy", folder / "run", recipe=TINY)
    return folder, found


@pytest.fixture(scope="module")
def parts(moments):
    """What a monitor is made of: model, recipe, statistics of the data."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        make_small(monkeypatch)
        material = Material(moments[0] / "scan.npy", Symmetry())
        gan = make_gan(TINY.for_data(3), material.phases, 0.5, Symmetry(), 0, material.statistics(TINY.s2_lags), None)
        return gan, TINY, material.reference(32)


def restored(parts, folder):
    gan, recipe, reference = parts
    card = {"training": json.loads((folder / "run.json").read_text("utf-8"))}
    return module.Monitor(gan, recipe, reference, folder, card, resuming=True)


def test_whatever_the_moment_of_an_end_the_run_goes_on_from_its_state(moments, parts, tmp_path):
    folder, found = moments
    final = read_log(folder / "run" / "log.csv")
    assert [row["step"] for row in final] == ["2", "4", "6"]
    kept, seen = {}, set()
    for k, moment in enumerate(found):
        if not (moment / "state.npz").exists():
            continue
        here = shutil.copytree(moment, tmp_path / str(k))
        monitor = restored(parts, here)
        seen.add(monitor.step)
        # The log ends with the state, line by line that of the run that was not interrupted.
        assert monitor.rows == final[: monitor.step // 2] == read_log(here / "log.csv")
        assert monitor.best_step == {2: 2, 4: 2, 6: 6}[monitor.step]
        assert monitor.best == {2: 0.5, 4: 0.5, 6: 0.25}[monitor.step]
        best = load_preset(here / "best")
        assert best.card["training"]["steps"] == monitor.best_step
        weights = kept.setdefault(monitor.best_step, best.get_weights())
        for a, b in zip(best.get_weights(), weights, strict=True):
            np.testing.assert_array_equal(a, b)
        if monitor.best_step == monitor.step:
            for a, b in zip(best.get_weights(), parts[0].average.get_weights(), strict=True):
                np.testing.assert_array_equal(a, b)
        assert not [path for path in here.iterdir() if path.name.endswith(".tmp")]
    assert seen == {2, 4, 6}
    assert len(found) > 20


def test_a_state_of_the_first_version_is_gone_on_from(moments, parts, tmp_path):
    here = shutil.copytree(moments[0] / "run", tmp_path / "run")
    gan, _, _ = parts
    with np.load(here / "state.npz") as file:
        arrays = {name: file[name] for name in file if name not in ("extra row", "extra best_step")}
    np.savez(here / "state.npz", **arrays)
    rows = read_log(here / "log.csv")
    write_log([{key: row[key] for key in row if key != "spread"} for row in rows], here / "log.csv")
    monitor = restored(parts, here)
    assert (monitor.step, monitor.best, monitor.best_step, len(monitor.rows)) == (6, 0.25, 6, 3)


def test_a_best_generator_that_is_gone_is_told(moments, parts, tmp_path):
    here = shutil.copytree(next(m for m in reversed(moments[1]) if state_step(m) == 4), tmp_path / "run")
    for path in here.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
    with pytest.raises(ValueError, match=r"best must hold the best generator .* that of step 2. Received: none"):
        restored(parts, here)


def state_step(folder):
    if not (folder / "state.npz").exists():
        return None
    with np.load(folder / "state.npz") as file:
        return int(file["extra step"])


def test_a_full_disk_leaves_the_last_checkpoint(moments, parts, tmp_path):
    here = shutil.copytree(moments[0] / "run", tmp_path / "run")
    monitor = restored(parts, here)
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    monitor.step += 2
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(WriteError, match=r"state.npz could not be written whole.* Is there room on the disk\?"):
            monitor._write({"step": "8"}, None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before


_KILLED = """
import importlib, os, signal, sys
from kerasgan3d.models import ARCHITECTURES
from kerasgan3d.training import load_recipe, train
module = importlib.import_module("kerasgan3d.training.monitor")
folder, names, latest = sys.argv[1], {small}, int(sys.argv[2])
ARCHITECTURES["compact"] = {{**ARCHITECTURES["compact"], **names}}
module.SAMPLES = {{"count": 2, "seed": 2**33}}
recipe = load_recipe("r1-slices").with_changes(
    crop=32, batch=1, slices=2, critic_widths=(4,), steps=6, monitor_every=2, calibrate=False)
savez, saved = module.np.savez, []
def savez_and_die(file, **arrays):
    saved.append(1)
    if len(saved) == latest:
        file.write(b"half")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    savez(file, **arrays)
module.np.savez = savez_and_die
train(folder + "/scan.npy", folder + "/run", recipe=recipe)
"""


def without_time(rows):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def state_of(folder):
    """The variables of a state, in order."""
    with np.load(folder / "state.npz") as file:
        return [file[name] for name in sorted(file) if not name.startswith("extra ")]


@pytest.mark.slow
def test_a_killed_run_ends_as_one_that_was_not(tmp_path):
    write(Volume(noise(36, 36, 36), NAMES, 0.5), tmp_path / "scan.npy")
    ends = []
    for latest in (2, 1, 0):  # killed while the second checkpoint is written, then the one after it; then not
        command = [sys.executable, "-c", _KILLED.format(small=SMALL), str(tmp_path), str(latest)]
        ends.append(subprocess.run(command, capture_output=True, check=False).returncode)
        assert (tmp_path / "run" / "state.npz").exists()
    assert ends == [-9, -9, 0]
    whole = train(tmp_path / "scan.npy", tmp_path / "whole", recipe=TINY)
    one, other = (read_log(tmp_path / name / "log.csv") for name in ("run", "whole"))
    assert without_time(one) == without_time(other)
    one, other = (load_preset(folder).get_weights() for folder in (tmp_path / "run" / "best", whole))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)
    # Names of variables count the models that a process made: states are alike place by place.
    one, other = (state_of(tmp_path / name) for name in ("run", "whole"))
    assert len(one) == len(other) > 10
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)
    left = {path.name for path in (tmp_path / "run").iterdir()}
    assert left == {"best", "log.csv", "monitor.png", "run.json", "state.npz"}


# Stopping early, spread, log, TensorBoard


def test_patience_counts_measurements_without_a_smaller_error(moments, parts, tmp_path):
    monitor = restored(parts, shutil.copytree(moments[0] / "run", tmp_path / "run"))
    for row, error in zip(monitor.rows, (0.25, 0.5, 0.5), strict=True):
        row["error"] = str(error)
    for patience, out in ((None, False), (1, True), (2, True), (3, False)):
        monitor.patience = patience
        assert monitor.patience_is_out == out, patience
    monitor.patience = 1
    monitor.rows[-1]["error"] = "0.25"  # as small as the smallest: the count begins anew
    assert not monitor.patience_is_out
    monitor.rows.clear()
    assert not monitor.patience_is_out


@pytest.mark.parametrize(("keep", "step"), [("best", 2), ("last", 4)])
def test_the_last_generator_is_kept_where_the_recipe_says_so(moments, tmp_path, monkeypatch, keep, step):
    errors = iter([0.25, 0.75])
    fidelity = module.fidelity
    monkeypatch.setattr(module, "fidelity", lambda *args: {**fidelity(*args), "error": next(errors)})
    recipe = TINY.with_changes(keep=keep, steps=4)
    train(moments[0] / "scan.npy", tmp_path / "run", recipe=recipe)
    card = load_preset(tmp_path / "run" / "best").card
    assert card["training"]["steps"] == step
    said = "chosen by the morphology" if keep == "best" else "the last that was measured"
    assert said in card_text(tmp_path / "run" / "best")
    with np.load(tmp_path / "run" / "state.npz") as file:
        assert file["extra best"] == 0.25


def test_a_run_without_progress_stops(moments, tmp_path, monkeypatch):
    errors = iter([0.5, 0.75, 0.25])
    fidelity = module.fidelity
    monkeypatch.setattr(module, "fidelity", lambda *args: {**fidelity(*args), "error": next(errors)})
    ticks = []
    scan = moments[0] / "scan.npy"
    train(scan, tmp_path / "run", recipe=TINY, patience=1, tick=lambda *done: ticks.append(done))
    assert [row["step"] for row in read_log(tmp_path / "run" / "log.csv")] == ["2", "4"]
    assert ticks == [(step, 6) for step in range(1, 5)]
    # The same again is over at once; more patience goes on.
    train(scan, tmp_path / "run", recipe=TINY, patience=1)
    assert len(read_log(tmp_path / "run" / "log.csv")) == 2
    train(scan, tmp_path / "run", recipe=TINY, patience=2)
    assert len(read_log(tmp_path / "run" / "log.csv")) == 3


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


def test_a_log_keeps_the_lines_of_older_versions(tmp_path):
    (tmp_path / "log.csv").write_text("step,error\n2,0.5\n4,0.25\nbroken", "utf-8")
    rows = [*read_log(tmp_path / "log.csv"), {"step": "6", "error": "0.1", "spread": "0.9"}]
    write_log(rows, tmp_path / "log.csv")
    assert (tmp_path / "log.csv").read_text("utf-8") == "step,error,spread\n2,0.5,\n4,0.25,\n6,0.1,0.9\n"
    assert read_log(tmp_path / "nothing.csv") == []


def test_tensorboard_is_asked_for_where_it_is_missing(moments, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="pip install tensorboard"):
        train(moments[0] / "scan.npy", tmp_path / "run", recipe=TINY, tensorboard=True)
    assert not (tmp_path / "run").exists()


def test_tensorboard_is_told_what_was_measured(moments, tmp_path):
    pytest.importorskip("tensorboard")
    train(moments[0] / "scan.npy", tmp_path / "run", recipe=TINY.with_changes(steps=2), tensorboard=True)
    assert any(b"epoch_error" in path.read_bytes() for path in (tmp_path / "run" / "tensorboard").rglob("events*"))
