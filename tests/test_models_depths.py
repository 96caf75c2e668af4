"""Residual convolutions at the coarse levels: margins, folding, and sampling whose coarse part serves many tiles."""

import json
import sys

import keras
import numpy as np
import pytest

from kerasgan3d import io
from kerasgan3d.folder import CARD, CONFIG, read_json
from kerasgan3d.models import ARCHITECTURES, Generator, _sampler, _stem
from kerasgan3d.models.preset import load_preset, save_preset
from kerasgan3d.sampling import LatentField, plan_tiles
from kerasgan3d.sampling.generate import generate
from kerasgan3d.training.average import MovingAverage

DEPTHS = pytest.mark.parametrize("depths", [(2, 1), (1, 0), (0, 1), (0, 3), (1, 2)], ids=str)
paddings = pytest.mark.parametrize("padding", ["valid", "circular", "zeros"])


def latents(*shape, channels=5, seed=0):
    return np.random.default_rng(seed).normal(size=(1, *shape, channels)).astype("float32")


def near_tie(generator, lead):
    """Let phases 1 and 2 be as likely as phase 0 but for a share ``lead`` of the weights."""
    kernel, bias = generator.convolutions[-1].kernel, generator.convolutions[-1].bias
    first = kernel.numpy()[..., :1].astype("float64")
    kernel.assign(first * (1 + lead * np.random.default_rng(9).normal(size=kernel.shape)))
    bias.assign(np.zeros(bias.shape))
    return generator


def exact(generator, size, seed, offset=(0, 0, 0)):
    """Labels of a window by a float64 network, in one piece."""
    network = Generator(**{**generator.folded()._arguments(), "padding": "valid"}, dtype="float64")
    network.set_weights(generator._folded_weights())
    cells = -(-size // generator.stride) + 1
    first = [n // generator.stride for n in offset]
    z = LatentField(seed, generator.latent_channels).window(
        [n - generator.margin[0] for n in first], [cells + sum(generator.margin)] * 3
    )
    labels = np.array(network.logits(z[None].astype("float64")))[0].argmax(-1)
    begin = [n - generator.stride * m for n, m in zip(offset, first, strict=True)]
    return labels[tuple(slice(n, n + size) for n in begin)]


# ---------------------------------------------------------------- the network


@pytest.mark.parametrize(
    ("widths", "depths", "reach"),
    [
        ((8, 6), (), 4 + 2 + 1),
        ((8, 6), (2, 1), 4 * 3 + 2 * 2 + 1),
        ((8, 6), (0, 1), 4 + 2 * 2 + 1),
        ((8, 6, 4, 4), (2, 1, 0, 0), 16 * 3 + 8 * 2 + 4 + 2 + 1),
        ((8, 6, 4, 4), (1, 1, 1, 1), 16 * 2 + 8 * 2 + 4 * 2 + 2 * 2 + 1),
    ],
    ids=str,
)
def test_margins_are_what_convolutions_reach_in_whole_latents(make_generator, widths, depths, reach):
    generator = make_generator(widths=widths, depths=depths)
    assert generator.margin == (-(-reach // generator.stride),) * 2


def test_a_voxel_depends_on_latents_within_the_margin_and_on_all_of_them(make_generator):
    generator = make_generator(depths=(1, 1))
    n = 1 + sum(generator.margin)
    z = latents(n, n, n)
    before = np.array(generator(z))
    for place in (0, n - 1):
        changed = z.copy()
        changed[:, place] += 3.0
        assert np.abs(np.array(generator(changed)) - before).max() > 1e-6


@DEPTHS
@paddings
@pytest.mark.parametrize("t", [11, 12])
def test_the_size_is_foretold(make_generator, depths, padding, t):
    generator = make_generator(depths=depths, padding=padding)
    out = tuple(generator(latents(t, t, t + 1)).shape)
    assert out == generator.compute_output_shape((1, t, t, t + 1, 5))
    assert generator.latents_for(out[1]) == t


@DEPTHS
@pytest.mark.parametrize("widths", [(8, 6), (8, 6, 4, 4)], ids=str)
def test_circular_is_valid_on_wrapped_latents(make_generator, depths, widths):
    generator = make_generator(widths=widths, depths=(*depths, 1, 2)[: len(widths)])
    z = latents(2, 3, 4)
    wrapped = np.pad(z, ((0, 0), *(generator.margin,) * 3, (0, 0)), mode="wrap")
    circular = generator.with_padding("circular")(z)
    np.testing.assert_allclose(np.array(circular), np.array(generator(wrapped)), atol=1e-5)


@DEPTHS
def test_shifted_latents_shift_the_volume_by_the_stride(make_generator, depths):
    generator = make_generator(depths=depths)
    n = sum(generator.margin) + 3
    z = latents(n, n, n)
    volume, shifted = np.array(generator(z)), np.array(generator(z[:, 1:, :, 1:]))
    np.testing.assert_allclose(shifted, volume[:, generator.stride :, :, generator.stride :], atol=1e-5)


@DEPTHS
def test_zero_padding_agrees_away_from_the_faces(make_generator, depths):
    generator = make_generator(depths=depths)
    n = sum(generator.margin) + 2
    z = latents(n, n, n)
    valid, zeros = np.array(generator(z)), np.array(generator.with_padding("zeros")(z))
    n = (zeros.shape[1] - valid.shape[1]) // 2
    np.testing.assert_allclose(zeros[:, n:-n, n:-n, n:-n], valid, atol=1e-5)


@DEPTHS
@paddings
def test_folding_changes_nothing_but_the_layers(make_generator, depths, padding):
    generator = make_generator(depths=depths, padding=padding)
    folded, z = generator.folded(), latents(11, 11, 12)
    np.testing.assert_allclose(np.array(folded(z)), np.array(generator(z)), atol=1e-5)
    assert not folded.normalizations
    assert not folded.residual_normalizations
    assert (folded.depths, folded.padding) == (depths, padding)
    np.testing.assert_array_equal(np.array(folded.folded()(z)), np.array(folded(z)))


def test_a_residual_that_adds_nothing_is_the_network_without(make_generator):
    deep, plain = make_generator(depths=(1, 2)), make_generator()
    for layer in deep.residual_normalizations:
        layer.gamma.assign(np.zeros(layer.gamma.shape))
        layer.beta.assign(np.zeros(layer.beta.shape))
    more = deep.margin[0] - plain.margin[0]
    z = latents(11, 11, 11)
    inner = z[:, more:-more, more:-more, more:-more]
    np.testing.assert_allclose(np.array(deep(z)), np.array(plain(inner)), atol=1e-6)
    assert (deep.sample(20, seed=1).labels == plain.sample(20, seed=1).labels).all()


def test_training_updates_the_moving_statistics_of_residuals(make_generator):
    generator = make_generator(depths=(1, 1))
    before = [layer.moving_mean.numpy() for layer in generator.residual_normalizations]
    generator(latents(12, 12, 12), training=True)
    for layer, old in zip(generator.residual_normalizations, before, strict=True):
        assert np.abs(layer.moving_mean.numpy() - old).max() > 1e-4


def test_no_residuals_are_no_argument():
    none = Generator(3, 5, (8, 6), depths=(0, 0), name="g")
    assert none.depths == ()
    assert none.get_config() == Generator(3, 5, (8, 6), name="g").get_config()
    assert "depths" not in none.get_config()


def test_the_configuration_makes_the_same_network(make_generator, tmp_path):
    generator = make_generator(depths=(2, 1))
    generator.save(tmp_path / "g.keras")
    loaded = keras.saving.load_model(tmp_path / "g.keras")
    assert loaded.depths == (2, 1)
    np.testing.assert_array_equal(loaded.sample(20, seed=1).labels, generator.sample(20, seed=1).labels)
    again = Generator.from_config(generator.get_config())
    again.set_weights(generator.get_weights())
    assert again.pieces().digest == generator.pieces().digest


def test_depths_are_part_of_what_names_a_generator(make_generator):
    one, other = make_generator(widths=(6, 6), depths=(1, 0)), make_generator(widths=(6, 6), depths=(0, 1))
    other.set_weights(one.get_weights())
    assert one.pieces().digest != other.pieces().digest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depths": (1,)}, r"`depths` must hold one number per width, 4, or none. Received: \(1,\)"),
        ({"depths": (1,) * 5}, "`depths` must hold one number per width, 4, or none"),
        ({"depths": 2}, "`depths` must hold one number per width, 4, or none. Received: 2"),
        ({"depths": "2100"}, "`depths` must hold one number per width, 4, or none. Received: '2100'"),
        ({"depths": None}, "`depths` must hold one number per width, 4, or none. Received: None"),
        ({"depths": (-1, 0, 0, 0)}, "`depths` must be an integer from 0 to 16. Received: -1"),
        ({"depths": (17, 0, 0, 0)}, "`depths` must be an integer from 0 to 16. Received: 17"),
        ({"depths": (9, 8, 0, 0)}, r"`depths` must add up to at most 16. Received: \(9, 8, 0, 0\)"),
        ({"depths": (10**12, 0, 0, 0)}, "`depths` must be an integer from 0 to 16"),
        ({"depths": (1.0, 0, 0, 0)}, "`depths` must be an integer from 0 to 16. Received: 1.0"),
        ({"depths": (True, 0, 0, 0)}, "`depths` must be an integer from 0 to 16. Received: True"),
        (
            {"depths": (1, 0, 0, 0), "upsampling": "transposed"},
            r"`depths` other than 0 need upsampling='resize'. Received: \(1, 0, 0, 0\) and 'transposed'",
        ),
        ({"widths": (4096, 1), "depths": (16, 0)}, "must make at most 268435456 weights"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_other_depths_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Generator(**arguments)


def test_depths_of_zero_go_with_transposed():
    assert Generator(3, 2, (4, 2), "transposed", depths=[0, 0]).depths == ()


def test_the_deep_generator_costs_no_more_than_the_compact_one():
    def multiplications(name):
        found, size = ARCHITECTURES[name], 16
        widths = (found["latent_channels"], *found["widths"], 3)
        total = 27 * widths[0] * widths[1] / size**3
        for i, width in enumerate(found["widths"]):
            total += found.get("depths", (0,) * 4)[i] * 27 * width**2 / (size >> i) ** 3
            total += 8 * width * widths[i + 2] / (size >> i + 1) ** 3
        return total

    assert multiplications("deep") == pytest.approx(2622.5)
    assert multiplications("deep") < multiplications("compact") == pytest.approx(2673)
    deep = Generator.from_architecture("deep")
    assert (deep.stride, deep.margin, deep.latent_channels) == (16, (5, 5), 64)
    assert 4 * deep.count_params() < 9.3e6


# ---------------------------------------------------------------- preset folders


def test_a_folder_keeps_depths_and_says_a_format_of_its_own(make_generator, tmp_path):
    generator = make_generator(depths=(2, 1))
    loaded = load_preset(save_preset(generator, tmp_path / "deep", {"name": "deep"}))
    assert loaded.depths == (2, 1)
    assert read_json(tmp_path / "deep" / CARD)["format"] == 3
    np.testing.assert_array_equal(loaded.sample(20, seed=1).labels, generator.sample(20, seed=1).labels)
    again = save_preset(loaded, tmp_path / "deep")
    assert read_json(again / CARD)["format"] == 3
    assert load_preset(again).pieces().digest == generator.pieces().digest


def test_a_folder_without_depths_is_as_before(make_generator, tmp_path):
    folder = save_preset(make_generator(), tmp_path / "plain", {"name": "plain"})
    assert read_json(folder / CARD)["format"] == 2
    assert "depths" not in read_json(folder / CONFIG)["config"]


@pytest.mark.parametrize(
    ("depths", "message"),
    [
        ([10**12, 0], "`depths` must be an integer from 0 to 16"),
        ([-1, 0], "`depths` must be an integer from 0 to 16"),
        ([1, "0"], "`depths` must be an integer from 0 to 16"),
        ([True, 0], "`depths` must be an integer from 0 to 16"),
        ([1], "`depths` must hold one number per width, 2, or none"),
        ([0] * 100_000, "`depths` must hold one number per width, 2, or none"),
        ([[1], 0], "`depths` must be an integer from 0 to 16"),
        (2, "must give lists of phases and widths, and of depths if any"),
        ({"0": 1}, "must give lists of phases and widths, and of depths if any"),
        (None, "must give lists of phases and widths, and of depths if any"),
        ([1, 1], "does not hold the weights of this generator: there is one too many of shape"),
        ([2, 2], "does not hold the weights of this generator: there is no array of shape"),
        ([], "does not hold the weights of this generator: there is one too many of shape"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_folders_of_strangers_are_refused(make_generator, tmp_path, depths, message):
    folder = save_preset(make_generator(depths=(2, 1)), tmp_path / "deep")
    config = json.loads((folder / CONFIG).read_text("utf-8"))
    config["config"]["depths"] = depths
    (folder / CONFIG).write_text(json.dumps(config), "utf-8")
    with pytest.raises(ValueError, match=message):
        load_preset(folder)


def test_a_file_too_small_for_its_residuals_is_refused_before_the_network_is_made(make_generator, tmp_path):
    folder = save_preset(make_generator(depths=(2, 1)), tmp_path / "deep")
    config = json.loads((folder / CONFIG).read_text("utf-8"))
    config["config"] |= {"widths": [700, 6], "depths": [16, 0]}
    (folder / CONFIG).write_text(json.dumps(config), "utf-8")
    needed = 2 * 27 * (5 * 700 + 16 * 700**2 + 700 * 6 + 6 * 3)
    with pytest.raises(ValueError, match=f"it would take {needed} bytes or more"):
        load_preset(folder)


def test_the_most_that_depths_may_be_can_be_saved(make_generator, tmp_path):
    generator = make_generator(widths=(2,) * 8, latent_channels=1, depths=(2,) * 8)
    assert load_preset(save_preset(generator, tmp_path / "deep")).depths == (2,) * 8


# ---------------------------------------------------------------- sampling


@DEPTHS
@pytest.mark.parametrize("offset", [(0, 0, 0), (3, -9, 5)], ids=str)
@pytest.mark.parametrize("output_bias", [True, False], ids=["bias", "no bias"])
def test_labels_are_those_of_exact_arithmetic(make_generator, depths, offset, output_bias):
    generator = make_generator(depths=depths, output_bias=output_bias)
    labels = generator.sample(13, seed=5, offset=offset).labels
    np.testing.assert_array_equal(labels, exact(generator, 13, 5, offset))
    assert len(np.unique(labels)) > 1


@pytest.mark.parametrize("lead", [1e-5, 1e-6, 1e-7])
@pytest.mark.parametrize("widths", [(8, 6), (8, 6, 4, 4)], ids=str)
def test_near_ties_are_decided_in_float64(make_generator, lead, widths):
    generator = near_tie(make_generator(widths=widths, depths=(2, 1, 1, 0)[: len(widths)]), lead)
    size = 4 * generator.stride
    sampler, n = generator.sampler(), 4 + sum(generator.margin)
    features = sampler.stem(LatentField(5, 5).window([-generator.margin[0]] * 3, [n] * 3))
    fast, _, _ = sampler._label_function(features[None])
    wanted = exact(generator, size, 5)
    if lead == 1e-7:  # were float32 enough, this would say nothing
        assert (fast[0] != wanted).sum() > 50
    for tile in (generator.stride, 3 * generator.stride, size):
        np.testing.assert_array_equal(generator.sample(size, seed=5, tile=tile).labels, wanted)


@pytest.mark.parametrize(("tile", "batch"), [(4, 1), (5, 3), ((4, 8, 12), 1000), (100, 1)], ids=str)
@pytest.mark.parametrize("periodic", [False, True, "y"], ids=str)
@pytest.mark.parametrize("cells", [1, 3, 32])
def test_tiles_batches_and_boxes_have_no_effect(make_generator, monkeypatch, tile, batch, periodic, cells):
    generator = near_tie(make_generator(depths=(2, 1)), 1e-6)
    options = {"periodic": periodic, "seed": 3, "offset": (1, -6, 7)}
    whole = generator.sample((12, 20, 8), **options).labels
    monkeypatch.setattr(sys.modules["kerasgan3d.sampling.generate"], "STEM_CELLS", cells)
    found = generator.sample((12, 20, 8), tile=tile, batch=batch, **options)
    np.testing.assert_array_equal(found.labels, whole)


@pytest.mark.parametrize("offset", [(1, 0, 0), (0, -3, 0), (5, 6, -700001)], ids=str)
def test_windows_are_of_one_structure(make_generator, offset):
    generator = make_generator(depths=(2, 1))
    whole = generator.sample(24, seed=7, offset=offset).labels
    part = generator.sample((5, 6, 7), seed=7, offset=[n + 9 for n in offset]).labels
    np.testing.assert_array_equal(part, whole[9:14, 9:15, 9:16])
    rolled = generator.sample(24, seed=7, offset=offset, periodic=True).labels
    still = generator.sample(24, seed=7, periodic=True).labels
    np.testing.assert_array_equal(rolled, np.roll(still, [-n for n in offset], (0, 1, 2)))


def test_a_periodic_volume_is_the_circular_network(make_generator):
    generator = make_generator(depths=(2, 1), widths=(8, 6))
    z = LatentField(2, 5).window((0, 0, 0), (3, 2, 4))[None]
    circular = np.array(generator.with_padding("circular")(z))[0].argmax(-1)
    np.testing.assert_array_equal(generator.sample((12, 8, 16), periodic=True, seed=2).labels, circular)


def test_probabilities_are_the_networks_own(make_generator):
    generator = make_generator(depths=(1, 2))
    m = generator.margin[0]
    z = LatentField(4, 5).window((-m,) * 3, (3 + 2 * m,) * 3)[None]
    found = generator.sample_probabilities(12, seed=4, tile=8)
    np.testing.assert_allclose(found, np.array(generator(z))[0], atol=1e-5)
    np.testing.assert_array_equal(found.argmax(-1), generator.sample(12, seed=4).labels)


@pytest.mark.parametrize("name", ["v.tif", "v.zarr"])
def test_streams_are_samples(make_generator, tmp_path, name):
    generator = near_tie(make_generator(depths=(2, 1)), 1e-6)
    options = {"seed": 6, "periodic": "x", "offset": (2, 3, 4)}
    found = generator.stream(tmp_path / name, (20, 130, 12), tile=128, **options)
    assert found.checksum == io.checksum(generator.sample((20, 130, 12), **options).labels)


def test_chunks_of_dask_are_samples(make_generator):
    generator = near_tie(make_generator(depths=(2, 1)), 1e-6)
    found = generator.to_dask((20, 21, 12), seed=6, chunks=10).compute(scheduler="threads")
    np.testing.assert_array_equal(found, generator.sample((20, 21, 12), seed=6).labels)


def test_the_stem_of_many_tiles_is_computed_once_and_what_is_periodic_once(make_generator, monkeypatch):
    generator, seen = make_generator(depths=(2, 1)), []
    sampler = generator.sampler()
    make = type(sampler.stem).__call__
    monkeypatch.setattr(type(sampler.stem), "__call__", lambda self, z: seen.append(z.shape) or make(self, z))
    generator.sample(32, seed=1, tile=4)
    around = sum(generator.margin)
    assert seen == [(8 + around, 8 + around, 8 + around, 5)]
    seen.clear()
    generator.sample(32, seed=1, tile=8, periodic="zy")
    assert seen == [(8 + 6, 8 + 6, 8 + around, 5)]


@pytest.mark.parametrize("shape", [(3, 3, 3), (6, 5, 9), (10, 4, 30), (3, 28, 27)], ids=str)
def test_the_stem_convolves_as_is_written_by_hand(shape, monkeypatch):
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(*shape, 3)), rng.normal(size=(3, 3, 3, 3, 2))
    expected = sum(
        x[k : k + shape[0] - 2, j : j + shape[1] - 2, i : i + shape[2] - 2] @ kernel[k, j, i]
        for k, j, i in np.ndindex(3, 3, 3)
    )
    found = _stem.convolved(x, _stem.transformed(kernel))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())
    monkeypatch.setattr(_stem, "_AT_ONCE", (4, 8, 4))
    np.testing.assert_allclose(_stem.convolved(x, _stem.transformed(kernel)), found, rtol=0, atol=1e-12)


def test_the_stem_is_the_network_in_float64(make_generator):
    generator = make_generator(depths=(2, 1))
    network = Generator(**generator.folded()._arguments(), dtype="float64")
    network.set_weights(generator._folded_weights())
    x = z = latents(11, 12, 13).astype("float64")
    for unit in network.units[:3]:
        x = unit.finish(x, unit.convolve(x))
    found = generator.sampler().stem(z[0].astype("float32"))
    np.testing.assert_allclose(found, np.array(x)[0], rtol=0, atol=1e-12 * np.abs(np.array(x)).max())


def test_boxes_hold_every_tile_once():
    plan = plan_tiles((50, 33, 70), stride=2, margin=(3, 3), tile=(4, 8, 6), offset=(1, -5, 3))
    boxes = list(plan.boxes(8))
    assert sorted(map(repr, plan.iterate())) == sorted(repr(tile) for box in boxes for tile in box)
    for box in boxes:
        for axis in range(3):
            cells = [(tile.start[axis], tile.start[axis] + tile.shape[axis] - 6) for tile in box]
            assert max(end for _, end in cells) - min(start for start, _ in cells) <= 8
    assert all(len(box) == 1 for box in plan.boxes(1))


def test_a_stem_by_hand():
    class Mean:
        halo = 1

        def __call__(self, latents):
            return latents[2:, 1:-1, 1:-1] + latents[:-2, 1:-1, 1:-1]

    plan = plan_tiles((6, 5, 7), stride=1, margin=(1, 1), tile=2)
    field = LatentField(0, 2)
    found = generate(lambda x: x[..., 0], field, plan, stem=Mean())
    z = field.window((-1, 0, 0), (8, 5, 7))[..., 0]
    np.testing.assert_array_equal(found, z[2:] + z[:-2])


def test_new_weights_reach_the_stem(make_generator):
    generator, other = make_generator(depths=(2, 1)), make_generator(depths=(2, 1), seed=4)
    generator.sample(8, seed=0)
    generator.set_weights(other.get_weights())
    np.testing.assert_array_equal(generator.sample(8, seed=0).labels, other.sample(8, seed=0).labels)


def test_weights_of_the_stem_that_are_not_finite_are_refused(make_generator):
    generator = make_generator(depths=(2, 1))
    kernel = generator.residual_convolutions[0].kernel
    kernel.assign(np.full(kernel.shape, np.nan))
    with pytest.raises(ValueError, match="weights are not finite"):
        generator.sample(8, seed=0)


def test_the_fused_choice_is_the_same(make_generator, monkeypatch):
    generator = make_generator(depths=(2, 1))
    plain = generator.sample(24, seed=1).labels
    monkeypatch.setattr(_sampler, "_WORTH_COMPILING", 0)
    generator._sampler = None
    np.testing.assert_array_equal(generator.sample(24, seed=1).labels, plain)


# ---------------------------------------------------------------- training


def test_statistics_of_residuals_are_renewed(make_generator):
    average = MovingAverage(make_generator(depths=(1, 1), padding="circular"))
    average.renew_statistics(32)
    generator = average.generator
    x = latents(40, 40, 40, seed=3)
    for unit in generator.units[:-1]:
        y = unit.convolve(x)
        mean, variance = np.array(y).mean((0, 1, 2, 3)), np.array(y).var((0, 1, 2, 3))
        np.testing.assert_allclose(unit.normalization.moving_mean.numpy(), mean, atol=0.1 * variance.max() ** 0.5)
        np.testing.assert_allclose(unit.normalization.moving_variance.numpy(), variance, rtol=0.2)
        x = unit.finish(x, y)
