"""The only backend-specific module: gradients, conditional work, several devices, precision."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
from keras import ops

from kerasgan3d.checks import check_count


class Backend:
    """Operations of TensorFlow or torch that training needs beyond ``keras.ops``; see ``backend``."""

    def recording(self, *watched: Any) -> contextlib.AbstractContextManager[Any]:
        """Return a context that records computations on variables and watched tensors, for ``gradients``."""
        raise NotImplementedError

    def leaf(self, x: Any) -> Any:
        """Return a tensor of the same values at which gradients can be taken, but through which none flow."""
        raise NotImplementedError

    def gradients(
        self, tape: Any, targets: Sequence[Any], sources: Sequence[Any], upstream: Sequence[Any]
    ) -> list[Any]:
        """Return the gradients of targets with respect to sources (variables or tensors), given ``upstream``."""
        raise NotImplementedError

    def slopes(self, function: Callable[[Any], Any], x: Any) -> Any:
        """Return the gradient of the sum of a function's values, itself differentiable."""
        raise NotImplementedError

    def where_due(self, due: Any, function: Callable[[], list[Any]], variables: Sequence[Any]) -> list[Any]:
        """Return a function's result, one tensor per variable, where ``due`` is true; zeros otherwise."""
        raise NotImplementedError

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function compiled for many calls with tensors of the same shapes."""
        raise NotImplementedError

    def without_gradients(self, function: Callable[[], Any]) -> Any:
        """Return a function's result, computed without recording anything for gradients."""
        raise NotImplementedError

    def apply(self, optimizer: Any, gradients: Sequence[Any], variables: Sequence[Any]) -> None:
        """Apply an optimizer to variables with their gradients."""
        raise NotImplementedError

    def rolled(self, volumes: Any, shift: Any) -> Any:
        """Return volumes (batch, z, y, x, phases) rolled by (3,) voxels."""
        raise NotImplementedError

    def strategy(self, devices: int) -> Any:
        """Return a strategy that trains on several devices as one."""
        raise NotImplementedError

    def share_between_devices(self, variables: Sequence[Any], means: Sequence[Any] = ()) -> None:
        """Keep variables without gradients equal on all devices: ``means`` at the mean of what each assigns."""


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

        # On a CPU, XLA makes 3D convolutions 10 to 100 times slower. A graph computes only what it needs.
        return tf.function(function, jit_compile=False, autograph=False)

    def without_gradients(self, function):
        return function()

    def apply(self, optimizer, gradients, variables):
        import tensorflow as tf

        # Optimizers sum the gradients over devices.
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
        # Collective operations of independent updates may run in a different order on each device, and then abort.
        reduction = tf.distribute.ReductionToOneDevice()
        return tf.distribute.MirroredStrategy([device.name for device in found[:devices]], reduction)

    def share_between_devices(self, variables, means=()):
        import tensorflow as tf

        for variable in variables:
            # Every device computes the same value, or its own where it is random; all take that of the first.
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
    """Return the operations of the active Keras backend.

    Raises:
        ValueError: if the backend cannot train.
    """
    name = keras.backend.backend()
    if name not in _BACKENDS:
        raise ValueError(
            f"training needs the TensorFlow or the torch backend of Keras. Received: {name!r}. "
            "Set the environment variable KERAS_BACKEND to tensorflow or torch."
        )
    return _BACKENDS[name]


def name() -> str:
    """Return the name of the active Keras backend."""
    return keras.backend.backend()


def gpus() -> list[str]:
    """Return the names of the GPUs that TensorFlow or torch sees; an empty list on another backend."""
    if name() == "tensorflow":
        import tensorflow as tf

        details = tf.config.experimental.get_device_details
        return [details(gpu).get("device_name", gpu.name) for gpu in tf.config.list_physical_devices("GPU")]
    if name() == "torch":
        import torch  # pyright: ignore[reportMissingImports]

        return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return []


def device_strategy(devices: int | None) -> Any:
    """Return a strategy that trains on several devices as one.

    Args:
        devices: Number of devices: GPUs where there are any, else logical devices of the CPU. None or 1 is one device.

    Returns:
        A ``tf.distribute.MirroredStrategy``, or None for one device.

    Raises:
        ValueError: if there are fewer devices, or the backend supports only one.
    """
    if devices is not None:
        check_count(devices, "devices")
    return None if devices in (None, 1) else backend().strategy(devices)


def precision_of(wanted: str) -> str:
    """Return "float32" or "mixed_bfloat16": the requested precision, or for "auto" the faster one on this machine.

    bfloat16 is faster where TensorFlow's convolutions have instructions for it: on CPUs with AMX or AVX-512 BF16, and
    on GPUs of compute capability 8.0 or above.
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
