"""Where networks can be used: not in a fork of a process that used them, and for training not in any mode of Keras."""

import os

import keras

_state = {"used": False, "forked": False}


def check_process() -> None:
    """Check that this process can compute with networks, before one is made or used.

    Raises:
        RuntimeError: if it was forked from one that did, whose threads did not come along: it would wait for them.
    """
    if _state["forked"]:
        raise RuntimeError(
            "networks were used before this process was forked, and would hang in it. Start processes anew: "
            "multiprocessing.get_context('spawn'), or ProcessPoolExecutor(mp_context=...) of it."
        )
    _state["used"] = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _state.update(forked=_state["used"]))


def check_settings() -> None:
    """Check that Keras is set to what training takes for granted. Sampling does not depend on it.

    Raises:
        ValueError: if ``floatx`` or ``image_data_format`` is another.
    """
    for name, expected in (("floatx", "float32"), ("image_data_format", "channels_last")):
        found = getattr(keras.config, name)()
        if found != expected:
            raise ValueError(
                f"Keras's `{name}` must be {expected!r} for training. Received: {found!r}. Set it with "
                f"keras.config.set_{name}({expected!r}), or in keras.json."
            )
