"""The model that trains, with tiny networks."""

from functools import cache

import keras
import numpy as np
import pytest

from kerasgan3d.data import LabelledData, Symmetry
from kerasgan3d.differentiable import likeliest
from kerasgan3d.models import Generator
from kerasgan3d.sampling.conditions import Conditions
from kerasgan3d.training import GAN3D
from kerasgan3d.training.adversary import Rules
from kerasgan3d.training.losses import LOSSES
from kerasgan3d.training.state import load_state, save_state
from kerasgan3d.training.terms import TERMS, applied
from kerasgan3d.training.views import View, real_views

SIZE = 16
SLICES = View("slices", 8, count=2, widths=(4,))
VOLUMES = View("volumes", 16, pool=2, count=1, weight=0.5, widths=(4,))


def conditions(n):
    return Conditions(
        mean=(1 / n,) * n,
        deviation=(0.2,) * n,
        root=tuple(map(tuple, np.eye(n).tolist())),
        taps=((1.0,),) * 3,
        lowest=(0.0,) * n,
        highest=(1.0,) * n,
        gain=(1.0,) * n,
        shift=(0.0,) * n,
    )


KINDS = {
    "isotropic, slices and sub-volumes": {"views": (SLICES, VOLUMES)},
    "axial slices, two phases": {"symmetry": Symmetry("axial", 1), "phases": 2},
    "four phases, conditional": {"phases": 4, "told": True, "terms": {"local_fractions": 0.15}},
    "one slice": {"flat": True, "terms": {"volume_fractions": 20.0}},
    "spectral hinge": {"rules": {"loss": LOSSES["hinge"](), "penalty": None}, "spectral": True},
    "labels": {"rules": {"labels_from": 1, "edges": 0.05}},
    "sub-volumes, noise": {"views": (VOLUMES,), "rules": {"noise": 0.1}},
    "five to one": {"rules": {"loss": LOSSES["wasserstein"](), "penalty": "gradient", "every": 1}, "updates": (2, 1)},
    "one to two": {"rules": {"loss": LOSSES["logistic"](0.1), "penalty": None}, "updates": (1, 2), "batch": 2},
}
kinds = pytest.mark.parametrize("kind", KINDS)


@cache
def data(phases=3, flat=False, symmetry=Symmetry()):  # noqa: B008
    labels = np.random.default_rng(0).integers(0, phases, (10,) * (2 if flat else 3)).astype("uint8")
    for axis in range(labels.ndim):
        labels = labels.repeat(2, axis)
    return LabelledData.of(labels, symmetry, n_phases=phases)


def network(
    kind=None,
    *,
    phases=3,
    flat=False,
    told=False,
    views=(SLICES,),
    symmetry=Symmetry(),  # noqa: B008
    terms=None,
    rules=None,
    spectral=False,
    batch=1,
    seed=0,
    rate=1e-3,
    **options,
):
    """A GAN with tiny networks, compiled, and the sampler of its data."""
    if kind is not None:
        return network(**{"seed": seed, **KINDS[kind]})
    keras.utils.set_random_seed(seed)
    of, y = data(phases, flat, symmetry), conditions(phases) if told else None
    generator = Generator(phases, 3, (6, 4), padding="circular", conditions=y)
    critics = [view.critic(phases) for view in views for _ in view.groups(symmetry)]
    gan = GAN3D(generator, critics, views, symmetry, SIZE, spectral, seed)
    gan.compile(
        keras.optimizers.Adam(rate, 0.0, 0.99),
        keras.optimizers.Adam(2e-3, 0.0, 0.99),
        rules=Rules(**{"every": 2, **(rules or {})}),
        terms=applied(terms or {}, of, y, 4)[0],
        **options,
    )
    return gan, real_views(of, views, 0.05, batch, seed)


def step(gan, sampler, number):
    """Take a step outside of ``fit``; returns the report."""
    for tracker in gan.metrics:
        tracker.reset_state()
    return {name: float(value) for name, value in gan.train_step(gan.feed(sampler).batch(number)).items()}


def steps(gan, sampler, first, count):
    return [step(gan, sampler, number) for number in range(first, first + count)][-1]


def values(variables):
    return [np.array(keras.ops.convert_to_numpy(v.value)) for v in variables]


def moved(before, variables):
    return [bool(np.any(a != b)) for a, b in zip(before, values(variables), strict=True)]


@pytest.mark.parametrize("kind", ["axial slices, two phases", "four phases, conditional"])
def test_fit_takes_steps(kind):
    gan, sampler = network(kind)
    parts = [gan.generator, gan.average.generator, gan.adversary]
    before = [values(part.trainable_variables) for part in parts]
    history = gan.fit(gan.batches(sampler), steps_per_epoch=3, epochs=1, shuffle=False, verbose=0).history
    terms = KINDS[kind].get("terms", {})
    assert set(history) == {"critic_loss", "real", "fake", *(f"{name}_error" for name in terms)}
    assert all(np.isfinite(value).all() for value in history.values())
    assert all(np.isfinite(value).all() for value in values(gan.state()))
    for part, old in zip(parts[:2], before[:2], strict=True):
        assert all(moved(old, part.trainable_variables))
    # A bias of a critic's last layer is a constant that real and generated data share: no loss of pairs moves it.
    kernels = [v for v in gan.adversary.trainable_variables if len(v.shape) > 1]
    assert all(moved([old for old in before[2] if old.ndim > 1], kernels))
    volume = gan.average.generator.with_padding("valid").sample(9, seed=0)
    assert volume.shape == (9, 9, 9)
    assert set(np.unique(volume.labels)) <= set(range(len(gan.generator.phases)))


@kinds
def test_a_state_that_was_saved_goes_on_bit_for_bit(kind, tmp_path):
    straight, sampler = network(kind)
    steps(straight, sampler, 0, 3)

    first, _ = network(kind)
    steps(first, sampler, 0, 1)
    save_state(tmp_path / "state.npz", first.state(), step=1, best=0.5)
    second, _ = network(kind)
    steps(second, sampler, 7, 1)
    extra = load_state(tmp_path / "state.npz", second.state())
    assert {key: float(value) for key, value in extra.items()} == {"step": 1, "best": 0.5}
    steps(second, sampler, 1, 2)
    for a, b in zip(straight.state(), second.state(), strict=True):
        np.testing.assert_array_equal(*values([a, b]), err_msg=a.path)


def test_the_state_of_another_model_is_refused(tmp_path):
    gan, other = network()[0], network(phases=2)[0]
    save_state(tmp_path / "state.npz", gan.state())
    before = values(other.state())
    with pytest.raises(ValueError, match="state.npz holds the state of another model or recipe"):
        load_state(tmp_path / "state.npz", other.state())
    assert not any(moved(before, other.state()))


def test_the_state_holds_everything_that_a_step_changes():
    gan, sampler = network(terms={"surface_areas": 1.0}, spectral=True, rules={"noise": 0.1}, views=(SLICES, VOLUMES))
    parts = [gan.generator, gan.average.generator, *gan.adversary.critics, gan.generator_optimizer]
    known = [v for part in parts for v in part.variables]
    held = {id(v) for v in gan.state()}
    assert {id(v) for v in known} <= held
    before = values(gan.state())
    step(gan, sampler, 0)
    names = [v.path for v, changed in zip(gan.state(), moved(before, gan.state()), strict=True) if changed]
    for part in ("step", "seed_generator_state", "singular", "SurfaceAreas", "moving_variance", "iteration"):
        assert any(part in name for name in names), part


@pytest.mark.parametrize("name", LOSSES)
def test_the_generator_learns_the_same_by_a_shared_pass_and_by_one_of_its_own(name, monkeypatch):
    found = []
    for alone in (False, True):
        loss = LOSSES[name]()
        if alone:
            monkeypatch.setattr(loss, "factor", lambda real, fake: None, raising=False)
        gan, sampler = network(rules={"loss": loss}, views=(SLICES, VOLUMES))
        before = values(gan.generator.trainable_variables)
        gan.generator_optimizer = keras.optimizers.SGD(1.0)
        gan.generator_optimizer.build(gan.generator.trainable_variables)
        step(gan, sampler, 0)
        found.append([b - a for a, b in zip(before, values(gan.generator.trainable_variables), strict=True)])
    for shared, own in zip(*found, strict=True):
        np.testing.assert_allclose(shared, own, rtol=1e-3, atol=1e-7)
    assert max(np.abs(change).max() for change in found[0]) > 1e-6


@pytest.mark.parametrize("player", ["generator", "critic"])
def test_each_player_is_moved_by_its_own_optimizer(player):
    gan, sampler = network()
    variables = {"generator": gan.generator.trainable_variables, "critic": gan.adversary.trainable_variables}
    still = variables.pop(player)
    (learning,) = variables.values()
    getattr(gan, f"{player}_optimizer").learning_rate = 0.0
    before = values(still), values(learning)
    step(gan, sampler, 0)
    assert not any(moved(before[0], still))
    assert any(moved(before[1], learning))


@pytest.mark.parametrize("updates", [(1, 1), (3, 1), (1, 2), (2, 2)], ids=str)
def test_each_player_is_updated_as_often_as_asked(updates):
    gan, sampler = network(updates=updates)
    steps(gan, sampler, 0, 2)
    found = int(gan.critic_optimizer.iterations), int(gan.generator_optimizer.iterations)
    assert found == (2 * updates[0], 2 * updates[1])


@pytest.mark.parametrize("decay", [0.0, 0.5])
@pytest.mark.parametrize("ramp", [True, False])
def test_the_average_follows(decay, ramp):
    gan, sampler = network(average_decay=decay, average_ramp=ramp)
    before = values(gan.average.generator.variables)
    np.testing.assert_array_equal(before[0], values(gan.generator.variables)[0])
    step(gan, sampler, 0)
    share = min(decay, 2 / 11) if ramp else decay
    new, mean = values(gan.generator.variables), values(gan.average.generator.variables)
    for old, m, value in zip(before, mean, new, strict=True):
        np.testing.assert_allclose(m, share * old + (1 - share) * value, atol=1e-6)


@pytest.mark.parametrize("name", TERMS)
def test_statistics_are_pulled_to_the_data(name, monkeypatch):
    monkeypatch.setattr("kerasgan3d.training.terms._CROPS", 2)
    monkeypatch.setattr("kerasgan3d.training.terms._DECAY", 0.5)
    monkeypatch.setattr("kerasgan3d.differentiable.diffusivity.STEPS", 6)
    monkeypatch.setattr("kerasgan3d.training.terms._BALLS", ((4, 4, 4),))
    monkeypatch.setattr(TERMS["ball_moments"], "solid", 4)
    silent = View("slices", 8, count=1, widths=(4,), weight=0.0)
    gan, sampler = network(told=True, terms={name: 1000.0}, views=(silent,), rules={"penalty": None}, rate=0.01)
    count = 20 if gan.terms[name][1].variables else 8
    errors = [step(gan, sampler, number)[f"{name}_error"] for number in range(count)]
    assert all(np.isfinite(errors))
    # A running mean begins at the target: its error rises before it falls.
    assert min(errors[-3:]) < 0.9 * max(errors)


def test_volumes_are_rolled_before_critics_see_them():
    gan, sampler = network()
    data = gan.feed(sampler).batch(0)
    plain = gan.generator(data["latents"][0], training=True)
    seen = gan._seen(keras.tree.map_structure(keras.ops.convert_to_tensor, data), 0, plain, likeliest(plain))
    rolled = np.roll(keras.ops.convert_to_numpy(plain), data["shifts"][0], (1, 2, 3))
    for part, expected in zip(seen, gan.adversary.see(keras.ops.convert_to_tensor(rolled)), strict=True):
        np.testing.assert_allclose(keras.ops.convert_to_numpy(part), keras.ops.convert_to_numpy(expected), atol=1e-6)


def test_local_fractions_are_matched_with_what_was_asked_for():
    # The term is given the conditions beside the latents, and volumes that are not rolled.
    gan, _ = network(told=True, terms={"local_fractions": 1.0})
    given = {}
    (weight, term) = gan.terms["local_fractions"]
    gan.terms = {"local_fractions": (weight, term)}
    term.loss = lambda *of: (given.update(zip(("labels", "asked", "probabilities"), of, strict=True)), (0.0, 0.0))[1]
    latents = np.random.default_rng(0).normal(size=(1, 4, 4, 4, 6)).astype("float32")
    volumes = gan.generator(latents, training=True)
    gan._match(volumes, likeliest(volumes), keras.ops.convert_to_tensor(latents))
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(given["asked"]), latents[..., 3:])
    assert given["probabilities"] is volumes
    assert set(np.unique(keras.ops.convert_to_numpy(given["labels"]))) == {0, 1}


def test_what_was_asked_for_is_matched_before_volumes_are_rolled():
    errors = []
    for shift in (0, 5):
        gan, sampler = network(told=True, terms={"local_fractions": 1.0})
        data = gan.feed(sampler).batch(0)
        data["shifts"] = np.full_like(data["shifts"], shift)
        errors.append(float(gan.train_step(data)["local_fractions_error"]))
    assert errors[0] == pytest.approx(errors[1], rel=1e-6)


def test_a_sampler_that_does_not_fit_is_refused():
    gan, _ = network(symmetry=Symmetry("axial", 1))
    sampler = real_views(data(symmetry=Symmetry("axial", 1)), [View("slices", 8, count=2)], 0.05, 1, 0)
    assert [part.shape[0] for part in sampler.batch(0)] == [2, 4]
    sampler.samplers[0].counts = (4, 6)
    with pytest.raises(ValueError, match=r"as many arrays .*, \[2, 4\], times .* Received: \[4, 6\]"):
        gan.feed(sampler)


@pytest.mark.parametrize("padding", ["zeros", "valid"])
def test_a_generator_that_does_not_wrap_is_refused(padding):
    with pytest.raises(ValueError, match=f"`generator` must have padding 'circular'. Received: '{padding}'"):
        GAN3D(Generator(2, 3, (4,), padding=padding), [SLICES.critic(2)], [SLICES])


def test_views_are_taken_as_recipes_hold_them():
    gan = GAN3D(Generator(2, 3, (4,), padding="circular"), [SLICES.critic(2)], [SLICES.to_dict()])
    assert gan.adversary.views == (SLICES,)


def test_keras_can_call_it():
    gan, _ = network()
    latents = np.zeros((1, 6, 6, 6, 3), "float32")
    np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (gan(latents), gan.average.generator(latents))))
