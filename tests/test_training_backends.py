"""Training on TensorFlow and on torch: the same numbers, and states that either reads."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kerasgan3d.models import ARCHITECTURES
from kerasgan3d.training import list_recipes
from kerasgan3d.training.losses import LOSSES
from kerasgan3d.training.state import load_state
from kerasgan3d.training.terms import TERMS

PROBE = Path(__file__).parent / "training_probe.py"
BACKENDS = ("tensorflow", "torch")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.peer,
    pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed"),
]


def python(*arguments, backend):
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    result = subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, check=False, env=environment
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """What the probe recorded on each backend; torch also went on from TensorFlow's states."""
    found, states = {}, None
    for backend in BACKENDS:
        folder = tmp_path_factory.mktemp(backend)
        python(PROBE, folder, *([states] if states else []), backend=backend)
        found[backend], states = json.loads((folder / "record.json").read_text("utf-8")), folder
        found[backend]["folder"] = folder
    return found


def assert_close(ours, theirs, tolerance=1e-3):
    assert len(ours) == len(theirs) > 0
    for a, b in zip(ours, theirs, strict=True):
        assert set(a) == set(b)
        for key in a:
            assert np.isfinite(a[key]), key
            assert a[key] == pytest.approx(b[key], rel=tolerance, abs=tolerance), key


def test_each_ran_on_its_own(records):
    assert {name: record["backend"] for name, record in records.items()} == {name: name for name in BACKENDS}


@pytest.mark.parametrize("dimensions", ["2D", "3D"])
@pytest.mark.parametrize("name", list_recipes())
def test_every_recipe_takes_the_same_steps_on_both(records, name, dimensions):
    ours, theirs = (record["recipes"][f"{name}, {dimensions}"] for record in records.values())
    assert_close(ours, theirs)
    assert ours[0] != ours[1]


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_takes_the_same_steps_on_both(records, name):
    ours, theirs = (record["losses"][name] for record in records.values())
    assert_close(ours, theirs)
    assert ours[0] != ours[1]


def test_many_steps_of_the_paper_agree(records):
    ours, theirs = (record["paper"] for record in records.values())
    assert len(ours) == 6
    assert_close(ours, theirs)
    assert ours[0] != ours[-1]


def test_terms_and_symmetries_agree(records):
    ours, theirs = (record["terms"] for record in records.values())
    assert {f"{name}_error" for name in TERMS} <= set(ours[0])
    assert_close(ours, theirs)


@pytest.mark.parametrize("kind", ["four", "finetuned"])
def test_four_phases_and_fine_tuning_agree(records, kind):
    ours, theirs = (record[kind] for record in records.values())
    assert_close(ours, theirs)


def test_mixed_precision_agrees_as_far_as_it_can(records):
    if records["torch"]["precision"] is None:
        pytest.skip("torch has no convolutions of bfloat16 with gradients on this processor")
    ours, theirs = (record["precision"] for record in records.values())
    assert_close(ours, theirs, 0.05)
    exact = records["tensorflow"]["recipes"]["default, 2D"]
    assert_close(ours, exact, 0.05)
    assert ours != exact


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["default", "hinge"])
def test_a_run_that_was_interrupted_goes_on_bit_for_bit(records, backend, name):
    found = records[backend]["resumed"][name]
    assert found["resumed"] == found["straight"]
    assert found["same"]


def test_a_state_of_tensorflow_goes_on_on_torch(records):
    assert_close(records["torch"]["continued"], records["tensorflow"]["resumed"]["hinge"]["straight"][:1])


def test_a_state_of_torch_goes_on_on_tensorflow(records, monkeypatch):
    specification = importlib.util.spec_from_file_location("training_probe", PROBE)
    probe = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(probe)
    for name in ARCHITECTURES:
        monkeypatch.setitem(ARCHITECTURES, name, {**ARCHITECTURES[name], **probe.SMALL})
    gan, sampler = probe.of_name("hinge")
    load_state(records["torch"]["folder"] / "hinge.npz", gan.state())
    assert_close(probe.losses(gan, sampler, 2, 1), records["torch"]["resumed"]["hinge"]["straight"][:1])


WHOLE_RUN = """
import builtins, importlib, sys
import numpy as np

real = builtins.__import__
def without_tensorflow(name, *arguments, **options):
    if name.split(".")[0] == "tensorflow":
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return real(name, *arguments, **options)
builtins.__import__ = without_tensorflow

import kerasgan3d
from kerasgan3d.models import ARCHITECTURES
from kerasgan3d.training import load_recipe
from kerasgan3d.training.state import read_state
monitor = importlib.import_module("kerasgan3d.training.monitor")
monitor.SAMPLES["count"] = 2
ARCHITECTURES["deep"] = {**ARCHITECTURES["deep"], "latent_channels": 4, "widths": (6, 4, 4, 4)}
labels = np.random.default_rng(0).integers(0, 3, (9, 9, 9)).astype("uint8").repeat(4, 0).repeat(4, 1).repeat(4, 2)
kerasgan3d.Volume(labels, ["pore", "Ni", "YSZ"], 0.25).save("scan.tif")
views = ({"kind": "slices", "size": 16, "count": 2, "widths": [4]},)
recipe = load_recipe("default").with_changes(size=32, views=views, steps=4, monitor_every=2)
options = {"recipe": recipe, "symmetry": "axial-z"}

def interrupt(done, steps):
    if done == 3:
        raise KeyboardInterrupt

try:
    kerasgan3d.train("scan.tif", "parts", tick=interrupt, **options)
    raise AssertionError("not interrupted")
except KeyboardInterrupt:
    pass
folders = [kerasgan3d.train("scan.tif", name, **options) for name in ("parts", "whole")]
# Which step is the best may differ: where a run was interrupted, it was measured once more.
states = [sorted(read_state(folder.parent / "state.npz").items()) for folder in folders]
same = all(np.array_equal(a, b) for (key, a), (_, b) in zip(*states) if not key.startswith("extra "))
volume = kerasgan3d.load_generator(folders[0]).sample(20, seed=0)
print(same, volume.shape, "tensorflow" in sys.modules)
"""


def test_torch_makes_a_generator_without_tensorflow(tmp_path):
    (tmp_path / "run.py").write_text(WHOLE_RUN, "utf-8")
    environment = {**os.environ, "KERAS_BACKEND": "torch"}
    result = subprocess.run(
        [sys.executable, "run.py"], capture_output=True, text=True, check=False, env=environment, cwd=tmp_path
    )
    assert result.stdout.strip() == "True (20, 20, 20) False", result.stderr[-2000:]
