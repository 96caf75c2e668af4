"""Training data: from labels to batches of random, symmetry-augmented slices or sub-volumes."""

from __future__ import annotations

import contextlib
import itertools
import math
import queue
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kerasgan3d.checks import box_window, plain_array
from kerasgan3d.crops import Crops, NoRoomError, check_fits
from kerasgan3d.io.lazy import LazyArray, windows

SYMMETRIES = ("isotropic", "axial", "orthotropic")


@dataclass(frozen=True)
class Symmetry:
    """Symmetry of a material: its equivalent directions, and hence the flips and rotations that augment its data.

    Attributes:
        kind: "isotropic" (all directions are equivalent), "axial" (one axis differs from the other two, as in a
            calendered electrode) or "orthotropic" (all three axes differ).
        axis: The axis that differs where ``kind`` is "axial": 0, 1 or 2 for z, y or x.

    Raises:
        ValueError: if an attribute is none of these.
    """

    kind: str = "isotropic"
    axis: int = 0

    def __post_init__(self):
        if self.kind not in SYMMETRIES:
            raise ValueError(f"`kind` must be one of {', '.join(map(repr, SYMMETRIES))}. Received: {self.kind!r}.")
        if self.axis not in (0, 1, 2):
            raise ValueError(f"`axis` must be 0, 1 or 2 (z, y, x). Received: {self.axis!r}.")

    def __str__(self):
        return f"axial along {'zyx'[self.axis]}" if self.kind == "axial" else self.kind

    @classmethod
    def of(cls, symmetry: str | Symmetry) -> Symmetry:
        """Return the Symmetry with a name: "isotropic", "orthotropic", or "axial-z", "axial-y" or "axial-x".

        Raises:
            ValueError: if no Symmetry has that name.
        """
        if isinstance(symmetry, Symmetry):
            return symmetry
        kinds = {"isotropic": cls(), "orthotropic": cls("orthotropic")}
        kinds |= {f"axial-{axis}": cls("axial", i) for i, axis in enumerate("zyx")}
        if symmetry not in kinds:
            raise ValueError(f"`symmetry` must be one of {', '.join(map(repr, kinds))}. Received: {symmetry!r}.")
        return kinds[symmetry]

    @property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """Groups of equivalent axes: ((0, 1, 2),), or ((0,), (1, 2)), or ((0,), (1,), (2,))."""
        if self.kind == "isotropic":
            return ((0, 1, 2),)
        if self.kind == "axial":
            return ((self.axis,), tuple(a for a in range(3) if a != self.axis))
        return ((0,), (1,), (2,))

    def section_axes(self, normal: int) -> tuple[int, int]:
        """Return the two axes of a slice normal to ``normal``, rows first; the axis that differs is always the rows."""
        axes = [a for a in range(3) if a != normal]
        rows, columns = sorted(axes, key=lambda a: (self.kind == "axial" and a != self.axis, a))
        return rows, columns

    def interchangeable(self, a: int, b: int) -> bool:
        """Tell whether two axes are equivalent."""
        return any(a in group and b in group for group in self.groups)


@dataclass(frozen=True, eq=False)
class LabelledData:
    """Labelled images of one material, volumes or slices, with the regions that may not be used.

    Attributes:
        images: Labels, uint8, 0..n-1, all (z, y, x) or all (y, x), of any sizes: arrays, or
            ``kerasgan3d.io.LazyArray``.
        symmetry: The Symmetry of the material.
        normals: For slices of known direction, the axis (0, 1, 2) that each is normal to; their rows and columns are
            the other two in the order z, y, x. None otherwise.
        excluded: For each image the mask of voxels that may not be used, bool, of its shape, or None.
        n_phases: Number of phases, or None where it was not given.

    Raises:
        ValueError: if there are no images, they are not all volumes or all slices, or an exclusion does not fit.
    """

    images: tuple[np.ndarray | LazyArray, ...]
    symmetry: Symmetry = Symmetry()
    normals: tuple[int, ...] | None = None
    excluded: tuple = ()
    n_phases: int | None = None

    def __post_init__(self):
        for image in self.images:
            if isinstance(image, np.ma.MaskedArray):
                plain_array(image)
        if {image.ndim for image in self.images} not in ({2}, {3}):
            raise ValueError(
                "images of one material must be one or more, all of them volumes (z, y, x) or all of them slices "
                f"(y, x). Received: shapes {', '.join(str(tuple(image.shape)) for image in self.images) or 'none'}."
            )
        object.__setattr__(self, "excluded", self.excluded or (None,) * len(self.images))
        wanted = [tuple(image.shape) for image in self.images]
        given = [None if part is None else tuple(part.shape) for part in self.excluded]
        if len(given) != len(wanted) or any(a not in (None, b) for a, b in zip(given, wanted, strict=True)):
            raise ValueError(
                f"what is excluded must be one mask per image, of its shape. Received: {len(given)} of shapes "
                f"{', '.join(map(str, given))} for images of {', '.join(map(str, wanted))}."
            )

    @classmethod
    def of(
        cls, labels: Any, symmetry: Symmetry = Symmetry(), excluded: Any = None, n_phases: int | None = None
    ) -> LabelledData:
        """Make LabelledData from any form in which labels are accepted.

        Args:
            labels: A volume (z, y, x) or a slice (y, x), or a list of either; or a dict from axis (0, 1, 2) to a list
                of slices normal to it; or LabelledData.
            symmetry: Symmetry of the material.
            excluded: Mask of voxels that may not be used of one image; a list of masks for several.
            n_phases: Number of phases.
        """
        if isinstance(labels, LabelledData):
            return replace(labels, symmetry=symmetry, n_phases=n_phases or labels.n_phases)
        normals = None
        if isinstance(labels, dict):
            normals = tuple(normal for normal, images in labels.items() for _ in images)
            labels = [image for images in labels.values() for image in images]
        several = isinstance(labels, list | tuple)
        beside = () if excluded is None else tuple(excluded) if several else (excluded,)
        return cls(tuple(labels) if several else (labels,), symmetry, normals, beside, n_phases)

    @property
    def dimensions(self) -> int:
        """Number of dimensions: 3 for volumes, 2 for slices."""
        return self.images[0].ndim

    @property
    def smallest(self) -> int:
        """Return the shortest edge of all images in voxels."""
        return min(n for image in self.images for n in image.shape)

    def counts(self) -> np.ndarray:
        """Count the usable voxels of each phase, block by block: (phases,) integers."""
        if self.n_phases is None:
            raise ValueError("the number of phases must be known to count their voxels. Received: none.")
        pairs = zip(self.images, self.excluded, strict=True)
        return np.sum([counts(image, self.n_phases, beside) for image, beside in pairs], axis=0)

    def crops(self, window: Sequence[int], spacing: int = 1) -> Crops:
        """Return the Crops of a shape; see ``kerasgan3d.crops``."""
        return Crops(self.images, window, self.excluded, spacing)

    def random_crops(self, size: int, count: int, seed: int = 0) -> list[np.ndarray]:
        """Return ``count`` random sub-volumes, or windows of slices, of edge length ``size``, not augmented."""
        rng, crops = np.random.default_rng(seed), self.crops((size,) * self.dimensions)
        return [crops.draw(rng)[1] for _ in range(count)]

    def side_by_side(self, size: int) -> int:
        """Count the usable crops that lie side by side on lattices that begin at the images' first corners."""
        total = 0
        for image, beside in zip(self.images, self.excluded, strict=True):
            grid = tuple(n // size for n in image.shape)
            total += math.prod(grid)
            if beside is not None:
                places = (tuple(slice(size * i, size * (i + 1)) for i in corner) for corner in np.ndindex(*grid))
                total -= sum(bool(beside[place].any()) for place in places)
        return total

    def normal_to(self, axes: Sequence[int]) -> LabelledData:
        """Return the slices that are normal to one of ``axes``; all slices where directions are unknown.

        Raises:
            ValueError: if there are none, or directions are unknown in a material that is not isotropic.
        """
        if self.normals is None:
            if self.symmetry.kind != "isotropic":
                raise ValueError(
                    f"one slice can only train an isotropic material. Received: a 2D image and {self.symmetry.kind!r} "
                    'symmetry. Slices along the other directions would show the rest: {"z": ..., "y": ..., "x": ...}.'
                )
            return self
        chosen = [k for axis in axes for k, normal in enumerate(self.normals) if normal == axis]
        if not chosen:
            raise ValueError(
                f"there must be slices normal to {' or '.join('zyx'[axis] for axis in axes)} in a material of "
                f"{self.symmetry} symmetry. Received: slices normal to "
                f"{', '.join('zyx'[axis] for axis in sorted(set(self.normals)))}."
            )
        parts = {name: tuple(getattr(self, name)[k] for k in chosen) for name in ("images", "normals", "excluded")}
        return replace(self, **parts)


class SliceSampler:
    """Random slices of labelled data, augmented by the symmetries of the material.

    ``batch(step)`` is a pure function of the seed and the step, so that a resumed training sees the same data as an
    uninterrupted one.

    Args:
        labels: Labels, uint8, 0..n-1: a volume (z, y, x) or a list of volumes; a slice (y, x), or a list of slices of
            any sizes, of an isotropic material; or a dict from axis (0, 1, 2) to a list of slices normal to it, whose
            rows and columns are the other two axes in the order z, y, x. Equivalent axes may share the slices of one of
            them. Arrays, or objects that are indexed like arrays (``kerasgan3d.io.LazyArray``); or LabelledData.
        crop: Edge length of a slice in voxels.
        counts: Slices per step for each of ``symmetry.groups``.
        symmetry: A Symmetry.
        seed: Non-negative int.
        excluded: Mask of voxels that no slice may touch, see ``exclusion``: bool, of the labels' shape, a list for
            several images; None excludes nothing.

    Raises:
        ValueError: if the data are smaller than the crop, or slices of a material that is not isotropic come without
            their directions, or every crop touches an excluded region.
    """

    def __init__(
        self,
        labels: Any,
        crop: int,
        counts: Sequence[int],
        symmetry: Symmetry = Symmetry(),
        seed: int = 0,
        excluded: Any = None,
    ):
        data = LabelledData.of(labels, symmetry, excluded)
        for image in data.images:
            check_fits(image.shape, (crop,) * image.ndim)
        self.crop, self.counts, self.symmetry, self.seed = crop, tuple(counts), symmetry, seed
        if data.dimensions == 3:
            self._groups = [_normal_crops(data, group, crop) for group in symmetry.groups]
        else:
            parts = [data.normal_to(group) for group in symmetry.groups]
            self._groups = [(part.normals, part.crops((crop, crop))) for part in parts]
        self.batch(0)

    def batch(self, step: int) -> tuple[np.ndarray, ...]:
        """Return the slices of a step: one uint8 array (count, crop, crop) per group."""
        rng = np.random.default_rng([self.seed, step])
        return tuple(
            np.stack([self._draw(rng, source) for _ in range(count)])
            for source, count in zip(self._groups, self.counts, strict=True)
        )

    def _draw(self, rng, source):
        if isinstance(source, dict):
            normal = int(rng.choice(list(source)))
            order = (normal, *self.symmetry.section_axes(normal))
            image = source[normal].draw(rng, order)[1].squeeze(normal)
        else:
            normals, crops = source
            k, image = crops.draw(rng)
            normal = None if normals is None else normals[k]
        rows, columns = (0, 1) if normal is None else self.symmetry.section_axes(normal)
        image = image.swapaxes(0, 1) if rows > columns else image
        image = image[:: rng.choice((-1, 1)), :: rng.choice((-1, 1))]
        return image.swapaxes(0, 1) if self.symmetry.interchangeable(rows, columns) and rng.random() < 0.5 else image


class VolumeSampler:
    """Random sub-volumes of labelled data, augmented by the symmetries of the material.

    Args:
        labels: (z, y, x), uint8, 0..n-1: an array, or an object that is indexed like one
            (``kerasgan3d.io.LazyArray``); a list of them; or LabelledData.
        crop: Edge length of a sub-volume in voxels.
        count: Sub-volumes per step.
        symmetry: A Symmetry.
        spacing: Sub-volumes begin at multiples of this number of voxels; 1 is anywhere, the paper has 8.
        seed: Non-negative int.
        excluded: Mask of voxels that no sub-volume may touch, see ``exclusion``: bool, of the labels' shape, a list for
            several images; None excludes nothing.

    Raises:
        ValueError: if the data are not 3D or smaller than the crop, or every crop touches an excluded region.
    """

    def __init__(
        self,
        labels: Any,
        crop: int,
        count: int,
        symmetry: Symmetry = Symmetry(),
        spacing: int = 1,
        seed: int = 0,
        excluded: Any = None,
    ):
        data = LabelledData.of(labels, symmetry, excluded)
        if data.dimensions != 3:
            what = f"shape {labels.shape}" if hasattr(labels, "shape") else "slices"
            raise ValueError(f"a critic of sub-volumes needs a 3D image. Received: {what}.")
        self.count, self.symmetry, self.seed = count, symmetry, seed
        self._crops = data.crops((crop,) * 3, spacing)
        self.batch(0)

    def batch(self, step: int) -> tuple[np.ndarray, ...]:
        """Return the sub-volumes of a step: a uint8 array (count, crop, crop, crop), in a tuple."""
        rng = np.random.default_rng([self.seed, step])
        return (np.stack([self._draw(rng) for _ in range(self.count)]),)

    def _draw(self, rng):
        volume = self._crops.draw(rng)[1]
        order = np.arange(3)
        for group in self.symmetry.groups:
            order[list(group)] = rng.permutation(group)
        volume = volume.transpose((*order, *range(3, volume.ndim)))
        return volume[tuple(slice(None, None, int(rng.choice((-1, 1)))) for _ in range(3))]


class Samplers:
    """Several samplers joined into one.

    Args:
        samplers: Samplers whose ``batch(step)`` returns a tuple of arrays.
    """

    def __init__(self, *samplers: Any):
        self.samplers = samplers

    def batch(self, step: int) -> tuple[np.ndarray, ...]:
        """Return the arrays of a step: those of the first sampler, then those of the next, in a tuple."""
        return tuple(part for sampler in self.samplers for part in sampler.batch(step))


def exclusion(shape: Sequence[int], boxes: Any) -> np.ndarray | None:
    """Return a mask of boxes that training and reference statistics leave out: a crack, a scratch, a held-out block.

    Args:
        shape: (z, y, x) or (y, x), of the labels.
        boxes: Sequence of boxes; a box is one (start, stop) in voxels per axis, or None for the whole axis.

    Returns:
        bool array of ``shape``, True where excluded; None without boxes.

    Raises:
        ValueError: if a box has another number of axes, or is empty or outside the data.
    """
    boxes = list(boxes or ())
    return np.asarray(excluding(shape, [box_window(box, shape) for box in boxes])) if boxes else None


def excluding(shape: Sequence[int], windows: Sequence[tuple[slice, ...]], also: Any = None) -> LazyArray:
    """Return the mask of some windows and of the voxels that are already excluded, as a lazy array of bool.

    Args:
        shape: Shape of the image.
        windows: Tuples of slices (start, stop).
        also: Mask of voxels that are already excluded: bool, of that shape, an array or an object that is indexed like
            one; or None.
    """

    def read(asked):
        lengths = [part.stop - part.start for part in asked]
        block = np.zeros(lengths, bool) if also is None else np.array(also[asked], bool)
        for window in windows:
            parts = zip(window, asked, strict=True)
            inside = [slice(max(0, a.start - b.start), max(0, min(a.stop, b.stop) - b.start)) for a, b in parts]
            block[tuple(inside)] = True
        return block

    return LazyArray(shape, bool, read)


def batches(sampler: Any, first: int = 0, count: int | None = None, devices: int | None = None) -> Any:
    """Return the batches of steps ``first``, ``first + 1``, ... for ``fit``, drawn ahead of their use.

    Args:
        sampler: Any object whose ``batch(step)`` returns arrays of the same shapes for every step, in tuples and dicts.
        first: The first step.
        count: Number of steps; unlimited if None.
        devices: Number of devices that share a batch, within the scope of their strategy; ``sampler.parts(step,
            devices)`` then gives each its part.

    Returns:
        A tf.data.Dataset on the TensorFlow backend of Keras, an iterator on any other.
    """
    import keras

    def draw():
        for step in itertools.count(first) if count is None else range(first, first + count):
            yield from sampler.parts(step, devices) if (devices or 1) > 1 else (sampler.batch(step),)

    if keras.backend.backend() != "tensorflow":
        return ((batch,) for batch in _ahead(draw()))

    import tensorflow as tf

    signature = tf.nest.map_structure(lambda part: tf.TensorSpec(part.shape, part.dtype), next(draw()))
    dataset = tf.data.Dataset.from_generator(draw, output_signature=signature).prefetch(4)
    if (devices or 1) == 1:
        return dataset
    return tf.distribute.get_strategy().distribute_datasets_from_function(lambda context: dataset)


def _ahead(items, depth=4):
    """Yield the same items, made ahead of their use by another thread."""
    waiting, stopped = queue.Queue(depth), threading.Event()

    def put(item):
        while not stopped.is_set():
            with contextlib.suppress(queue.Full):
                return waiting.put(item, timeout=0.1)

    def work():
        try:
            for item in items:
                put((item, None))
                if stopped.is_set():
                    return
            put((None, StopIteration()))
        except Exception as error:
            put((None, error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            item, error = waiting.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item
    finally:
        stopped.set()
        thread.join()


def fractions(labels: Any, n: int, excluded: Any = None) -> np.ndarray:
    """Compute the fraction of each of the ``n`` phases among the voxels not excluded, block by block: (n,)."""
    found = counts(labels, n, excluded)
    return found / max(1, found.sum())


def counts(labels: Any, n: int, excluded: Any = None) -> np.ndarray:
    """Count the voxels of each of the ``n`` phases that are not excluded, block by block: (n,) integers."""
    total = np.zeros(n, np.int64)
    for window in windows(labels):
        block = labels[window]
        total += np.bincount(block.ravel() if excluded is None else block[~excluded[window]], minlength=n)
    return total


def _normal_crops(data: LabelledData, group: Sequence[int], crop: int) -> dict[int, Crops]:
    """Return the Crops that draw slices of volumes, by normal, for normals that have a free place."""
    found: dict[int, Crops] = {}
    for k, normal in enumerate(group):
        try:
            found[normal] = data.crops([1 if axis == normal else crop for axis in range(3)])
        except NoRoomError:
            if k + 1 == len(group) and not found:
                raise
    return found


__all__ = [
    "LabelledData",
    "Samplers",
    "SliceSampler",
    "Symmetry",
    "VolumeSampler",
    "batches",
    "box_window",
    "counts",
    "excluding",
    "exclusion",
    "fractions",
]
