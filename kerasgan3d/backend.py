"""The one file that is specific to a backend: gradients, conditional work, several devices, precision."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
from keras import ops

from kerasgan3d.checks import check_count


class Backend:
    """What training needs of TensorFlow or torch beyond ``keras.ops``; see ``backend``."""

    def recording(self, *watched: Any) -> contextlib.AbstractContextManager[Any]:
        """Return a context that records what is computed from variables and watched tensors, for ``gradients``."""
        raise NotImplementedError

    def leaf(self, x: Any) -> Any:
        """Return a tensor of the same values that gradients are taken of, but not passed through."""
        raise NotImplementedError

    def gradients(
        self, tape: Any, targets: Sequence[Any], sources: Sequence[Any], upstream: Sequence[Any]
    ) -> list[Any]:
        """Return the gradients of targets at sources, variables or tensors, given those at the targets."""
        raise NotImplementedError

    def slopes(self, function: Callable[[Any], Any], x: Any) -> Any:
        """Return the gradient of the sum of a function's values, through which gradients can be taken again."""
        raise NotImplementedError

    def where_due(self, due: Any, function: Callable[[], list[Any]], variables: Sequence[Any]) -> list[Any]:
        """Return what a function gives, one tensor per variable, where it is due; else zeros."""
        raise NotImplementedError

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function of tensors that is worth being called often, always with the same shapes."""
        raise NotImplementedError

    def without_gradients(self, function: Callable[[], Any]) -> Any:
        """Return what a function returns, computed without keeping what gradients would need."""
        raise NotImplementedError

    def apply(self, optimizer: Any, gradients: Sequence[Any], variables: Sequence[Any]) -> None:
        """Apply an optimizer."""
        raise NotImplementedError

    def rolled(self, volumes: Any, shift: Any) -> Any:
        """Return volumes (batch, z, y, x, phases) rolled by (3,) voxels."""
        raise NotImplementedError

    def strategy(self, devices: int) -> Any:
        """Return what makes several devices train as one."""
        raise NotImplementedError

    def share_between_devices(self, variables: Sequence[Any], means: Sequence[Any] = ()) -> None:
        """Update what is not trained by gradients on all devices alike: ``means`` to the mean of what each assigns."""


class _TensorFlow(Backend):
    def recording(self, *watched):
        import tensorflow as tf

        @contextlib.contextmanager
        def context():
            with tf.GradientTape(watch_accessed_variables=True) as tape:
                for x in watched:
                    tape.watch(x)
                yield tape

        return context()

    def leaf(self, x):
        return ops.stop_gradient(x)

    def gradients(self, tape, targets, sources, upstream):
        places = [source.value if isinstance(source, keras.Variable) else source for source in sources]
        return tape.gradient(list(targets), places, output_gradients=list(upstream))

    def slopes(self, function, x):
        import tensorflow as tf

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            total = tf.reduce_sum(function(x))
        return tape.gradient(total, x)

    def where_due(self, due, function, variables):
        import tensorflow as tf

        return tf.cond(due, function, lambda: [tf.zeros(v.shape, v.dtype) for v in variables])

    def compiled(self, function):
        import tensorflow as tf

        # On a CPU, XLA makes 3D convolutions 10 to 100 times slower. What a graph does not need it does not compute.
        return tf.function(function, jit_compile=False, autograph=False)

    def without_gradients(self, function):
        return function()

    def apply(self, optimizer, gradients, variables):
        import tensorflow as tf

        # Optimizers add up the gradients of the devices.
        devices = tf.distribute.get_strategy().num_replicas_in_sync
        optimizer.apply([gradient / devices for gradient in gradients] if devices > 1 else gradients, variables)

    def rolled(self, volumes, shift):
        import tensorflow as tf

        return tf.roll(volumes, shift, (1, 2, 3))

    def strategy(self, devices):
        import tensorflow as tf

        found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        if len(found) < devices:
            raise ValueError(f"`devices` must be at most the {len(found)} that TensorFlow sees. Received: {devices}.")
        # Collective operations of independent updates may meet in another order on each device, and then abort.
        reduction = tf.distribute.ReductionToOneDevice()
        return tf.distribute.MirroredStrategy([device.name for device in found[:devices]], reduction)

    def share_between_devices(self, variables, means=()):
        import tensorflow as tf

        for variable in variables:
            # Every device computes the same value, or its own of what is random: that of the first is everybody's.
            variable.value._aggregation = tf.VariableAggregation.ONLY_FIRST_REPLICA
        for variable in means:
            variable.value._aggregation = tf.VariableAggregation.MEAN


class _Torch(Backend):
    def recording(self, *watched):
        return contextlib.nullcontext()

    def leaf(self, x):
        return x.detach().requires_grad_(True)

    def gradients(self, tape, targets, sources, upstream):
        import torch  # pyright: ignore[reportMissingImports]

        places = [source.value if isinstance(source, keras.Variable) else source for source in sources]
        pairs = zip(upstream, targets, strict=True)
        known = [ops.convert_to_tensor(gradient, target.dtype) for gradient, target in pairs]
        return list(torch.autograd.grad(list(targets), places, known, retain_graph=True, allow_unused=True))

    def slopes(self, function, x):
        import torch  # pyright: ignore[reportMissingImports]

        x = x.detach().requires_grad_(True)
        return torch.autograd.grad(function(x).sum(), x, create_graph=True)[0]

    def where_due(self, due, function, variables):
        return function() if bool(due) else [ops.zeros(v.shape, v.dtype) for v in variables]

    def compiled(self, function):
        return function

    def without_gradients(self, function):
        import torch  # pyright: ignore[reportMissingImports]

        with torch.no_grad():
            return function()

    def apply(self, optimizer, gradients, variables):
        import torch  # pyright: ignore[reportMissingImports]

        with torch.no_grad():
            optimizer.apply(gradients, variables)

    def rolled(self, volumes, shift):
        return ops.roll(volumes, [int(n) for n in shift], axis=(1, 2, 3))

    def strategy(self, devices):
        raise ValueError(
            f"`devices` must be 1 on the torch backend of Keras. Received: {devices}. Several need TensorFlow."
        )


_BACKENDS = {"tensorflow": _TensorFlow(), "torch": _Torch()}


def backend() -> Backend:
    """Return what trains on Keras's backend of now.

    Raises:
        ValueError: if it cannot train.
    """
    name = keras.backend.backend()
    if name not in _BACKENDS:
        raise ValueError(
            f"training needs the TensorFlow or the torch backend of Keras. Received: {name!r}. "
            "Set the environment variable KERAS_BACKEND to tensorflow or torch."
        )
    return _BACKENDS[name]


def name() -> str:
    """Return the name of Keras's backend."""
    return keras.backend.backend()


def gpus() -> list[str]:
    """Return the names of the GPUs that Keras's backend sees, TensorFlow or torch; none on another."""
    if name() == "tensorflow":
        import tensorflow as tf

        details = tf.config.experimental.get_device_details
        return [details(gpu).get("device_name", gpu.name) for gpu in tf.config.list_physical_devices("GPU")]
    if name() == "torch":
        import torch  # pyright: ignore[reportMissingImports]

        return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return []


def device_strategy(devices: int | None) -> Any:
    """Return what makes several devices train as one.

    Args:
        devices: How many: GPUs where there are any, else the processor's logical devices. None or 1 is one device.

    Returns:
        A ``tf.distribute.MirroredStrategy``, or None for one device.

    Raises:
        ValueError: if there are fewer, or the backend cannot do it.
    """
    if devices is not None:
        check_count(devices, "devices")
    return None if devices in (None, 1) else backend().strategy(devices)


def precision_of(wanted: str) -> str:
    """Return "float32" or "mixed_bfloat16": what is wanted, or for "auto" what is faster here.

    bfloat16 is faster where TensorFlow's convolutions have instructions for it: on processors with AMX or AVX-512 BF16,
    and on GPUs from compute capability 8.0 on.
    """
    if wanted != "auto" or keras.backend.backend() != "tensorflow":
        return "float32" if wanted == "auto" else wanted
    import tensorflow as tf

    if gpus := tf.config.list_physical_devices("GPU"):
        capability = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0))
        return "mixed_bfloat16" if tuple(capability) >= (8, 0) else "float32"
    try:
        flags = set(Path("/proc/cpuinfo").read_text("utf-8", "replace").split())
    except OSError:
        flags = set()
    return "mixed_bfloat16" if flags & {"amx_bf16", "avx512_bf16"} else "float32"
