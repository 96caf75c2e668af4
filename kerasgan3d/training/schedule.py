"""Learning rates over a run."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kerasgan3d")
class HoldThenFall(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that holds, then falls linearly.

    Args:
        learning_rate: The rate at the start.
        hold: Steps for which it holds.
        steps: Steps after which it has fallen to ``final_rate`` of itself, and stays there.
        final_rate: The share of the rate that is left.
    """

    def __init__(self, learning_rate, hold, steps, final_rate):
        super().__init__()
        self.learning_rate, self.hold, self.steps, self.final_rate = learning_rate, hold, steps, final_rate

    def __call__(self, step):
        fallen = (ops.cast(step, "float32") - self.hold) / max(1, self.steps - self.hold)
        return self.learning_rate * (1.0 - (1.0 - self.final_rate) * ops.clip(fallen, 0.0, 1.0))

    def get_config(self):
        return {
            "learning_rate": self.learning_rate,
            "hold": self.hold,
            "steps": self.steps,
            "final_rate": self.final_rate,
        }
