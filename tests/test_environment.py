"""What a user's environment is set to changes no voxel, and what cannot work is said at once, in one line."""

import importlib.util
import os
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest

from kerasgan3d.models import SliceDiscriminator, VolumeDiscriminator
from kerasgan3d.models.preset import load_preset
from kerasgan3d.report.classifier import classifier_score
from kerasgan3d.training import train

WINDOW = {"seed": 3, "periodic": "y"}
# name: (what sets it, to what)
SETTINGS = {
    "floatx float16": ("floatx", "float16"),
    "floatx bfloat16": ("floatx", "bfloat16"),
    "floatx float64": ("floatx", "float64"),
    "channels_first": ("image_data_format", "channels_first"),
    "mixed_float16": ("dtype_policy", "mixed_float16"),
    "bfloat16": ("dtype_policy", "bfloat16"),
    "epsilon": ("epsilon", 0.1),
}


@pytest.fixture
def keras_set(request):
    """Keras set as a user may have set it."""
    name, value = SETTINGS[request.param]
    before = getattr(keras.config, name)()
    getattr(keras.config, f"set_{name}")(value)
    yield request.param
    getattr(keras.config, f"set_{name}")(before)


@pytest.fixture(scope="module")
def expected(small_preset):
    generator = load_preset(small_preset)
    return (
        generator.sample(24, **WINDOW).labels,
        generator.sample_probabilities(16, **WINDOW),
        np.asarray(generator.with_padding("zeros").folded()(np.ones((1, 3, 3, 3, 5), "float32"))),
        generator.pieces().digest,
    )


@pytest.mark.parametrize("keras_set", SETTINGS, indirect=True)
def test_voxels_do_not_depend_on_what_keras_is_set_to(small_preset, expected, keras_set):
    generator = load_preset(small_preset)
    np.testing.assert_array_equal(generator.sample(24, **WINDOW).labels, expected[0])
    np.testing.assert_array_equal(generator.sample_probabilities(16, **WINDOW), expected[1])
    outputs = generator.with_padding("zeros").folded()(np.ones((1, 3, 3, 3, 5), "float32"))
    np.testing.assert_array_equal(np.asarray(outputs), expected[2])
    assert generator.pieces().digest == expected[3]


@pytest.mark.parametrize("keras_set", ["channels_first"], indirect=True)
def test_a_network_that_was_made_before_does_not_follow(small_preset, expected, keras_set):
    keras.config.set_image_data_format("channels_last")
    generator = load_preset(small_preset)
    keras.config.set_image_data_format("channels_first")
    np.testing.assert_array_equal(generator.sample(24, **WINDOW).labels, expected[0])


@pytest.mark.parametrize("keras_set", ["floatx float16", "channels_first"], indirect=True)
def test_the_classifier_does_not_depend_on_it(keras_set):
    rng = np.random.default_rng(0)
    samples = [[rng.integers(0, 2, (3, 32, 32, 32)).astype("uint8") for _ in range(2)] for _ in range(2)]
    name, value = SETTINGS[keras_set]
    found = classifier_score(*samples, 2, steps=2)
    getattr(keras.config, f"set_{name}")({"floatx": "float32", "image_data_format": "channels_last"}[name])
    assert found == classifier_score(*samples, 2, steps=2)
    getattr(keras.config, f"set_{name}")(value)


@pytest.mark.parametrize("keras_set", ["floatx float16", "floatx float64", "channels_first"], indirect=True)
@pytest.mark.parametrize(
    "make", [SliceDiscriminator, VolumeDiscriminator, lambda: train("labels.npy", "run")], ids=["2D", "3D", "train"]
)
def test_training_refuses_what_it_cannot_be_set_to(tmp_path, monkeypatch, keras_set, make):
    monkeypatch.chdir(tmp_path)
    np.save("labels.npy", np.random.default_rng(0).integers(0, 2, (80, 80, 80)).astype("uint8"))
    name, value = SETTINGS[keras_set]
    with pytest.raises(ValueError, match=rf"Keras's `{name}` must be '.*' for training. Received: '{value}'. Set it"):
        make()
    assert os.listdir(tmp_path) == ["labels.npy"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.parametrize("use", ["sample", "load", "sampler of a copy"])
def test_a_fork_of_a_process_that_used_networks_is_told_at_once(small_preset, use):
    generator = load_preset(small_preset)
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            {
                "sample": lambda: generator.sample(16, seed=0),
                "load": lambda: load_preset(small_preset),
                "sampler of a copy": lambda: generator.windows(generator.job(16, seed=0)),
            }[use]()
        except BaseException as error:
            os.write(writing, f"{type(error).__name__}: {error}".encode())
        os._exit(0)
    os.close(writing)
    assert os.waitpid(pid, 0)[1] == 0
    with os.fdopen(reading) as pipe:
        assert "RuntimeError: networks were used before this process was forked" in pipe.read()


def run(*arguments, options=(), **env):
    command = [sys.executable, *options, "-m", "kerasgan3d.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **env}, timeout=120)


@pytest.mark.skipif(importlib.util.find_spec("jax") is not None, reason="jax is installed")
def test_a_backend_that_is_not_installed_is_named(small_preset, tmp_path):
    found = run("sample", small_preset, "--size", "16", "-o", tmp_path / "a.tif", KERAS_BACKEND="jax")
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr == (
        "kerasgan3d: the package jax, which KERAS_BACKEND or keras.json names, is not installed: pip install jax\n"
    )


@pytest.mark.parametrize("command", [("--help",), ("measure", "a.tif"), ("list",)], ids=" ".join)
def test_without_docstrings_the_command_is_refused(command):
    found = run(*command, options=["-OO"])
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith("kerasgan3d: python -OO drops the texts of the help")
    assert found.stderr.count("\n") == 1


STREAM = """
import os, sys, time
import numpy as np
import kerasgan3d
from kerasgan3d import io
from kerasgan3d.cli import main
from kerasgan3d.sampling import SamplingJob
from kerasgan3d.sampling.stream import stream


class Slow:
    phases, voxel_size = ("a", "b"), 1.0

    def job(self, job, **options):
        return job

    def stream(self, path, job, *, progress, workers=None, **options):
        def compute(start, shape):
            print("part", flush=True)
            time.sleep(float(os.environ.get("SECONDS_A_PART", 0.3)))
            return np.zeros(shape, "uint8")

        return stream(job, compute, path, job.record(self.phases, 1.0, {}), identity="", progress=progress, **options)


kerasgan3d.load_generator = lambda name: Slow()
import kerasgan3d.cli.sample as sample
sample._STREAMED_FROM = 1
main(sys.argv[1:])
"""


@pytest.mark.usefixtures("signals_heard")
@pytest.mark.skipif(os.name == "nt", reason="no such signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_stream_and_the_same_command_goes_on(small_preset, tmp_path, number, code):
    arguments = ["sample", small_preset, "--size", "128 128 640", "--tile", "128", "--seed", "1", "-o", "a.tif"]
    command = [sys.executable, "-c", STREAM, *map(str, arguments)]
    options = {"cwd": tmp_path, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **options) as process:
        for _ in range(3):
            assert process.stdout.readline() == "part\n"
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors.splitlines()[-1]) == (
        code,
        "kerasgan3d: interrupted; what was written is kept in a.tif.partial: the same command goes on",
    )
    assert sorted(os.listdir(tmp_path)) == ["a.tif.partial"]
    assert ".lock" not in os.listdir(tmp_path / "a.tif.partial")
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert found.stdout.count("part\n") < 5
    assert os.listdir(tmp_path) == ["a.tif"]


@pytest.mark.skipif(os.name == "nt", reason="no such signals")
def test_a_second_command_at_the_same_path_is_refused(small_preset, tmp_path):
    arguments = ["sample", small_preset, "--size", "128 128 640", "--tile", "128", "--seed", "1", "-o", "a.tif"]
    command = [sys.executable, "-c", STREAM, *map(str, arguments)]
    slow = {**os.environ, "SECONDS_A_PART": "100"}
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=slow) as process:
        assert process.stdout.readline() == "part\n"
        found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        process.kill()
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr == (
        "kerasgan3d: another process is writing a.tif. Wait until it has ended, or give another path.\n"
    )
    subprocess.run(command, cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    assert os.listdir(tmp_path) == ["a.tif"]
