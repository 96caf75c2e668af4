"""The adversary: critics, their input, and the gradients from which they and the generator learn."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
from keras import ops

from kerasgan3d.backend import backend
from kerasgan3d.data import Symmetry
from kerasgan3d.differentiable import soft_edges
from kerasgan3d.material.edges import FULL
from kerasgan3d.models.spectral import SpectralNorm
from kerasgan3d.training.losses import LOSSES, PENALTIES
from kerasgan3d.training.views import View, generated_views, pooled


@dataclass(frozen=True)
class Rules:
    """Settings of the critics.

    Attributes:
        loss: Adversarial loss: an object of ``kerasgan3d.training.losses``.
        penalty, weight, every: Gradient penalty, one of ``PENALTIES`` or None; its weight; and its interval in updates.
        softening, edges: Label smoothing of real data; share of a label that each neighbour receives; see ``Recipe``.
        noise: Standard deviation of noise on the critics' input.
        labels_from: First step in which critics see labels of generated volumes, see ``Recipe``; None for never.
    """

    loss: Any = LOSSES["relativistic"]()
    penalty: str | None = "r1+r2"
    weight: float = 0.3
    every: int = 4
    softening: float = 0.02
    edges: float = 0.0
    noise: float = 0.0
    labels_from: int | None = None


class Adversary:
    """Critics and their views.

    Args:
        critics: Built networks from (count, ..., phases) to logits (count,): for each view, one per group of axes.
        views: The Views.
        symmetry: The Symmetry of the material.
        seed: Non-negative int.
        spectral: Whether kernels are divided by their largest singular value.

    Attributes:
        rules: The Rules.

    Raises:
        ValueError: if the number of critics does not match the views.
    """

    def __init__(
        self, critics: Sequence[Any], views: Sequence[View], symmetry: Symmetry, seed: int = 0, spectral: bool = False
    ):
        self.critics, self.views, self.symmetry, self.rules = list(critics), tuple(views), symmetry, Rules()
        groups = [(view, group) for view in views for group in view.groups(symmetry)]
        if len(groups) != len(self.critics):
            raise ValueError(
                f"`critics` must be one for each view and group of axes, {len(groups)}. Received: {len(self.critics)}."
            )
        self._pools = [view.pool for view, _ in groups]
        self._shares = [view.weight * (len(group) / 3 if group else 1.0) for view, group in groups]
        self._penalties = [share * view.penalty for share, (view, _) in zip(self._shares, groups, strict=True)]
        self._norms = [SpectralNorm(critic, (seed, i)) for i, critic in enumerate(self.critics)] if spectral else []
        self._noise = keras.random.SeedGenerator(seed)

    @property
    def trainable_variables(self) -> list[Any]:
        """Trainable variables of the critics."""
        return [v for critic in self.critics for v in critic.trainable_variables]

    @property
    def variables(self) -> list[Any]:
        """All variables that change in training."""
        vectors = [vector for norm in self._norms for vector in norm.vectors]
        return [*(v for critic in self.critics for v in critic.variables), *vectors, self._noise.state]

    def see(self, volumes: Any) -> list[Any]:
        """Return the critics' views of periodic volumes: one array (count, ..., phases) per critic."""
        return generated_views(volumes, self.views, self.symmetry)

    def shown(self, volumes: Any, labels: Any, step: Any) -> Any:
        """Return the volumes that critics view in a step: probabilities, or labels smoothed like the data's."""
        rules, s = self.rules, self.rules.softening
        if rules.labels_from is None:
            return volumes
        labels = soft_edges(labels, rules.edges) * (1.0 - s * labels.shape[-1]) + s
        return ops.where(ops.convert_to_tensor(step) >= rules.labels_from, labels, volumes)

    def soft(self, parts: Sequence[Any]) -> list[Any]:
        """Return the critics' views of real data, given as full-resolution uint8 arrays (count, ..., phases)."""
        s = self.rules.softening
        scale, n = (1.0 - s * parts[0].shape[-1]) / FULL, self._pools
        return [pooled(ops.cast(part, "float32"), pool) * scale + s for part, pool in zip(parts, n, strict=True)]

    def update(
        self, optimizer: Any, reals: Sequence[Any], fakes: Sequence[Any], mix: Sequence[Any], answer: bool
    ) -> tuple[list[Any], dict[str, Any]]:
        """Update the critics on a step's data; return the generator's gradient at the fakes, and a report.

        Args:
            optimizer: Optimizer of the critics.
            reals, fakes: The critics' views of real data and of generated volumes.
            mix: Positions between them at which "gradient" is evaluated, (count,) each; empty for other penalties.
            answer: Whether to return the generator's gradient.

        Returns:
            The gradients, one per critic, or an empty list; and a dict of scalars.
        """
        engine, rules, variables = backend(), self.rules, self.trainable_variables
        for norm in self._norms:
            norm.iterate()
        reals, fakes = self._noisy(reals), [engine.leaf(fake) for fake in self._noisy(fakes)]
        total, report, logits = 0.0, {}, []
        with engine.recording(*fakes) as tape:
            for i, share in enumerate(self._shares):
                real, fake = self.judge(i, reals[i]), self.judge(i, fakes[i])
                total += share * rules.loss.critic(real, fake)
                logits.append((real, fake))
        factors = [rules.loss.factor(*pair) for pair in logits]
        shared = answer and all(factor is not None for factor in factors)
        found = engine.gradients(tape, [total], [*variables, *(fakes if shared else ())], [ops.ones_like(total)])
        gradients, of_fakes = found[: len(variables)], found[len(variables) :]
        if shared:
            of_fakes = [
                g * ops.reshape(factor, (-1,) + (1,) * (len(g.shape) - 1))
                for g, factor in zip(of_fakes, factors, strict=True)
            ]
        elif answer:
            of_fakes = self._answer(reals, fakes)
        real, fake = (sum(ops.mean(pair[k]) for pair in logits) / len(logits) for k in range(2))
        report = {"critic_loss": total, "real": real, "fake": fake}
        if rules.penalty is not None:
            gradients = self._penalised(engine, optimizer, gradients, reals, fakes, mix)
        engine.apply(optimizer, gradients, variables)
        return (of_fakes if answer else []), report

    def answer(self, reals: Sequence[Any], fakes: Sequence[Any]) -> list[Any]:
        """Return the generator's gradient at the fakes, from a separate pass."""
        return self._answer(self._noisy(reals), self._noisy(fakes))

    def judge(self, i: int, data: Any) -> Any:
        """Return the logits of the i-th critic: (count,)."""
        with self._norms[i].scope() if self._norms else contextlib.nullcontext():
            return self.critics[i](data, training=True)

    def _answer(self, reals, fakes):
        engine = backend()
        fakes = [engine.leaf(fake) for fake in fakes]
        with engine.recording(*fakes) as tape:
            total = sum(
                share * self.rules.loss.generator(ops.stop_gradient(self.judge(i, reals[i])), self.judge(i, fakes[i]))
                for i, share in enumerate(self._shares)
            )
        return engine.gradients(tape, [total], fakes, [ops.ones_like(total)])

    def _noisy(self, parts):
        if not self.rules.noise:
            return list(parts)
        return [part + self.rules.noise * keras.random.normal(ops.shape(part), seed=self._noise) for part in parts]

    def _penalised(self, engine, optimizer, gradients, reals, fakes, mix):
        """Return the critics' gradients, with those of the penalty where it is due."""
        rules, variables, penalty = self.rules, self.trainable_variables, PENALTIES[str(self.rules.penalty)]

        def of_penalty():
            with engine.recording() as tape:
                total = 0.0
                for i, share in enumerate(self._penalties):
                    slopes = partial(engine.slopes, partial(self.judge, i))
                    between = mix[i] if len(mix) else None
                    total += share * penalty(reals[i], fakes[i], between, slopes)
                total = total * (rules.weight * rules.every)
            found = engine.gradients(tape, [total], variables, [ops.ones_like(total)])
            return [ops.zeros_like(v) if g is None else g for g, v in zip(found, variables, strict=True)]

        due = ops.equal(ops.cast(optimizer.iterations, "int32") % rules.every, 0)
        more = engine.where_due(due, of_penalty, variables)
        return [a + b for a, b in zip(gradients, more, strict=True)]
