"""`Volume`: labels with all the facts needed to interpret them."""

from __future__ import annotations

import importlib
import json
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import ArrayLike, DTypeLike

from kerasgan3d.checks import (
    AXES,
    Periodic,
    box_window,
    check_axes,
    check_periodic,
    check_voxel_size,
    index_window,
    plain_array,
)
from kerasgan3d.io._common import FileError, Phases, StrPath, about
from kerasgan3d.io._itk import raw_path
from kerasgan3d.io.lazy import LazyArray, lazy
from kerasgan3d.io.memory import pyvista_of, xarray_of
from kerasgan3d.io.reading import bytes_of, open_labels, open_path, read_segmented
from kerasgan3d.io.resampling import resampled_volume
from kerasgan3d.io.writing import write_labels
from kerasgan3d.phases import MAX_PHASES, PhaseMap, check_dense, default_names, label_of, one_hot
from kerasgan3d.upward import upward

if TYPE_CHECKING:
    import pyvista  # pyright: ignore[reportMissingImports]
    import xarray  # pyright: ignore[reportMissingImports]
    from matplotlib.figure import Figure

    from kerasgan3d.report import View

_RECORD_VERSION = 1


class Volume(NDArrayOperatorsMixin):
    """A segmented 3D image: labels, phase names, voxel size, periodic axes and provenance.

    It behaves like the array of its labels: it has `len`, `shape`, `ndim`, `size` and `dtype`, and operators and
    functions of NumPy return plain arrays. ``volume == 0`` and ``volume == "pore"`` are masks; `equals` compares two
    volumes as a whole. Indices and slices return Volumes, names of phases return masks.

    Args:
        labels: Integer or boolean array (z, y, x), values 0 to n - 1. It is converted to uint8; a uint8 array is not
            copied.
        phases: The n phase names in the order of the labels, or a PhaseMap; "phase 0", "phase 1", ... if left out.
        voxel_size: Edge of a voxel in µm; voxels are cubes. None where it is unknown.
        periodic: Axes along which the volume is periodic: one bool, one for each of z, y, x, or the letters of the
            axes, such as "yx".
        provenance: JSON-serialisable dict: generator, seed, source file ...

    Raises:
        ValueError: if an argument is invalid.

    Example:
        >>> volume = Volume(np.zeros((4, 5, 6), int), phases=("pore", "solid"), voxel_size=0.5, periodic=True)
        >>> volume
        Volume(4 x 5 x 6 voxels of 0.5 µm, phases pore/solid, periodic zyx)
        >>> volume.size_um
        (2.0, 2.5, 3.0)
        >>> volume[1:3]
        Volume(2 x 5 x 6 voxels of 0.5 µm, phases pore/solid, periodic yx)
        >>> volume["pore"].mean()
        np.float64(1.0)
    """

    def __init__(
        self,
        labels: ArrayLike,
        phases: Phases = None,
        voxel_size: float | None = None,
        periodic: Periodic = False,
        provenance: dict[str, Any] | None = None,
    ) -> None:
        self._labels, n = _checked_labels(labels)
        if phases is None:
            check_dense(self._labels, n - 1)
        self._phases = _checked_phases(phases, n)
        self._voxel_size = check_voxel_size(voxel_size)
        z, y, x = check_periodic(periodic)
        self._periodic = (z, y, x)
        self._provenance = _checked_provenance(provenance)

    @property
    def labels(self) -> np.ndarray:
        """The labels: uint8 (z, y, x), values 0 to n - 1."""
        return self._labels

    @property
    def phases(self) -> tuple[str, ...]:
        """The names of the phases, in the order of the labels."""
        return self._phases

    @property
    def voxel_size(self) -> float | None:
        """The edge of a voxel in µm, or None where it is unknown."""
        return self._voxel_size

    @property
    def periodic(self) -> tuple[bool, bool, bool]:
        """Whether the volume is periodic along z, y and x: three bools."""
        return self._periodic

    @property
    def provenance(self) -> dict[str, Any]:
        """The origin of the volume, as a JSON-serialisable dict."""
        return self._provenance

    @property
    def shape(self) -> tuple[int, int, int]:
        """The number of voxels along z, y and x."""
        return self._labels.shape

    @property
    def ndim(self) -> int:
        """The number of axes: 3."""
        return 3

    @property
    def size(self) -> int:
        """The number of voxels."""
        return self._labels.size

    @property
    def dtype(self) -> np.dtype:
        """The type of the labels: uint8."""
        return self._labels.dtype

    @property
    def size_um(self) -> tuple[float, float, float] | None:
        """The extent along z, y and x in µm, or None where the voxel size is unknown."""
        if self._voxel_size is None:
            return None
        z, y, x = self.shape
        return z * self._voxel_size, y * self._voxel_size, x * self._voxel_size

    @property
    def fractions(self) -> np.ndarray:
        """The volume fraction of every phase: float64 (n,)."""
        # Plane by plane, since bincount copies its input at eight times the memory of the labels.
        counts = [np.bincount(plane.ravel(), minlength=len(self._phases)) for plane in self._labels]
        return np.sum(counts, axis=0) / self._labels.size

    def one_hot(self, dtype: DTypeLike = "float32") -> np.ndarray:
        """Return one channel per phase: (z, y, x, n) of 0 and 1."""
        return one_hot(self._labels, len(self._phases), dtype)

    @overload
    def __getitem__(self, key: str) -> np.ndarray: ...

    @overload
    def __getitem__(self, key: Any) -> Volume: ...

    def __getitem__(self, key: Any) -> Volume | np.ndarray:
        """Crop the volume, or select a phase: ``volume[0:64, :, 10:]`` is a Volume, ``volume["pore"]`` a mask.

        Args:
            key: The name of a phase; or one to three indices and slices for z, y and x, negative ones counted from the
                end. Axes that are omitted at the end, or replaced by `...`, are kept whole. An index keeps its axis,
                one voxel long, so that volumes stay volumes.

        Returns:
            bool (z, y, x), true in the phase; or a Volume, periodic only along axes that were not cut, whose provenance
            records the cut. It shares the memory of this volume.

        Raises:
            IndexError: If an index lies outside the volume.
            KeyError: If no phase has that name. It is a ValueError too.
            ValueError: If the key is none of these, a step is not 1, or nothing is left.
        """
        if isinstance(key, str):
            return self._labels == label_of(key, self._phases)
        window = index_window(key, self.shape)
        whole = [part.stop - part.start == length for part, length in zip(window, self.shape, strict=True)]
        periodic = tuple(p and w for p, w in zip(self._periodic, whole, strict=True))
        return self._derived(self._labels[window], periodic, {"crop": [[part.start, part.stop] for part in window]})

    def crop(self, box: Sequence[Sequence[int] | None]) -> Volume:
        """Return the part within a box, one (start, stop) in voxels or None per axis z, y, x, as `volume[...]` does.

        Raises:
            ValueError: if the box is malformed, empty, or not within the volume.
        """
        return self[box_window(box, self.shape)]

    def flip(self, axes: Any) -> Volume:
        """Return the mirror image.

        Args:
            axes: Axes to reverse: letters such as "z" or "yx", a number from 0 to 2, or several.

        Returns:
            A new Volume, periodic along the same axes. It shares the memory of this volume.

        Raises:
            ValueError: If there is no such axis, or one is named twice.
        """
        numbers = check_axes(axes)
        step = {"flip": "".join(AXES[axis] for axis in numbers)}
        return self._derived(np.flip(self._labels, numbers), self._periodic, step)

    def resample(self, voxel_size: float) -> Volume:
        """Resample the volume: each new voxel takes the label of the voxel that contains its centre.

        Structures thinner than a new voxel are partly lost. Periodic axes stay periodic where a whole number of new
        voxels fills them.

        Args:
            voxel_size: Edge of the new voxels in µm.

        Raises:
            ValueError: if the size is not a positive number, or the volume's own is unknown.
        """
        labels, size, periodic = resampled_volume(self._labels, (self._voxel_size,) * 3, voxel_size, self._periodic)
        volume = self._derived(labels, periodic, {"resample": size})
        volume._voxel_size = size
        return volume

    def roll(self, shift: Iterable[int]) -> Volume:
        """Move the origin of a periodic volume.

        Args:
            shift: Voxels along z, y, x by which the content moves; 0 along axes that are not periodic.

        Returns:
            A new Volume of the same shape.

        Raises:
            ValueError: if shift is not three integers, or moves along an axis that is not periodic.
        """
        try:
            shift = tuple(operator.index(step) for step in shift)
        except TypeError:
            shift = ()
        if len(shift) != 3:
            raise ValueError("`shift` must be three integers: voxels along z, y and x.")
        for axis, step, periodic in zip(AXES, shift, self._periodic, strict=True):
            if step and not periodic:
                raise ValueError(
                    f"A volume can only be rolled along axes on which it is periodic. Received: a shift of {step} "
                    f"along {axis} of {self!r}."
                )
        return self._derived(np.roll(self._labels, shift, (0, 1, 2)), self._periodic, {"roll": list(shift)})

    def equals(self, other: Any) -> bool:
        """Tell whether another volume has the same labels, phases, voxel size and periodic axes, in any provenance.

        ``==`` compares voxel by voxel, as for arrays.
        """
        return (
            isinstance(other, Volume)
            and (self.phases, self.voxel_size, self.periodic) == (other.phases, other.voxel_size, other.periodic)
            and np.array_equal(self._labels, other.labels)
        )

    def plot(self, **options: Any) -> Figure:
        """Draw the volume: a 3D view, three slices and a legend; options are those of `kerasgan3d.render`.

        Returns:
            A matplotlib Figure, which notebooks display.
        """
        return upward("report", "render")(self, **options)

    def view(self, path: StrPath | None = None, **options: Any) -> View:
        """Show the volume in a page, as a body that turns and as slices; see `kerasgan3d.report.view`.

        Args:
            path: Where to save the page, as .html; it needs nothing from elsewhere.
            **options: `colors`, `title`.

        Returns:
            A View, which notebooks show.
        """
        return upward("report", "view")(self, path, **options)

    def to_xarray(self) -> xarray.DataArray:
        """Return the labels as an xarray.DataArray with dims z, y, x, which shares their memory.

        Coordinates are the centres of voxels in µm; there are none where the voxel size is unknown. Attributes name the
        phases by the CF conventions ("flag_values" and "flag_meanings", with underscores for blanks), and hold
        "voxel_size" in µm, "periodic" (letters of axes) and "kerasgan3d", all other facts as JSON.

        Raises:
            MissingLibraryError: If xarray is not installed: pip install "kerasgan3d[memory]".
        """
        return xarray_of(self._labels, VolumeRecord.of(self))

    def to_pyvista(self) -> pyvista.ImageData:
        """Return a pyvista.ImageData whose cells are the voxels, like the volume's .vti in ParaView.

        Its cell data "phase" are the labels, in shared memory; its field data are "phases", the names, and
        "periodic_zyx", three numbers of 0 and 1. Lengths are in µm, or in voxels where the voxel size is unknown.

        Raises:
            MissingLibraryError: If pyvista is not installed: pip install "kerasgan3d[memory]".
        """
        return pyvista_of(self._labels, VolumeRecord.of(self))

    def save(self, path: StrPath, *, overwrite: bool = True) -> None:
        """Write the volume to a file, completely or not at all.

        Args:
            path: The output file; its suffix determines the format: .tif or .tiff (opens in Fiji with its voxel size),
                .npy (with a second file .npy.json), .zarr (OME-Zarr 0.5), .vti (ParaView).
            overwrite: Whether an existing file may be replaced.

        Raises:
            ValueError, OSError: as for `kerasgan3d.io.check_writable`, or if the disk is full.
        """
        write_labels(path, self._labels, VolumeRecord.of(self).to_json(), overwrite=overwrite)

    def export(self, path: StrPath, format: str | None = None, **options: Any) -> list[str]:
        """Export the volume for a solver or a cell model; see `kerasgan3d.export.export`.

        Args:
            path: The output file; its suffix determines the format: .inp (Abaqus), .vtu, .msh (gmsh), .xdmf (FEniCSx),
                .e (Exodus) ...
            format: The format where a suffix has several: a name in `kerasgan3d.export.FORMATS`.
            **options: Options of the format, such as `phases` and `unit` of meshes.

        Returns:
            Lines that describe the output and the assumptions made.

        Raises:
            ValueError, MemoryError, OSError: as for `kerasgan3d.export.export`.
        """
        # By name, since the exporting package is above this one.
        return importlib.import_module("kerasgan3d.export").export(self, path, format, **options)

    @classmethod
    def load(
        cls,
        path: StrPath,
        *,
        phases: Phases = None,
        mapping: Mapping[int, str] | None = None,
        voxel_size: float | None = None,
        tolerance: int | None = None,
        shape: Sequence[int] | None = None,
        dtype: DTypeLike | None = None,
        fill_gaps: bool = False,
    ) -> Volume:
        """Read a volume.

        Files written by kerasgan3d state their phases, voxel size and periodic axes. For all others `PhaseMap.infer`
        finds the phases from the grey values. Arguments override the file.

        Args:
            path: A file of any format listed in docs/formats.md, a .zarr folder, a dataset within a file
                ("scan.h5:/group/dataset", or "scan.h5" where there is only one), or a folder or pattern ("scan/*.tif")
                of 2D slices, which are stacked along z by the numbers in their names.
            phases: Names of the phases, or a PhaseMap.
            mapping: Dict of grey value to name, applied strictly.
            voxel_size: Edge of a voxel in µm. It overrides a different one in the file, with a warning.
            tolerance: Largest deviation of grey values from those of the mapping, for images with lossy compression,
                such as JPEG.
            shape, dtype: Voxels along z, y, x and their type, such as "uint8" or ">u2", for a .raw file, which does not
                state them.
            fill_gaps: Whether up to half of the planes may be missing in a folder or pattern of slices or an OME-TIFF.
                The nearest plane then replaces each (of two equally near ones, the one before), with a warning, and
                `provenance["filled_planes"]` lists them, counted from 0.

        Returns:
            The Volume.

        Raises:
            FileNotFoundError: if there is nothing at `path`.
            OSError: if it may not be read.
            ValueError: if it is not an undamaged 3D image of phases, its voxels are not cubes, or an argument does not
                fit it.
        """
        path = raw_path(path, shape, dtype)
        image, metadata = read_segmented(path, phases, mapping, voxel_size, tolerance, fill_gaps)
        _check_solid(path, image.labels.shape)
        with about(path):
            return cls(*image, metadata.get("periodic", False), metadata.get("provenance", {"file": Path(path).name}))

    def __len__(self) -> int:
        return self.shape[0]

    # Without this, Python would iterate over volume[0], volume[1], ...
    __iter__ = None

    def __eq__(self, other: Any) -> Any:
        """Return a mask of voxels with equal labels: bool (z, y, x).

        Args:
            other: A label, the name of a phase, an array of labels, or a Volume of the same phases.

        Raises:
            ValueError: If there is no such phase, or the phases or shapes of two volumes differ.
        """
        return np.equal(self._labels, self._comparable(other))

    def __ne__(self, other: Any) -> Any:
        return np.not_equal(self._labels, self._comparable(other))

    def __hash__(self) -> int:
        return object.__hash__(self)  # as keys, volumes are identified by object, not by content

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if any(isinstance(array, Volume) for array in options.get("out", ())):
            return NotImplemented  # a Volume holds labels, not results
        inputs = tuple(each.labels if isinstance(each, Volume) else each for each in inputs)
        return getattr(ufunc, method)(*inputs, **options)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self._labels, dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        size = " x ".join(str(length) for length in self.shape)
        edge = "unknown size" if self._voxel_size is None else f"{self._voxel_size:g} µm"
        names = "/".join(self._phases[:8]) + ("/..." if len(self._phases) > 8 else "")
        axes = "".join(axis for axis, wraps in zip(AXES, self._periodic, strict=True) if wraps)
        periodic = f"periodic {axes}" if axes else "not periodic"
        return f"Volume({size} voxels of {edge}, phases {names}, {periodic})"

    def _repr_html_(self) -> str:
        return upward("report.displays", "volume_html")(self)

    def _comparable(self, other):
        """Return the operand of a comparison: a label or an array of labels."""
        if isinstance(other, str):
            return label_of(other, self._phases)
        if not isinstance(other, Volume):
            return other
        if (self.phases, self.shape) != (other.phases, other.shape):
            raise ValueError(
                "Volumes are compared voxel by voxel and must have the same shape and phases. "
                f"Received: {self!r} and {other!r}. `equals` tells whether they are the same."
            )
        return other.labels

    def _derived(self, labels, periodic, step):
        """Return a Volume of these labels whose provenance records how it was derived from this one."""
        before = self._provenance.get("history", [])
        history = [*before, step] if isinstance(before, list) else [before, step]
        provenance = {**self._provenance, "history": history}
        return Volume(labels, self._phases, self._voxel_size, periodic, provenance)


@dataclass(frozen=True)
class VolumeRecord:
    """All facts about a volume except its labels.

    Attributes:
        shape: Voxels (z, y, x).
        phases: Names of the phases, in the order of the labels.
        voxel_size: Edge of a voxel in µm, or None where it is unknown.
        periodic: Whether the volume is periodic along z, y and x.
        provenance: Origin of the volume, as a JSON-serialisable dict.
    """

    shape: tuple[int, ...]
    phases: tuple[str, ...]
    voxel_size: float | None
    periodic: tuple[bool, ...]
    provenance: dict[str, Any]

    @classmethod
    def of(cls, volume: Volume) -> VolumeRecord:
        """Return the record of a volume."""
        return cls(*(getattr(volume, part.name) for part in fields(cls)))

    def volume(self, labels: np.ndarray) -> Volume:
        """Return the Volume of this record and some labels (z, y, x)."""
        return Volume(labels, self.phases, self.voxel_size, self.periodic, self.provenance)

    def to_json(self) -> dict[str, Any]:
        """Return the record as a JSON-serialisable dict, the form stored in files."""
        values = {part.name: getattr(self, part.name) for part in fields(self)}
        return {"version": _RECORD_VERSION} | {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    @classmethod
    def from_json(cls, record: Any) -> VolumeRecord:
        """Read a record back.

        Raises:
            ValueError: If the record is not a result of `to_json`.
        """
        names = [part.name for part in fields(cls)]
        if not isinstance(record, dict) or set(record) != {"version", *names} or record["version"] != _RECORD_VERSION:
            raise ValueError(
                f"The record of a volume must hold {', '.join(names)}, version {_RECORD_VERSION}. "
                f"Received: {record!r:.200}."
            )
        shape, phases, periodic = (tuple(record[name]) for name in ("shape", "phases", "periodic"))
        return cls(shape, phases, record["voxel_size"], periodic, record["provenance"])


@dataclass(frozen=True, eq=False)
class StoredVolume:
    """A `Volume` whose labels stay in their file.

    Attributes:
        labels: LazyArray (z, y, x), uint8.
        phases: The names of the phases, in the order of the labels.
        voxel_size: The edge of a voxel in µm, or None where it is unknown.
        periodic: Whether the volume is periodic along z, y and x: three bools.
        provenance: Origin of the volume, as a JSON-serialisable dict.
    """

    labels: LazyArray
    phases: tuple[str, ...]
    voxel_size: float | None
    periodic: tuple[bool, ...]
    provenance: dict = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of voxels along z, y and x."""
        return self.labels.shape


def read(
    path: StrPath,
    *,
    phases: Phases = None,
    mapping: Mapping[int, str] | None = None,
    voxel_size: float | None = None,
    tolerance: int | None = None,
    shape: Sequence[int] | None = None,
    dtype: DTypeLike | None = None,
    fill_gaps: bool = False,
) -> Volume:
    """Read a volume; see `Volume.load`."""
    given = {"voxel_size": voxel_size, "tolerance": tolerance, "shape": shape, "dtype": dtype, "fill_gaps": fill_gaps}
    return Volume.load(path, phases=phases, mapping=mapping, **given)


def write(volume: Volume, path: StrPath, *, overwrite: bool = True) -> None:
    """Write a volume; see `Volume.save`.

    Raises:
        ValueError, OSError: as for `Volume.save`, or if it is not a Volume.
    """
    if not isinstance(volume, Volume):
        raise ValueError(
            f"Only a Volume can be written. Received: {type(volume).__name__}. Make one with Volume(labels, phases, "
            "voxel_size)."
        )
    volume.save(path, overwrite=overwrite)


def open_volume(
    path: StrPath,
    *,
    phases: Phases = None,
    mapping: Mapping[int, str] | None = None,
    voxel_size: float | None = None,
    in_memory: int = 2**27,
    tolerance: int | None = None,
    fill_gaps: bool = False,
) -> Volume | StoredVolume:
    """Open a volume; a large one stays in its file, and its parts are read on demand.

    All values are checked here, block by block. `open_labels` lists the formats that are always read completely.

    Args:
        path, phases, mapping, voxel_size, tolerance, fill_gaps: As for `Volume.load`.
        in_memory: Bytes; where the image takes more, it stays in its file. The default is 512³ voxels of 8 bits, the
            largest volume that `measure` takes at once.

    Returns:
        A Volume, or a StoredVolume.

    Raises:
        FileNotFoundError, OSError, ValueError: as for `Volume.load`.
    """
    opened, metadata = open_path(path, fill_gaps)
    _check_solid(path, opened.array.shape)
    given = {"tolerance": tolerance, "fill_gaps": fill_gaps}
    if bytes_of(opened.array) <= in_memory:
        return read(path, phases=phases, mapping=mapping, voxel_size=voxel_size, **given)
    found = open_labels(path, phases, mapping, voxel_size, in_memory=in_memory, **given)
    (edges,) = found.spacings
    with about(path):
        return StoredVolume(
            lazy(found.images[0]),
            found.phase_map.names,
            None if edges is None else edges[2],
            check_periodic(metadata.get("periodic", False)),
            metadata.get("provenance", {"file": Path(path).name}),
        )


def _check_solid(path, shape):
    if len(shape) != 3:
        raise FileError(
            f"{path} must hold a 3D volume (z, y, x). Received: a 2D image {tuple(shape)}. A slice can be used "
            "for training, but it is not a volume; to stack several slices, give their folder."
        )


def _checked_labels(labels):
    """Return labels as uint8 (z, y, x), and the smallest number of phases that they need."""
    labels = plain_array(labels)
    if labels.ndim != 3 or 0 in labels.shape:
        raise ValueError(f"`labels` must be a 3D array (z, y, x) that is not empty. Received: shape {labels.shape}.")
    if labels.dtype.kind not in "iub":
        raise ValueError(f"`labels` must be integers from 0 to n - 1. Received: {labels.dtype}.")
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest >= MAX_PHASES:
        raise ValueError(
            f"`labels` must lie in 0 to {MAX_PHASES - 1}. Received: {lowest} to {highest}. Grey values become labels "
            "with PhaseMap.infer(image).encode(image)."
        )
    return labels.astype(np.uint8, copy=False), highest + 1


def _checked_phases(phases, n):
    names = default_names(n) if phases is None else PhaseMap(phases).names
    if len(names) < n:
        raise ValueError(
            f"`phases` must name every label: labels reach {n - 1}, so there must be at least {n} names. Received: "
            f"{len(names)} ({', '.join(names)})."
        )
    return names


def _checked_provenance(provenance):
    if provenance is None:
        return {}
    if not isinstance(provenance, dict):
        raise ValueError(f"`provenance` must be a dict. Received: {provenance!r:.200}.")
    try:
        # Through JSON and back: the stored copy is what a file would return, and no caller can change it.
        return json.loads(json.dumps(provenance, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"`provenance` must be a dict that JSON can hold. Received: {error}.") from error
