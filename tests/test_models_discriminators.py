import numpy as np
import pytest

from kerasgan3d.models import SliceDiscriminator, VolumeDiscriminator


def test_the_papers_discriminator_is_table_4():
    critic = VolumeDiscriminator(3)
    assert [c.filters for c in (*critic.convolutions, critic.head)] == [16, 32, 64, 128, 1]
    assert [c.kernel_size for c in (*critic.convolutions, critic.head)] == [(4, 4, 4)] * 5
    assert critic.head(np.zeros((1, 4, 4, 4, 128), "float32")).shape == (1, 1, 1, 1, 1)


@pytest.mark.parametrize("normalization", [None, "batch"])
def test_a_volume_critic_gives_a_logit_a_volume(normalization):
    volumes = np.random.default_rng(0).normal(size=(2, 16, 16, 24, 3)).astype("float32")
    logits = VolumeDiscriminator(3, (4, 5), normalization)(volumes)
    assert logits.shape == (2,)
    assert logits.dtype == "float32"


def test_a_slice_critic_gives_a_logit_a_slice():
    slices = np.random.default_rng(0).normal(size=(5, 16, 24, 2)).astype("float32")
    critic = SliceDiscriminator(2, (4, 5))
    logits = np.array(critic(slices))
    assert logits.shape == (5,)
    np.testing.assert_allclose(np.array(critic(slices[3:])), logits[3:], atol=1e-6)


def test_a_larger_volume_is_the_mean_over_its_positions():
    critic = VolumeDiscriminator(3, (4,))
    volume = np.random.default_rng(0).normal(size=(1, 8, 8, 10, 3)).astype("float32")
    x = critic.convolutions[0](volume)
    expected = critic.head(np.where(x > 0, x, 0.2 * np.array(x)))
    assert expected.shape == (1, 1, 1, 2, 1)
    np.testing.assert_allclose(np.array(critic(volume)), np.array(expected).mean(axis=(1, 2, 3, 4)), atol=1e-6)


@pytest.mark.parametrize("critic", [VolumeDiscriminator, SliceDiscriminator])
@pytest.mark.parametrize(
    "arguments", [{"n_phases": 0}, {"n_phases": "3"}, {"widths": (4, 0)}, {"widths": (4.5,)}], ids=str
)
def test_channels_must_be_positive_integers(critic, arguments):
    with pytest.raises(ValueError, match="must be a positive integer"):
        critic(**arguments)


def test_normalisations_must_be_known():
    with pytest.raises(ValueError, match="`normalization` must be None or 'batch'. Received: 'layer'"):
        VolumeDiscriminator(3, normalization="layer")


@pytest.mark.parametrize("critic", [VolumeDiscriminator, SliceDiscriminator])
def test_a_critic_that_was_saved_with_the_old_name_of_its_phases_is_made(critic):
    config = {key: value for key, value in critic(2, (4,)).get_config().items() if key != "n_phases"}
    with pytest.warns(DeprecationWarning, match="`phases` is called `n_phases` now"):
        assert critic.from_config({**config, "phases": 2}).n_phases == 2
