import keras
import numpy as np
import pytest

from kerasgan3d import models
from kerasgan3d.models import ARCHITECTURES, Generator
from kerasgan3d.phases import PhaseMap
from kerasgan3d.sampling import LatentField

architectures = pytest.mark.parametrize("upsampling", ["resize", "transposed"])
paddings = pytest.mark.parametrize("padding", ["valid", "circular", "zeros"])


def latents(*shape, channels=5, seed=0):
    return np.random.default_rng(seed).normal(size=(*shape, channels)).astype("float32")


def test_the_papers_generator_is_table_4():
    paper = Generator.from_architecture("paper", padding="zeros")
    assert sum(int(np.prod(w.shape)) for w in paper.trainable_weights if w.name == "kernel") == 14_302_976 - 4 * 960
    assert paper.count_params() == 14_302_976
    assert [c.kernel.shape for c in paper.convolutions] == [
        (4, 4, 4, b, a) for a, b in zip((100, 512, 256, 128, 64), (512, 256, 128, 64, 3), strict=True)
    ]
    assert [c.strides for c in paper.convolutions] == [1, 2, 2, 2, 2]
    assert all(c.bias is None for c in paper.convolutions)
    assert paper(np.zeros((1, 1, 1, 1, 100), "float32")).shape == (1, 64, 64, 64, 3)


def test_the_compact_generator_is_a_thirteenth_of_it():
    compact = Generator.from_architecture("compact")
    assert compact.count_params() < 14_302_976 / 13
    assert (compact.stride, compact.margin, compact.latent_channels) == (16, (2, 2), 64)


@architectures
@paddings
@pytest.mark.parametrize("shape", [(6, 6, 6), (6, 7, 9)], ids=str)
def test_the_size_is_foretold(make_generator, upsampling, padding, shape):
    generator = make_generator(upsampling, padding=padding)
    out = generator(latents(1, *shape)).shape
    assert tuple(out) == generator.compute_output_shape((1, *shape, 5))
    grown = {"valid": -sum(generator.margin), "circular": 0, "zeros": 3 if upsampling == "transposed" else 0}[padding]
    assert tuple(out) == (1, *(4 * (n + grown) for n in shape), 3)


@architectures
@paddings
@pytest.mark.parametrize("voxels", [1, 4, 5, 31, 32])
def test_latents_for_is_the_least_that_is_enough(make_generator, upsampling, padding, voxels):
    generator = make_generator(upsampling, padding=padding)
    t = generator.latents_for(voxels)
    assert generator.compute_output_shape((1, t, t, t, 5))[1] >= voxels
    if t > 1:
        assert generator.compute_output_shape((1, t - 1, t - 1, t - 1, 5))[1] < voxels


@architectures
@pytest.mark.parametrize("widths", [(6,), (8, 6), (8, 6, 4, 4)], ids=str)
def test_circular_is_valid_on_wrapped_latents(make_generator, upsampling, widths):
    generator = make_generator(upsampling, widths=widths)
    z = latents(1, 2, 3, 4)
    wrapped = np.pad(z, ((0, 0), *(generator.margin,) * 3, (0, 0)), mode="wrap")
    circular = generator.with_padding("circular")(z)
    np.testing.assert_allclose(np.array(circular), np.array(generator(wrapped)), atol=1e-5)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_circular_is_valid_on_wrapped_latents_in_the_architectures(name):
    keras.utils.set_random_seed(0)
    generator = Generator.from_architecture(name)
    field, margin = LatentField(0, generator.latent_channels), generator.margin
    wrapped = field.window((-margin[0],) * 3, (1 + sum(margin),) * 3, (1, 1, 1))
    valid = np.array(generator(wrapped[None]))
    circular = np.array(generator.with_padding("circular")(field.window((0, 0, 0), (1, 1, 1))[None]))
    np.testing.assert_allclose(circular, valid, atol=1e-5)
    assert valid.shape == (1, 16, 16, 16, 3)


@architectures
@pytest.mark.parametrize("widths", [(8, 6), (8, 6, 4, 4)], ids=str)
def test_shifted_latents_shift_the_volume_by_the_stride(make_generator, upsampling, widths):
    generator = make_generator(upsampling, widths=widths)
    assert generator.stride == 2 ** len(widths)
    z = latents(1, 7, 7, 7)
    volume, shifted = np.array(generator(z)), np.array(generator(z[:, 1:, :, 1:]))
    np.testing.assert_allclose(shifted, volume[:, generator.stride :, :, generator.stride :], atol=1e-5)


@architectures
def test_zero_padding_agrees_away_from_the_faces(make_generator, upsampling):
    generator = make_generator(upsampling)
    z = latents(1, 8, 8, 8)
    valid, zeros = np.array(generator(z)), np.array(generator.with_padding("zeros")(z))
    n = (zeros.shape[1] - valid.shape[1]) // 2
    np.testing.assert_allclose(zeros[:, n:-n, n:-n, n:-n], valid, atol=1e-5)


@architectures
@paddings
@pytest.mark.parametrize("output_bias", [True, False], ids=["bias", "no bias"])
def test_folding_changes_nothing_but_the_layers(make_generator, upsampling, padding, output_bias):
    generator = make_generator(upsampling, padding=padding, output_bias=output_bias)
    generator.card = {"name": "some"}
    folded = generator.folded()
    z = latents(2, 6, 6, 7)
    np.testing.assert_allclose(np.array(folded(z)), np.array(generator(z)), atol=1e-5)
    assert not folded.normalizations
    assert (folded.padding, folded.normalization, folded.card) == (padding, "folded", {"name": "some"})
    again = folded.folded()
    np.testing.assert_array_equal(np.array(again(z)), np.array(folded(z)))


def test_with_padding_keeps_weights_and_knowledge(make_generator):
    generator = make_generator(voxel_size=0.5)
    generator.card = {"name": "some"}
    other = generator.with_padding("zeros")
    assert (other.padding, generator.padding) == ("zeros", "valid")
    assert (other.voxel_size, other.card) == (0.5, {"name": "some"})
    for a, b in zip(generator.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    other.convolutions[0].kernel.assign(np.zeros(other.convolutions[0].kernel.shape))
    assert np.any(generator.get_weights()[0])


@architectures
@pytest.mark.parametrize("training", [True, False])
def test_probabilities_are_float32_and_sum_to_one(make_generator, upsampling, training):
    probabilities = make_generator(upsampling)(latents(1, 6, 6, 6), training=training)
    assert probabilities.dtype == "float32"
    np.testing.assert_allclose(np.array(probabilities).sum(-1), 1.0, atol=1e-6)
    assert np.array(probabilities).min() >= 0


def test_training_updates_the_moving_statistics_and_inference_does_not(make_generator):
    generator = make_generator()
    before = generator.normalizations[0].moving_mean.numpy()
    generator(latents(1, 6, 6, 6))
    np.testing.assert_array_equal(generator.normalizations[0].moving_mean.numpy(), before)
    generator(latents(1, 6, 6, 6), training=True)
    assert np.abs(generator.normalizations[0].moving_mean.numpy() - before).max() > 1e-4


@pytest.mark.parametrize(
    ("phases", "names"),
    [
        pytest.param(2, ("phase 0", "phase 1"), id="number"),
        pytest.param(np.int64(2), ("phase 0", "phase 1"), id="numpy number"),
        pytest.param(["pore", "solid"], ("pore", "solid"), id="names"),
        pytest.param(PhaseMap(("pore", "solid"), (0, 255)), ("pore", "solid"), id="PhaseMap"),
    ],
)
def test_phases_are_named(phases, names):
    generator = Generator(phases, 2, (2,))
    assert generator.phases == names
    assert generator.compute_output_shape((None,) * 5)[-1] == 2


def test_many_phases_and_two(make_generator):
    assert make_generator(phases=2)(latents(1, 5, 5, 5)).shape == (1, 4, 4, 4, 2)
    assert make_generator(phases=255)(latents(1, 5, 5, 5)).shape == (1, 4, 4, 4, 255)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"phases": 1}, "`phases` must number 2 to 255. Received: 1"),
        ({"phases": 0}, "`phases` must number 2 to 255. Received: 0"),
        ({"phases": -3}, "`phases` must number 2 to 255. Received: -3"),
        ({"phases": 256}, "`phases` must number 2 to 255. Received: 256"),
        ({"phases": 10**12}, "`phases` must number 2 to 255. Received: 1000000000000"),
        ({"phases": ["only"]}, "`phases` must number 2 to 255. Received: 1"),
        ({"phases": "abc"}, "Phase names must be a sequence of strings"),
        ({"phases": 2.5}, "Phase names must be a sequence of strings"),
        ({"phases": True}, "Phase names must be a sequence of strings"),
        ({"phases": ["a", "a"]}, "Phase names must be unique"),
        ({"latent_channels": 0}, "`latent_channels` must be an integer from 1 to 4096. Received: 0"),
        ({"latent_channels": 4097}, "`latent_channels` must be an integer from 1 to 4096. Received: 4097"),
        ({"latent_channels": 8.0}, "`latent_channels` must be an integer"),
        ({"latent_channels": True}, "`latent_channels` must be an integer"),
        ({"widths": ()}, r"`widths` must hold 1 to 8 channel counts. Received: \(\)"),
        ({"widths": (2,) * 9}, "`widths` must hold 1 to 8 channel counts"),
        ({"widths": 5}, "`widths` must hold 1 to 8 channel counts. Received: 5"),
        ({"widths": "12"}, "`widths` must hold 1 to 8 channel counts. Received: '12'"),
        ({"widths": (8, 0)}, "`widths` must be an integer from 1 to 4096. Received: 0"),
        ({"widths": (8, 10**12)}, "`widths` must be an integer from 1 to 4096"),
        ({"widths": (4096,) * 8}, "`widths` and `latent_channels` must make at most 268435456 weights"),
        ({"upsampling": "nearest"}, "`upsampling` must be one of 'resize', 'transposed'. Received: 'nearest'"),
        ({"padding": "same"}, "`padding` must be one of 'valid', 'circular', 'zeros'. Received: 'same'"),
        ({"normalization": None}, "`normalization` must be one of 'batch', 'folded'. Received: None"),
        ({"output_bias": "no"}, "`output_bias` must be one of True, False. Received: 'no'"),
        ({"initializer": "no such"}, "Could not interpret initializer"),
        ({"voxel_size": 0}, "`voxel_size` must be one positive number"),
        ({"voxel_size": -1.0}, "`voxel_size` must be one positive number"),
        ({"voxel_size": float("nan")}, "`voxel_size` must be one positive number"),
        ({"voxel_size": "1"}, "`voxel_size` must be one positive number"),
        ({"voxel_size": (1, 1, 1)}, "`voxel_size` must be one positive number"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_other_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Generator(**arguments)


def test_other_architectures_are_refused():
    with pytest.raises(ValueError, match="`name` must be one of 'compact', 'paper', 'deep'. Received: 'large'"):
        Generator.from_architecture("large")
    with pytest.raises(ValueError, match="architecture 'wide' is of an earlier version. Use 'deep' instead."):
        Generator.from_architecture("wide")


def test_the_old_names_say_the_new_ones():
    with pytest.warns(DeprecationWarning, match="is now called Generator.from_architecture"):
        old = Generator.from_preset("compact", ("a", "b"), widths=(4, 2))
    new = Generator.from_architecture("compact", ("a", "b"), widths=(4, 2))
    assert {**old.get_config(), "name": new.name} == new.get_config()
    with pytest.warns(DeprecationWarning, match="PRESETS is now called ARCHITECTURES"):
        assert models.PRESETS is ARCHITECTURES
    with pytest.raises(AttributeError, match="has no attribute 'NOTHING'"):
        models.NOTHING  # noqa: B018


def test_architectures_take_other_arguments_along():
    generator = Generator.from_architecture("compact", phases=("a", "b"), widths=(4, 2), voxel_size=0.1)
    assert (generator.phases, generator.widths, generator.voxel_size) == (("a", "b"), (4, 2), 0.1)
