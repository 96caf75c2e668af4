"""Checks that networks can be used: in this process, and for training with Keras's current settings."""

import os

import keras

_state = {"used": False, "forked": False}


def check_process() -> None:
    """Check that this process can compute with networks, before one is made or used.

    Raises:
        RuntimeError: if it was forked from a process that used networks: it lacks that process's threads and would
            wait for them.
    """
    if _state["forked"]:
        raise RuntimeError(
            "networks were used before this process was forked, and would hang in it. Start processes anew: "
            "multiprocessing.get_context('spawn'), or pass that context as ProcessPoolExecutor(mp_context=...)."
        )
    _state["used"] = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _state.update(forked=_state["used"]))


def check_settings() -> None:
    """Check that Keras has the settings that training relies on. Sampling does not depend on them.

    Raises:
        ValueError: if ``floatx`` or ``image_data_format`` has another value.
    """
    for name, expected in (("floatx", "float32"), ("image_data_format", "channels_last")):
        found = getattr(keras.config, name)()
        if found != expected:
            raise ValueError(
                f"Keras's `{name}` must be {expected!r} for training. Received: {found!r}. Set it with "
                f"keras.config.set_{name}({expected!r}), or in keras.json."
            )
