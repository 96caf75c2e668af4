"""Every layer and model survives its configuration, JSON, files, symbolic calls and other dtypes."""

import json

import keras
import numpy as np
import pytest

from kerasgan3d.data import Symmetry
from kerasgan3d.layers import CircularPad3D, PaddedConv3D, TransposedConv3D, UpsampleConv3D
from kerasgan3d.models import Generator, SliceDiscriminator, VolumeDiscriminator
from kerasgan3d.training import GAN3D
from kerasgan3d.training.schedule import HoldThenFall
from kerasgan3d.training.views import View

SMALL = {"phases": ("pore", "Ni", "YSZ"), "latent_channels": 5, "widths": (6, 4), "voxel_size": 0.065}
VOLUME, LATENTS = (2, 4, 5, 6, 3), (2, 5, 6, 7, 5)

CASES = {
    "CircularPad3D": (lambda **k: CircularPad3D(((0, 1), (2, 3), (7, 0)), **k), VOLUME),
    "PaddedConv3D": (lambda **k: PaddedConv3D(4, "circular", True, **k), VOLUME),
    "UpsampleConv3D": (lambda **k: UpsampleConv3D(4, "valid", True, **k), VOLUME),
    "TransposedConv3D": (lambda **k: TransposedConv3D(4, 2, "zeros", True, **k), VOLUME),
    "TransposedConv3D, stride 1": (lambda **k: TransposedConv3D(4, 1, "valid", **k), VOLUME),
    "Generator, resize": (lambda **k: Generator(**SMALL, **k), LATENTS),
    "Generator, transposed": (
        lambda **k: Generator(**SMALL, upsampling="transposed", output_bias=False, **k),
        (1, *(6,) * 3, 5),
    ),
    "Generator, circular": (lambda **k: Generator(**SMALL, padding="circular", **k), LATENTS),
    "Generator, zeros": (lambda **k: Generator(**SMALL, padding="zeros", upsampling="transposed", **k), LATENTS),
    "Generator, folded": (lambda **k: Generator(**SMALL, normalization="folded", **k), LATENTS),
    "VolumeDiscriminator": (lambda **k: VolumeDiscriminator(3, (4, 5), **k), (2, 16, 16, 20, 3)),
    "VolumeDiscriminator, normalised": (lambda **k: VolumeDiscriminator(3, (4, 5), "batch", **k), (2, 16, 16, 16, 3)),
    "SliceDiscriminator": (lambda **k: SliceDiscriminator(3, (4, 5), **k), (2, 16, 12, 3)),
}
cases = pytest.mark.parametrize("name", CASES)


def made(name, **options):
    make, shape = CASES[name]
    inputs = np.random.default_rng(0).normal(size=shape).astype("float32")
    built = make(**options)
    built(inputs)
    rng = np.random.default_rng(1)
    for weight in built.weights:
        weight.assign(
            rng.uniform(0.5, 2.0, weight.shape) if "variance" in weight.name else rng.normal(0.0, 0.1, weight.shape)
        )
    return built, inputs


@cases
def test_configuration_and_json(name):
    built, inputs = made(name)
    config = built.get_config()
    again = type(built).from_config(json.loads(json.dumps(config)))
    assert json.loads(json.dumps(again.get_config())) == json.loads(json.dumps(config))
    again(inputs)
    again.set_weights(built.get_weights())
    np.testing.assert_array_equal(np.array(again(inputs)), np.array(built(inputs)))


@cases
def test_serialisation_by_its_registered_name(name):
    built, _ = made(name)
    record = json.loads(json.dumps(keras.saving.serialize_keras_object(built)))
    assert record["registered_name"] == f"kerasgan3d>{type(built).__name__}"
    again = keras.saving.deserialize_keras_object(record)
    assert type(again) is type(built)
    assert again.get_config() == built.get_config()


@cases
def test_a_keras_file(name, tmp_path):
    built, inputs = made(name)
    model = built if isinstance(built, keras.Model) else keras.Sequential([keras.Input(inputs.shape[1:]), built])
    keras.saving.save_model(model, tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(np.array(again(inputs)), np.array(model(inputs)))
    assert [w.path for w in again.weights] == [w.path for w in model.weights]


@cases
def test_symbolic_and_eager_shapes_agree(name):
    built, inputs = made(name)
    eager = built(inputs)
    assert tuple(eager.shape) == tuple(built.compute_output_shape(inputs.shape))
    known = keras.Input(inputs.shape[1:], batch_size=2 if inputs.shape[0] == 2 else 1)
    assert tuple(built(known).shape) == tuple(eager.shape)
    unknown = keras.Input((*(None,) * (inputs.ndim - 2), inputs.shape[-1]))
    model = keras.Model(unknown, built(unknown))
    np.testing.assert_allclose(model.predict(inputs, verbose=0), np.array(eager), rtol=1e-5, atol=1e-5)


@cases
@pytest.mark.parametrize("dtype", ["float64", "float16", "mixed_float16"])
def test_dtypes(name, dtype):
    built, inputs = made(name, dtype=dtype)
    symbolic = built(keras.Input(inputs.shape[1:], dtype="float32"))
    eager = built(inputs)
    assert keras.backend.standardize_dtype(eager.dtype) == keras.backend.standardize_dtype(symbolic.dtype)
    reference, _ = made(name)
    tolerance = 1e-5 if dtype == "float64" else 3e-2
    np.testing.assert_allclose(np.array(eager, "float64"), np.array(reference(inputs)), rtol=tolerance, atol=tolerance)
    assert type(built).from_config(built.get_config()).dtype_policy == built.dtype_policy


@pytest.mark.parametrize("name", [name for name in CASES if "Generator" in name])
@pytest.mark.parametrize("dtype", ["float16", "mixed_float16", "float64"])
def test_probabilities_are_float32_whatever_the_network_computes_in(name, dtype):
    built, inputs = made(name, dtype=dtype)
    probabilities = built(inputs)
    assert probabilities.dtype == "float32"
    np.testing.assert_allclose(np.array(probabilities).sum(-1), 1.0, atol=1e-6)


def test_a_generator_keeps_what_it_is_about():
    built, _ = made("Generator, resize")
    again = Generator.from_config(built.get_config())
    assert (again.phases, again.voxel_size, again.widths) == (("pore", "Ni", "YSZ"), 0.065, (6, 4))


@pytest.mark.parametrize(
    "initializer", ["he_normal", keras.initializers.RandomNormal(0.0, 0.02), keras.initializers.RandomUniform(seed=3)]
)
def test_initialisers_survive(initializer):
    built = Generator(**SMALL, initializer=initializer)
    again = Generator.from_config(json.loads(json.dumps(built.get_config())))
    assert again.get_config()["initializer"] == built.get_config()["initializer"]


def test_a_gan_survives_a_keras_file(tmp_path):
    symmetry, views = Symmetry("axial", 2), (View("slices", 8, count=3), View("volumes", 8, 1, 2, 0.5))
    critics = [view.critic(3) for view in views for _ in view.groups(symmetry)]
    gan = GAN3D(Generator(**SMALL, padding="circular"), critics, views, symmetry, size=16, spectral=True, seed=7)
    gan.compile(keras.optimizers.Adam(HoldThenFall(1e-3, 5, 10, 0.1), beta_1=0.0), keras.optimizers.Adam(2e-3))
    gan.save(tmp_path / "gan.keras")
    again = keras.saving.load_model(tmp_path / "gan.keras")
    assert again.get_config() == gan.get_config()
    assert (again.size, again.spectral, again.seed, again.symmetry) == (16, True, 7, symmetry)
    assert again.adversary.views == views
    latents = np.random.default_rng(0).normal(size=(1, 6, 6, 6, 5)).astype("float32")
    np.testing.assert_array_equal(np.array(again(latents)), np.array(gan(latents)))
    ours, theirs = ([one.generator, *one.adversary.critics] for one in (gan, again))
    for one, other in zip(ours, theirs, strict=True):
        for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
