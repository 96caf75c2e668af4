"""State of a run: everything that training changes, in one file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from keras import ops

from kerasgan3d.files import replacing

_DIGEST, _EXTRA = "digest", "extra "


def save_state(path: str | os.PathLike[str], variables: Sequence[Any], **extra: Any) -> None:
    """Write variables, numbers and texts with their digest to an uncompressed .npz, completely or not at all."""
    arrays = {f"{i:04d} {v.path}": np.asarray(ops.convert_to_numpy(v.value)) for i, v in enumerate(variables)}
    arrays |= {_EXTRA + key: np.asarray(value) for key, value in extra.items()}
    with replacing(Path(path)) as temporary, temporary.open("wb") as file:
        named: dict[str, Any] = {**arrays, _DIGEST: np.asarray(_digest(arrays))}
        np.savez(file, **named)
        file.flush()
        os.fsync(file.fileno())


def load_state(path: str | os.PathLike[str], variables: Sequence[Any]) -> dict[str, Any]:
    """Restore variables that ``save_state`` wrote; return the numbers and texts.

    Raises:
        ValueError: if the file is damaged or belongs to another model.
    """
    arrays = read_state(path)
    extra = {name.removeprefix(_EXTRA): arrays.pop(name) for name in list(arrays) if name.startswith(_EXTRA)}
    # By order, not by name: names depend on how many models the process made before.
    values = [arrays[name] for name in sorted(arrays)]
    if [tuple(v.shape) for v in variables] != [value.shape for value in values]:
        raise ValueError(f"{path} holds the state of another model or recipe.")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    return extra


def read_state(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Return the arrays that ``save_state`` wrote, by name.

    Raises:
        ValueError: if the file is damaged.
    """
    with open(path, "rb") as stream:
        try:
            with np.load(stream, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
        except Exception as error:  # damaged archives and arrays raise many kinds of errors
            raise ValueError(f"{path} is damaged: {error}. {_ADVICE}") from error
    digest = arrays.pop(_DIGEST, None)
    if digest is None or str(digest) != _digest(arrays):
        raise ValueError(f"{path} is damaged: its content does not match its digest. {_ADVICE}")
    return arrays


_ADVICE = "The generator in best/ is not touched; start afresh with `resume=False` or in another folder."


def _digest(arrays):
    total = hashlib.sha256()
    for name in sorted(arrays):
        total.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
        total.update(np.ascontiguousarray(arrays[name]).data)
    return total.hexdigest()
