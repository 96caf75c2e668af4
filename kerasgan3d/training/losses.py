"""Losses of critics and generator, on logits; and penalties on the critics' gradients.

Each loss is a class with an entry in ``LOSSES``; each penalty is a function with one in ``PENALTIES``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops

Slopes = Callable[[Any], Any]  # a function of data that returns the gradient of a critic at them
_FAR = 40.0  # logits beyond which a factor stops growing; up to there the generator's gradient does not saturate


class Loss:
    """Losses of critics and generator, on logits (count,) of real and of generated data."""

    def critic(self, real: Any, fake: Any) -> Any:
        """Return the loss of a critic: a scalar."""
        raise NotImplementedError

    def generator(self, real: Any, fake: Any) -> Any:
        """Return the loss of the generator: a scalar."""
        raise NotImplementedError

    def factor(self, real: Any, fake: Any) -> Any:
        """Return the generator's derivative by a logit over the critic's, (count,): they can share a backward pass.

        None where the critic's derivative may vanish and the generator's does not, which needs a separate pass.
        """
        return None


class RelativisticLoss(Loss):
    """Relativistic loss: -log sigmoid(D(real) - D(fake)) for pairs of data; for the generator, the pair is swapped.

    Jolicoeur-Martineau, ICLR 2019; with R1 and R2: Huang et al., NeurIPS 2024 ("The GAN is dead; long live the GAN").
    """

    def critic(self, real: Any, fake: Any) -> Any:
        return ops.mean(ops.softplus(fake - real))

    def generator(self, real: Any, fake: Any) -> Any:
        return ops.mean(ops.softplus(real - fake))

    def factor(self, real: Any, fake: Any) -> Any:
        return -ops.exp(ops.clip(real - fake, -_FAR, _FAR))


class LabelLoss(Loss):
    """A loss with labels for real and generated data.

    Args:
        smoothing: One-sided label smoothing: the label of real data is 1 - smoothing (Salimans et al., NeurIPS 2016).
    """

    def __init__(self, smoothing: float = 0.0):
        self.smoothing = smoothing


class LogisticLoss(LabelLoss):
    """Non-saturating cross-entropy with label 1 for real and 0 for generated data (Goodfellow et al. 2014)."""

    def critic(self, real: Any, fake: Any) -> Any:
        smooth = self.smoothing
        return ops.mean((1.0 - smooth) * ops.softplus(-real) + smooth * ops.softplus(real) + ops.softplus(fake))

    def generator(self, real: Any, fake: Any) -> Any:
        return ops.mean(ops.softplus(-fake))

    def factor(self, real: Any, fake: Any) -> Any:
        return -ops.exp(ops.clip(-fake, -_FAR, _FAR))


class WassersteinLoss(Loss):
    """Wasserstein loss: E D(fake) - E D(real) (Arjovsky et al., ICML 2017). It needs the gradient penalty."""

    def critic(self, real: Any, fake: Any) -> Any:
        return ops.mean(fake) - ops.mean(real)

    def generator(self, real: Any, fake: Any) -> Any:
        return -ops.mean(fake)

    def factor(self, real: Any, fake: Any) -> Any:
        return -ops.ones_like(fake)


class LeastSquaresLoss(LabelLoss):
    """Least squares: (D(real) - 1)^2 / 2 + D(fake)^2 / 2, and (D(fake) - 1)^2 / 2 (Mao et al., ICCV 2017, eq. 9)."""

    def critic(self, real: Any, fake: Any) -> Any:
        return 0.5 * ops.mean(ops.square(real - (1.0 - self.smoothing)) + ops.square(fake))

    def generator(self, real: Any, fake: Any) -> Any:
        return 0.5 * ops.mean(ops.square(fake - 1.0))


class HingeLoss(Loss):
    """Hinge loss: max(0, 1 - D(real)) + max(0, 1 + D(fake)), and -D(fake) (Miyato et al., ICLR 2018, eq. 16)."""

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
SMOOTHED = tuple(name for name, loss in LOSSES.items() if issubclass(loss, LabelLoss))  # losses with labels


def r1(real: Any, fake: Any, shares: Any, slopes: Slopes) -> Any:
    """Compute half the mean squared norm of the gradient at real data (Mescheder et al., ICML 2018)."""
    return 0.5 * ops.mean(_squared_norm(slopes(real)))


def r1_and_r2(real: Any, fake: Any, shares: Any, slopes: Slopes) -> Any:
    """Compute R1 both at real and at generated data (Huang et al., NeurIPS 2024, eq. 4)."""
    return r1(real, fake, shares, slopes) + r1(fake, real, shares, slopes)


def gradient_penalty(real: Any, fake: Any, shares: Any, slopes: Slopes) -> Any:
    """Compute the mean squared deviation of the gradient's norm from 1 at mixtures (Gulrajani et al., NeurIPS 2017).

    Args:
        real, fake: (count, ...).
        shares: (count,), share of real data in each mixture.
        slopes: Function of data that returns the critic's gradient at them.
    """
    shares = ops.reshape(shares, (-1,) + (1,) * (len(real.shape) - 1))
    norms = _squared_norm(slopes(shares * real + (1.0 - shares) * fake))
    # The square root has no derivative at zero, the norm for a constant critic.
    return ops.mean(ops.square(ops.sqrt(norms + 1e-12) - 1.0))


PENALTIES: dict[str, Callable[[Any, Any, Any, Slopes], Any]] = {
    "r1": r1,
    "r1+r2": r1_and_r2,
    "gradient": gradient_penalty,
}


def _squared_norm(gradient):
    return ops.sum(ops.square(gradient), axis=tuple(range(1, len(gradient.shape))))
