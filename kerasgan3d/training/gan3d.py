"""The model that is trained: a generator and its critics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

import kerasgan3d.differentiable as differentiable
from kerasgan3d.backend import backend
from kerasgan3d.data import Symmetry, batches
from kerasgan3d.models import Generator
from kerasgan3d.training.adversary import Adversary, Rules
from kerasgan3d.training.average import MovingAverage
from kerasgan3d.training.feed import Feed
from kerasgan3d.training.terms import Term
from kerasgan3d.training.views import View


@keras.saving.register_keras_serializable(package="kerasgan3d")
class GAN3D(keras.Model):
    """Adversarial training of a 3D generator by critics of slices and sub-volumes of periodic volumes.

    Args:
        generator: A Generator with padding "circular", so that nothing that it computes is discarded.
        critics: Built networks from (count, ..., phases) to logits (count,): for each view, one per group of equivalent
            axes, see ``View.critic``.
        views: The Views of the critics.
        symmetry: The Symmetry of the material.
        size: Edge length of a volume in voxels, a multiple of the generator's stride.
        spectral: Whether the critics' kernels are divided by their largest singular value (Miyato et al. 2018).
        seed: Non-negative int, for latents and every other random choice.

    Attributes:
        adversary: The Adversary: critics and views.
        average: The MovingAverage; its ``generator`` is the one that a run keeps.
        terms: dict from names to (weight, Term): the statistic-matching losses.

    ``fit`` takes the result of ``batches``: ``gan.fit(gan.batches(reals), steps_per_epoch=..., shuffle=False)``.

    Raises:
        ValueError: if the generator has another padding, or critics and views do not match.
    """

    def __init__(
        self,
        generator: Generator,
        critics: Sequence[Any],
        views: Sequence[View | dict[str, Any]],
        symmetry: Symmetry = Symmetry(),  # noqa: B008
        size: int = 128,
        spectral: bool = False,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if generator.padding != "circular":
            raise ValueError(f"`generator` must have padding 'circular'. Received: {generator.padding!r}.")
        self.generator, self.symmetry, self.size = generator, symmetry, int(size)
        self.spectral, self.seed = bool(spectral), int(seed)
        self.adversary = Adversary(critics, [View.of(view) for view in views], symmetry, self.seed, self.spectral)
        self.average = MovingAverage(generator)
        self._networks = [*self.adversary.critics, self.average.generator]  # where Keras finds them for saving
        self.terms: dict[str, tuple[float, Term]] = {}
        self.strategy: Any = None
        self._trackers: dict[str, Any] = {}
        self._step = keras.Variable(0, dtype="int32", trainable=False, name="step")
        self.built = True

    def compile(
        self,
        generator_optimizer: Any,
        critic_optimizer: Any,
        rules: Rules = Rules(),  # noqa: B008
        terms: Mapping[str, tuple[float, Term]] | None = None,
        updates: tuple[int, int] = (1, 1),
        average_decay: float = 0.999,
        average_ramp: bool = True,
        **kwargs: Any,
    ) -> None:
        """Configure the training.

        Args:
            generator_optimizer, critic_optimizer: Keras optimizers; the second serves all critics.
            rules: Settings of the critics.
            terms: dict from names to (weight, Term): statistic-matching losses.
            updates: Updates of the critics and of the generator per step.
            average_decay, average_ramp: See ``MovingAverage``.
            kwargs: For ``keras.Model.compile``, such as ``jit_compile``, which makes 3D transposed convolutions far
                slower on a CPU.
        """
        super().compile(optimizer=None, **{"jit_compile": False, **kwargs})
        self.generator_optimizer = keras.optimizers.get(generator_optimizer)
        self.critic_optimizer = keras.optimizers.get(critic_optimizer)
        self.generator_optimizer.build(self.generator.trainable_variables)
        self.critic_optimizer.build(self.adversary.trainable_variables)
        self.adversary.rules, self.terms, self.updates = rules, dict(terms or {}), (updates[0], updates[1])
        self.average.decay, self.average.ramp = float(average_decay), bool(average_ramp)
        names = ("critic_loss", "real", "fake", *(f"{name}_error" for name in self.terms))
        self._trackers = {name: keras.metrics.Mean(name=name) for name in names}

    @property
    def metrics(self) -> list[Any]:
        """Metrics that ``fit`` reports: the critics' loss, mean logits, and unweighted errors of statistics."""
        return list(self._trackers.values())

    def call(self, latents: Any, training: bool = False) -> Any:
        return self.average.generator(latents, training=training)

    def feed(self, reals: Any) -> Feed:
        """Return the input of steps, with real data from a sampler, see ``kerasgan3d.training.views.real_views``.

        Raises:
            ValueError: if the sampler's counts do not match the views.
        """
        counts = [len(part) for part in reals.batch(0)]
        views = self.adversary.views
        each = [view.count * max(1, len(group)) for view in views for group in view.groups(self.symmetry)]
        batch = max(1, counts[0] // each[0])
        if counts != [batch * n for n in each]:
            raise ValueError(
                f"the sampler must give as many arrays as critics see of each volume, {each}, times the volumes. "
                f"Received: {counts}."
            )
        mix = self.adversary.rules.penalty == "gradient"
        return Feed(reals, self.generator, self.size, batch, self.updates, mix, self.seed)

    def batches(self, reals: Any, first: int = 0) -> Any:
        """Return the steps ``first``, ``first + 1``, ... of ``feed``, endlessly, as ``fit`` takes them."""
        if self.strategy is None:
            return batches(self.feed(reals), first)
        with self.strategy.scope():
            return batches(self.feed(reals), first, devices=self.strategy.num_replicas_in_sync)

    def train_step(self, *args: Any) -> dict[str, Any]:
        """Update the critics and the generator on one step of ``feed``."""
        (data,) = args
        # On some backends, Keras wraps the items of an iterator in a list.
        data = data if isinstance(data, dict) else data[0]
        data = keras.tree.map_structure(ops.convert_to_tensor, data)
        report: dict[str, Any] = {}
        critics, generators = self.updates
        for i in range(critics - 1):
            fakes = backend().without_gradients(lambda i=i: self._seen(data, i, *self._volumes(data, i)))
            report |= self._challenge(data, i, [ops.stop_gradient(fake) for fake in fakes], answer=False)[1]
        for i in range(critics - 1, critics - 1 + generators):
            report |= self._learn(data, i, judged=i == critics - 1)
        self._step.assign(self._step + 1)
        self.average.update(self._step)
        for name, tracker in self._trackers.items():
            tracker.update_state(report.get(name, 0.0))
        return {name: tracker.result() for name, tracker in self._trackers.items()}

    def _learn(self, data, i, judged):
        """Update the generator and, if it is their turn, the critics on the same volumes; return a report."""
        engine, variables = backend(), self.generator.trainable_variables
        with engine.recording() as tape:
            volumes, labels = self._volumes(data, i)
            fakes = self._seen(data, i, volumes, labels)
            matched, report = self._match(volumes, labels, data["latents"][i])
        if judged:
            answers, found = self._challenge(data, i, fakes, answer=True)
            report |= found
        else:
            answers = self.adversary.answer(self._reals(data, -1), fakes)
        targets, upstream = [*fakes, *matched], [*answers, *(ops.ones_like(term) for term in matched)]
        engine.apply(self.generator_optimizer, engine.gradients(tape, targets, variables, upstream), variables)
        return report

    def _volumes(self, data, i):
        """Return generated volumes, and their most probable phases."""
        volumes = self.generator(data["latents"][i], training=True)
        return volumes, differentiable.likeliest(volumes)

    def _seen(self, data, i, volumes, labels):
        """Return the critics' views of volumes, which are first rolled by some voxels."""
        shown = self.adversary.shown(volumes, labels, self._step)
        return self.adversary.see(backend().rolled(shown, data["shifts"][i]))

    def _reals(self, data, i):
        return self.adversary.soft([part[i] for part in data["reals"]])

    def _challenge(self, data, i, fakes, answer):
        """Update the critics; return the generator's gradient, and a report."""
        mix = [part[i] for part in data["mix"]]
        return self.adversary.update(self.critic_optimizer, self._reals(data, i), fakes, mix, answer)

    def _match(self, volumes, labels, latents):
        """Return the weighted statistic-matching losses, and a report of their errors."""
        losses, report = [], {}
        asked = None if self.generator.conditions is None else latents[..., self.generator.latent_channels :]
        for name, (weight, term) in self.terms.items():
            loss, report[f"{name}_error"] = term.loss(labels, asked, volumes)
            losses.append(weight * loss)
        return losses, report

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # Keras would use the first step to infer shapes, but the constructors have built the networks.
        return

    def state(self) -> list[Any]:
        """Return everything that training changes: variables, in a fixed order."""
        return [
            *self.generator.variables,
            *self.average.generator.variables,
            *self.adversary.variables,
            *self.generator_optimizer.variables,
            *self.critic_optimizer.variables,
            *(variable for _, term in self.terms.values() for variable in term.variables),
            self._step,
        ]

    def get_config(self) -> dict[str, Any]:
        """Return the networks, views and sizes; the settings of ``compile`` are not included."""
        return {
            **super().get_config(),
            "generator": keras.saving.serialize_keras_object(self.generator),
            "critics": [keras.saving.serialize_keras_object(critic) for critic in self.adversary.critics],
            "views": [view.to_dict() for view in self.adversary.views],
            "symmetry": {"kind": self.symmetry.kind, "axis": self.symmetry.axis},
            "size": self.size,
            "spectral": self.spectral,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> GAN3D:
        """Make the model that ``get_config`` describes."""
        config = dict(config)
        config["generator"] = keras.saving.deserialize_keras_object(config["generator"])
        config["critics"] = [keras.saving.deserialize_keras_object(critic) for critic in config["critics"]]
        config["symmetry"] = Symmetry(**config["symmetry"])
        return cls(**config)

    def get_compile_config(self) -> None:
        """Return None: rules and terms belong to a run, and its folder describes them."""
