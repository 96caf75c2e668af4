import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from kerasgan3d.data import Symmetry
from kerasgan3d.models import ARCHITECTURES, Generator, VolumeDiscriminator
from kerasgan3d.training import load_recipe, physics
from kerasgan3d.training.assemble import draw_weights, make_gan
from kerasgan3d.training.gradient_step import across_devices

LABELS = np.random.default_rng(0).integers(0, 3, (32, 32, 32)).astype("uint8")


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    for name in ARCHITECTURES:
        monkeypatch.setitem(ARCHITECTURES, name, {**ARCHITECTURES[name], "latent_channels": 3, "widths": (5, 4, 4, 4)})


def make(name="r1-slices", seed=0, symmetry=Symmetry(), devices=None, **changes):  # noqa: B008
    recipe = load_recipe(name).with_changes(crop=32, batch=2, critic_widths=(4, 5), **changes).for_data(3)
    found = {**physics.statistics(LABELS, 3, symmetry, lags=recipe.s2_lags), "spread": np.full((3, 3), 0.01)}
    found["diffusivity"] = np.full((3, 3), 0.1)
    return make_gan(recipe, ("pore", "Ni", "YSZ"), 0.1, symmetry, seed, found, devices)


def weights(gan):
    return [*gan.generator.get_weights(), *(w for critic in gan.critics for w in critic.get_weights())]


def test_initial_weights_depend_on_the_seed_alone():
    keras.utils.set_random_seed(1)
    first = make()
    keras.utils.set_random_seed(2)
    again, other = make(), make(seed=1)
    for a, b in zip(weights(first), weights(again), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(weights(first)[0], weights(other)[0])


def test_the_average_begins_as_the_generator():
    gan = make()
    for a, b in zip(gan.average.get_weights(), gan.generator.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_critics_of_different_axes_begin_differently():
    gan = make(symmetry=Symmetry("orthotropic"))
    first, second, _ = (critic.get_weights()[0] for critic in gan.critics)
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(
    ("initializer", "deviation", "largest"),
    [
        ("he_normal", np.sqrt(2 / (27 * 20)), 2.3 * np.sqrt(2 / (27 * 20))),
        ("glorot_uniform", np.sqrt(2 / (27 * 44)), np.sqrt(6 / (27 * 44))),
        ("lecun_normal", np.sqrt(1 / (27 * 20)), 2.3 * np.sqrt(1 / (27 * 20))),
        (keras.initializers.RandomNormal(0.0, 0.02), 0.02, 0.2),
        (keras.initializers.TruncatedNormal(0.0, 0.1), 0.088, 0.2),
        (keras.initializers.RandomUniform(-0.3, 0.3), 0.3 / np.sqrt(3), 0.3),
        (keras.initializers.VarianceScaling(1.0, "fan_out", "untruncated_normal"), np.sqrt(1 / (27 * 24)), 1.0),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_kernels_are_drawn_as_their_initialisers_say(initializer, deviation, largest):
    generator = Generator(3, 20, (24, 4), initializer=initializer)
    draw_weights(generator, 0)
    kernel = generator.convolutions[0].kernel.numpy()
    assert kernel.std() == pytest.approx(deviation, rel=0.03)
    assert abs(kernel.mean()) < 4 * deviation / np.sqrt(kernel.size)
    assert np.abs(kernel).max() <= largest
    # Keras itself draws as widely.
    keras.utils.set_random_seed(0)
    theirs = Generator(3, 20, (24, 4), initializer=initializer).convolutions[0].kernel.numpy()
    assert kernel.std() == pytest.approx(theirs.std(), rel=0.05)


def test_the_critics_initialiser_is_the_recipes():
    kernel = make("paper").critics[0].get_weights()[0]
    assert kernel.std() == pytest.approx(0.02, rel=0.1)


def test_other_initialisers_are_refused():
    with pytest.raises(ValueError, match="normal, uniform or variance-scaling initialiser. Received: Orthogonal"):
        draw_weights(VolumeDiscriminator(2, (4,)), 0, "orthogonal")


def test_without_triple_phase_boundaries_there_is_no_pull_to_them():
    recipe = load_recipe("r1-slices").with_changes(crop=16, tpb_weight=4.0, critic_widths=(4, 5))
    found = physics.statistics(LABELS % 2, 2, Symmetry(), lags=recipe.s2_lags)
    settings = make_gan(recipe, ("a", "b"), None, Symmetry(), 0, found).settings
    assert settings["tpb_weight"] == 0
    assert settings["spread_weight"] == 0  # nor to a spread that is not known


def test_slices_do_not_tell_how_phases_conduct():
    recipe = load_recipe("r1-slices").with_changes(crop=16, diffusivity_weight=4.0, critic_widths=(4, 5))
    found = {**physics.statistics(LABELS, 3, Symmetry(), lags=recipe.s2_lags), "spread": np.full((3, 3), 0.01)}
    assert make_gan(recipe, ("a", "b", "c"), None, Symmetry(), 0, found).settings["diffusivity_weight"] == 0
    found["diffusivity"] = np.full((3, 3), 0.1)
    assert make_gan(recipe, ("a", "b", "c"), None, Symmetry(), 0, found).settings["diffusivity_weight"] == 4


def test_the_recipe_arrives():
    weights = {
        "s2_weight": 2.0,
        "diagonal_weight": 7.0,
        "surface_weight": 3.0,
        "tpb_weight": 4.0,
        "spread_weight": 5.0,
        "lattice_weight": 6.0,
        "diffusivity_weight": 8.0,
    }
    gan = make("wgan-gp", **weights, s2_lags=(1, 3), statistics_decay=0.5, pull_limit=0.3)
    expected = {"loss": "wasserstein", "critic_updates": 5, "gradient_penalty": 10.0, "statistics_decay": 0.5}
    expected |= {"pull_limit": 0.3}
    assert (expected | weights).items() <= gan.settings.items()
    assert np.shape(gan.settings["targets"]["s2"]) == (3, 3, 2)
    assert gan.generator_optimizer.beta_2 == 0.9
    assert make("sn-hinge").spectral
    assert not gan.spectral


def test_learning_rates_fall_by_updates():
    gan = make("wgan-gp", steps=10)
    assert (gan.generator_optimizer._learning_rate.steps, gan.critic_optimizer._learning_rate.steps) == (10, 50)


def test_mixed_precision_computes_in_bfloat16_and_keeps_float32():
    gan = make(precision="mixed_bfloat16")
    assert {gan.generator.compute_dtype, *(c.compute_dtype for c in gan.critics[0].convolutions)} == {"bfloat16"}
    assert {str(v.dtype) for v in (*gan.generator.trainable_variables, *gan.critic_variables)} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"
    probabilities = gan.generate(np.zeros((1, 6, 6, 6, 3), "float32"))
    assert keras.backend.standardize_dtype(probabilities.dtype) == "float32"
    np.testing.assert_allclose(np.array(probabilities).sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize("devices", [0, 1.5, True, "2"])
def test_devices_are_counted(devices):
    with pytest.raises(ValueError, match="`devices` must be a positive integer. Received: "):
        make(devices=devices)


def test_there_must_be_as_many_devices():
    with pytest.raises(ValueError, match="`devices` must be at most the [0-9]+ that TensorFlow sees. Received: 99"):
        make(devices=99)


def test_another_backend_cannot_train(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="needs the TensorFlow or the torch backend of Keras. Received: 'jax'"):
        across_devices(None)


TWO_DEVICES = """
import json, sys
import numpy as np
import tensorflow as tf

processor = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)

from kerasgan3d.data import SamplerPair, SliceSampler, Symmetry, VolumeSampler
from kerasgan3d.models import ARCHITECTURES
from kerasgan3d.training import load_recipe, physics
from kerasgan3d.training.assemble import make_gan

ARCHITECTURES["compact"] = {**ARCHITECTURES["compact"], "latent_channels": 8, "widths": (9, 8, 4, 4)}
labels = np.random.default_rng(0).integers(0, 3, (36, 36, 36)).astype("uint8")
recipe = load_recipe("r1-slices").with_changes(
    crop=32, batch=4, slices=2, critic_widths=(4, 5), s2_weight=1.0, s2_lags=(1,), surface_weight=1.0, r1_every=2,
    tpb_weight=1.0, spread_weight=1.0, lattice_weight=1.0, statistics_decay=0.5, gradient_penalty=1.0,
    equivariant=True, volume_crop=16,
)
found = {**physics.statistics(labels, 3, Symmetry("axial", 0), lags=(1,)), "spread": np.full((3, 3), 0.01)}
logs = {}
for devices in (1, 2):
    gan = make_gan(recipe, ("a", "b", "c"), None, Symmetry("axial", 0), 0, found, devices)
    sampler = SamplerPair(SliceSampler(labels, 32, [8, 16], Symmetry("axial", 0)), VolumeSampler(labels, 16, 4))
    logs[devices] = gan.fit(gan.batches(sampler), steps_per_epoch=1, epochs=3, shuffle=False, verbose=0).history
    gan.generator_held = True
    gan.fit(gan.batches(sampler, first=3), steps_per_epoch=1, shuffle=False, verbose=0)
    gan.save_state(f"{devices}.npz")
one, two = np.load("1.npz"), np.load("2.npz")
difference = max(float(np.abs(one[a].astype("float64") - two[b]).max()) for a, b in zip(one.files, two.files))
try:
    make_gan(recipe.with_changes(batch=3), ("a", "b", "c"), None, Symmetry("axial", 0), 0, found, 2)
except ValueError as error:
    message = str(error)
print(json.dumps({"logs": logs, "difference": difference, "message": message}))
"""


@pytest.mark.slow
def test_two_devices_train_as_one(tmp_path):
    (tmp_path / "run.py").write_text(TWO_DEVICES, "utf-8")
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    result = subprocess.run(
        [sys.executable, "run.py"], capture_output=True, text=True, check=False, env=environment, cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr[-2000:]
    found = json.loads(result.stdout)
    one, two = found["logs"]["1"], found["logs"]["2"]
    assert {"gradient_penalty", "soft_s2_error", "soft_spread_error"} <= set(one)
    for key in one:
        assert two[key] == pytest.approx(one[key], rel=1e-4, abs=1e-5), key
    # The first steps of Adam are signs of gradients, which rounding turns where they vanish: twice the rate per step.
    assert found["difference"] < 3e-3
    assert found["message"] == "`batch` must be a multiple of the 2 devices. Received: 3."
