import numpy as np
import pytest
from scipy import ndimage

from kerasgan3d.report.classifier import classifier_score


def material(sigma, count, seed, shape=(24, 24, 24)):
    """Sub-volumes of three phases in fixed fractions: only texture tells one from another."""
    samples = []
    for k in range(count):
        field = ndimage.gaussian_filter(np.random.default_rng([seed, k]).normal(size=shape), sigma, mode="wrap")
        samples.append((field > np.quantile(field, 0.5)).astype(np.uint8) + (field > np.quantile(field, 0.8)))
    return samples


def halves(samples):
    return samples[::2], samples[1::2]


def score(real, generated, **options):
    train, test = zip(halves(real), halves(generated), strict=True)
    return classifier_score(train, test, 3, **{"steps": 60, **options})


def test_two_textures_are_told_apart():
    found = score(material(1.5, 16, 0), material(3.0, 16, 1))
    assert found["score"] > 0.9
    assert found["score_samples"] > 0.9
    assert found["train"] == found["test"] == [8, 8]


def test_two_draws_of_one_material_are_not():
    found = score(material(1.5, 48, 0), material(1.5, 48, 1))
    assert abs(found["score"] - 0.5) < max(3 * found["standard_error"], 0.03)
    assert 0 < found["standard_error"] < 0.05


def test_a_repeat_gives_the_same_number_and_leaves_the_callers_random_numbers_alone():
    real, generated = material(1.5, 8, 0), material(1.8, 8, 1)
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    first = score(real, generated, steps=10, seed=2**40)
    assert score(real, generated, steps=10, seed=2**40) == first
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002


class BySolid:
    """Takes for generated what has more of the last phase than half of the slice."""

    def __init__(self):
        self.batches = []

    def train_on_batch(self, slices, truth):
        self.batches.append((slices, truth))

    def predict_on_batch(self, slices):
        return slices[..., -1].mean(axis=(1, 2))[:, None] - 0.5


@pytest.fixture
def model(monkeypatch):
    model = BySolid()
    monkeypatch.setattr("kerasgan3d.report.classifier._network", lambda *_: model)
    return model


def filled(*labels, shape=(4, 4, 4)):
    return [np.full(shape, label, np.uint8) for label in labels]


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4)], ids=["slices", "volumes"])
def test_samples_count_not_their_slices(model, shape):
    # Two of four real ones and all of two generated ones are told rightly.
    test = filled(0, 0, 2, 2, shape=shape), filled(2, 2, shape=shape)
    found = classifier_score(test, test, 3, steps=2)
    assert (found["score"], found["score_samples"]) == (0.75, 0.75)
    assert found["standard_error"] == pytest.approx(np.sqrt((1 / 3) / 4) / 2)
    fewer = classifier_score(test, test, 3, steps=2, independent=(1, 2))
    assert fewer["standard_error"] == pytest.approx(np.sqrt(1 / 3) / 2)


def test_the_network_learns_from_the_samples_to_learn_from_alone(model):
    calls = []
    classifier_score((filled(0), filled(1)), (filled(2), filled(2)), 3, steps=3, progress=lambda *n: calls.append(n))
    assert calls == [(1, 3), (2, 3), (3, 3)]
    for slices, truth in model.batches:
        assert slices.shape == (64, 4, 4, 3)
        np.testing.assert_array_equal(slices.argmax(-1)[:, 0, 0], truth[:, 0])
        assert truth.sum() == 32


def test_large_samples_are_cropped(model):
    samples = filled(0, shape=(100, 70, 65)), filled(1, shape=(100, 70, 65))
    classifier_score(samples, samples, 3, steps=2)
    assert {slices.shape for slices, _ in model.batches} == {(64, 64, 64, 3)}


def test_empty_sides_are_refused():
    with pytest.raises(ValueError, match="must hold real and generated samples"):
        classifier_score(([], material(1, 1, 0)), (material(1, 1, 0),) * 2, 3)
