"""What critic and generator minimise, on logits."""

from keras import ops

LOSSES = ("logistic",)


def critic_loss(real, fake, *, label_smoothing=0.0):
    """Cross-entropy of a critic that should say 1 to real and 0 to generated data.

    Args:
        real, fake: Logits, (batch,).
        label_smoothing: One-sided smoothing: real data are called 1 - label_smoothing (Salimans et al. 2016).
    """
    real_loss = ops.mean((1.0 - label_smoothing) * ops.softplus(-real) + label_smoothing * ops.softplus(real))
    return real_loss + ops.mean(ops.softplus(fake))


def generator_loss(fake):
    """The non-saturating loss of a generator (Goodfellow et al. 2014): -log sigmoid(logit)."""
    return ops.mean(ops.softplus(-fake))
