"""The response of a conditional generator to volume fractions, on one whose response is known."""

from types import SimpleNamespace

import numpy as np
import pytest

from kerasgan3d.models.answers import with_answers
from kerasgan3d.sampling.conditions import ConditionedField, Conditions

CONDITIONS = Conditions(
    mean=(0.4, 0.5, 0.1),
    deviation=(0.05, 0.05, 0.02),
    root=((1.0, 0.0, 0.0), (-0.9, 0.436, 0.0), (-0.2, -0.6, 0.775)),
    taps=((1.0,),) * 3,
    lowest=(0.27, 0.37, 0.05),
    highest=(0.53, 0.63, 0.15),
    gain=(1.3, 1.0, 1.0),
    shift=(0.1, 0.0, 0.0),
)


class Bent:
    """A stand-in: it exceeds drawn fractions by 0.02, and flattens uniform requests of the first phase."""

    phases, latent_channels, stride = ("pore", "NMC", "CBD"), 4, 16

    def __init__(self, conditions=CONDITIONS):
        self.conditions = conditions

    def with_conditions(self, conditions):
        return Bent(conditions)

    def sample(self, shape, *, periodic, seed, fractions=None, beyond=False):
        c, cells = self.conditions, (8, 8, 8)
        if fractions is None:
            y = ConditionedField(seed, 4, c).window((0, 0, 0), cells, cells)[..., 4:].mean((0, 1, 2))
            return SimpleNamespace(fractions=np.array(c.mean) + np.array(c.deviation) * y + (0.02, -0.02, 0.0))
        wish = c.asked(fractions, self.phases, (1, 1, 1), beyond=beyond)
        made = np.array(c.mean) + np.array(c.deviation) * c.standardised(wish)[0, 0, 0]
        made[0] = 0.4 + 0.1 * np.tanh((made[0] - 0.4) / 0.1) + 0.02
        return SimpleNamespace(fractions=made)


def test_requests_and_drawn_fractions_are_met():
    generator, answers = with_answers(Bent(), count=200)
    assert generator.conditions.gain == (1.0, 1.0, 1.0)
    assert generator.conditions.shift == pytest.approx((0.02, -0.02, 0.0), abs=1e-5)
    drawn = [generator.sample(128, periodic=True, seed=i).fractions for i in range(300)]
    np.testing.assert_allclose(np.mean(drawn, 0), CONDITIONS.mean, atol=2e-3)
    for wanted in np.linspace(generator.conditions.lowest[0], generator.conditions.highest[0], 7):
        got = generator.sample(128, periodic=True, seed=0, fractions={"pore": wanted})
        assert got.fractions[0] == pytest.approx(wanted, abs=0.006)
    assert answers["slope"][0] < 0.9
    assert max(answers["rms_error"]) < 0.005


def test_the_range_shrinks_to_what_is_reached():
    conditions = with_answers(Bent(), count=200)[0].conditions
    assert CONDITIONS.lowest[0] + 0.01 < conditions.lowest[0] < conditions.highest[0] < CONDITIONS.highest[0] - 0.01
    assert conditions.highest[1:] == pytest.approx(CONDITIONS.highest[1:], abs=0.01)


def test_the_mean_becomes_that_of_the_data():
    data = (0.41, 0.48, 0.11)
    generator = with_answers(Bent(), data, count=20)[0]
    drawn = [generator.sample(128, periodic=True, seed=i).fractions for i in range(300)]
    np.testing.assert_allclose(np.mean(drawn, 0), data, atol=2e-3)


def test_what_does_not_respond_keeps_a_range_around_the_mean(monkeypatch):
    monkeypatch.setattr(Bent, "sample", lambda self, *_, **__: SimpleNamespace(fractions=np.array([0.8, 0.1, 0.1])))
    conditions = with_answers(Bent(), count=10)[0].conditions
    assert conditions.highest == pytest.approx((0.53, 0.55, 0.12))
    assert conditions.lowest == pytest.approx((0.35, 0.37, 0.08), abs=0.02)
