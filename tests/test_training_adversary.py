"""The adversary: what critics learn, and what they answer the generator."""

import keras
import numpy as np
import pytest
from keras import ops

from kerasgan3d.data import Symmetry
from kerasgan3d.differentiable import likeliest
from kerasgan3d.material.edges import FULL, SoftImage
from kerasgan3d.training import adversary as module
from kerasgan3d.training.adversary import Adversary, Rules
from kerasgan3d.training.losses import LOSSES, PENALTIES
from kerasgan3d.training.views import View

AXIAL = Symmetry("axial", 1)
VIEWS = (
    View("slices", 8, count=2, widths=(4,)),
    View("volumes", 16, pool=2, count=1, weight=0.3, penalty=0.5, widths=(4,)),
)
SHAPES = ((4, 8, 8, 3), (8, 8, 8, 3), (2, 8, 8, 8, 3))
PLAIN = {"penalty": None, "softening": 0.0}


def made(views=VIEWS, symmetry=AXIAL, seed=0, spectral=False, **rules):
    """An adversary with critics that are sure enough of what they see to tell samples apart, and its optimizer."""
    rng = np.random.default_rng(seed)
    critics = [view.critic(3) for view in views for _ in view.groups(symmetry)]
    for variable in (v for critic in critics for v in critic.trainable_variables):
        variable.assign(rng.normal(0, 0.2, variable.shape))
    found = Adversary(critics, views, symmetry, seed, spectral)
    found.rules = Rules(**{**PLAIN, **rules})
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build(found.trainable_variables)
    return found, optimizer


def batch(seed, shapes=SHAPES):
    rng = np.random.default_rng(seed)
    return [ops.convert_to_tensor(rng.dirichlet(np.ones(3), shape[:-1]).astype("float32")) for shape in shapes]


def numbers(x):
    return ops.convert_to_numpy(x)


def values(variables):
    return [numbers(v.value).copy() for v in variables]


# ---------------------------------------------------------------- the generator's gradients


@pytest.mark.parametrize("spectral", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_one_backward_pass_answers_as_a_pass_of_its_own(name, spectral):
    (found, optimizer), reals, fakes = made(spectral=spectral, loss=LOSSES[name]()), batch(0), batch(1)
    asked = []
    answer, found._answer = found._answer, lambda *parts: asked.append(parts) or answer(*parts)
    together, _ = found.update(optimizer, reals, fakes, (), answer=True)
    # Where a loss has a factor, no pass but that of the critics is needed.
    assert bool(asked) == (LOSSES[name]().factor(*np.zeros((2, 1), "float32")) is None)
    (again, _), before = made(spectral=spectral, loss=LOSSES[name]()), values(made()[0].trainable_variables)
    for norm in again._norms:
        norm.iterate()
    apart = again.answer(reals, fakes)
    assert [tuple(g.shape) for g in together] == list(SHAPES)
    for ours, theirs in zip(together, apart, strict=True):
        assert np.abs(numbers(theirs)).max() > 1e-5
        np.testing.assert_allclose(numbers(ours), numbers(theirs), rtol=1e-3, atol=1e-8)
    for a, b in zip(before, again.trainable_variables, strict=True):
        np.testing.assert_array_equal(a, numbers(b.value))  # an answer alone teaches critics nothing


def test_without_an_answer_critics_learn_the_same():
    ours, theirs = made(loss=LOSSES["relativistic"]()), made(loss=LOSSES["relativistic"]())
    reals, fakes = batch(0), batch(1)
    assert ours[0].update(ours[1], reals, fakes, (), answer=False)[0] == []
    theirs[0].update(theirs[1], reals, fakes, (), answer=True)
    for a, b in zip(ours[0].trainable_variables, theirs[0].trainable_variables, strict=True):
        np.testing.assert_allclose(numbers(a.value), numbers(b.value), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_weights_are_shared_by_the_axes_of_a_view(weight):
    views = (VIEWS[0], View("volumes", 16, pool=2, count=1, weight=weight, widths=(4,)))
    found, optimizer = made(views, loss=LOSSES["wasserstein"]())
    reals, fakes = batch(0), batch(1)
    means = [
        float(ops.mean(found.judge(i, f)) - ops.mean(found.judge(i, r)))
        for i, (r, f) in enumerate(zip(reals, fakes, strict=True))
    ]
    answers, report = found.update(optimizer, reals, fakes, (), answer=True)
    shares = (1 / 3, 2 / 3, weight)
    assert float(report["critic_loss"]) == pytest.approx(np.dot(shares, means), rel=1e-4)
    assert (np.abs(numbers(answers[2])).max() > 0) == (weight > 0)


def test_what_is_reported_are_means_over_the_critics():
    found, optimizer = made(loss=LOSSES["hinge"]())
    reals, fakes = batch(0), batch(1)
    wanted = [np.mean([float(ops.mean(found.judge(i, x))) for i, x in enumerate(part)]) for part in (reals, fakes)]
    _, report = found.update(optimizer, reals, fakes, (), answer=False)
    assert [float(report[name]) for name in ("real", "fake")] == pytest.approx(wanted, rel=1e-5)


# ---------------------------------------------------------------- penalties


def linear(found, weights):
    """Make critics linear in what they see: the mean over positions of w . x, its slope w / positions."""
    for critic in found.critics:
        inner = critic.call  # times 0: its variables keep their gradients
        critic.call = lambda x, training=False, inner=inner: (
            ops.mean(ops.reshape(ops.sum(x * weights, -1), (x.shape[0], -1)), 1) + 0.0 * inner(x)
        )


@pytest.mark.parametrize("name", PENALTIES)
def test_the_penalty_is_of_the_slopes_of_each_critic(name, monkeypatch):
    weights = np.array([30.0, -10.0, 20.0], "float32")
    found, optimizer = made(penalty=name, weight=0.7, every=1)
    linear(found, weights)
    terms, function = [], PENALTIES[name]
    monkeypatch.setitem(module.PENALTIES, name, lambda *a: terms.append(float(function(*a))) or function(*a))
    mix = [ops.full((shape[0],), 0.4) for shape in SHAPES]
    found.update(optimizer, batch(0), batch(1), mix, answer=False)
    norms = [np.linalg.norm(weights) / np.sqrt(np.prod(shape[1:-1])) for shape in SHAPES]
    one = {"r1": lambda n: n**2 / 2, "r1+r2": lambda n: n**2, "gradient": lambda n: (n - 1) ** 2}[name]
    assert terms == pytest.approx([one(n) for n in norms], rel=1e-4)


@pytest.mark.parametrize("name", PENALTIES)
@pytest.mark.parametrize("every", [1, 3])
def test_it_is_due_every_so_many_updates_times_as_much(name, every):
    # What a penalty adds to the critics' gradients: the difference to critics without one.
    mix = [ops.full((shape[0],), 0.4) for shape in SHAPES]

    def added(step, **rules):
        changes = []
        for options in ({"penalty": name, **rules}, {}):
            found, optimizer = made(loss=LOSSES["wasserstein"](), **options)
            optimizer.iterations.assign(step)
            before = values(found.trainable_variables)
            found.update(optimizer, batch(0), batch(1), mix, answer=False)
            changes.append([a - b for a, b in zip(values(found.trainable_variables), before, strict=True)])
        return [a - b for a, b in zip(*changes, strict=True)]

    unit = added(0, weight=0.01, every=1)
    for step in range(every + 1):
        factor = every if step % every == 0 else 0
        for ours, theirs in zip(added(step, weight=0.01, every=every), unit, strict=True):
            np.testing.assert_allclose(ours, factor * theirs, rtol=2e-3, atol=2e-6)
    kernels = [difference for difference in unit if difference.ndim > 1]
    assert all(np.abs(kernel).max() > 1e-6 for kernel in kernels)


def test_its_weight_is_the_views():
    found, _ = made()
    assert found._shares == pytest.approx([1 / 3, 2 / 3, 0.3])
    assert found._penalties == pytest.approx([1 / 3, 2 / 3, 0.15])


# ---------------------------------------------------------------- what critics see


def test_real_data_are_softened_and_pooled():
    found, _ = made(softening=0.02)
    rng = np.random.default_rng(0)
    shapes = ((2, 8, 8), (4, 8, 8), (1, 16, 16, 16))
    labels = [rng.integers(0, 3, shape) for shape in shapes]
    soft = [
        numbers(x) for x in found.soft([ops.convert_to_tensor((FULL * np.eye(3)[x]).astype("uint8")) for x in labels])
    ]
    for x, part in zip(labels[:2], soft, strict=False):
        np.testing.assert_allclose(part, np.eye(3)[x] * 0.94 + 0.02, atol=1e-6)
    blocks = (np.eye(3)[labels[2]] * 0.94 + 0.02).reshape(1, 8, 2, 8, 2, 8, 2, 3).mean((2, 4, 6))
    np.testing.assert_allclose(soft[2], blocks, atol=1e-6)
    np.testing.assert_allclose(soft[2].sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize("edges", [0.0, 0.1])
def test_critics_are_shown_labels_as_soft_as_those_of_the_data(edges):
    found, _ = made(softening=0.02, edges=edges, labels_from=3)
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), (1, 8, 8, 8)).astype("float32")
    labels = probabilities.argmax(-1)
    whole = SoftImage(np.pad(labels[0], 2, mode="wrap"), 3, edges)[(slice(0, 12),) * 3][2:-2, 2:-2, 2:-2]
    for step, wanted in ((2, probabilities), (3, numbers(found.soft([whole[None], *batch(0)[1:]])[0]))):
        volumes = ops.convert_to_tensor(probabilities)
        shown = numbers(found.shown(volumes, likeliest(volumes), step))
        np.testing.assert_allclose(shown, wanted, atol=0.003)  # of 255 steps


def test_critics_are_shown_probabilities_where_nothing_else_is_said():
    found, _ = made(edges=0.1)
    probabilities = ops.ones((1, 8, 8, 8, 3)) / 3
    assert found.shown(probabilities, likeliest(probabilities), 10**6) is probabilities


@pytest.mark.parametrize("judged", [True, False])
def test_noise_is_added_to_what_critics_see(judged):
    seen = []
    found, optimizer = made(noise=0.5, loss=LOSSES["relativistic"]())
    judge, found.judge = found.judge, lambda i, x: seen.append(numbers(x)) or judge(i, x)
    reals, fakes = batch(0), batch(1)
    if judged:
        found.update(optimizer, reals, fakes, (), answer=True)
    else:
        found.answer(reals, fakes)
    pairs = [x for pair in zip(reals, fakes, strict=True) for x in pair]
    deviations = [np.std(a - numbers(b)) for a, b in zip(seen, pairs, strict=True)]
    np.testing.assert_allclose(deviations, 0.5, rtol=0.15)
    assert not np.allclose(seen[0] - numbers(pairs[0]), seen[1] - numbers(pairs[1]))


def test_spectral_critics_are_judged_by_their_normalised_kernels():
    found, optimizer = made(spectral=True, loss=LOSSES["hinge"]())
    plain, _ = made(loss=LOSSES["hinge"]())
    x = batch(0)[0]
    assert not np.allclose(numbers(found.judge(0, x)), numbers(plain.judge(0, x)))
    before = [numbers(v.value).copy() for norm in found._norms for v in norm.vectors]
    found.update(optimizer, batch(0), batch(1), (), answer=True)
    after = [v for norm in found._norms for v in norm.vectors]
    assert all(np.abs(a - numbers(b.value)).max() > 0 for a, b in zip(before, after, strict=True) if len(a) > 1)
    places = {id(v) for v in found.variables}
    assert all(id(v) in places for v in after)
    assert len(found.variables) == len(plain.variables) + len(after)


@pytest.mark.parametrize("count", [0, 2, 4])
def test_critics_are_one_for_each_view_and_group(count):
    critics = [VIEWS[0].critic(3) for _ in range(count)]
    with pytest.raises(ValueError, match=f"`critics` must be one for each view and .*, 3. Received: {count}."):
        Adversary(critics, VIEWS, AXIAL)
