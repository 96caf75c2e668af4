"""The model that trains: a generator, its running average, and its critics."""

import zlib
from pathlib import Path
from zipfile import BadZipFile

import keras
import numpy as np
from keras import ops

from kerasgan3d.data import Symmetry
from kerasgan3d.files import replacing
from kerasgan3d.models import Generator, SliceDiscriminator, VolumeDiscriminator
from kerasgan3d.training.gradient_step import gradient_step
from kerasgan3d.training.losses import LOSSES, critic_loss, generator_loss


@keras.saving.register_keras_serializable(package="kerasgan3d")
class GAN3D(keras.Model):
    """Adversarial training of a 3D generator by critics of sub-volumes, or of slices.

    The generator is trained on dense latent lattices and boundary-free crops, the way it will be sampled. ``average``
    is an exponential moving average of its weights: the generator to keep.

    Args:
        generator: A Generator with padding "valid".
        critics: One VolumeDiscriminator, or SliceDiscriminators, one per group of ``symmetry.groups``.
        symmetry: The Symmetry of the material.
        crop: Edge length of a training sub-volume in voxels.
        slices: Slices per axis that a slice critic takes of each generated volume.
        seed: Non-negative int, for latents and the choice of slices.

    ``fit`` takes batches of uint8 labels: a tuple with one array per critic (see ``kerasgan3d.data``).

    Raises:
        ValueError: if the critics do not fit the symmetry, or the generator pads.
    """

    def __init__(self, generator, critics, symmetry=Symmetry(), crop=64, slices=6, seed=0, **kwargs):  # noqa: B008
        super().__init__(**kwargs)
        critics = list(critics) if isinstance(critics, list | tuple) else [critics]
        if generator.padding != "valid":
            raise ValueError(f"`generator` must have padding 'valid'. Received: {generator.padding!r}.")
        self.volumetric = len(critics) == 1 and isinstance(critics[0], VolumeDiscriminator)
        if not self.volumetric and not (
            len(critics) == len(symmetry.groups) and all(isinstance(c, SliceDiscriminator) for c in critics)
        ):
            raise ValueError(
                "`critics` must be one VolumeDiscriminator, or as many SliceDiscriminators as the symmetry has groups "
                f"of axes ({len(symmetry.groups)}). Received: {[type(c).__name__ for c in critics]}."
            )
        self.generator = generator
        self.average = Generator.from_config(generator.get_config())
        self.average.set_weights(generator.get_weights())
        self.critics = critics
        self.symmetry = symmetry
        self.crop = int(crop)
        self.slices = int(slices)
        self.seed = int(seed)
        self.seed_generator = keras.random.SeedGenerator(seed)
        self._trackers = {}
        self.built = True

    def compile(
        self,
        generator_optimizer,
        critic_optimizer,
        loss="logistic",
        label_smoothing=0.0,
        generator_updates=1,
        r1=0.0,
        r1_every=1,
        softening=0.0,
        fractions=None,
        fraction_weight=0.0,
        average_decay=0.999,
        jit_compile=False,
        **kwargs,
    ):
        """Set how to train.

        Args:
            generator_optimizer, critic_optimizer: Keras optimizers; the second serves all critics.
            loss: "logistic", the non-saturating loss.
            label_smoothing: One-sided label smoothing of the critics' loss.
            generator_updates: Updates of the generator per update of the critics.
            r1: Weight of the R1 penalty, r1 / 2 E|grad D(real)|^2 (Mescheder et al., ICML 2018).
            r1_every: Compute the penalty every so many steps, times as much (Karras et al., CVPR 2020).
            softening: What one-hot labels of real data are moved by: 0.02 makes 1, 0, 0 of three phases into
                0.96, 0.02, 0.02, so that critics cannot tell real data by their being hard.
            fractions: Volume fractions of the real data, (phases,).
            fraction_weight: Weight of the squared error of a batch's mean probabilities against ``fractions``.
            average_decay: Decay of the generator's moving average per step.
            jit_compile: Whether XLA compiles the step; on a CPU it makes 3D transposed convolutions far slower.

        Raises:
            ValueError: if the loss is unknown, or fractions are needed and missing.
        """
        if loss not in LOSSES:
            raise ValueError(f"`loss` must be one of {', '.join(map(repr, LOSSES))}. Received: {loss!r}.")
        if fraction_weight and (fractions is None or len(fractions) != len(self.generator.phases)):
            raise ValueError(
                f"`fraction_weight` needs `fractions`, one per phase ({len(self.generator.phases)}). "
                f"Received: {fractions!r}."
            )
        super().compile(optimizer=None, jit_compile=jit_compile, **kwargs)
        self.generator_optimizer = keras.optimizers.get(generator_optimizer)
        self.critic_optimizer = keras.optimizers.get(critic_optimizer)
        self.generator_optimizer.build(self.generator.trainable_variables)
        self.critic_optimizer.build(self.critic_variables)
        self.settings = {
            "loss": loss,
            "label_smoothing": float(label_smoothing),
            "generator_updates": int(generator_updates),
            "r1": float(r1),
            "r1_every": int(r1_every),
            "softening": float(softening),
            "fractions": None if fractions is None else [float(f) for f in fractions],
            "fraction_weight": float(fraction_weight),
            "average_decay": float(average_decay),
            "jit_compile": jit_compile,
        }
        names = ("critic_loss", "generator_loss", "real", "fake", "r1", "fraction_error")
        self._trackers = {name: keras.metrics.Mean(name=name) for name in names}

    @property
    def critic_variables(self):
        """The trainable variables of all critics."""
        return [v for critic in self.critics for v in critic.trainable_variables]

    @property
    def metrics(self):
        """What ``fit`` reports: losses, mean logits, and penalties before their weights."""
        return list(self._trackers.values())

    def call(self, latents, training=False):
        return self.average(latents, training=training)

    def train_step(self, *args):
        """One update of the critics, and the recipe's number of updates of the generator."""
        (data,) = args
        reals = [self.soften(part) for part in data]
        report = gradient_step(self, reals)
        self.update_average()
        for name, tracker in self._trackers.items():
            tracker.update_state(report[name])
        return {name: tracker.result() for name, tracker in self._trackers.items()}

    # What the gradient step is made of: the same on every backend.

    def soften(self, labels):
        """Labels (...) to one-hot (..., phases), softened."""
        n, s = len(self.generator.phases), self.settings["softening"]
        return ops.one_hot(ops.cast(labels, "int32"), n) * (1.0 - n * s) + s

    def generate(self, batch):
        """Volumes from random latents: (batch, crop, crop, crop, phases)."""
        t = self.generator.latents_for(self.crop)
        latents = keras.random.normal((batch, t, t, t, self.generator.latent_channels), seed=self.seed_generator)
        return self.generator(latents, training=True)[:, : self.crop, : self.crop, : self.crop]

    def views(self, volumes):
        """What the critics see of generated volumes, one array per critic."""
        if self.volumetric:
            return [volumes]
        return [
            ops.concatenate([self._cut(volumes, normal) for normal in group], axis=0) for group in self.symmetry.groups
        ]

    def critics_loss(self, reals, fakes):
        """Loss of the critics and the mean logits."""
        loss, logits = 0.0, []
        for critic, real, fake in zip(self.critics, reals, fakes, strict=True):
            real_logits, fake_logits = critic(real, training=True), critic(fake, training=True)
            loss += critic_loss(real_logits, fake_logits, label_smoothing=self.settings["label_smoothing"])
            logits.append((ops.mean(real_logits), ops.mean(fake_logits)))
        n = len(self.critics)
        return loss / n, sum(real for real, _ in logits) / n, sum(fake for _, fake in logits) / n

    def generators_loss(self, volumes, fakes):
        """Loss of the generator, and the squared error of the volume fractions in it."""
        losses = [generator_loss(critic(fake, training=True)) for critic, fake in zip(self.critics, fakes, strict=True)]
        adversarial, error = sum(losses) / len(losses), ops.zeros(())
        if self.settings["fraction_weight"]:
            mean = ops.mean(volumes, axis=(0, 1, 2, 3))
            error = ops.sum(ops.square(mean - ops.convert_to_tensor(self.settings["fractions"], dtype=mean.dtype)))
        return adversarial + self.settings["fraction_weight"] * error, adversarial, error

    def update_average(self):
        """Move the average towards the generator, faster in the first steps."""
        step = ops.cast(self.generator_optimizer.iterations, "float32")
        decay = ops.minimum(self.settings["average_decay"], (1.0 + step) / (10.0 + step))
        for mean, value in zip(self.average.variables, self.generator.variables, strict=True):
            if mean.dtype == value.dtype and "float" in str(mean.dtype):
                mean.assign(decay * mean.value + (1.0 - decay) * value.value)

    def _cut(self, volumes, normal):
        """Random slices of each volume, normal to an axis: (batch * slices, rows, columns, phases)."""
        rows, columns = self.symmetry.section_axes(normal)
        picks = keras.random.randint((self.slices,), 0, self.crop, seed=self.seed_generator)
        slices = ops.take(volumes, picks, axis=normal + 1)
        slices = ops.transpose(slices, (0, normal + 1, rows + 1, columns + 1, 4))
        return ops.reshape(slices, (-1, self.crop, self.crop, len(self.generator.phases)))

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
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config):
        """Make the model that ``get_config`` describes."""
        config = dict(config)
        config["generator"] = keras.saving.deserialize_keras_object(config["generator"])
        config["critics"] = [keras.saving.deserialize_keras_object(critic) for critic in config["critics"]]
        config["symmetry"] = Symmetry(**config["symmetry"])
        return cls(**config)

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
            self.seed_generator.state,
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
        try:
            with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
                arrays = dict(file)
        except (EOFError, BadZipFile, zlib.error) as error:
            raise ValueError(f"{path} is damaged: {error}") from error
        extra = {name[6:]: arrays.pop(name) for name in list(arrays) if name.startswith("extra ")}
        # By place, not by name: names count the models that the process made before.
        ours, theirs = [variable for _, variable in self.state()], [arrays[name] for name in sorted(arrays)]
        if [tuple(v.shape) for v in ours] != [array.shape for array in theirs]:
            raise ValueError(f"{path} holds the state of another model or recipe.")
        for variable, array in zip(ours, theirs, strict=True):
            variable.assign(array)
        return extra
