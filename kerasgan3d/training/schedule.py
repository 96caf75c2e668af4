"""Schedule of learning rates over a run."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kerasgan3d")
class HoldThenFall(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises linearly from 0, stays constant, then falls linearly.

    Args:
        learning_rate: The constant rate.
        hold: Number of updates after which it begins to fall.
        steps: Number of updates after which it has fallen to the share ``final_rate``, where it stays.
        final_rate: Share of the constant rate at the end.
        warmup: Number of updates over which it rises.
    """

    def __init__(self, learning_rate: float, hold: int, steps: int, final_rate: float, warmup: int = 0):
        super().__init__()
        self.learning_rate, self.hold, self.steps = learning_rate, hold, steps
        self.final_rate, self.warmup = final_rate, warmup

    def __call__(self, step):
        step = ops.cast(step, "float32")
        fallen = ops.clip((step - self.hold) / max(1, self.steps - self.hold), 0.0, 1.0)
        risen = ops.clip((step + 1.0) / max(1, self.warmup), 0.0, 1.0)
        return self.learning_rate * risen * (1.0 - (1.0 - self.final_rate) * fallen)

    def get_config(self):
        return {name: getattr(self, name) for name in ("learning_rate", "hold", "steps", "final_rate", "warmup")}
