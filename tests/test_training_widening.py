"""A generator that goes on wider."""

import keras
import numpy as np
import pytest

from kerasgan3d.data import SliceSampler, Symmetry
from kerasgan3d.models import Generator
from kerasgan3d.training import load_recipe, physics
from kerasgan3d.training.assemble import make_gan
from kerasgan3d.training.widening import variables_of, widen

LABELS = np.random.default_rng(0).integers(0, 2, (20, 40, 20)).astype("uint8").repeat(2, 0).repeat(2, 2)
AXIAL = Symmetry("axial", 0)
RECIPE = load_recipe("r1-slices").with_changes(crop=32, batch=2, slices=2, critic_widths=(4, 5), s2_lags=(1, 4))
NARROW, WIDE = (6, 5, 4, 4), (8, 5, 6, 7)


def make(widths, **changes):
    recipe = RECIPE.with_changes(**changes)
    start = Generator(("pore", "solid"), latent_channels=3, widths=widths, upsampling="resize")
    return make_gan(
        recipe, start.phases, 0.5, AXIAL, 0, physics.statistics(LABELS, 2, AXIAL, lags=recipe.s2_lags), start=start
    )


def fit(gan, steps):
    sampler = SliceSampler(LABELS, 32, [4 * len(group) for group in AXIAL.groups], AXIAL, 0)
    gan.fit(gan.batches(sampler), epochs=1, steps_per_epoch=steps, shuffle=False, verbose=0)


@pytest.fixture(scope="module")
def pair():
    """A GAN3D after two steps, and a wider one that goes on from it."""
    narrow, wide = make(NARROW), make(WIDE)
    fit(narrow, 2)
    widen(narrow, wide, seed=1)
    return narrow, wide


def volumes(generator):
    latents = np.random.default_rng(0).normal(size=(2, 6, 6, 6, 3)).astype("float32")
    return keras.ops.convert_to_numpy(generator(latents))


@pytest.mark.parametrize("network", ["generator", "average"])
def test_it_makes_what_the_narrower_one_made(pair, network):
    narrow, wide = (getattr(gan, network) for gan in pair)
    assert wide.widths == WIDE
    np.testing.assert_allclose(volumes(wide), volumes(narrow), atol=1e-5)


def test_new_channels_differ_and_are_not_listened_to_yet(pair):
    _, wide = pair
    first, second = (layer.kernel.numpy() for layer in wide.generator.convolutions[:2])
    assert len({channel.tobytes() for channel in np.moveaxis(first, -1, 0)}) == 8
    assert 0.5 < first[..., 6:].std() / first[..., :6].std() < 2
    assert not second[..., 6:, :].any()
    assert second[..., :6, :].all()


def test_critics_optimizers_and_running_means_go_on(pair):
    narrow, wide = pair
    for ((kind, _), old), (_, new) in zip(variables_of(narrow), variables_of(wide), strict=True):
        a, b = (keras.ops.convert_to_numpy(variable.value) for variable in (old, new))
        np.testing.assert_array_equal(b[tuple(slice(n) for n in a.shape)], a)
        if kind == "velocity" and a.shape != b.shape:
            assert b.min() > 0
    assert int(wide.generator_optimizer.iterations) == 2


def test_it_learns_on_with_all_channels():
    narrow, wide = make(NARROW), make(WIDE)
    widen(narrow, wide)
    before = wide.generator.convolutions[1].kernel.numpy()
    fit(wide, 1)
    moved = np.abs(wide.generator.convolutions[1].kernel.numpy() - before)
    assert moved[..., 6:, :].max() > 0
    assert moved[..., :6, :].max() > 0


@pytest.mark.parametrize(
    ("widths", "changes"),
    [
        pytest.param((6, 4, 4, 4), {}, id="narrower"),
        pytest.param((6, 5, 4), {}, id="fewer layers"),
        pytest.param(WIDE, {"critic_widths": (5, 5)}, id="another critic"),
        pytest.param(WIDE, {"s2_lags": (1, 4, 8)}, id="other statistics"),
    ],
)
def test_what_differs_in_more_is_refused(pair, widths, changes):
    with pytest.raises(ValueError, match="`wide` must be as `narrow` is"):
        widen(pair[0], make(widths, **changes))
