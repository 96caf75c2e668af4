"""Reading volumes, slices and grey values."""

import glob
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kerasgan3d.checks import check_periodic, check_voxel_size
from kerasgan3d.io._common import FileError, about
from kerasgan3d.io._hdf5 import SUFFIXES as HDF5_SUFFIXES
from kerasgan3d.io._hdf5 import open_hdf5, split_hdf5
from kerasgan3d.io._numpy import open_npy
from kerasgan3d.io._slices import open_slices
from kerasgan3d.io._tiff import open_tiff
from kerasgan3d.io._vti import read_vti
from kerasgan3d.io._zarr import FILL, check_chunks, is_zarr, open_zarr
from kerasgan3d.io.stored import StoredLabels, StoredVolume, windows
from kerasgan3d.io.writing import SUFFIXES
from kerasgan3d.phases import PhaseMap, value_counts
from kerasgan3d.volume import Volume

_REPRESENTATIVES = 1_000_000


class LabelImage(NamedTuple):
    """A segmented image to learn from.

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
        images: labels of each, uint8 (y, x) or (z, y, x), in memory or as `StoredLabels`.
        phase_map: the PhaseMap from the files' grey values to the labels.
        spacings: for each image the edges of its voxels along z, y and x in µm, or None where they are unknown.
    """

    images: tuple
    phase_map: PhaseMap
    spacings: tuple


def read(path, *, phases=None, mapping=None, voxel_size=None):
    """Read a volume.

    Files that kerasgan3d wrote say themselves which phases they hold, how large a voxel is, and what is periodic. For
    all others the phases are found from the grey values by `PhaseMap.infer`. Arguments win over what the file says.

    Args:
        path: a .tif, .tiff, .npy or .vti file, a .zarr folder, a dataset of an HDF5 file ("scan.h5:/group/dataset", or
            "scan.h5" where there is but one), or a folder or pattern ("scan/*.tif") of 2D TIFF slices, which are
            stacked along z in the natural order of their names.
        phases: names of the phases, or a PhaseMap.
        mapping: dict of grey value to name, used strictly.
        voxel_size: edge of a voxel in µm.

    Returns:
        The Volume.

    Raises:
        FileNotFoundError: if there is nothing at `path`.
        OSError: if it may not be read.
        ValueError: if it is no undamaged 3D image of phases, its voxels are no cubes, or an argument does not fit it.
    """
    image, metadata = _read_segmented(path, phases, mapping, voxel_size)
    _check_volume(path, image.labels.shape)
    provenance = metadata.get("provenance", {"file": Path(path).name})
    with about(path):
        return Volume(*image, metadata.get("periodic", False), provenance)


def open_volume(path, *, phases=None, mapping=None, voxel_size=None, in_memory=2**27):
    """Open a volume; a large one stays in its file, and what is needed of it is read as it is needed.

    All values are checked here, block by block. What can stay in its file, and what is always read, is said at
    `open_labels`.

    Args:
        path, phases, mapping, voxel_size: as for `read`.
        in_memory: bytes; where the image takes more, it stays in its file. The default is 512³ voxels of 8 bits, which
            is what `measure` takes at once.

    Returns:
        A Volume, or a StoredVolume.

    Raises:
        FileNotFoundError, OSError, ValueError: as `read`.
    """
    voxel_size = check_voxel_size(voxel_size)
    stored, metadata = _opened(path, lazily=True)
    _check_volume(path, stored.shape)
    if math.prod(stored.shape) * np.dtype(stored.dtype).itemsize <= in_memory:
        return read(path, phases=phases, mapping=mapping, voxel_size=voxel_size)
    spacing = _spacing(path, metadata, voxel_size, cubic=True)
    with about(path):
        phase_map = _common_phases([(stored, metadata, path)], phases, mapping)
        return StoredVolume(
            StoredLabels(stored, phase_map, path),
            phase_map.names,
            None if spacing is None else spacing[2],
            check_periodic(metadata.get("periodic", False)),
            metadata.get("provenance", {"file": Path(path).name}),
        )


def reopened(path, phase_map):
    """Return the StoredLabels of an image whose phases are known."""
    return StoredLabels(_opened(path, lazily=True)[0], phase_map, path)


def read_labels(path, phases=None, mapping=None, voxel_size=None):
    """Read a segmented image to learn from: a volume, or one 2D slice.

    Args and errors as those of `read`, except that 2D images are welcome.

    Returns:
        A LabelImage: labels, phase map and voxel size.
    """
    return _read_segmented(path, phases, mapping, voxel_size)[0]


def open_labels(paths, phases=None, mapping=None, voxel_size=None, *, in_memory=2**31, cubic=True):
    """Open segmented images to learn from; large ones stay in their files, and crops are read as they are taken.

    All values are checked here, block by block, whether an image stays in its file or not. TIFF files that are
    compressed in one piece, and VTI files, are always read.

    Args:
        paths: a path as for `read`, or a sequence of them: images of one material.
        phases, mapping, voxel_size: as for `read`, of all images.
        in_memory: bytes; where all images together take more, they stay in their files.
        cubic: whether voxels must be cubes.

    Returns:
        A LabelImages.

    Raises:
        FileNotFoundError, OSError: as `read`.
        ValueError: as `read`, or if there are no images.
    """
    paths = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if not paths:
        raise ValueError("There must be an image to read. Received: none.")
    voxel_size = check_voxel_size(voxel_size)
    opened = [(*_opened(path, lazily=True), path) for path in paths]
    spacings = tuple(_spacing(path, metadata, voxel_size, cubic) for _, metadata, path in opened)
    stays = sum(math.prod(stored.shape) * np.dtype(stored.dtype).itemsize for stored, _, _ in opened) > in_memory
    if not stays:
        opened = [
            (*((stored, metadata) if type(stored) is np.ndarray else _opened(path)), path)
            for stored, metadata, path in opened
        ]
    name = paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
    with about(name):
        phase_map = _common_phases(opened, phases, mapping)
    if stays:
        return LabelImages(tuple(StoredLabels(s, phase_map, path) for s, _, path in opened), phase_map, spacings)
    images = []
    for stored, _, path in opened:
        with about(path):
            images.append(phase_map.encode(stored))
    return LabelImages(tuple(images), phase_map, spacings)


def read_image(path):
    """Read an integer image as it is, grey values and all.

    Args:
        path: as for `read`.

    Returns:
        The array (y, x) or (z, y, x), integer or boolean; the voxel size in µm, or None where the file does not state
        it or its voxels are no cubes; and a dict of what else the file says: "spacing", the voxel's edges along z, y
        and x in µm, and, where kerasgan3d wrote the file, "phases", "voxel_size", "periodic" and "provenance".

    Raises:
        FileNotFoundError, OSError: if there is nothing at `path`, or it may not be read.
        ValueError: if it is no undamaged 2D or 3D integer image.
    """
    array, metadata = _opened(path)
    with about(path):
        return array, check_voxel_size(metadata.get("voxel_size")), metadata


def open_image(path, *, in_memory=2**31):
    """Open an integer image as it is; a large one stays in its file, and crops are read as they are taken.

    Args:
        path: as for `read`.
        in_memory: bytes; where the image takes more, it stays in its file.

    Returns:
        An array (y, x) or (z, y, x), or what is indexed like one, with one slice or integer per axis.

    Raises:
        FileNotFoundError, OSError, ValueError: as `read_image`.
    """
    stored = _opened(path, lazily=True)[0]
    stays = math.prod(stored.shape) * np.dtype(stored.dtype).itemsize > in_memory
    return stored if stays or type(stored) is np.ndarray else _opened(path)[0]


def source_name(path):
    """Return the name of a file without its folders; that of a dataset is "scan.h5:/group/dataset"."""
    dataset = split_hdf5(os.fspath(path))
    return Path(path).name if dataset is None else f"{Path(dataset[0]).name}:{dataset[1]}"


def _check_volume(path, shape):
    if len(shape) != 3:
        raise FileError(
            f"{path} must hold a 3D volume (z, y, x). Received: a 2D image {tuple(shape)}. A slice can be "
            "trained on, but it is no volume; several slices are read from their folder."
        )


def _read_segmented(path, phases, mapping, voxel_size):
    """Read an image and find out about its phases and voxels: a LabelImage, and what else the file says."""
    voxel_size = check_voxel_size(voxel_size)
    image, stated_size, metadata = read_image(path)
    if voxel_size is None:
        voxel_size = stated_size
        if voxel_size is None and "spacing" in metadata:
            raise _no_cubes(path, metadata["spacing"])
    with about(path):
        phase_map = _known_phases(metadata, phases, mapping) or PhaseMap.infer(image, phases, mapping)
        return LabelImage(phase_map.encode(image), phase_map, voxel_size), metadata


def _known_phases(metadata, phases, mapping):
    """Return the PhaseMap where it was given or the file states it, else None."""
    if mapping is not None:
        return None
    if isinstance(phases, PhaseMap):
        return phases
    return PhaseMap(metadata["phases"] if phases is None else phases) if "phases" in metadata else None


def _common_phases(opened, phases, mapping):
    """Return the PhaseMap of all images, whose values are counted block by block and then known to be its own."""
    known = [_known_phases(metadata, phases, mapping) for _, metadata, _ in opened]
    phase_map = known[0] if known.count(known[0]) == len(known) else None
    if len(opened) == 1 and isinstance(opened[0][0], np.ndarray) and not isinstance(opened[0][0], np.memmap):
        return phase_map or PhaseMap.infer(opened[0][0], phases, mapping)
    totals, holder = {}, {}
    for stored, metadata, path in opened:
        found = set()
        for window in windows(stored):
            values, counts = value_counts(np.asarray(stored[window]))
            for value, count in zip(values.tolist(), counts.tolist(), strict=True):
                totals[value] = totals.get(value, 0) + count
                holder.setdefault(value, path)
            found.update(values.tolist())
        if os.path.isdir(path) and is_zarr(Path(path)):
            check_chunks(path, metadata if "phases" in metadata else None, FILL in found)
    values = np.array(sorted(totals), np.int64)
    counts = np.array([totals[value] for value in values.tolist()])
    if phase_map is None and mapping is not None:
        # What the mapping does not name is refused below, with exact counts.
        greys = list(mapping) if isinstance(mapping, Mapping) else []
        phase_map = PhaseMap.infer(np.array([v for v in values.tolist() if v in greys], np.int64), phases, mapping)
    elif phase_map is None:
        # The same values in the same shares, in an image that is small.
        shares = np.maximum(1, counts * min(1.0, _REPRESENTATIVES / counts.sum())).astype(np.int64)
        phase_map = PhaseMap.infer(np.repeat(values, shares), phases)
    unknown = [value for value in values.tolist() if value not in phase_map.greys]
    if unknown:
        names = ", ".join(f"{grey} = {name}" for grey, name in zip(phase_map.greys, phase_map.names, strict=True))
        raise FileError(
            f"{holder[unknown[0]]}: Every grey value must belong to a phase ({names}). Received: "
            f"{sum(totals[value] for value in unknown)} other voxels, of the values {', '.join(map(str, unknown[:10]))}"
            f"{' and others' if len(unknown) > 10 else ''}. Name these values in `mapping` too (--map on the command "
            "line), or clean the image."
        )
    return phase_map


def _spacing(path, metadata, voxel_size, cubic):
    """Return the edges of a voxel along z, y, x in µm, or None where they are unknown."""
    size = metadata.get("voxel_size") if voxel_size is None else voxel_size
    if size is not None:
        with about(path):
            return (check_voxel_size(size),) * 3
    if cubic and "spacing" in metadata:
        raise _no_cubes(path, metadata["spacing"])
    return metadata.get("spacing")


def _no_cubes(path, spacing):
    edges = ", ".join(f"{axis} {edge:g}" for axis, edge in zip("zyx", spacing, strict=True))
    return FileError(
        f"{path} must have cubic voxels. Received: {edges} µm. Resample it first, or pass voxel_size= "
        "(--voxel-size on the command line) if what the file says is wrong."
    )


def _opened(path, *, lazily=False):
    """Read or open what is at a path: the array, and a dict of what else it says (see `read_image`)."""
    array, spacing, record = _reader(path, lazily)
    metadata = _trusted(record, array.shape, spacing)
    if "voxel_size" not in metadata and spacing is not None:
        metadata["voxel_size"] = spacing[2] if max(spacing) <= min(spacing) * 1.001 else None
    if spacing is not None:
        metadata["spacing"] = spacing
    return array, metadata


def _trusted(record, shape, spacing):
    """Return what still holds of what kerasgan3d noted in a file that other programs may have changed since.

    Cropping and scaling in Fiji keep the note as it was: with another shape, only phases and provenance are still
    true. Where the shape is the same but the calibration is another, somebody corrected it.
    """
    if not isinstance(record, dict):
        return {}
    unchanged = record.get("shape") == list(shape)
    keys = ("phases", "provenance", "periodic", "voxel_size") if unchanged else ("phases", "provenance")
    trusted = {key: record[key] for key in keys if key in record}
    noted = trusted.get("voxel_size")
    if spacing is not None and not (isinstance(noted, float) and math.isclose(noted, spacing[2], rel_tol=1e-3)):
        trusted.pop("voxel_size", None)
    return trusted


def _reader(path, lazily):
    """Read what is at a path: array, spacing (z, y, x) in µm or None, and kerasgan3d's own record or None."""
    text = os.fspath(path)
    path = Path(text)
    if not path.exists():
        dataset = split_hdf5(text)
        if dataset is not None and Path(dataset[0]).is_file():
            return open_hdf5(Path(dataset[0]), dataset[1], lazily=lazily)
        if glob.has_magic(text):
            return open_slices([Path(name) for name in glob.glob(text)], text, lazily=lazily)
        raise FileNotFoundError(f"There must be a file or folder to read. Received: {path}, which does not exist")
    if path.is_dir():
        if is_zarr(path) or path.suffix.lower() == ".zarr":
            return open_zarr(path, lazily=lazily)
        return open_slices(list(path.iterdir()), text, lazily=lazily)
    suffix = path.suffix.lower()
    if suffix in HDF5_SUFFIXES:
        return open_hdf5(path, lazily=lazily)
    match suffix:
        case ".tif" | ".tiff":
            return open_tiff(path, lazily=lazily)
        case ".npy":
            return open_npy(path, lazily=lazily)
        case ".vti":
            return read_vti(path)
    raise FileError(
        f"The file to read must end in one of {', '.join((*SUFFIXES, *HDF5_SUFFIXES))}, or be a folder of TIFF slices. "
        f"Received: {path}"
    )
