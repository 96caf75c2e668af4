"""Statistics that training matches."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import ndimage

from kerasgan3d import differentiable
from kerasgan3d.data import LabelledData, Symmetry
from kerasgan3d.sampling.conditions import Conditions
from kerasgan3d.training import terms
from kerasgan3d.training.terms import TERMS, applied

EDGE, BALLS = 12, ((4, 4, 4), (4, 4, 8))
CONDITIONS = Conditions(
    mean=(0.2, 0.3, 0.5),
    deviation=(0.1, 0.15, 0.2),
    root=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    taps=((1.0,),) * 3,
    lowest=(0.0,) * 3,
    highest=(1.0,) * 3,
    gain=(1.0,) * 3,
    shift=(0.0,) * 3,
)
AVERAGES = {
    "surface_areas": differentiable.surface_areas,
    "triple_phase_boundaries": differentiable.triple_phase_boundaries,
    "relative_diffusivities": lambda volumes, periodic: differentiable.relative_diffusivities(volumes),
    "ball_moments": lambda volumes, periodic: differentiable.ball_moments(volumes, BALLS, periodic),
}
NAMES = ("volume_fractions", "local_fractions", *AVERAGES, "lattice", "ambiguity")
averages = pytest.mark.parametrize("name", AVERAGES)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr("kerasgan3d.training.terms._CROPS", 2)
    monkeypatch.setattr("kerasgan3d.training.terms._BALLS", BALLS)
    monkeypatch.setattr(TERMS["ball_moments"], "solid", 8)
    monkeypatch.setattr("kerasgan3d.differentiable.diffusivity.STEPS", 6)


def structure(shape=(EDGE,) * 3, phases=3, seed=0):
    noise = np.random.default_rng(seed).normal(size=(phases, *shape))
    return ndimage.gaussian_filter(noise, (0, *(1,) * len(shape))).argmax(0).astype("uint8")


def data(labels=None, symmetry=Symmetry("orthotropic"), phases=3, **options):  # noqa: B008
    return LabelledData.of(structure() if labels is None else labels, symmetry, n_phases=phases, **options)


def hot(labels, phases=3):
    return ops.convert_to_tensor(np.eye(phases, dtype="float32")[labels][None])


def numbers(x):
    return ops.convert_to_numpy(x)


def made(name, of=None, conditions=CONDITIONS):
    return TERMS[name](TERMS[name].of_data(of or data(), conditions, 4))


def slope(term, p, asked):
    """The gradient of a term's loss by what it takes for labels and for probabilities."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        x = tf.constant(p)
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = term.loss(x, asked, x)[0]
        return tape.gradient(total, x).numpy()
    x = ops.convert_to_tensor(p).requires_grad_(True)
    term.loss(x, asked, x)[0].backward()
    return x.grad.cpu().numpy()


def test_every_term_is_looked_at():
    assert tuple(TERMS) == NAMES


# ---------------------------------------------------------------- of the data


def test_volume_fractions_are_those_of_what_may_be_used():
    labels, excluded = structure(), np.zeros((EDGE,) * 3, bool)
    excluded[:5] = True
    found = made("volume_fractions", data(labels, excluded=excluded)).target
    np.testing.assert_allclose(found, np.bincount(labels[5:].ravel(), minlength=3) / labels[5:].size, rtol=1e-6)


def test_local_fractions_are_told_by_the_conditions():
    np.testing.assert_allclose(made("local_fractions").target, [CONDITIONS.mean, CONDITIONS.deviation])


@averages
def test_averages_are_those_of_crops_of_the_data(name):
    # There is room for one crop.
    found = made(name).target
    wanted = numbers(AVERAGES[name](hot(structure()), False))
    assert found.shape == ({"triple_phase_boundaries": 1, "ball_moments": 3 * len(BALLS)}.get(name, 3), 3)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


@averages
@pytest.mark.parametrize("symmetry", [Symmetry("axial", 1), Symmetry()], ids=str)
def test_axes_that_are_alike_share_their_mean(name, symmetry):
    apart, found = made(name).target, made(name, data(symmetry=symmetry)).target
    for group in symmetry.groups:
        wanted = apart[:, list(group)].mean(1, keepdims=True).repeat(len(group), 1)
        np.testing.assert_allclose(found[:, list(group)], wanted, rtol=1e-5)


@averages
def test_what_is_excluded_plays_no_part(name):
    labels, excluded = structure((24, EDGE, EDGE)), np.zeros((24, EDGE, EDGE), bool)
    excluded[EDGE:] = True
    found = made(name, data(np.where(excluded, 0, labels), excluded=excluded)).target
    np.testing.assert_allclose(found, made(name, data(labels[:EDGE])).target, rtol=1e-5)


def test_one_slice_stands_for_three_directions():
    image = structure((20, 20))
    of = data(image, Symmetry())
    found = made("surface_areas", of).target
    areas = [np.mean((image == k)[1:] != (image == k)[:-1]) for k in range(3)]
    across = [np.mean((image == k)[:, 1:] != (image == k)[:, :-1]) for k in range(3)]
    np.testing.assert_allclose(found, np.mean([areas, across], axis=0)[:, None].repeat(3, 1), rtol=1e-5)
    four = np.sort([image[:-1, :-1], image[1:, :-1], image[:-1, 1:], image[1:, 1:]], axis=0)
    expected = np.mean(1 + (np.diff(four, axis=0) > 0).sum(0) >= 3)
    np.testing.assert_allclose(made("triple_phase_boundaries", of).target, expected, rtol=1e-4)


def test_slices_tell_of_the_axes_that_they_show():
    layers = (np.arange(20) // 2 % 2).astype("uint8")[:, None].repeat(20, 1)
    even = np.zeros((20, 20), "uint8")
    even[:, ::2] = 1
    # Normal to x, rows along z: layers; normal to z, rows along y: columns that change along x.
    of = data({2: [layers], 0: [even]}, Symmetry("orthotropic"), phases=2)
    found = made("surface_areas", of).target
    np.testing.assert_allclose(found, [[9 / 19, 0, 1]] * 2, atol=1e-6)


# ---------------------------------------------------------------- which of them apply

FLAT, TWO = {"labels": structure((20, 20)), "symmetry": Symmetry()}, {"labels": structure(phases=2), "phases": 2}
SMALL = {"labels": structure((7, EDGE, EDGE))}


@pytest.mark.parametrize(
    ("name", "options", "conditions", "note"),
    [
        ("volume_fractions", FLAT, None, None),
        ("local_fractions", {}, None, "no local fractions: the generator is not told local fractions"),
        ("local_fractions", FLAT, CONDITIONS, None),
        ("surface_areas", FLAT, None, None),
        ("triple_phase_boundaries", FLAT, None, None),
        ("triple_phase_boundaries", TWO, None, "no triple phase boundaries: phases do not meet three at a time"),
        ("relative_diffusivities", FLAT, None, "no relative diffusivities: slices do not tell it"),
        ("relative_diffusivities", {}, None, None),
        ("ball_moments", FLAT, None, "no ball moments: slices do not tell it"),
        ("ball_moments", {}, None, None),
        ("ball_moments", SMALL, None, "no ball moments: volumes as small as these do not tell it"),
        ("lattice", FLAT, None, None),
        ("ambiguity", FLAT, None, None),
    ],
)
def test_what_does_not_apply_is_told(name, options, conditions, note):
    found, notes = applied({name: 0.5, "volume_fractions": 2}, data(**options), conditions, 4)
    assert notes == ([] if note is None else [note])
    expected = {"volume_fractions": 2.0} | ({} if note else {name: 0.5 if name != "volume_fractions" else 2.0})
    assert {key: weight for key, (weight, _) in found.items()} == expected
    assert all(type(term) is TERMS[key] for key, (_, term) in found.items())


def test_the_data_are_measured_once(monkeypatch):
    calls = []
    monkeypatch.setattr(terms, "mean_of_crops", lambda *of: calls.append(of) or np.ones((1, 3)))
    applied({"triple_phase_boundaries": 1.0}, data(), None, 4)
    assert len(calls) == 1


def test_four_phases_have_all_of_them():
    labels = structure(phases=4)
    conditions = Conditions(
        **{**CONDITIONS.to_json(), **dict.fromkeys(("mean", "deviation"), (0.25,) * 4)}
        | dict.fromkeys(("lowest", "shift"), (0.0,) * 4)
        | dict.fromkeys(("highest", "gain"), (1.0,) * 4)
        | {"root": tuple(map(tuple, np.eye(4).tolist()))}
    )
    found, notes = applied(dict.fromkeys(TERMS, 1.0), data(labels, phases=4), conditions, 4)
    assert notes == []
    for name, (_, term) in found.items():
        loss, error = term.loss(hot(labels, 4), ops.zeros((1, 3, 3, 3, 4)), hot(labels, 4))
        assert np.isfinite([float(loss), float(error)]).all(), name


# ---------------------------------------------------------------- their losses


def test_the_sum_of_squared_errors_of_fractions():
    labels = structure()
    term = TERMS["volume_fractions"]([0.5, 0.2, 0.3])
    found = np.bincount(labels.ravel(), minlength=3) / labels.size
    loss, error = term.loss(hot(labels), None, None)
    assert float(loss) == float(error) == pytest.approx(((found - [0.5, 0.2, 0.3]) ** 2).sum(), rel=1e-5)


def test_local_fractions_are_those_that_were_asked_for():
    labels, term = structure((16, 16, 16)), made("local_fractions")
    found = numbers(differentiable.local_fractions(hot(labels), 4, 4))
    y = (found - CONDITIONS.mean) / CONDITIONS.deviation
    loss, error = term.loss(hot(labels), ops.convert_to_tensor(y.astype("float32")), None)
    assert float(loss) == pytest.approx(0, abs=1e-6)
    assert float(error) == pytest.approx(0, abs=1e-5)
    # One deviation off: the error is one, and the loss is that of pseudo-Huber, summed over the phases.
    loss, error = term.loss(hot(labels), ops.convert_to_tensor((y + 1).astype("float32")), None)
    assert float(loss) == pytest.approx(3 * (np.sqrt(2) - 1), rel=1e-4)
    assert float(error) == pytest.approx(1, rel=1e-4)


@averages
def test_a_running_mean_begins_at_the_target_and_follows(name):
    term, labels = made(name), structure(seed=1)
    found = numbers(term.measure(hot(labels), True))
    (running,) = term.variables
    np.testing.assert_array_equal(numbers(running.value), term.target)
    errors = [float(term.loss(hot(labels), None, None)[1]) for _ in range(2)]
    assert errors[0] == 0
    np.testing.assert_allclose(numbers(running.value), term.target * 0.95**2 + found * (1 - 0.95**2), rtol=1e-5)
    unit = np.maximum(term.target, 1e-3) if name == "ball_moments" else term.target.mean(-1, keepdims=True)
    assert errors[1] == pytest.approx(np.mean((0.05 * (found - term.target) / unit) ** 2), rel=1e-3)


def test_a_batch_is_pulled_by_the_error_of_those_before_and_never_harder_than_by_a_tenth():
    target = np.full((3, 3), 0.2)
    for off, expected in ((0.0, 0.0), (0.01, 0.05), (-0.01, -0.05), (0.1, 0.1), (5.0, 0.1)):
        term = TERMS["surface_areas"](target)
        term.variables[0].assign(target + off)
        p = np.random.default_rng(0).dirichlet(np.ones(3), (1, 8, 8, 8)).astype("float32")
        other = TERMS["surface_areas"](target)
        other.variables[0].assign(target + 0.001)  # a residual of 0.005
        ours, unit = slope(term, p, None), slope(other, p, None) / 0.005
        np.testing.assert_allclose(ours, expected * unit, rtol=1e-3, atol=1e-7)


def test_the_lattice_is_evened_out():
    """Steps against the gradient take away what depends on the place, and leave the mean."""
    term, p = made("lattice"), np.random.default_rng(0).dirichlet(np.full(3, 20.0), (1, 16, 16, 16)).astype("float32")
    p[:, ::4, :, :, 0] += 0.1
    p[:, ::4, :, :, 1] -= 0.1
    assert term.target.shape == (6, 4, 3)

    def unevenness():
        return np.abs(numbers(differentiable.lattice(ops.convert_to_tensor(p), 4))[:3, :, 0]).max()

    before, mean = unevenness(), p.mean((0, 1, 2, 3))
    for _ in range(60):
        p -= 100 * slope(term, p, None)
    assert before > 0.15
    assert unevenness() < before / 3
    np.testing.assert_allclose(p.mean((0, 1, 2, 3)), mean, atol=0.005)


def test_ball_moments_let_large_bodies_grow():
    """A ball that is smaller than the data's grows, where it is, at the expense of what surrounds it."""
    term = made("ball_moments", data((np.indices((24,) * 3).sum(0) // 24 % 2).astype("uint8"), phases=2))
    grid = np.indices((16, 16, 16)) - 7.5
    inside = (grid**2).sum(0) <= 36
    p = np.stack([~inside, inside], axis=-1).astype("float32")[None]
    term.variables[0].assign(numbers(term.measure(ops.convert_to_tensor(p), True)))
    found = slope(term, p, None)[0, ..., 1]
    assert found.min() < 0  # a step against the gradient adds to it
    assert found[inside].mean() < 10 * found[(grid**2).sum(0) > 100].mean() <= 0


def test_ambiguity_is_of_the_probabilities_and_pushes_them_apart():
    term, p = made("ambiguity"), np.array([0.5, 0.4, 0.1], "float32").reshape(1, 1, 1, 1, 3)
    loss, error = term.loss(hot(structure()), None, ops.convert_to_tensor(p))
    assert float(loss) == float(error) == pytest.approx(1 - 0.25 - 0.16 - 0.01)
    assert float(term.loss(ops.convert_to_tensor(p), None, hot(structure()))[0]) == pytest.approx(0, abs=1e-6)
    # The likelier a phase, the more its probability grows.
    np.testing.assert_allclose(slope(term, p, None), -2 * p, rtol=1e-5)


def test_a_statistic_that_does_not_occur_stays_finite():
    term = TERMS["triple_phase_boundaries"](np.zeros((1, 3)))
    for _ in range(3):
        assert np.isfinite([float(x) for x in term.loss(hot(structure()), None, None)]).all()


@pytest.mark.parametrize("name", NAMES)
def test_every_term_has_a_gradient_on_this_backend(name):
    term = made(name)
    for running in term.variables:
        value = numbers(running.value)
        running.assign(value * 1.2 + np.random.default_rng(1).normal(scale=0.01, size=value.shape))
    p = np.random.default_rng(0).dirichlet((19, 0.5, 0.5), (2, 8, 8, 8)).astype("float32")
    found = slope(term, p, ops.zeros((2, 2, 2, 2, 3)))
    assert np.isfinite(found).all()
    assert np.abs(found).max() > 0
