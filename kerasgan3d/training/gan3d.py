"""The model that trains: a generator, its running average, and its critics."""

import contextlib
import zlib
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import keras
import numpy as np
from keras import ops

from kerasgan3d.data import Symmetry, batches
from kerasgan3d.files import replacing
from kerasgan3d.models import Generator, SliceDiscriminator, VolumeDiscriminator
from kerasgan3d.training import physics
from kerasgan3d.training.diffusivity import diffusivities
from kerasgan3d.training.equivariance import BREACH, FlipEquivariance
from kerasgan3d.training.feed import Feed
from kerasgan3d.training.gradient_step import across_devices, gradient_step
from kerasgan3d.training.losses import (
    LOSSES,
    SMOOTHED,
    critic_loss,
    generator_loss,
    squared_gradient,
    unit_gradient,
)
from kerasgan3d.training.spectral import SpectralNorm


@keras.saving.register_keras_serializable(package="kerasgan3d")
class GAN3D(keras.Model):
    """Adversarial training of a 3D generator by critics of sub-volumes, or of slices.

    The generator is trained on dense latent lattices and boundary-free crops, the way it will be sampled. ``average``
    is an exponential moving average of its weights: the generator to keep.

    Args:
        generator: A Generator with padding "valid".
        critics: One VolumeDiscriminator, or SliceDiscriminators, one per group of ``symmetry.groups``; after these one
            VolumeDiscriminator where ``volume_crop`` is positive.
        symmetry: The Symmetry of the material.
        crop: Edge length of a training sub-volume in voxels.
        slices: Slices per axis that a slice critic takes of each generated volume.
        volume_crop: Edge length of the sub-volumes that a critic of volumes sees beside critics of slices, which do not
            see how slices go on; 0 for none.
        equivariant: Whether the generator is kept commuting with flips, as it must do from the start, see
            ``kerasgan3d.training.equivariance``.
        spectral: Whether the critics' kernels are divided by their largest singular value (Miyato et al. 2018).
        seed: Non-negative int, for latents and the choice of slices.

    ``fit`` takes what ``batches`` gives: ``gan.fit(gan.batches(sampler), steps_per_epoch=..., shuffle=False)``.

    Raises:
        ValueError: if the critics do not fit the symmetry, or the generator pads, or does not commute with flips
            although ``equivariant``.
    """

    def __init__(
        self,
        generator,
        critics,
        symmetry=Symmetry(),  # noqa: B008
        crop=64,
        slices=6,
        spectral=False,
        seed=0,
        equivariant=False,
        volume_crop=0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        critics = list(critics) if isinstance(critics, list | tuple) else [critics]
        if generator.padding != "valid":
            raise ValueError(f"`generator` must have padding 'valid'. Received: {generator.padding!r}.")
        self.volumetric = len(critics) == 1 and isinstance(critics[0], VolumeDiscriminator)
        self.volume_crop = 0 if self.volumetric else int(volume_crop)
        if not 0 <= self.volume_crop <= crop:
            raise ValueError(f"`volume_crop` must be from 0 to the crop, {crop} voxels. Received: {volume_crop!r}.")
        kinds = [SliceDiscriminator] * len(symmetry.groups) + [VolumeDiscriminator] * (self.volume_crop > 0)
        if not self.volumetric and [type(critic) for critic in critics] != kinds:
            raise ValueError(
                "`critics` must be one VolumeDiscriminator, or as many SliceDiscriminators as the symmetry has groups "
                f"of axes ({len(symmetry.groups)}), and one VolumeDiscriminator more where `volume_crop` is positive. "
                f"Received: {[type(c).__name__ for c in critics]}."
            )
        self.generator = generator
        self.average = Generator.from_config(generator.get_config())
        self.average.set_weights(generator.get_weights())
        self.critics: list[Any] = critics
        self.symmetry = symmetry
        self.crop = int(crop)
        self.slices = int(slices)
        self.seed = int(seed)
        self.spectral = bool(spectral)
        self._pulls = {}
        self._norms = [SpectralNorm(critic, (self.seed, i)) for i, critic in enumerate(critics)] if spectral else []
        self.strategy: Any = None
        self._keep_commuting(equivariant)
        if self.equivariance is not None and (breach := self.equivariance.breach(generator)) > BREACH:
            raise ValueError(
                "`generator` must commute with flips where `equivariant` is True. Received: one whose weights differ "
                f"by {breach:.2g} of the largest where they should be the same."
            )
        self._generator_held, self._learning_layers = False, None
        self._trackers = {}
        self.built = True

    def compile(
        self,
        generator_optimizer,
        critic_optimizer,
        loss="logistic",
        label_smoothing=0.0,
        critic_updates=1,
        generator_updates=1,
        r1=0.0,
        r1_every=1,
        gradient_penalty=0.0,
        softening=0.0,
        targets=None,
        fraction_weight=0.0,
        s2_lags=(),
        s2_weight=0.0,
        diagonal_weight=0.0,
        surface_weight=0.0,
        tpb_weight=0.0,
        spread_weight=0.0,
        lattice_weight=0.0,
        diffusivity_weight=0.0,
        volume_spread_weight=0.0,
        critic_weight=1.0,
        statistics_decay=0.0,
        pull_limit=0.2,
        average_decay=0.999,
        average_ramp=True,
        jit_compile=False,
        **kwargs,
    ):
        """Set how to train.

        Args:
            generator_optimizer, critic_optimizer: Keras optimizers; the second serves all critics.
            loss: "logistic", "wasserstein", "least_squares" or "hinge", see ``kerasgan3d.training.losses``.
            label_smoothing: One-sided label smoothing of the critics' loss, where the loss has labels.
            critic_updates, generator_updates: Updates of either per step.
            r1: Weight of the R1 penalty, r1 / 2 E|grad D(real)|^2 (Mescheder et al., ICML 2018).
            r1_every: Compute the penalty every so many steps, times as much (Karras et al., CVPR 2020).
            gradient_penalty: Weight of E (|grad D| - 1)^2 between real and generated data (Gulrajani et al., NeurIPS
                2017).
            softening: What one-hot labels of real data are moved by: 0.02 makes 1, 0, 0 of three phases into
                0.96, 0.02, 0.02, so that critics cannot tell real data by their being hard.
            targets: dict of statistics of the real data, as far as weights ask for them: "fractions" (phases,), for
                all but surface areas and boundaries, "s2" (phases, 3, lags), "diagonal" (phases, 3, 2, lags),
                "surface" (phases, 3), also for the lattice, "tpb" (3,), "spread" and "diffusivity" (phases, 3),
                "volume_spread" (phases, 2). See
                ``kerasgan3d.training.physics``.
            fraction_weight: Weight of the squared error of the mean probabilities against the volume fractions.
            s2_lags, s2_weight: Lags in voxels, and the weight of the squared error of the two-point correlation, in
                units of the volume fractions.
            diagonal_weight: The same along the diagonals of slices, which shows what leans to one side.
            surface_weight, tpb_weight: Weights of the squared relative errors of the surface areas and of the
                triple-phase boundaries.
            spread_weight: Weight of the squared relative error of the variance of slices' area fractions.
            lattice_weight: Weight of the variance of fractions and surface areas over places modulo the stride, in
                units of their squares.
            diffusivity_weight: Weight of the squared error of the relative diffusivities, in units of what a well mixed
                medium conducts, of one of a batch's volumes per direction (and device), see
                ``kerasgan3d.training.diffusivity``.
            volume_spread_weight: Weight of the squared relative errors of the variances of the volumes' fractions and
                surface areas.
            critic_weight: Weight of what the critics say of generated data. With 0 they are neither asked nor trained:
                a generator that is good already is moved towards the statistics alone.
            statistics_decay: Decay per update of running means of these statistics. With 0 the errors are those of a
                batch, which also makes the batch's volumes more alike than the data; with more they are those of the
                last 1 / (1 - decay) batches. ``save_state`` keeps the means; a model that is saved as Keras does
                begins them anew.
            pull_limit: With running means, an error beyond so many of its units pulls no harder than one of so many.
            average_decay: Decay of the generator's moving average per step.
            average_ramp: Whether the average follows faster in the first steps, as suits weights drawn at random; a
                pretrained generator's are good from the start.
            jit_compile: Whether XLA compiles the step; on a CPU it makes 3D transposed convolutions far slower.

        Raises:
            ValueError: if the loss is unknown or has no labels to smooth, what a weight needs is missing, nothing has a
                weight, or a lag or the decay is out of range.
        """
        if loss not in LOSSES:
            raise ValueError(f"`loss` must be one of {', '.join(map(repr, LOSSES))}. Received: {loss!r}.")
        if label_smoothing and loss not in SMOOTHED:
            raise ValueError(
                f"`label_smoothing` must be 0 where the loss is {loss!r}, which has no labels. "
                f"Received: {label_smoothing!r}."
            )
        if not 0 <= statistics_decay < 1:
            raise ValueError(f"`statistics_decay` must be from 0 to below 1. Received: {statistics_decay!r}.")
        if not pull_limit > 0:
            raise ValueError(f"`pull_limit` must be a positive number. Received: {pull_limit!r}.")
        weights = {
            "fraction": fraction_weight,
            "s2": s2_weight,
            "diagonal": diagonal_weight,
            "surface": surface_weight,
            "tpb": tpb_weight,
            "spread": spread_weight,
            "lattice": lattice_weight,
            "diffusivity": diffusivity_weight,
            "volume_spread": volume_spread_weight,
        }
        pulled = {name: weight for name, weight in weights.items() if weight}
        if not critic_weight and not pulled:
            raise ValueError("`critic_weight` must be positive where no statistic has a weight. Received: 0.")
        if (s2_weight or diagonal_weight) and not (len(s2_lags) and all(0 < lag < self.crop for lag in s2_lags)):
            raise ValueError(
                f"`s2_lags` must hold lags from 1 to {self.crop - 1} voxels, the crop's. Received: {s2_lags!r}."
            )
        self._pulls = self._make_pulls(pulled, targets, s2_lags, float(statistics_decay), float(pull_limit))
        super().compile(optimizer=None, jit_compile=jit_compile, **kwargs)
        self.generator_optimizer = keras.optimizers.get(generator_optimizer)
        self.critic_optimizer = keras.optimizers.get(critic_optimizer)
        self.generator_optimizer.build(self.generator.trainable_variables)
        self.critic_optimizer.build(self.critic_variables)
        self.settings = {
            "loss": loss,
            "label_smoothing": float(label_smoothing),
            "critic_updates": int(critic_updates),
            "generator_updates": int(generator_updates),
            "r1": float(r1),
            "r1_every": int(r1_every),
            "gradient_penalty": float(gradient_penalty),
            "softening": float(softening),
            "targets": {name: np.asarray(values, "float64").tolist() for name, values in (targets or {}).items()},
            "s2_lags": [int(lag) for lag in s2_lags],
            **{f"{name}_weight": float(weight) for name, weight in weights.items()},
            "critic_weight": float(critic_weight),
            "statistics_decay": float(statistics_decay),
            "pull_limit": float(pull_limit),
            "average_decay": float(average_decay),
            "average_ramp": bool(average_ramp),
            "jit_compile": jit_compile,
        }
        names = ["critic_loss", "generator_loss", "real", "fake", "r1", "fraction_error"]
        names += [
            name
            for name, weight in (
                ("gradient_penalty", gradient_penalty),
                *((f"soft_{name}_error", weights[name]) for name in physics.TERMS[1:]),
            )
            if weight
        ]
        self._trackers = {name: keras.metrics.Mean(name=name) for name in names}

    @property
    def critic_variables(self):
        """The trainable variables of all critics."""
        return [v for critic in self.critics for v in critic.trainable_variables]

    @property
    def judged(self):
        """Whether there are critics to hear."""
        return self.settings["critic_weight"] > 0

    @property
    def generator_held(self):
        """Whether steps leave generator and average as they are: only the critics learn. May be set between fits."""
        return self._generator_held

    @generator_held.setter
    def generator_held(self, held):
        if bool(held) != self._generator_held:
            self._generator_held = bool(held)
            self.train_function = None  # it was compiled for the other kind of step

    @property
    def metrics(self):
        """What ``fit`` reports: losses, mean logits, and penalties before their weights."""
        return list(self._trackers.values())

    def call(self, latents, training=False):
        return self.average(latents, training=training)

    def batches(self, sampler, first=0):
        """The steps ``first``, ``first + 1``, ... of ``feed``, endlessly, as ``fit`` takes them."""
        if self.strategy is None:
            return batches(self.feed(sampler), first)
        with self.strategy.scope():
            return batches(self.feed(sampler), first, devices=self.strategy.num_replicas_in_sync)

    def feed(self, sampler):
        """What steps are made of, with real data from a sampler (see ``kerasgan3d.data``): a Feed.

        Raises:
            ValueError: if the sampler's counts are no multiple of what a generated volume is compared with.
        """
        counts = [len(part) for part in sampler.batch(0)]
        lots = [1] if self.volumetric else [len(group) for group in self.symmetry.groups]
        slices = 1 if self.volumetric else self.slices
        each = [slices * n for n in lots] + [1] * (self.volume_crop > 0)
        volumes = max(1, counts[0] // each[0])
        if counts != [volumes * n for n in each]:
            raise ValueError(
                f"`sampler` must give as many arrays as critics see of each volume, {each}, times the volumes. "
                f"Received: {counts}."
            )
        t = self.generator.latents_for(self.crop)
        return Feed(
            sampler,
            (t, t, t, self.generator.latent_channels),
            [*lots, 1] if self.volume_crop else lots,
            volumes,
            slices,
            self.crop,
            self.settings["critic_updates"],
            self.settings["generator_updates"],
            self.seed,
            self.volume_crop,
        )

    def train_step(self, *args):
        """The recipe's number of updates of the critics and of the generator, on one step of ``feed``."""
        (data,) = args
        # Keras wraps what an iterator gives, on some backends in a list.
        data = data if isinstance(data, dict) else data[0]
        report = gradient_step(self, keras.tree.map_structure(ops.convert_to_tensor, data))
        if not self.generator_held:
            self.update_average()
        for name, tracker in self._trackers.items():
            tracker.update_state(report.get(name, 0.0))
        return {name: tracker.result() for name, tracker in self._trackers.items()}

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # Keras would use up the first step to find out shapes; the networks were built by their constructors.
        return

    # What the gradient step is made of: the same on every backend.

    def reals(self, data, update):
        """Real data of an update of the critics: one array (count, ..., phases) per critic."""
        return [self.soften(part[update]) for part in data["reals"]]

    def soften(self, labels):
        """Labels (...) to one-hot (..., phases), softened."""
        n, s = len(self.generator.phases), self.settings["softening"]
        return ops.one_hot(ops.cast(labels, "int32"), n) * (1.0 - n * s) + s

    def generate(self, latents):
        """Volumes of latents, cropped: (batch, crop, crop, crop, phases)."""
        volumes, n = self.generator(latents, training=True), self.crop
        return volumes if tuple(volumes.shape[1:4]) == (n, n, n) else volumes[:, :n, :n, :n]

    def views(self, volumes, picks, corner=None):
        """What the critics see of generated volumes, one array per critic.

        Args:
            volumes: (batch, crop, crop, crop, phases).
            picks: Slices to take along each axis: (3, slices).
            corner: Where the sub-volumes begin that a critic of volumes sees beside those of slices: (3,).
        """
        if self.volumetric:
            return [volumes]
        found = [
            ops.concatenate([self._cut(volumes, normal, picks[normal]) for normal in group], axis=0)
            for group in self.symmetry.groups
        ]
        if self.volume_crop:
            batch, *_, phases = volumes.shape
            found.append(ops.slice(volumes, ops.pad(corner, ((1, 1),)), (batch, *(self.volume_crop,) * 3, phases)))
        return found

    def judge(self, i, data):
        """Logits of the i-th critic: (batch,)."""
        with self._norms[i].scope() if self.spectral else contextlib.nullcontext():
            return self.critics[i](data, training=True)

    def before_critics_update(self):
        """What an update of the critics begins with."""
        for norm in self._norms:
            norm.iterate()

    def critics_loss(self, reals, fakes):
        """Loss of the critics without penalties, and what is reported of it."""
        loss, logits = 0.0, []
        for i, (real, fake) in enumerate(zip(reals, fakes, strict=True)):
            real_logits, fake_logits = self.judge(i, real), self.judge(i, fake)
            smoothing = self.settings["label_smoothing"]
            loss += critic_loss(real_logits, fake_logits, self.settings["loss"], label_smoothing=smoothing)
            logits.append((ops.mean(real_logits), ops.mean(fake_logits)))
        n = len(self.critics)
        mean_real, mean_fake = sum(real for real, _ in logits) / n, sum(fake for _, fake in logits) / n
        return loss / n, {"critic_loss": loss / n, "real": mean_real, "fake": mean_fake}

    def r1_penalty(self, reals, gradient):
        """Mean squared gradient at real data, over critics; ``gradient`` is the backend's."""
        penalties = [squared_gradient(gradient(partial(self.judge, i), real)) for i, real in enumerate(reals)]
        return sum(penalties) / len(penalties)

    def interpolation_penalty(self, reals, fakes, mix, gradient):
        """Mean squared difference from a slope of 1, between real and generated data, over critics."""
        penalties = []
        for i, (real, fake, share) in enumerate(zip(reals, fakes, mix, strict=True)):
            share = ops.reshape(share, (-1,) + (1,) * (len(real.shape) - 1))
            between = share * real + (1.0 - share) * fake
            penalties.append(unit_gradient(gradient(partial(self.judge, i), between)))
        return sum(penalties) / len(penalties)

    def generators_loss(self, volumes, fakes):
        """Loss of the generator, and what is reported of it."""
        total = ops.zeros(())
        if self.judged:
            losses = [generator_loss(self.judge(i, fake), self.settings["loss"]) for i, fake in enumerate(fakes)]
            total = sum(losses) / len(losses)
        report = {"generator_loss": total, "fraction_error": ops.zeros(())}
        total = self.settings["critic_weight"] * total
        for name, statistic in self._statistics(volumes, fakes).items():
            term, error = self._pulls[name].error(across_devices(statistic))
            report["fraction_error" if name == "fraction" else f"soft_{name}_error"] = error
            total = total + self.settings[f"{name}_weight"] * term
        return total, report

    def _statistics(self, volumes, fakes):
        """The statistics of generated data that are pulled."""
        found = self._statistics_of_volumes(volumes)
        return found | self._statistics_of_slices(
            volumes, fakes, tuple(name for name in self._pulls if name not in found)
        )

    def _statistics_of_volumes(self, volumes):
        found, vary = {}, "volume_spread" in self._pulls
        if vary or "diffusivity" in self._pulls:
            sharp = physics.sharpen(volumes if vary else volumes[:3])
        if "diffusivity" in self._pulls:
            found["diffusivity"] = diffusivities(sharp)
        if vary:
            targets = self.settings["targets"]
            surface = np.mean(targets["surface"], axis=-1)
            found["volume_spread"] = physics.soft_volume_spread(sharp, targets["fractions"], surface)
        return found

    def _statistics_of_slices(self, volumes, fakes, terms):
        fakes = fakes[: len(self.symmetry.groups)]
        if terms == ("fraction",):
            return {"fraction": physics.soft_fractions([volumes] if self.volumetric else fakes)}
        if not terms:
            return {}
        axes = [self.symmetry.section_axes(normal) for normal in range(3)]
        if self.volumetric:
            sections = [
                ops.reshape(ops.transpose(volumes, (0, normal + 1, rows + 1, columns + 1, 4)), (-1, *volumes.shape[2:]))
                for normal, (rows, columns) in enumerate(axes)
            ]
        else:
            sections = [None] * 3
            for group, part in zip(self.symmetry.groups, fakes, strict=True):
                for normal, slices in zip(group, ops.split(part, len(group)), strict=True):
                    sections[normal] = slices
        return physics.soft_statistics(
            sections,
            axes,
            terms,
            lags=self.settings["s2_lags"],
            fractions=self.settings["targets"].get("fractions"),
            stride=self.generator.stride,
        )

    @property
    def learning_variables(self):
        """The generator's trainable variables that learn, see ``learning_layers``."""
        found, n = self.generator, self._learning_layers
        layers = [found] if n is None else found.first_layers(n)
        return [variable for layer in layers for variable in layer.trainable_variables]

    @property
    def learning_layers(self):
        """How many layers of the generator learn, from the first on; None for all. May be set between fits."""
        return self._learning_layers

    @learning_layers.setter
    def learning_layers(self, layers):
        if layers != self._learning_layers:
            self._learning_layers = layers
            self.train_function = None  # it was compiled for other variables

    def take_average(self):
        """Let the generator go on from its average."""
        self.generator.set_weights(self.average.get_weights())

    def tie(self, gradients):
        """Gradients of ``learning_variables``: of those that must be the same, their mean."""
        return [
            self._tied[id(variable)].mean(gradient) if id(variable) in self._tied else gradient
            for variable, gradient in zip(self.learning_variables, gradients, strict=True)
        ]

    def retune(self, statistics_decay, pull_limit, average_decay, **weights):
        """Change how strongly the statistics that are pulled are, and the average; between fits.

        Arguments as for ``compile``; weights of statistics that are not pulled are left alone.
        """
        changes = {"statistics_decay": statistics_decay, "pull_limit": pull_limit, "average_decay": average_decay}
        changes |= {name: weight for name, weight in weights.items() if name.removesuffix("_weight") in self._pulls}
        before = dict(self.settings)
        self.settings |= {name: float(value) for name, value in changes.items()}
        for pull in self._pulls.values():
            pull.decay, pull.limit = self.settings["statistics_decay"], self.settings["pull_limit"]
        if self.settings != before:
            self.train_function = None  # it was compiled for the other settings

    def update_average(self):
        """Move the average towards the generator; with ``average_ramp`` faster in the first steps."""
        decay = self.settings["average_decay"]
        if self.settings["average_ramp"]:
            step = ops.cast(self.generator_optimizer.iterations, "float32")
            decay = ops.minimum(decay, (1.0 + step) / (10.0 + step))
        for mean, value in zip(self.average.variables, self.generator.variables, strict=True):
            if mean.dtype == value.dtype and "float" in str(mean.dtype):
                mean.assign(decay * mean.value + (1.0 - decay) * value.value)

    def _keep_commuting(self, equivariant):
        self.equivariance = FlipEquivariance(self.generator) if equivariant else None
        tied = [] if self.equivariance is None else self.equivariance.tied(self.generator)
        self._tied = {id(variable): orbits for variable, orbits in tied}

    def _cut(self, volumes, normal, picks):
        """Slices of each volume, normal to an axis: (batch * slices, rows, columns, phases)."""
        rows, columns = self.symmetry.section_axes(normal)
        slices = ops.take(volumes, picks, axis=normal + 1)
        slices = ops.transpose(slices, (0, normal + 1, rows + 1, columns + 1, 4))
        return ops.reshape(slices, (-1, self.crop, self.crop, len(self.generator.phases)))

    def _make_pulls(self, weights, targets, lags, decay, limit):
        """What statistics are compared with: a Pull for each that has a weight."""
        n, targets = len(self.generator.phases), targets or {}
        shapes = {
            "fraction": (n,),
            "s2": (n, 3, len(lags)),
            "diagonal": (n, 3, 2, len(lags)),
            "surface": (n, 3),
            "tpb": (3,),
            "spread": (n, 3),
            "lattice": (2, n, 3, self.generator.stride),
            "diffusivity": (n, 3),
            "volume_spread": (n, 2),
        }
        for name in weights:
            for key in physics.NEEDS[name]:
                shape = shapes["fraction" if key == "fractions" else key]
                if np.shape(targets.get(key, ())) != shape:
                    raise ValueError(
                        f"`{name}_weight` needs `targets[{key!r}]` of shape {shape}. Received: {targets.get(key)!r}."
                    )
        scales = physics.scales(targets, {name: shapes[name] for name in weights})
        return {
            name: physics.Pull(
                np.zeros(shapes[name]) if name == "lattice" else targets["fractions" if name == "fraction" else name],
                scales[name],
                decay,
                limit,
            )
            for name in weights
        }

    # Saving.

    def get_config(self):
        """The three networks and how they meet."""
        return {
            **super().get_config(),
            "generator": keras.saving.serialize_keras_object(self.generator),
            "critics": [keras.saving.serialize_keras_object(critic) for critic in self.critics],
            "symmetry": {"kind": self.symmetry.kind, "axis": self.symmetry.axis},
            "crop": self.crop,
            "slices": self.slices,
            "spectral": self.spectral,
            "seed": self.seed,
            "equivariant": self.equivariance is not None,
            "volume_crop": self.volume_crop,
        }

    @classmethod
    def from_config(cls, config):
        """Make the model that ``get_config`` describes."""
        config = dict(config)
        config["generator"] = keras.saving.deserialize_keras_object(config["generator"])
        config["critics"] = [keras.saving.deserialize_keras_object(critic) for critic in config["critics"]]
        config["symmetry"] = Symmetry(**config["symmetry"])
        equivariant = config.pop("equivariant", False)
        gan = cls(**config)
        gan._keep_commuting(equivariant)  # the weights that commute are still to be loaded
        return gan

    def get_compile_config(self):
        """The optimizers and settings of ``compile``."""
        return {
            "generator_optimizer": keras.saving.serialize_keras_object(self.generator_optimizer),
            "critic_optimizer": keras.saving.serialize_keras_object(self.critic_optimizer),
            **self.settings,
        }

    def compile_from_config(self, config):
        """Compile as ``get_compile_config`` says."""
        config = dict(config)
        for name in ("generator_optimizer", "critic_optimizer"):
            config[name] = keras.saving.deserialize_keras_object(config[name])
        self.compile(**config)

    def state(self):
        """Everything that training changes: a flat list of (name, variable), in a fixed order."""
        variables = [
            *self.generator.variables,
            *self.average.variables,
            *(v for critic in self.critics for v in critic.variables),
            *self.generator_optimizer.variables,
            *self.critic_optimizer.variables,
            *(vector for norm in self._norms for vector in norm.vectors),
            *(pull.running for pull in self._pulls.values() if pull.running is not None),
        ]
        return [(f"{i:04d} {v.path}", v) for i, v in enumerate(variables)]

    def save_state(self, path, **extra):
        """Write ``state()`` and ``extra`` (numbers) to an uncompressed .npz, at once or not at all."""
        arrays = {name: ops.convert_to_numpy(variable.value) for name, variable in self.state()}
        with replacing(Path(path)) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays, **{f"extra {key}": value for key, value in extra.items()})

    def load_state(self, path):
        """Read what ``save_state`` wrote; returns ``extra``.

        Raises:
            ValueError: if the file belongs to another model.
        """
        arrays = read_state(path)
        extra = {name[6:]: arrays.pop(name) for name in list(arrays) if name.startswith("extra ")}
        # By place, not by name: names count the models that the process made before.
        ours, theirs = [variable for _, variable in self.state()], [arrays[name] for name in sorted(arrays)]
        if len(theirs) == len(ours) + 1 and theirs[-1].shape == (2,) and theirs[-1].dtype.kind in "iu":
            theirs.pop()  # earlier states ended with that of a random generator
        if [tuple(v.shape) for v in ours] != [array.shape for array in theirs]:
            raise ValueError(f"{path} holds the state of another model or recipe.")
        for variable, array in zip(ours, theirs, strict=True):
            variable.assign(array)
        return extra


def read_state(path, names=None):
    """What ``GAN3D.save_state`` wrote: dict of arrays, of these names or all.

    Raises:
        ValueError: if the file is damaged.
    """
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
            return {name: file[name] for name in names or file.files}
    except (EOFError, BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
