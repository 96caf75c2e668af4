"""Conversion of volume files: other formats, cropping, resampling, names of phases."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from kerasgan3d.checks import box_window, check_periodic
from kerasgan3d.io._common import FileError, Phases, StrPath, about
from kerasgan3d.io._itk import raw_path
from kerasgan3d.io.formats import STREAM_SUFFIXES
from kerasgan3d.io.lazy import LazyArray
from kerasgan3d.io.reading import open_labels, open_path
from kerasgan3d.io.resampling import resampled_volume
from kerasgan3d.io.streaming import BLOCK, VolumeWriter, blocks
from kerasgan3d.io.volume import VolumeRecord
from kerasgan3d.io.writing import check_writable

_IN_MEMORY = 2**29  # bytes
_PART = 2**27  # voxels that are read and written at once if the volume stays in its file


def convert(
    source: StrPath,
    target: StrPath,
    *,
    crop: Sequence[Sequence[int] | None] | None = None,
    resample_to: float | None = None,
    phases: Phases = None,
    mapping: Mapping[int, str] | None = None,
    tolerance: int | None = None,
    voxel_size: float | None = None,
    shape: Sequence[int] | None = None,
    dtype: DTypeLike | None = None,
    fill_gaps: bool = False,
    overwrite: bool = True,
) -> VolumeRecord:
    """Convert a volume of any readable format to another format.

    Volumes larger than memory are written to .zarr and .tif part by part.

    Args:
        source: A path as for `Volume.load`.
        target: The output file; its suffix determines the format.
        crop: The sub-volume to keep, before resampling: one (start, stop) in voxels or None per axis z, y, x.
        resample_to: Edge of the new voxels in µm. Each takes the label of the voxel that contains its centre; the old
            ones need not be cubes.
        phases, mapping, tolerance, voxel_size, shape, dtype, fill_gaps: As for `Volume.load`.
        overwrite: Whether an existing file may be replaced.

    Returns:
        The VolumeRecord of the written volume.

    Raises:
        FileNotFoundError, OSError: if there is nothing to read, or the output cannot be written.
        ValueError: as for `Volume.load`, if the box does not fit, or the voxel size is unknown where it is needed.
    """
    target = check_writable(target, overwrite=overwrite)
    source = raw_path(source, shape, dtype)
    given = {"in_memory": _IN_MEMORY, "cubic": resample_to is None, "tolerance": tolerance, "fill_gaps": fill_gaps}
    found = open_labels(source, phases, mapping, voxel_size, **given)
    (labels,), (spacing,) = found.images, found.spacings
    metadata = open_path(source, fill_gaps)[1]
    if labels.ndim != 3:
        raise FileError(f"{source} must hold a 3D volume to be written. Received: an image of {labels.shape}.")
    with about(source):
        periodic = check_periodic(metadata.get("periodic", False))
        provenance: dict[str, Any] = metadata.get("provenance", {"file": Path(os.fspath(source)).name})
        size, steps = None if spacing is None else spacing[2], []
        if crop is not None:
            window = box_window(crop, labels.shape)
            whole = [part.stop - part.start == n for part, n in zip(window, labels.shape, strict=True)]
            periodic = tuple(p and w for p, w in zip(periodic, whole, strict=True))
            labels = _window(labels, window)
            steps.append({"crop": [[part.start, part.stop] for part in window]})
        if resample_to is not None:
            labels, size, periodic = resampled_volume(labels, spacing, resample_to, periodic)
            steps.append({"resample": size})
    if steps:
        before = provenance.get("history", [])
        provenance = {**provenance, "history": [*(before if isinstance(before, list) else [before]), *steps]}
    record = VolumeRecord(tuple(labels.shape), found.phase_map.names, size, periodic, provenance)
    _write(labels, record, target, overwrite)
    return record


def _window(labels, window):
    if isinstance(labels, np.ndarray):
        return labels[window]
    return labels.take([np.arange(part.start, part.stop) for part in window])


def _write(labels, record, target, overwrite):
    if not isinstance(labels, LazyArray) or target.suffix.lower() not in STREAM_SUFFIXES:
        record.volume(np.asarray(labels)).save(target, overwrite=overwrite)
        return
    writer = VolumeWriter(target, record, resume=False, overwrite=overwrite)
    depth, width = BLOCK, record.shape[2]
    height = max(1, _PART // (depth * width) // BLOCK) * BLOCK
    for start, lengths in blocks(record.shape, (depth, height, width)):
        window = tuple(slice(a, a + n) for a, n in zip(start, lengths, strict=True))
        writer.write(start, labels[window])
    writer.finish()
