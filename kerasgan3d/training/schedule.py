"""Learning rates over a run."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kerasgan3d")
class HoldThenFall(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that holds, then falls linearly; it may begin again (Loshchilov & Hutter, SGDR, ICLR 2017).

    Args:
        learning_rate: The rate at the start.
        hold: Steps for which it holds.
        steps: Steps after which it has fallen to ``final_rate`` of itself, and stays there.
        final_rate: The share of the rate that is left.
        restarts: Each of (first, share, hold): from step ``first`` on the rate is that share of itself, holds until
            step ``hold`` and has fallen to ``final_rate`` at the next restart, or at ``steps``.
    """

    def __init__(self, learning_rate, hold, steps, final_rate, restarts=()):
        super().__init__()
        self.learning_rate, self.hold, self.steps, self.final_rate = learning_rate, hold, steps, final_rate
        self.restarts = tuple(map(tuple, restarts))

    def __call__(self, step):
        step, rate = ops.cast(step, "float32"), 0.0
        ends = [*(first for first, *_ in self.restarts), self.steps]
        for (first, share, hold), end in zip([(0, 1.0, self.hold), *self.restarts], ends, strict=True):
            fallen = ops.clip((step - hold) / max(1, end - hold), 0.0, 1.0)
            rate = ops.where(step >= first, share - (share - self.final_rate) * fallen, rate)
        return self.learning_rate * rate

    def get_config(self):
        return {
            "learning_rate": self.learning_rate,
            "hold": self.hold,
            "steps": self.steps,
            "final_rate": self.final_rate,
            "restarts": self.restarts,
        }
