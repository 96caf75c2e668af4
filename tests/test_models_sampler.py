"""Labels that rounding could decide are decided in float64; threads may share what decides."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from kerasgan3d.models import Generator, _sampler, remote
from kerasgan3d.models._sampler import Sampler, stages


def latents(*cells, margin=(2, 2), channels=5, seed=0):
    shape = [n + sum(margin) for n in cells]
    return np.random.default_rng(seed).normal(size=(1, *shape, channels)).astype("float32")


def near_tie(generator, lead):
    """Let phases 1 and 2 be as likely as phase 0 but for a share ``lead`` of the weights."""
    kernel, bias = generator.convolutions[-1].kernel, generator.convolutions[-1].bias
    rng = np.random.default_rng(9)
    # The channel of the phases is last where up-sampling convolves, last but one where it is transposed.
    axis = -1 if generator.upsampling == "resize" else -2
    first = np.take(kernel.numpy(), [0], axis).astype("float64")
    kernel.assign(first * (1 + lead * rng.normal(size=kernel.shape)))
    bias.assign(np.zeros(bias.shape))
    return generator


def exact(generator, z):
    """Labels by a float64 network, in one piece."""
    folded = generator.folded()
    network = Generator(**{**folded._arguments(), "padding": "valid"}, dtype="float64")
    network.set_weights(generator._folded_weights())
    return np.array(network.logits(z.astype("float64"))).argmax(-1)


def sampler_of(generator):
    made = Sampler(len(generator.phases))
    made.set_stages(stages(generator, generator._folded_weights()))
    return made


def scaled(generator, factor):
    for variable in (generator.convolutions[-1].kernel, generator.convolutions[-1].bias):
        variable.assign(variable.numpy() * factor)
    return generator


NETWORKS = {
    "as it is": lambda make: make(),
    "weights times 1e-6": lambda make: scaled(make(), 1e-6),
    "weights times 1e6": lambda make: scaled(make(), 1e6),
    "phases within 1e-7": lambda make: near_tie(make(), 1e-7),
    "phases within 1e-6": lambda make: near_tie(make(), 1e-6),
    "phases within 1e-5": lambda make: near_tie(make(), 1e-5),
    "transposed, within 1e-6": lambda make: near_tie(make("transposed"), 1e-6),
    "two phases within 1e-6": lambda make: near_tie(make(phases=2), 1e-6),
    "stride 16, within 1e-6": lambda make: near_tie(make(widths=(8, 6, 4, 4)), 1e-6),
}
networks = pytest.mark.parametrize("name", NETWORKS)


@networks
@pytest.mark.parametrize("at_once", [7, 100_000], ids=["in parts", "at once"])
def test_labels_are_those_of_float64(make_generator, monkeypatch, name, at_once):
    monkeypatch.setattr(_sampler, "_ROWS_AT_ONCE", at_once)
    generator = NETWORKS[name](make_generator)
    z = latents(3, 4, 5, margin=generator.margin)
    labels = sampler_of(generator).labels(z)
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, exact(generator, z))


@networks
def test_labels_do_not_depend_on_tile_or_batch(make_generator, name):
    generator = NETWORKS[name](make_generator)
    size = 3 * generator.stride
    whole = generator.sample(size, seed=3).labels
    for tile, batch in ((generator.stride, 1), (generator.stride, 50), (2 * generator.stride, 3)):
        np.testing.assert_array_equal(generator.sample(size, seed=3, tile=tile, batch=batch).labels, whole)


def test_near_ties_do_need_it(make_generator):
    # Were float32 enough here, the tests above would say nothing.
    generator = near_tie(make_generator(), 1e-7)
    z = latents(5, 5, 5)
    sampler = sampler_of(generator)
    fast, doubt, _ = sampler._label_function(z)
    assert (fast != exact(generator, z)).sum() > 50
    assert doubt.mean() > 0.5


def test_doubt_is_rare_in_an_ordinary_network(make_generator):
    _, doubt, _ = sampler_of(make_generator())._label_function(latents(8, 8, 8))
    assert doubt.mean() < 1e-3


def test_equal_phases_are_the_first_of_them(make_generator):
    generator = scaled(make_generator(), 0.0)
    assert not generator.sample(9, seed=0).labels.any()


def test_new_weights_reach_both_networks(make_generator):
    generator = near_tie(make_generator(), 1e-6)
    z, sampler = latents(3, 3, 3), sampler_of(generator)
    sampler.labels(z)
    other = near_tie(make_generator(seed=5), 1e-6)
    sampler.set_stages(stages(other, other._folded_weights()))
    np.testing.assert_array_equal(sampler.labels(z), exact(other, z))


@networks
def test_the_fused_choice_is_the_same(make_generator, monkeypatch, name):
    generator = NETWORKS[name](make_generator)
    z = latents(3, 4, 5, margin=generator.margin)
    plain = sampler_of(generator)._label_function(z)
    monkeypatch.setattr(_sampler, "_WORTH_COMPILING", 0)
    for fused, expected in zip(sampler_of(generator)._label_function(z), plain, strict=True):
        np.testing.assert_array_equal(fused, expected)


def test_probabilities_are_the_networks_own(make_generator):
    generator, z = make_generator(), latents(2, 3, 4)
    np.testing.assert_allclose(sampler_of(generator).probabilities(z), np.array(generator(z)), atol=1e-5)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(make_generator, value):
    generator = make_generator()
    kernel = generator.convolutions[1].kernel
    damaged = kernel.numpy().copy()
    damaged[0, 0, 0, 0] = value
    kernel.assign(damaged)
    with pytest.raises(ValueError, match="weights are not finite"):
        generator.sample(32, seed=0)


def test_threads_may_share_a_generator_that_was_never_asked(make_generator, monkeypatch):
    compiled = _sampler._compiled

    def slowly(sampler):
        time.sleep(0.2)
        return compiled(sampler)

    monkeypatch.setattr(_sampler, "_compiled", slowly)
    generator, wanted = make_generator(), make_generator().sample(32, seed=3).labels
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda seed: generator.sample(32, seed=seed).labels, [3] * 4):
            np.testing.assert_array_equal(found, wanted)


def test_a_generator_that_another_thread_pushes_out_is_still_asked(make_generator, monkeypatch):
    class Lock:
        def __enter__(self):
            pass

        def __exit__(self, *_):
            remote._MADE.clear()

    monkeypatch.setattr(remote, "_LOCK", Lock())
    generator = make_generator()
    job = json.dumps(generator.job(32, seed=3).to_json())
    found = remote.labels_of(generator.pieces(), job, ((0, 0, 0), (32, 32, 32)))
    np.testing.assert_array_equal(found, generator.sample(32, seed=3).labels)
