import keras
import pytest

from kerasgan3d.training.schedule import HoldThenFall


@pytest.mark.parametrize(
    ("step", "rate"), [(0, 0.2), (9, 0.2), (10, 0.2), (15, 0.11), (20, 0.02), (21, 0.02), (10**6, 0.02)]
)
def test_the_rate_holds_then_falls(step, rate):
    assert float(HoldThenFall(0.2, 10, 20, 0.1)(step)) == pytest.approx(rate, rel=1e-5)


@pytest.mark.parametrize(("hold", "steps", "at_end"), [(0, 10, 0.1), (10, 10, 1.0)], ids=["from the start", "never"])
def test_the_ends(hold, steps, at_end):
    schedule = HoldThenFall(1.0, hold, steps, 0.1)
    assert float(schedule(0)) == 1.0
    assert float(schedule(steps)) == pytest.approx(at_end)


@pytest.mark.parametrize(("step", "rate"), [(0, 0.05), (1, 0.1), (3, 0.2), (4, 0.2), (10, 0.2), (15, 0.11), (20, 0.02)])
def test_it_may_rise_first(step, rate):
    assert float(HoldThenFall(0.2, 10, 20, 0.1, warmup=4)(step)) == pytest.approx(rate, rel=1e-5)


def test_an_optimizer_keeps_it():
    optimizer = keras.optimizers.Adam(HoldThenFall(0.2, 10, 20, 0.1, 4))
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert again.get_config() == optimizer.get_config()
    assert float(again.learning_rate) == pytest.approx(0.05)
