"""What critics and the generator minimise, on logits; and the penalties on the critics' slopes.

A loss is one object and one row of ``LOSSES``; likewise penalties.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops

# Given real data, generated data, shares between them, and a function that gives the gradient of a critic at data.
Slopes = Callable[[Any], Any]
_FAR = 40.0  # logits beyond which a factor grows no more; up to there the generator's slope does not saturate


class Loss:
    """What critics and the generator minimise, on logits (count,) of real and of generated data."""

    def critic(self, real: Any, fake: Any) -> Any:
        """Return what a critic minimises: a scalar."""
        raise NotImplementedError

    def generator(self, real: Any, fake: Any) -> Any:
        """Return what the generator minimises: a scalar."""
        raise NotImplementedError

    def factor(self, real: Any, fake: Any) -> Any:
        """Return the generator's slope by a logit over the critic's, (count,): one backward pass then serves both.

        None where a critic may have no slope and the generator has one: it then takes a pass of its own.
        """
        return None


class RelativisticLoss(Loss):
    """Pairs of real and generated data: -log sigmoid(D(real) - D(fake)), and the generator the same the other way.

    Jolicoeur-Martineau, ICLR 2019; with R1 and R2: Huang et al., NeurIPS 2024 ("The GAN is dead; long live the GAN").
    """

    def critic(self, real: Any, fake: Any) -> Any:
        return ops.mean(ops.softplus(fake - real))

    def generator(self, real: Any, fake: Any) -> Any:
        return ops.mean(ops.softplus(real - fake))

    def factor(self, real: Any, fake: Any) -> Any:
        return -ops.exp(ops.clip(real - fake, -_FAR, _FAR))


class LogisticLoss(Loss):
    """Cross-entropy of calling real data 1 and generated data 0, which does not saturate (Goodfellow et al. 2014).

    Args:
        smoothing: One-sided label smoothing: real data are called 1 - smoothing (Salimans et al., NeurIPS 2016).
    """

    def __init__(self, smoothing: float = 0.0):
        self.smoothing = smoothing

    def critic(self, real: Any, fake: Any) -> Any:
        smooth = self.smoothing
        return ops.mean((1.0 - smooth) * ops.softplus(-real) + smooth * ops.softplus(real) + ops.softplus(fake))

    def generator(self, real: Any, fake: Any) -> Any:
        return ops.mean(ops.softplus(-fake))

    def factor(self, real: Any, fake: Any) -> Any:
        return -ops.exp(ops.clip(-fake, -_FAR, _FAR))


class WassersteinLoss(Loss):
    """E D(fake) - E D(real) (Arjovsky et al., ICML 2017); needs the gradient penalty."""

    def critic(self, real: Any, fake: Any) -> Any:
        return ops.mean(fake) - ops.mean(real)

    def generator(self, real: Any, fake: Any) -> Any:
        return -ops.mean(fake)

    def factor(self, real: Any, fake: Any) -> Any:
        return -ops.ones_like(fake)


class LeastSquaresLoss(Loss):
    """(D(real) - 1)^2 / 2 + D(fake)^2 / 2, and (D(fake) - 1)^2 / 2 (Mao et al., ICCV 2017, eq. 9).

    Args:
        smoothing: Real data are called 1 - smoothing.
    """

    def __init__(self, smoothing: float = 0.0):
        self.smoothing = smoothing

    def critic(self, real: Any, fake: Any) -> Any:
        return 0.5 * ops.mean(ops.square(real - (1.0 - self.smoothing)) + ops.square(fake))

    def generator(self, real: Any, fake: Any) -> Any:
        return 0.5 * ops.mean(ops.square(fake - 1.0))


class HingeLoss(Loss):
    """max(0, 1 - D(real)) + max(0, 1 + D(fake)), and -D(fake) (Miyato et al., ICLR 2018, eq. 16)."""

    def critic(self, real: Any, fake: Any) -> Any:
        return ops.mean(ops.relu(1.0 - real) + ops.relu(1.0 + fake))

    def generator(self, real: Any, fake: Any) -> Any:
        return -ops.mean(fake)


LOSSES: dict[str, type[Loss]] = {
    "relativistic": RelativisticLoss,
    "logistic": LogisticLoss,
    "wasserstein": WassersteinLoss,
    "least-squares": LeastSquaresLoss,
    "hinge": HingeLoss,
}
SMOOTHED = ("logistic", "least-squares")  # the losses in which real data have a label that can be smoothed


def r1(real: Any, fake: Any, shares: Any, slopes: Slopes) -> Any:
    """Half the mean squared slope at real data (Mescheder et al., ICML 2018)."""
    return 0.5 * ops.mean(_squared_norm(slopes(real)))


def r1_and_r2(real: Any, fake: Any, shares: Any, slopes: Slopes) -> Any:
    """The same at real and at generated data (Huang et al., NeurIPS 2024, eq. 4)."""
    return r1(real, fake, shares, slopes) + r1(fake, real, shares, slopes)


def gradient_penalty(real: Any, fake: Any, shares: Any, slopes: Slopes) -> Any:
    """Mean squared difference of the slope from 1, between real and generated data (Gulrajani et al., NeurIPS 2017).

    Args:
        real, fake: (count, ...).
        shares: (count,), where between them.
        slopes: A function of data that gives the critic's gradient at them.
    """
    shares = ops.reshape(shares, (-1,) + (1,) * (len(real.shape) - 1))
    norms = _squared_norm(slopes(shares * real + (1.0 - shares) * fake))
    # The square root has no gradient at zero, where a critic without slope would be.
    return ops.mean(ops.square(ops.sqrt(norms + 1e-12) - 1.0))


PENALTIES: dict[str, Callable[[Any, Any, Any, Slopes], Any]] = {
    "r1": r1,
    "r1+r2": r1_and_r2,
    "gradient": gradient_penalty,
}


def _squared_norm(gradient):
    return ops.sum(ops.square(gradient), axis=tuple(range(1, len(gradient.shape))))
