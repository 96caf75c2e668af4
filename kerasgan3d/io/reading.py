"""Reading labels and grey values: at once, or window by window."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kerasgan3d.checks import check_integer, check_voxel_size
from kerasgan3d.io._common import FileError, Opened, Phases, StrPath, about
from kerasgan3d.io.formats import open_file, split_dataset
from kerasgan3d.io.lazy import LazyArray, lazy, windows
from kerasgan3d.phases import PhaseMap, value_counts

_REPRESENTATIVES = 1_000_000
_SHOWN = 8


class LabelImage(NamedTuple):
    """A segmented image for training.

    Attributes:
        labels: uint8 (y, x) or (z, y, x), values 0 to n - 1.
        phase_map: the PhaseMap from the file's grey values to the labels.
        voxel_size: edge of a voxel in µm, or None where it is unknown.
    """

    labels: np.ndarray
    phase_map: PhaseMap
    voxel_size: float | None


class LabelImages(NamedTuple):
    """Segmented images of one material, all with the same phases.

    Attributes:
        images: labels of each, uint8 (y, x) or (z, y, x), in memory or as a `LazyArray`.
        phase_map: the PhaseMap from the files' grey values to the labels.
        spacings: for each image the edges of its voxels along z, y and x in µm, or None where they are unknown.
        filled: for each image the planes along z that are missing and filled.
    """

    images: tuple[np.ndarray | LazyArray, ...]
    phase_map: PhaseMap
    spacings: tuple[tuple | None, ...]
    filled: tuple[tuple[int, ...], ...] = ()


def read_labels(
    path: StrPath,
    phases: Phases = None,
    mapping: Mapping[int, str] | None = None,
    voxel_size: float | None = None,
    tolerance: int | None = None,
    *,
    fill_gaps: bool = False,
) -> LabelImage:
    """Read a segmented image for training: a volume, or one 2D slice.

    Arguments and errors are those of `kerasgan3d.io.read`, except that 2D images are accepted.

    Returns:
        A LabelImage: labels, phase map and voxel size.
    """
    return read_segmented(path, phases, mapping, voxel_size, tolerance, fill_gaps)[0]


def open_labels(
    paths: StrPath | Sequence[StrPath],
    phases: Phases = None,
    mapping: Mapping[int, str] | None = None,
    voxel_size: float | None = None,
    *,
    in_memory: int = 2**31,
    cubic: bool = True,
    tolerance: int | None = None,
    fill_gaps: bool = False,
) -> LabelImages:
    """Open segmented images for training; large ones stay in their files, and crops are read on demand.

    All values are checked here, block by block, whether an image stays in its file or not. TIFF files that are
    compressed in one piece, and VTI files, are always read.

    Args:
        paths: A path as for `kerasgan3d.io.read`, or a sequence of them: images of one material.
        phases, mapping, voxel_size: As for `kerasgan3d.io.read`, for all images.
        in_memory: Bytes; where all images together take more, they stay in their files.
        cubic: Whether voxels must be cubes.
        tolerance, fill_gaps: As for `kerasgan3d.io.read`.

    Returns:
        LabelImages.

    Raises:
        FileNotFoundError, OSError: as for `read`.
        ValueError: as for `read`, or if there are no images.
    """
    paths = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if not paths:
        raise ValueError("There must be an image to read. Received: none.")
    voxel_size = check_voxel_size(voxel_size)
    opened = [(*_open_settled(path, mapping, tolerance, fill_gaps), path) for path in paths]
    filled = tuple(_told_filled(found, path) for found, _, path in opened)
    spacings = tuple(voxel_edges(path, metadata, voxel_size, cubic=cubic) for _, metadata, path in opened)
    stays = sum(bytes_of(found.array) for found, _, _ in opened) > in_memory
    if not stays:
        opened = [(found._replace(array=_whole(found, path)), metadata, path) for found, metadata, path in opened]
    name = paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
    with about(name, next((found.hint for found, _, _ in opened if found.hint), None)):
        phase_map = common_phases(opened, phases, mapping)
    images = []
    for found, _, path in opened:
        with about(path, found.hint):
            stored = stored_labels(found.array, phase_map, path, tolerance, fill_gaps) if stays else None
            images.append(phase_map.encode(found.array) if stored is None else stored)
    return LabelImages(tuple(images), phase_map, spacings, filled)


def read_image(path: StrPath) -> tuple[np.ndarray, float | None, dict[str, Any]]:
    """Read an integer image with its original grey values.

    Args:
        path: As for `kerasgan3d.io.read`.

    Returns:
        The array (y, x) or (z, y, x), integer or boolean; the voxel size in µm, or None where the file does not state
        it or its voxels are not cubes; and a dict of other metadata: "spacing", the voxel's edges along z, y and x in
        µm; "ratio", the same without a unit, where only that is stated and they differ; and, in files written by
        kerasgan3d, "phases", "voxel_size", "periodic" and "provenance".

    Raises:
        FileNotFoundError, OSError: if there is nothing at `path`, or it may not be read.
        ValueError: if it is not an undamaged 2D or 3D integer image.
    """
    opened, metadata = _open_settled(path)
    with about(path):
        return _whole(opened, path), check_voxel_size(metadata.get("voxel_size")), metadata


def open_image(path: StrPath, *, in_memory: int = 2**31) -> np.ndarray | LazyArray:
    """Open an integer image with its original values; a large one stays in its file, and crops are read on demand.

    Args:
        path: As for `kerasgan3d.io.read`.
        in_memory: Bytes; where the image takes more, it stays in its file.

    Returns:
        An array (y, x) or (z, y, x), or a LazyArray.

    Raises:
        FileNotFoundError, OSError, ValueError: as for `read_image`; or if 0 is white and no value is 0, so that a mask
            would exclude nothing.
    """
    opened = _open_settled(path)[0]
    array = opened.array if bytes_of(opened.array) > in_memory else _whole(opened, path)
    if opened.hint and all(np.all(array[window]) for window in windows(array)):
        raise FileError(f"{path} must hold some 0. Received: none.{opened.hint}")
    return array


def image_shape(path: StrPath, *, fill_gaps: bool = False) -> tuple[int, ...]:
    """Return the shape of an image, (z, y, x) or (y, x), from its header where that states it.

    Args:
        path, fill_gaps: As for `kerasgan3d.io.read`.

    Raises:
        FileNotFoundError, OSError, ValueError: as for `read_image`.
    """
    return tuple(open_path(path, fill_gaps)[0].array.shape)


def source_name(path: StrPath) -> str:
    """Return the name of a file without its folders; for a dataset "scan.h5:/group/dataset"."""
    dataset = split_dataset(os.fspath(path))
    return Path(path).name if dataset is None else f"{Path(dataset[0]).name}:{dataset[1]}"


def read_segmented(path, phases, mapping, voxel_size, tolerance, fill_gaps):
    """Read an image and determine its phases and voxel size: a LabelImage, and other metadata of the file."""
    voxel_size = check_voxel_size(voxel_size)
    opened, metadata = _open_settled(path, mapping, tolerance, fill_gaps)
    _told_filled(opened, path)
    edges = voxel_edges(path, metadata, voxel_size, cubic=True)
    image, voxel_size = _whole(opened, path), None if edges is None else edges[2]
    with about(path, opened.hint):
        phase_map = _known_phases(metadata, phases, mapping) or PhaseMap.infer(image, phases, mapping)
        return LabelImage(phase_map.encode(image), phase_map, voxel_size), metadata


def stored_labels(
    array: Any, phase_map: PhaseMap, path: StrPath, tolerance: int | None = None, fill_gaps: bool = False
) -> LazyArray:
    """Return the labels of an image that stays in its file: a LazyArray that other processes reopen by its path.

    A grey value that belongs to no phase is an error. Tolerance and gaps are those with which the array was opened.
    """

    def encode(block):
        with about(path):
            return phase_map.encode(np.asarray(block))

    again = (_reopened, (os.path.abspath(os.fspath(path)), phase_map, tolerance, fill_gaps))
    return lazy(array).map(encode, np.uint8, reopen=again)


def _reopened(path, phase_map, *given):
    opened = _open_settled(path, dict(zip(phase_map.greys, phase_map.names, strict=True)), *given)[0]
    return stored_labels(opened.array, phase_map, path, *given)


def _open_settled(path, mapping=None, tolerance=None, fill_gaps=False):
    """Open the image at a path; grey values within the tolerance of a phase's become that value, others stay."""
    opened, metadata = open_path(path, fill_gaps)
    if tolerance is None and opened.lossy is None:
        return opened, metadata
    with about(path):
        if tolerance is None or not isinstance(mapping, Mapping):
            raise ValueError(
                f"grey values that {opened.lossy or 'another program'} changed are read only by `mapping`, the grey "
                "value of each phase, and `tolerance`, how far from it values may lie. "
                f"Received: {'no tolerance' if tolerance is None else 'a tolerance without a mapping'}. "
                "Without loss, labels are saved as TIFF or PNG."
            )
        tolerance = check_integer(tolerance, "tolerance", 0)
        greys = sorted(PhaseMap(tuple(mapping.values()), tuple(mapping)).greys)
        nearest = min((b - a for a, b in zip(greys[:-1], greys[1:], strict=True)), default=math.inf)
        if 2 * tolerance >= nearest:
            raise ValueError(
                f"`tolerance` must be less than half of what the nearest grey values differ by, {nearest}. Received: "
                f"{tolerance}."
            )

    def settle(block):
        settled = block.astype(np.result_type(block.dtype, np.int32))
        for grey in greys:
            settled[np.abs(settled - grey) <= tolerance] = grey
        return settled

    array = lazy(opened.array)
    dtype = np.result_type(array.dtype, np.int32)
    return opened._replace(array=array.map(settle, dtype), lossy=None), metadata


def bytes_of(array: Any) -> int:
    """Return the memory that an array would take, in bytes."""
    return math.prod(array.shape) * np.dtype(array.dtype).itemsize


def _whole(opened, path):
    """Read all of an image: an array."""
    array = np.asarray(opened.array)
    if opened.missing is not None:
        _check_complete(path, opened, bool((array == opened.missing).any()))
    return array


def _check_complete(path, opened, missing):
    if missing:
        what = (
            "a volume with missing chunks" if opened.record else f"voxels of {opened.missing}, which is said to be none"
        )
        raise FileError(f"{path} must be complete. Received: {what}. Copy or write it again.")


def _known_phases(metadata, phases, mapping):
    """Return the PhaseMap if it was given or the file states it, else None."""
    if mapping is not None:
        return None
    if isinstance(phases, PhaseMap):
        return phases
    return PhaseMap(metadata["phases"] if phases is None else phases) if "phases" in metadata else None


def common_phases(opened, phases, mapping):
    """Return the PhaseMap of all images, whose values are counted block by block and checked against it.

    Args:
        opened: For each image its `Opened`, other metadata of its file, and its path.
        phases, mapping: As for `kerasgan3d.io.read`.
    """
    known = [_known_phases(metadata, phases, mapping) for _, metadata, _ in opened]
    phase_map = known[0] if known.count(known[0]) == len(known) else None
    if len(opened) == 1 and isinstance(opened[0][0].array, np.ndarray):
        return phase_map or PhaseMap.infer(opened[0][0].array, phases, mapping)
    totals, holder, hints = {}, {}, {}
    for image, _, path in opened:
        found = set()
        for window in windows(image.array):
            values, counts = value_counts(image.array[window])
            for value, count in zip(values.tolist(), counts.tolist(), strict=True):
                totals[value] = totals.get(value, 0) + count
                holder.setdefault(value, path)
            found.update(values.tolist())
        _check_complete(path, image, image.missing in found)
        hints[path] = image.hint
    values = np.array(sorted(totals), np.int64 if max(totals) < 2**63 else np.uint64)
    counts = np.array([totals[value] for value in values.tolist()])
    if phase_map is None and mapping is not None:
        # Values that the mapping does not name are refused below, with exact counts.
        greys = list(mapping) if isinstance(mapping, Mapping) else []
        phase_map = PhaseMap.infer(np.array([v for v in values.tolist() if v in greys], np.int64), phases, mapping)
    elif phase_map is None:
        # The same values with the same frequencies, in a small image.
        shares = np.maximum(1, counts * min(1.0, _REPRESENTATIVES / counts.sum())).astype(np.int64)
        phase_map = PhaseMap.infer(np.repeat(values, shares), phases)
    unknown = [value for value in values.tolist() if value not in phase_map.greys]
    if unknown:
        names = ", ".join(f"{grey} = {name}" for grey, name in zip(phase_map.greys, phase_map.names, strict=True))
        path = holder[unknown[0]]
        raise FileError(
            f"{path}: Every grey value must belong to a phase ({names}). Received: "
            f"{sum(totals[value] for value in unknown)} other voxels, of the values {', '.join(map(str, unknown[:10]))}"
            f"{' and others' if len(unknown) > 10 else ''}. Name these values in `mapping` too, or clean the "
            f"image.{hints[path] or ''}"
        )
    return phase_map


def voxel_edges(path: StrPath, metadata: dict[str, Any], voxel_size: float | None, *, cubic: bool) -> tuple | None:
    """Return the edges of a voxel along z, y, x in µm, or None where they are unknown."""
    size = metadata.get("voxel_size") if voxel_size is None else voxel_size
    if voxel_size is not None:
        _say_what_wins(path, metadata, voxel_size)
    if size is not None:
        with about(path):
            return (check_voxel_size(size),) * 3
    if cubic and ("spacing" in metadata or "ratio" in metadata):
        raise FileError(
            f"{path} must have cubic voxels. Received: {_stated(metadata)}. Resample it first, or pass `voxel_size` "
            "if the file states a wrong one."
        )
    return metadata.get("spacing")


class VoxelSizeWarning(UserWarning):
    """Warning that a given voxel size overrides the one that a file states."""


def _say_what_wins(path, metadata, voxel_size):
    """Warn if a given voxel size differs from the one that a file states."""
    stated = metadata.get("spacing") or metadata.get("ratio") or (metadata.get("voxel_size"),)
    alike = all(math.isclose(edge or voxel_size, voxel_size, rel_tol=1e-3) for edge in stated)
    cubes = max(edge or 0 for edge in stated) <= min(edge or 0 for edge in stated) * 1.001
    if "ratio" in metadata or not alike:
        warnings.warn(
            f"the voxel size that is given, {voxel_size:g} µm, wins over what {path} states: {_stated(metadata)}"
            f"{'' if cubes else ', which are no cubes'}",
            VoxelSizeWarning,
            stacklevel=3,
        )


def _stated(metadata):
    """Return the voxel size that a file states, in words."""
    edges = metadata.get("spacing") or metadata.get("ratio")
    if metadata.get("voxel_size") is not None and (edges is None or max(edges) <= min(edges) * 1.001):
        return f"{metadata['voxel_size']:g} µm"
    words = ", ".join(f"{axis} {edge:g}" for axis, edge in zip("zyx", edges, strict=True))
    return f"{words} {'µm' if 'spacing' in metadata else 'without a unit'}"


class GapWarning(UserWarning):
    """Warning that planes of a stack are missing and were replaced by the nearest ones."""


def _told_filled(opened, path):
    """Return the filled planes of an image, with a warning about them."""
    if opened.filled:
        planes = ", ".join(map(str, opened.filled[:_SHOWN])) + (" and others" if len(opened.filled) > _SHOWN else "")
        warnings.warn(
            f"{path}: planes {planes} of {opened.array.shape[0]}, counted from 0, are missing, and filled with the "
            "nearest that are there",
            GapWarning,
            stacklevel=3,
        )
    return opened.filled


def open_path(path: StrPath, fill_gaps: bool = False) -> tuple[Opened, dict[str, Any]]:
    """Open the image at a path: an `Opened`, and a dict of other metadata (see `read_image`)."""
    opened = open_file(path, fill_gaps=fill_gaps)
    spacing = opened.spacing
    metadata = _trusted(opened.record, opened.array.shape, spacing)
    if "voxel_size" not in metadata and spacing is not None:
        metadata["voxel_size"] = spacing[2] if max(spacing) <= min(spacing) * 1.001 else None
    metadata |= {name: getattr(opened, name) for name in ("spacing", "ratio") if getattr(opened, name) is not None}
    if opened.filled:
        provenance = metadata.get("provenance", {"file": source_name(path)})
        metadata["provenance"] = {**provenance, "filled_planes": list(opened.filled)}
    return opened, metadata


def _trusted(record, shape, spacing):
    """Return the part of kerasgan3d's note that still holds, since other programs may have changed the file.

    Cropping and scaling in Fiji leave the note as it was: with another shape, only phases and provenance still hold.
    Where the shape is the same but the calibration differs, somebody corrected it.
    """
    if not isinstance(record, dict):
        return {}
    unchanged = record.get("shape") == list(shape)
    keys = ("phases", "provenance", "periodic", "voxel_size") if unchanged else ("phases", "provenance")
    trusted = {key: record[key] for key in keys if key in record}
    noted = trusted.get("voxel_size")
    agrees = isinstance(noted, float) and all(math.isclose(noted, edge, rel_tol=1e-3) for edge in spacing or ())
    if not agrees and spacing is not None:
        trusted.pop("voxel_size", None)
    return trusted
