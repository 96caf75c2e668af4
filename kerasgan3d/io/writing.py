"""Atomic writing of labels and probabilities."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasgan3d.checks import check_voxel_size
from kerasgan3d.io._common import StrPath
from kerasgan3d.io.formats import PROBABILITY_SUFFIXES, SUFFIXES, ability, format_of
from kerasgan3d.phases import PhaseMap


def write_labels(path: StrPath, labels: np.ndarray, record: dict[str, Any], *, overwrite: bool = True) -> None:
    """Write labels and the record of all other facts, completely or not at all.

    Args:
        path: The output file; its suffix determines the format, see `kerasgan3d.io.formats`.
        labels: uint8 array (z, y, x).
        record: Result of `VolumeRecord.to_json`.
        overwrite: Whether an existing file may be replaced.

    Raises:
        ValueError, OSError: as for `check_writable`, or if the disk is full.
    """
    path = check_writable(path, overwrite=overwrite)
    ability(path, "write")(path, labels, record)


def write_probabilities(
    probabilities: np.ndarray,
    path: StrPath,
    phases: Iterable[str] | PhaseMap,
    voxel_size: float | None = None,
    *,
    overwrite: bool = True,
) -> None:
    """Write the probability of every phase in every voxel, completely or not at all.

    Args:
        probabilities: Floating-point array (z, y, x, n), values 0 to 1; it is stored as float32.
        path: .tif or .tiff (a stack (z, channel, y, x) for ImageJ, one channel per phase), or .npy (z, y, x, n).
        phases: The n phase names, or a PhaseMap.
        voxel_size: Edge of a voxel in µm, or None where it is unknown.
        overwrite: Whether an existing file may be replaced.

    Raises:
        ValueError: if the array has another type or shape, or the suffix is unknown.
        OSError: as for `check_writable`.
    """
    probabilities = np.asarray(probabilities)
    names = PhaseMap(phases).names
    voxel_size = check_voxel_size(voxel_size)
    if probabilities.ndim != 4 or probabilities.dtype.kind != "f" or 0 in probabilities.shape:
        raise ValueError(
            f"Probabilities must be a floating-point array (z, y, x, n). Received: {probabilities.dtype} "
            f"{probabilities.shape}."
        )
    if probabilities.shape[-1] != len(names):
        raise ValueError(
            f"There must be one name per channel. Received: {probabilities.shape[-1]} channels and {len(names)} names "
            f"({', '.join(names)})."
        )
    lowest, highest = float(probabilities.min()), float(probabilities.max())
    if not (lowest >= -1e-3 and highest <= 1 + 1e-3):
        raise ValueError(f"Probabilities must lie in 0 to 1. Received: {lowest:g} to {highest:g}.")
    path = check_writable(path, overwrite=overwrite, suffixes=PROBABILITY_SUFFIXES)
    record = {
        "version": 1,
        "kind": "probabilities",
        "shape": list(probabilities.shape),
        "phases": list(names),
        "voxel_size": voxel_size,
    }
    ability(path, "write_probabilities")(path, probabilities.astype(np.float32, copy=False), record)


def check_writable(path: StrPath, *, overwrite: bool = True, suffixes: Sequence[str] = SUFFIXES) -> Path:
    """Check that a file can be written, without writing it, so that no long work is lost.

    Args:
        path: The output file or .zarr folder.
        overwrite: Whether an existing one may be replaced.
        suffixes: Allowed suffixes; `PROBABILITY_SUFFIXES` for `write_probabilities`.

    Returns:
        The path as a pathlib.Path.

    Raises:
        ValueError: if the suffix is unknown.
        FileNotFoundError: if the folder does not exist.
        FileExistsError: if the path exists and may not be replaced.
        OSError: if something else prevents writing: a folder at the path of a file, no permission ...
    """
    path = Path(path)
    if path.suffix.lower() not in suffixes:
        raise ValueError(f"The file to write must end in one of {', '.join(suffixes)}. Received: {path}")
    folder = path.parent
    if not folder.exists():
        raise FileNotFoundError(f"The folder to write to must exist; make it first. Received: {folder}")
    if not folder.is_dir():
        raise NotADirectoryError(f"The place to write to must be a folder. Received: {folder}, a file")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists already. Choose another name, or allow it to be overwritten.")
    row = format_of(path)
    if row is not None and row.is_folder:
        if path.exists() and not row.is_folder(path):
            kind = row.suffixes[0].lstrip(".").capitalize()
            raise FileExistsError(f"{path} must be a {kind} folder to be replaced. It is something else: move it away.")
    elif path.is_dir():
        raise IsADirectoryError(f"The file to write must not be a folder. Received: {path}")
    if path.exists() and not os.access(path, os.W_OK):
        raise PermissionError(f"There must be permission to replace the file. Received: {path}, which is read-only")
    try:
        # Permission bits do not tell everything (read-only disks, quotas, network folders): try to write.
        with tempfile.TemporaryFile(dir=path.resolve().parent):
            pass
    except OSError as error:
        kind = PermissionError if isinstance(error, PermissionError) else OSError
        raise kind(f"It must be possible to write to the folder {folder}. Received: {error.strerror}") from error
    return path
