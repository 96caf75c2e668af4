"""The one file that is specific to a backend: gradients of the two players, their updates, and several devices."""

import contextlib

import keras
from keras import ops

from kerasgan3d.checks import check_count


def gradient_step(gan, data):
    """Update the critics and the generator as often as the recipe says; where it is held, only the critics.

    Args:
        gan: The GAN3D.
        data: A step of its ``feed``, as tensors.

    Returns:
        dict of scalars, one per metric of ``gan``.

    Raises:
        ValueError: on a backend that cannot train.
    """
    backend, report = _backend(), {}
    updates = gan.settings["critic_updates"]
    early = 0 if not gan.judged else updates if gan.generator_held else updates - 1
    for i in range(early):
        report |= _update_critics(gan, backend, data, i, backend.without_gradients(lambda i=i: _views(gan, data, i)))
    for i in range(early, early + (0 if gan.generator_held else gan.settings["generator_updates"])):
        with backend.recording() as tape:
            volumes = gan.generate(data["latents"][i])
            fakes = gan.views(volumes, *_places(data, i))
            if i == early and gan.judged:
                # The critics learn from the volumes that the generator then learns from: one pass instead of two.
                with backend.paused(tape):
                    report |= _update_critics(gan, backend, data, i, [ops.stop_gradient(fake) for fake in fakes])
            total, found = gan.generators_loss(volumes, fakes)
        report |= found
        backend.update(tape, total, gan.learning_variables, gan.generator_optimizer, gan.tie)
    return report


def across_devices(values):
    """The mean over the devices that train together; what was given where there is one."""
    return _backend().across_devices(values)


def without_gradients(function):
    """What a function returns, computed without keeping what gradients would need."""
    return _backend().without_gradients(function)


def device_strategy(devices):
    """What makes several devices train as one.

    Args:
        devices: How many: GPUs where there are any, else the processor's logical devices. None or 1 is one device.

    Returns:
        A ``tf.distribute.MirroredStrategy``, or None for one device.

    Raises:
        ValueError: if there are fewer, or the backend cannot do it.
    """
    if devices is not None:
        check_count(devices, "devices")
    return None if devices in (None, 1) else _backend().strategy(devices)


def prepare_for_devices(gan):
    """Let what is not trained by gradients (averages, statistics) be updated on all devices alike."""
    _backend().prepare(gan)


def _views(gan, data, i):
    return gan.views(gan.generate(data["latents"][i]), *_places(data, i))


def _places(data, i):
    """Where critics look at the generated volumes of a pass."""
    return (data["picks"][i], data["corners"][i]) if "corners" in data else (data["picks"][i],)


def _update_critics(gan, backend, data, i, fakes):
    settings = gan.settings
    reals = gan.reals(data, i)
    gan.before_critics_update()
    with backend.recording() as tape:
        total, report = gan.critics_loss(reals, fakes)
        if settings["r1"]:
            every = settings["r1_every"]
            due = ops.equal(ops.cast(gan.critic_optimizer.iterations, "int32") % every, 0)
            penalty = backend.where_due(due, every, lambda: gan.r1_penalty(reals, backend.gradient))
            total, report["r1"] = total + settings["r1"] / 2 * penalty, penalty
        if settings["gradient_penalty"]:
            mix = [part[i] for part in data["mix"]]
            penalty = gan.interpolation_penalty(reals, fakes, mix, backend.gradient)
            total, report["gradient_penalty"] = total + settings["gradient_penalty"] * penalty, penalty
    backend.update(tape, total, gan.critic_variables, gan.critic_optimizer)
    return report


def _backend():
    name = keras.backend.backend()
    if name not in _BACKENDS:
        raise ValueError(
            f"training needs the TensorFlow or the torch backend of Keras. Received: {name!r}. "
            "Set the environment variable KERAS_BACKEND to tensorflow or torch."
        )
    return _BACKENDS[name]


class _TensorFlow:
    @staticmethod
    def recording():
        import tensorflow as tf

        return tf.GradientTape()

    @staticmethod
    def paused(tape):
        return tape.stop_recording()

    @staticmethod
    def without_gradients(function):
        return function()

    @staticmethod
    def gradient(function, x):
        """The gradient of the sum of a function's values, through which gradients can be taken again."""
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_sum(function(x))
        return tape.gradient(total, x)

    @staticmethod
    def where_due(due, every, penalty):
        import tensorflow as tf

        if every == 1:
            return penalty()
        return every * tf.cond(due, penalty, lambda: tf.zeros(()))

    @staticmethod
    def update(tape, loss, variables, optimizer, tie=list):
        import tensorflow as tf

        # Optimizers add up the gradients of the devices.
        devices = tf.distribute.get_strategy().num_replicas_in_sync
        share = None if devices == 1 else tf.ones_like(loss) / devices
        optimizer.apply(tie(tape.gradient(loss, variables, output_gradients=share)), variables)

    @staticmethod
    def across_devices(values):
        import tensorflow as tf

        context = tf.distribute.get_replica_context()
        if context is None or context.num_replicas_in_sync == 1:
            return values
        return context.all_reduce(tf.distribute.ReduceOp.MEAN, values)

    @staticmethod
    def strategy(devices):
        import tensorflow as tf

        found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        if len(found) < devices:
            raise ValueError(f"`devices` must be at most the {len(found)} that TensorFlow sees. Received: {devices}.")
        # Collective operations of independent updates may meet in another order on each device, and then abort.
        reduction = tf.distribute.ReductionToOneDevice()
        return tf.distribute.MirroredStrategy([device.name for device in found[:devices]], reduction)

    @staticmethod
    def prepare(gan):
        import tensorflow as tf

        trained = {id(variable) for variable in (*gan.generator.trainable_variables, *gan.critic_variables)}
        for _, variable in gan.state():
            if id(variable) not in trained:
                # Every device computes the same value: that of the first is everybody's.
                variable.value._aggregation = tf.VariableAggregation.ONLY_FIRST_REPLICA


class _Torch:
    @staticmethod
    def recording():
        return contextlib.nullcontext()

    @staticmethod
    def paused(tape):
        return contextlib.nullcontext()

    @staticmethod
    def without_gradients(function):
        import torch  # pyright: ignore[reportMissingImports]

        with torch.no_grad():
            return function()

    @staticmethod
    def gradient(function, x):
        import torch  # pyright: ignore[reportMissingImports]

        x = x.detach().requires_grad_(True)
        return torch.autograd.grad(function(x).sum(), x, create_graph=True)[0]

    @staticmethod
    def where_due(due, every, penalty):
        return every * penalty() if bool(due) else ops.zeros(())

    @staticmethod
    def update(tape, loss, variables, optimizer, tie=list):
        import torch  # pyright: ignore[reportMissingImports]

        gradients = torch.autograd.grad(loss, [variable.value for variable in variables])
        with torch.no_grad():
            optimizer.apply(tie(gradients), variables)

    @staticmethod
    def across_devices(values):
        return values

    @staticmethod
    def strategy(devices):
        raise ValueError(
            f"`devices` must be 1 on the torch backend of Keras. Received: {devices}. Several need TensorFlow."
        )


_BACKENDS = {"tensorflow": _TensorFlow, "torch": _Torch}
