"""A volume of labels with everything that is needed to make sense of it."""

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
    """A segmented 3D image: labels, phase names, voxel size, periodic axes and where it came from.

    It behaves like the array of its labels: `len`, `shape`, `ndim`, `size`, `dtype`, and operators and functions of
    NumPy, which give plain arrays. ``volume == 0`` and ``volume == "pore"`` are masks; `equals` tells whether two
    volumes are the same. Indices and slices give Volumes, names of phases give masks.

    Args:
        labels: integer or boolean array (z, y, x), values 0 to n - 1. It becomes uint8; an array that is uint8 already
            is not copied.
        phases: the n phase names in the order of the labels, or a PhaseMap; "phase 0", "phase 1", ... if left out.
        voxel_size: edge of a voxel in µm; voxels are cubes. None where it is unknown.
        periodic: whether the volume continues at the opposite face: one bool, one for each of z, y, x, or the
            letters of the axes, such as "yx".
        provenance: dict that JSON can hold: generator, seed, source file ...

    Raises:
        ValueError: if one of these is not as above.

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
        """Where the volume came from: a dict that JSON can hold."""
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
        # Plane by plane: bincount works on a copy that takes eight times the memory of the labels.
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
        """Crop, or find a phase: ``volume[0:64, :, 10:]`` is a Volume, ``volume["pore"]`` a mask.

        Args:
            key: The name of a phase; or one to three indices and slices for z, y and x, negative ones counted from the
                end. What is missing at the end, or stands for `...`, is the whole axis. An index keeps its axis, one
                voxel long, so that volumes stay volumes.

        Returns:
            bool (z, y, x), true where the phase is; or a Volume, periodic only along the axes that were not cut, whose
            provenance says what was cut. It shares its memory.

        Raises:
            IndexError: If an index lies outside the volume.
            KeyError: If there is no phase of that name. It is a ValueError too.
            ValueError: If it is none of the above, a step is not 1, or nothing is left.
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
            ValueError: if it is no box, or empty, or not within the volume.
        """
        return self[box_window(box, self.shape)]

    def flip(self, axes: Any) -> Volume:
        """Return the mirror image.

        Args:
            axes: Those whose direction turns round: letters such as "z" or "yx", a number from 0 to 2, or several.

        Returns:
            A new Volume, periodic along the same axes. It shares its memory.

        Raises:
            ValueError: If there is no such axis, or one is named twice.
        """
        numbers = check_axes(axes)
        step = {"flip": "".join(AXES[axis] for axis in numbers)}
        return self._derived(np.flip(self._labels, numbers), self._periodic, step)

    def resample(self, voxel_size: float) -> Volume:
        """Return the volume with voxels of another size: each takes the label of the voxel in which its centre lies.

        Structures thinner than a new voxel are lost in part. It is periodic along the axes that were, where the new
        voxels fill them to the end.

        Args:
            voxel_size: Edge of the new voxels in µm.

        Raises:
            ValueError: if it is no positive number, or the volume's own is unknown.
        """
        labels, size, periodic = resampled_volume(self._labels, (self._voxel_size,) * 3, voxel_size, self._periodic)
        volume = self._derived(labels, periodic, {"resample": size})
        volume._voxel_size = size
        return volume

    def roll(self, shift: Iterable[int]) -> Volume:
        """Move the origin of a periodic volume.

        Args:
            shift: voxels along z, y, x by which the content moves; 0 along axes that are not periodic.

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
        """Tell whether another volume is the same: labels, phases, voxel size and periodic axes; not its provenance.

        ``==`` compares voxel by voxel, as arrays do.
        """
        return (
            isinstance(other, Volume)
            and (self.phases, self.voxel_size, self.periodic) == (other.phases, other.voxel_size, other.periodic)
            and np.array_equal(self._labels, other.labels)
        )

    def plot(self, **options: Any) -> Figure:
        """Draw the volume: a solid body, three slices and a legend; options are those of `kerasgan3d.render`.

        Returns:
            A matplotlib Figure, which notebooks show.
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

        Coordinates are the centres of voxels in µm, none where the voxel size is unknown. Attributes name the phases
        by the CF conventions ("flag_values" and "flag_meanings", blanks of a name as underscores), and say
        "voxel_size" in µm, "periodic" (letters of axes) and, as JSON, all else: "kerasgan3d".

        Raises:
            MissingLibraryError: If xarray is not installed: pip install "kerasgan3d[memory]".
        """
        return xarray_of(self._labels, VolumeRecord.of(self))

    def to_pyvista(self) -> pyvista.ImageData:
        """Return a pyvista.ImageData whose cells are the voxels, as ParaView opens the volume's .vti.

        Its cell data "phase" are the labels, which it shares; its field data "phases" the names and "periodic_zyx"
        three numbers of 0 and 1. Lengths are in µm, or in voxels where the voxel size is unknown.

        Raises:
            MissingLibraryError: If pyvista is not installed: pip install "kerasgan3d[memory]".
        """
        return pyvista_of(self._labels, VolumeRecord.of(self))

    def save(self, path: StrPath, *, overwrite: bool = True) -> None:
        """Write the volume to a file, complete or not at all.

        Args:
            path: where to; the suffix says how: .tif or .tiff (opens in Fiji with its voxel size), .npy (with a
                .npy.json beside it), .zarr (OME-Zarr 0.5), .vti (ParaView).
            overwrite: whether a file that exists may be replaced.

        Raises:
            ValueError, OSError: as `kerasgan3d.io.check_writable`, or if the disk is full.
        """
        write_labels(path, self._labels, VolumeRecord.of(self).to_json(), overwrite=overwrite)

    def export(self, path: StrPath, format: str | None = None, **options: Any) -> list[str]:
        """Write the volume as a solver or a cell model reads it; see `kerasgan3d.export.export`.

        Args:
            path: where to; the suffix says what: .inp (Abaqus), .vtu, .msh (gmsh), .xdmf (FEniCSx), .e (Exodus) ...
            format: what to write where a suffix stands for more than one: a name in `kerasgan3d.export.FORMATS`.
            **options: what the format takes, such as `phases` and `unit` of meshes.

        Returns:
            Lines that say what was written and assumed.

        Raises:
            ValueError, MemoryError, OSError: as there.
        """
        # By name: rooms above hold what solvers read, and take volumes.
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

        Files that kerasgan3d wrote say themselves which phases they hold, how large a voxel is, and what is periodic.
        For all others the phases are found from the grey values by `PhaseMap.infer`. Arguments win over what the file
        says.

        Args:
            path: a file of any format that docs/formats.md names, a .zarr folder, a dataset within a file
                ("scan.h5:/group/dataset", or "scan.h5" where there is but one), or a folder or pattern ("scan/*.tif")
                of 2D slices, which are stacked along z by the numbers in their names.
            phases: names of the phases, or a PhaseMap.
            mapping: dict of grey value to name, used strictly.
            voxel_size: edge of a voxel in µm. Where the file states another, it wins, with a warning.
            tolerance: how far grey values may lie from those of the mapping, for what was saved with loss, as JPEG.
            shape, dtype: voxels along z, y, x and their type, such as "uint8" or ">u2", of a .raw file, which does not
                say them.
            fill_gaps: whether planes may be missing in a folder or pattern of slices or an OME-TIFF, no more than are
                there. The nearest plane then stands for each (of two as near, the one before), with a warning, and
                `provenance["filled_planes"]` lists them, counted from 0.

        Returns:
            The Volume.

        Raises:
            FileNotFoundError: if there is nothing at `path`.
            OSError: if it may not be read.
            ValueError: if it is no undamaged 3D image of phases, its voxels are no cubes, or an argument does not fit
                it.
        """
        path = raw_path(path, shape, dtype)
        image, metadata = read_segmented(path, phases, mapping, voxel_size, tolerance, fill_gaps)
        _check_solid(path, image.labels.shape)
        with about(path):
            return cls(*image, metadata.get("periodic", False), metadata.get("provenance", {"file": Path(path).name}))

    def __len__(self) -> int:
        return self.shape[0]

    # Without this, Python would iterate by asking for volume[0], volume[1], ...
    __iter__ = None

    def __eq__(self, other: Any) -> Any:
        """Return where the labels are equal: bool (z, y, x).

        Args:
            other: A label, the name of a phase, an array of labels, or a Volume of the same phases.

        Raises:
            ValueError: If there is no such phase, or the phases or shapes of two volumes differ.
        """
        return np.equal(self._labels, self._comparable(other))

    def __ne__(self, other: Any) -> Any:
        return np.not_equal(self._labels, self._comparable(other))

    def __hash__(self) -> int:
        return object.__hash__(self)  # as keys, volumes are told apart by which they are, not by what they hold

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
        """Return what labels are compared with: a label or an array of them."""
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
        """Return a Volume of these labels whose provenance tells how it was made from this one."""
        before = self._provenance.get("history", [])
        history = [*before, step] if isinstance(before, list) else [before, step]
        provenance = {**self._provenance, "history": history}
        return Volume(labels, self._phases, self._voxel_size, periodic, provenance)


@dataclass(frozen=True)
class VolumeRecord:
    """All that the labels of a volume do not say.

    Attributes:
        shape: Voxels (z, y, x).
        phases: Names of the phases, in the order of the labels.
        voxel_size: Edge of a voxel in µm, or None where it is unknown.
        periodic: Whether the volume is periodic along z, y and x.
        provenance: Where it came from: a dict that JSON can hold.
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
        """Return the volume of these labels (z, y, x)."""
        return Volume(labels, self.phases, self.voxel_size, self.periodic, self.provenance)

    def to_json(self) -> dict[str, Any]:
        """Return the record as files hold it."""
        values = {part.name: getattr(self, part.name) for part in fields(self)}
        return {"version": _RECORD_VERSION} | {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    @classmethod
    def from_json(cls, record: Any) -> VolumeRecord:
        """Read a record back.

        Raises:
            ValueError: If it is not what `to_json` makes.
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
        provenance: Where the volume came from: a dict that JSON can hold.
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
        ValueError, OSError: as `Volume.save`, or if it is no Volume.
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
    """Open a volume; a large one stays in its file, and what is needed of it is read as it is needed.

    All values are checked here, block by block. What can stay in its file, and what is always read, is said at
    `open_labels`.

    Args:
        path, phases, mapping, voxel_size, tolerance, fill_gaps: as for `Volume.load`.
        in_memory: bytes; where the image takes more, it stays in its file. The default is 512³ voxels of 8 bits, which
            is what `measure` takes at once.

    Returns:
        A Volume, or a StoredVolume.

    Raises:
        FileNotFoundError, OSError, ValueError: as `Volume.load`.
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
            f"{path} must hold a 3D volume (z, y, x). Received: a 2D image {tuple(shape)}. A slice can be "
            "trained on, but it is no volume; several slices are read from their folder."
        )


def _checked_labels(labels):
    """Return labels as uint8 (z, y, x), and the least number of phases that they need."""
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
        # There and back again: what is kept is what a file would give back, and nobody else's to change.
        return json.loads(json.dumps(provenance, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"`provenance` must be a dict that JSON can hold. Received: {error}.") from error
