import keras
import numpy as np
import pytest
from keras import ops

from kerasgan3d.data import Symmetry
from kerasgan3d.models import ARCHITECTURES, Generator, SliceDiscriminator, VolumeDiscriminator
from kerasgan3d.training import GAN3D, load_recipe, physics
from kerasgan3d.training.assemble import draw_weights, make_gan
from kerasgan3d.training.equivariance import FlipEquivariance, Orbits
from kerasgan3d.training.feed import Feed
from kerasgan3d.training.normalization import renew_statistics
from kerasgan3d.training.pretrained import Pretrained

CHANNELS = 17  # two eights, and one that stays what it is
FLIPS = [(), (0,), (1,), (2,), (0, 2), (0, 1, 2)]


def commuting(make_generator, upsampling="resize", **arguments):
    generator = make_generator(upsampling, **{"latent_channels": CHANNELS, "widths": (CHANNELS, 11), **arguments})
    FlipEquivariance(generator).draw(generator)
    return generator


def flipped_latents(latents, axes):
    """Latents (z, y, x, CHANNELS) along some axes, and the channels of octants exchanged with those opposite."""
    octants = latents[..., :16].reshape(*latents.shape[:3], 2, 2, 2, 2)
    octants = np.flip(octants, [axis + 4 for axis in axes])
    latents = np.concatenate([octants.reshape(*latents.shape[:3], 16), latents[..., 16:]], axis=-1)
    return np.flip(latents, axes)


@pytest.mark.parametrize("axes", FLIPS)
@pytest.mark.parametrize("upsampling", ["resize", "transposed"])
def test_flipped_latents_make_the_flipped_volume(make_generator, upsampling, axes):
    generator = commuting(make_generator, upsampling)
    latents = np.random.default_rng(0).normal(size=(7, 7, 7, CHANNELS)).astype("float32")
    logits = np.asarray(generator.logits(latents[None]))[0]
    found = np.asarray(generator.logits(flipped_latents(latents, axes)[None]))[0]
    scale = np.abs(logits).max()
    np.testing.assert_allclose(found / scale, np.flip(logits, axes) / scale, atol=1e-5)
    assert not axes or np.abs(found - logits).max() > 0.1 * scale


def test_periodic_volumes_flip_too(make_generator):
    generator = commuting(make_generator, padding="circular")
    latents = np.random.default_rng(0).normal(size=(4, 4, 4, CHANNELS)).astype("float32")
    logits = np.asarray(generator.logits(latents[None]))[0]
    found = np.asarray(generator.logits(flipped_latents(latents, (1,))[None]))[0]
    np.testing.assert_allclose(found / np.abs(logits).max(), np.flip(logits, 1) / np.abs(logits).max(), atol=1e-5)


def test_a_generator_that_was_drawn_at_random_does_not_commute(make_generator):
    generator = make_generator(latent_channels=CHANNELS, widths=(CHANNELS, 11))
    assert FlipEquivariance(generator).breach(generator) > 0.1


def test_weights_keep_the_spread_they_were_drawn_with(make_generator):
    generator = make_generator(latent_channels=24, widths=(24, 24))
    draw_weights(generator, 0)
    before = generator.convolutions[1].kernel.numpy().std()
    FlipEquivariance(generator).draw(generator)
    assert generator.convolutions[1].kernel.numpy().std() == pytest.approx(before, rel=0.05)


def test_orbits():
    turned = np.tile([[0, 1, 2, 3], [1, 0, 2, 3]], (4, 1))
    orbits = Orbits((4,), (turned,))
    assert len(orbits) == 3
    np.testing.assert_array_equal(orbits.first(np.array([5.0, 7.0, 1.0, 2.0])), [5, 5, 1, 2])
    np.testing.assert_array_equal(orbits.mean(ops.convert_to_tensor([5.0, 7.0, 1.0, 2.0])), [6, 6, 1, 2])


class Noise:
    """A sampler of noise."""

    def __init__(self, counts, dimensions):
        self.shapes = [(count, *(16,) * dimensions) for count in counts]

    def batch(self, step):
        rng = np.random.default_rng(step)
        return tuple(rng.integers(0, 3, shape).astype("uint8") for shape in self.shapes)


def gan_of(symmetry, volumetric=False, **options):
    """A GAN whose generator commutes at first, and a function that takes a step."""
    keras.utils.set_random_seed(0)
    generator = Generator(3, 8, (16, 8), upsampling="transposed" if volumetric else "resize")
    FlipEquivariance(generator).draw(generator)
    groups = [(0,)] if volumetric else symmetry.groups
    critics = [VolumeDiscriminator(3, (4, 4)) if volumetric else SliceDiscriminator(3, (4, 4)) for _ in groups]
    gan = GAN3D(generator, critics, symmetry, 16, 2, **options)
    gan.compile(*(keras.optimizers.Adam(1e-2, 0.0, 0.99) for _ in range(2)), r1=0.5, average_decay=0.5)
    counts, t = [2 * len(group) * (1 if volumetric else 2) for group in groups], generator.latents_for(16)
    lots = [len(group) for group in groups]
    feed = Feed(Noise(counts, 3 if volumetric else 2), (t, t, t, 8), lots, 2, gan.slices, 16)
    return gan, lambda step: gan.train_step(feed.batch(step))


@pytest.mark.parametrize("symmetry", [Symmetry(), Symmetry("axial", 1)], ids=str)
@pytest.mark.parametrize("volumetric", [False, True])
def test_training_keeps_a_generator_commuting(symmetry, volumetric):
    gan, step = gan_of(symmetry, volumetric, equivariant=True)
    before = gan.generator.get_weights()[0]
    for i in range(3):
        step(i)
    assert not np.array_equal(before, gan.generator.get_weights()[0])
    for variable, orbits in gan.equivariance.tied(gan.generator):
        if variable.trainable:
            np.testing.assert_array_equal(variable.numpy(), orbits.first(variable.numpy()))
    assert gan.equivariance.breach(gan.average) > 1e-4  # statistics of batches, which are not quite symmetric
    renew_statistics(gan.average, 16, gan.equivariance)
    assert gan.equivariance.breach(gan.average) < 1e-6


def test_without_being_told_to_it_does_not():
    gan, step = gan_of(Symmetry())
    step(0)
    equivariance = FlipEquivariance(gan.generator)
    differences = [np.abs(v.numpy() - o.first(v.numpy())).max() for v, o in equivariance.tied(gan.generator)]
    assert max(differences) > 1e-3


def test_a_generator_that_does_not_commute_is_refused():
    with pytest.raises(ValueError, match="`generator` must commute with flips .* differ by"):
        GAN3D(Generator(3, 8, (16, 8)), SliceDiscriminator(3, (8, 8)), equivariant=True)


def test_a_saved_gan_still_commutes(tmp_path):
    gan, step = gan_of(Symmetry(), equivariant=True)
    step(0)
    gan.save(tmp_path / "gan.keras")
    again = keras.saving.load_model(tmp_path / "gan.keras")
    assert again.equivariance.breach(again.generator) == gan.equivariance.breach(gan.generator)
    variables = again.generator.trainable_variables
    gradients = [np.random.default_rng(0).normal(size=v.shape).astype("float32") for v in variables]
    _, orbits = again.equivariance.tied(again.generator)[0]
    assert len(np.unique(again.tie([ops.convert_to_tensor(g) for g in gradients])[0])) == len(orbits)


@pytest.fixture
def _small(monkeypatch):
    monkeypatch.setitem(
        ARCHITECTURES, "compact", {**ARCHITECTURES["compact"], "latent_channels": 8, "widths": (16, 8, 8, 8)}
    )


def assembled(equivariant, start=None, phases=("a", "b", "c")):
    changes = {"crop": 32, "batch": 2, "slices": 2, "critic_widths": (8, 8), "equivariant": equivariant}
    recipe = load_recipe("r1-slices").with_changes(**changes).for_data(3)
    labels = np.random.default_rng(0).integers(0, len(phases), (32, 32, 32)).astype("uint8")
    found = physics.statistics(labels, len(phases), Symmetry(), lags=recipe.s2_lags)
    return make_gan(recipe, phases, None, Symmetry(), 0, found, start=start)


@pytest.mark.usefixtures("_small")
def test_a_recipe_says_whether_a_generator_commutes():
    assert assembled(False).equivariance is None
    gan = assembled(True)
    assert gan.equivariance.breach(gan.average) == 0


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("known", [True, False])
def test_a_pretrained_generator_goes_on_to_commute(known):
    first = assembled(known)
    start = Pretrained(first.average, 32).start(("a", "b", "c", "d"), None, [0.25] * 4)
    gan = assembled(True, start, start.phases)
    assert (gan.equivariance is not None) == known
    for i, (a, b) in enumerate(zip(gan.generator.get_weights(), start.get_weights(), strict=True)):
        if known:  # the kernel of the phase that is new was drawn at random
            assert np.allclose(a, b, rtol=1e-5) == (i != len(gan.generator.convolutions) - 1)
        else:
            np.testing.assert_array_equal(a, b)
