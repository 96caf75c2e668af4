import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from kerasgan3d.backend import backend, device_strategy, precision_of
from kerasgan3d.data import LabelledData, Symmetry
from kerasgan3d.models import ARCHITECTURES, Generator, VolumeDiscriminator
from kerasgan3d.models.initial import drawn
from kerasgan3d.training import load_recipe
from kerasgan3d.training.assemble import make_gan, make_generator
from kerasgan3d.training.losses import LOSSES
from kerasgan3d.training.terms import applied
from kerasgan3d.training.views import View

LABELS = np.random.default_rng(0).integers(0, 3, (32, 32, 32)).astype("uint8")
VIEWS = (View("slices", 16, count=2, widths=(4,)), View("volumes", 16, count=1, widths=(4,)))


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    for name in ARCHITECTURES:
        monkeypatch.setitem(ARCHITECTURES, name, {**ARCHITECTURES[name], "latent_channels": 3, "widths": (5, 4, 4, 4)})


def make(name="default", seed=0, symmetry=Symmetry(), devices=None, **changes):  # noqa: B008
    changes = {"size": 32, "views": VIEWS, "precision": "float32", **changes}
    recipe = load_recipe(name).with_changes(**changes)
    generator = make_generator(recipe, ("pore", "Ni", "YSZ"), 0.1, None, seed)
    terms, _ = applied(recipe.terms, LabelledData.of(LABELS, symmetry, n_phases=3), None, 16)
    return make_gan(recipe, generator, symmetry, terms, seed, devices)


def weights(gan):
    return [*gan.generator.get_weights(), *(w for critic in gan.adversary.critics for w in critic.get_weights())]


def test_initial_weights_depend_on_the_seed_alone():
    keras.utils.set_random_seed(1)
    first = make()
    keras.utils.set_random_seed(2)
    again, other = make(), make(seed=1)
    for a, b in zip(weights(first), weights(again), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(weights(first)[0], weights(other)[0])


def test_the_average_begins_as_the_generator_and_neither_is_that_which_was_given():
    recipe = load_recipe("default").with_changes(size=32, views=VIEWS, precision="float32")
    generator = make_generator(recipe, ("pore", "Ni", "YSZ"), 0.1, None, 0)
    gan = make_gan(recipe, generator, Symmetry(), {})
    assert (gan.generator.padding, gan.generator.phases, gan.generator.voxel_size) == (
        "circular",
        ("pore", "Ni", "YSZ"),
        0.1,
    )
    assert gan.generator is not generator
    for a, b, c in zip(*(g.get_weights() for g in (generator, gan.generator, gan.average.generator)), strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)


def test_critics_of_different_axes_and_views_begin_differently():
    gan = make(symmetry=Symmetry("orthotropic"), views=(VIEWS[0], VIEWS[0]))
    first = [critic.get_weights()[0] for critic in gan.adversary.critics]
    assert len(first) == 6
    assert len({kernel.tobytes() for kernel in first}) == 6


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
    drawn(generator, 0)
    kernel = generator.convolutions[0].kernel.numpy()
    assert kernel.std() == pytest.approx(deviation, rel=0.03)
    assert abs(kernel.mean()) < 4 * deviation / np.sqrt(kernel.size)
    assert np.abs(kernel).max() <= largest
    # Keras itself draws as widely.
    keras.utils.set_random_seed(0)
    theirs = Generator(3, 20, (24, 4), initializer=initializer).convolutions[0].kernel.numpy()
    assert kernel.std() == pytest.approx(theirs.std(), rel=0.05)


def test_the_critics_initialiser_is_the_recipes():
    wide = View("volumes", 32, count=1, widths=(16, 16))
    kernel = make("paper", views=(wide,)).adversary.critics[0].get_weights()[2]
    assert kernel.std() == pytest.approx(0.02, rel=0.1)


def test_other_initialisers_are_refused():
    with pytest.raises(ValueError, match="normal, uniform or variance-scaling initialiser. Received: Orthogonal"):
        drawn(VolumeDiscriminator(2, (4,)), 0, "orthogonal")


@pytest.mark.parametrize("name", LOSSES)
def test_the_recipe_arrives(name):
    gan = make(
        loss=name,
        noise=0.1,
        softening=0.03,
        edges=0.07,
        labels_from=0.25,
        steps=50,
        terms={"surface_areas": 0.7},
        average_decay=0.9,
    )
    recipe = load_recipe("default").with_changes(loss=name)
    rules = gan.adversary.rules
    assert type(rules.loss) is LOSSES[name]
    assert (rules.penalty, rules.weight, rules.every) == (recipe.penalty, recipe.penalty_weight, recipe.penalty_every)
    assert (rules.noise, rules.softening, rules.edges, rules.labels_from) == (0.1, 0.03, 0.07, 12)
    assert gan.updates == (recipe.critic_updates, recipe.generator_updates)
    assert gan.generator_optimizer.beta_2 == recipe.generator_optimizer["beta_2"]
    assert gan.spectral == recipe.spectral == (name == "hinge")
    assert {key: weight for key, (weight, _) in gan.terms.items()} == {"surface_areas": 0.7}
    assert (gan.average.decay, gan.average.ramp) == (0.9, True)


def test_smoothing_arrives():
    assert make("paper", views=VIEWS[1:]).adversary.rules.loss.smoothing == 0.1


def test_learning_rates_fall_by_updates_and_the_generators_may_rise():
    gan = make(loss="wasserstein", steps=10, warmup=2, decay_from=0.5)
    rates = [optimizer._learning_rate for optimizer in (gan.generator_optimizer, gan.critic_optimizer)]
    assert [(rate.hold, rate.steps, rate.warmup) for rate in rates] == [(5, 10, 2), (25, 50, 0)]
    assert not gan.average.ramp
    constant = make("paper", views=VIEWS[1:], final_rate=1.0)
    assert float(constant.generator_optimizer.learning_rate) == pytest.approx(2e-5)


def test_mixed_precision_computes_in_bfloat16_and_keeps_float32():
    gan = make(precision="mixed_bfloat16")
    layers = [c for critic in gan.adversary.critics for c in critic.convolutions]
    assert {gan.generator.compute_dtype, *(layer.compute_dtype for layer in layers)} == {"bfloat16"}
    trained = (*gan.generator.trainable_variables, *gan.adversary.trainable_variables)
    assert {str(v.dtype) for v in trained} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"
    probabilities = gan.generator(np.zeros((1, 2, 2, 2, 3), "float32"), training=True)
    assert keras.backend.standardize_dtype(probabilities.dtype) == "float32"
    np.testing.assert_allclose(np.array(probabilities).sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("flags : fpu avx2", "float32"),
        ("flags : fpu avx512_bf16 x", "mixed_bfloat16"),
        ("flags : amx_bf16", "mixed_bfloat16"),
        ("flags : not_amx_bf16", "float32"),
        (None, "float32"),
    ],
)
def test_precision_is_decided_by_what_the_processor_multiplies(monkeypatch, flags, expected):
    def read(path, *options):
        if flags is None:
            raise FileNotFoundError(path)
        return flags

    monkeypatch.setattr("kerasgan3d.backend.Path.read_text", read)
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind=None: [])
    assert precision_of("auto") == expected
    assert [precision_of(name) for name in ("float32", "mixed_bfloat16")] == ["float32", "mixed_bfloat16"]


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
        backend()
    assert device_strategy(None) is None


TWO_DEVICES = """
import json, sys
import numpy as np
import tensorflow as tf

processor = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)

from kerasgan3d.data import LabelledData, Symmetry
from kerasgan3d.models import ARCHITECTURES
from kerasgan3d.training import load_recipe
from kerasgan3d.training.assemble import make_gan, make_generator
from kerasgan3d.material.local_fractions import fit_conditions
from kerasgan3d.training.state import save_state
from kerasgan3d.training.terms import applied
from kerasgan3d.training.views import View, real_views

ARCHITECTURES["deep"] = {**ARCHITECTURES["deep"], "latent_channels": 4, "widths": (6, 4, 4, 4), "depths": (1, 0, 0, 0)}
symmetry = Symmetry("axial", 0)
labels = np.random.default_rng(0).integers(0, 3, (36, 36, 36)).astype("uint8")
data = LabelledData.of(labels, symmetry, n_phases=3)
views = (View("slices", 16, count=2, widths=(4,)), View("volumes", 32, 2, count=1, weight=0.5, widths=(4, 5)))
recipe = load_recipe("default").with_changes(size=32, batch=4, views=views, precision="float32", penalty_every=2)
conditions = fit_conditions(data, 16)
generator = make_generator(recipe, ("a", "b", "c"), None, conditions, 0)
terms, _ = applied({"local_fractions": 0.15, "surface_areas": 0.1}, data, conditions, 16)
logs = {}
for devices in (1, 2):
    gan = make_gan(recipe, generator, symmetry, terms, 0, devices)
    sampler = real_views(data, views, 0.05, 4, 0)
    logs[devices] = gan.fit(gan.batches(sampler), steps_per_epoch=1, epochs=3, shuffle=False, verbose=0).history
    save_state(f"{devices}.npz", gan.state())
one, two = np.load("1.npz"), np.load("2.npz")
pairs = [(one[a], two[b]) for a, b in zip(one.files, two.files) if a != "digest"]
difference = max(float(np.abs(a.astype("float64") - b).max()) for a, b in pairs)
try:
    make_gan(recipe.with_changes(batch=3), generator, symmetry, terms, 0, 2)
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
    assert set(one) == {"critic_loss", "real", "fake", "local_fractions_error", "surface_areas_error"}
    for key in one:
        assert two[key] == pytest.approx(one[key], rel=1e-4, abs=1e-5), key
    # The first steps of Adam are signs of gradients, which rounding turns where they vanish: twice the rate per step.
    assert found["difference"] < 3e-3
    assert found["message"] == "`batch` must be a multiple of the 2 devices. Received: 3."
