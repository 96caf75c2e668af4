"""What critics and generator minimise, on logits."""

from typing import Any

from keras import ops

LOSSES = ("logistic", "wasserstein", "least_squares", "hinge")
SMOOTHED = ("logistic", "least_squares")  # the losses in which real data have a label that can be smoothed


def critic_loss(real: Any, fake: Any, loss: str = "logistic", *, label_smoothing: float = 0.0) -> Any:
    """What a critic minimises.

    - "logistic": cross-entropy of calling real data 1 and generated data 0 (Goodfellow et al., NeurIPS 2014).
    - "wasserstein": E D(fake) - E D(real) (Arjovsky et al., ICML 2017); needs a gradient penalty.
    - "least_squares": E (D(real) - 1)^2 / 2 + E D(fake)^2 / 2 (Mao et al., ICCV 2017, eq. 9).
    - "hinge": E max(0, 1 - D(real)) + E max(0, 1 + D(fake)) (Miyato et al., ICLR 2018, eq. 16).

    Args:
        real, fake: Logits, (batch,).
        loss: One of ``LOSSES``.
        label_smoothing: One-sided smoothing: real data are called 1 - label_smoothing (Salimans et al., NeurIPS 2016).
    """
    if loss == "wasserstein":
        return ops.mean(fake) - ops.mean(real)
    if loss == "least_squares":
        return 0.5 * ops.mean(ops.square(real - (1.0 - label_smoothing))) + 0.5 * ops.mean(ops.square(fake))
    if loss == "hinge":
        return ops.mean(ops.relu(1.0 - real)) + ops.mean(ops.relu(1.0 + fake))
    real_loss = ops.mean((1.0 - label_smoothing) * ops.softplus(-real) + label_smoothing * ops.softplus(real))
    return real_loss + ops.mean(ops.softplus(fake))


def generator_loss(fake: Any, loss: str = "logistic") -> Any:
    """What the generator minimises: of each loss the one that does not saturate.

    - "logistic": -log sigmoid(D) (Goodfellow et al., NeurIPS 2014).
    - "wasserstein" and "hinge": -E D.
    - "least_squares": E (D - 1)^2 / 2.
    """
    if loss in ("wasserstein", "hinge"):
        return -ops.mean(fake)
    if loss == "least_squares":
        return 0.5 * ops.mean(ops.square(fake - 1.0))
    return ops.mean(ops.softplus(-fake))


def squared_gradient(gradient: Any) -> Any:
    """Mean squared norm of the critic's gradients at some data: the R1 penalty (Mescheder et al., ICML 2018).

    Args:
        gradient: (batch, ...).
    """
    return ops.mean(_squared_norm(gradient))


def unit_gradient(gradient: Any) -> Any:
    """Mean squared difference of the gradients' norm from 1: the penalty of WGAN-GP (Gulrajani et al., NeurIPS 2017).

    Args:
        gradient: (batch, ...).
    """
    # The square root has no gradient at zero, where a critic without slope would be.
    return ops.mean(ops.square(ops.sqrt(_squared_norm(gradient) + 1e-12) - 1.0))


def _squared_norm(gradient):
    return ops.sum(ops.square(gradient), axis=tuple(range(1, len(gradient.shape))))
