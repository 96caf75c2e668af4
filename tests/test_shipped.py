"""What every generator that ships must be."""

import hashlib

import numpy as np
import pytest

from kerasgan3d import load_generator, zoo
from kerasgan3d.folder import CARD, CONFIG, METADATA, PREVIEW, README, REFERENCE, WEIGHTS, read_statistics
from kerasgan3d.zoo.card import card_text

NAMES = zoo.list_presets()


@pytest.fixture(scope="module", params=NAMES)
def preset(request):
    return zoo.path(request.param), load_generator(request.param)


def test_the_generators_ship():
    assert NAMES == ["nmc-cathode", "sofc-anode"]


def test_the_folder_is_whole(preset):
    folder, generator = preset
    assert {path.name for path in folder.iterdir()} == {CARD, CONFIG, METADATA, PREVIEW, README, REFERENCE, WEIGHTS}
    weights = (folder / WEIGHTS).read_bytes()
    assert len(weights) <= 12e6
    assert generator.card["weights"] == {"sha256": hashlib.sha256(weights).hexdigest(), "bytes": len(weights)}
    assert generator.card["name"] == folder.name
    for key in ("description", "data", "citation", "licence", "training", "fidelity", "samples", "large_volumes"):
        assert generator.card[key], key
    assert generator.voxel_size > 0


def test_the_card_says_what_the_files_say(preset):
    folder, _ = preset
    assert (folder / README).read_text("utf-8") == card_text(folder)


def test_volume_fractions_are_the_material_s(preset):
    folder, generator = preset
    wanted = np.array(read_statistics(folder / REFERENCE)["bulk"]["volume_fraction"])
    found = np.mean([generator.sample(128, seed=seed).fractions for seed in range(5)], axis=0)
    assert np.abs(found - wanted).max() < 0.03


def test_statistics_do_not_know_the_lattice(preset):
    """Volume fractions do not depend on the position within the 16 voxels that a latent covers."""
    _, generator = preset
    labels = np.stack([generator.sample(128, periodic=True, seed=seed).labels for seed in range(4)])
    for axis in (1, 2, 3):
        planes = np.moveaxis(labels, axis, 0).reshape(8, 16, -1)
        for phase in range(len(generator.phases)):
            shares = (planes == phase).mean(axis=(0, 2))
            # The planes at one position differ by chance from volume to volume: compare with their own scatter.
            scatter = (planes == phase).mean(axis=2).std(axis=0, ddof=1).mean() / np.sqrt(8)
            assert shares.std(ddof=1) < 3 * scatter


def test_periodic_axes_join_and_others_do_not(preset):
    """Labels change across a periodic seam as between neighbouring planes within; across an open end they do not."""
    _, generator = preset
    volume = generator.sample(96, periodic=(True, True, False), seed=4)
    for axis, periodic in enumerate(volume.periodic):
        planes = np.moveaxis(volume.labels, axis, 0)
        within = np.mean([np.mean(a != b) for a, b in zip(planes[:-1], planes[1:], strict=True)])
        across = np.mean(planes[-1] != planes[0])
        assert (across < 2 * within) == periodic


def test_the_anode_commutes_with_flips():
    """Its weights are such that flipped latents make the flipped structure: nothing leans to one side."""
    generator = load_generator("sofc-anode")
    latents = generator.field(3).window((0, 0, 0), (6, 6, 6))[np.newaxis]
    channels = np.arange(generator.latent_channels)
    for axis in range(3):
        # Channels come in eights, one for each octant, which flips exchange.
        exchanged = np.where(channels < len(channels) // 8 * 8, channels ^ (4 >> axis), channels)
        flipped = np.flip(latents, axis + 1)[..., exchanged]
        found = np.array(generator.logits(flipped))
        np.testing.assert_allclose(found, np.flip(np.array(generator.logits(latents)), axis + 1), atol=1e-3)
