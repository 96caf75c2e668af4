"""Training data: from labels to batches of random, symmetry-augmented slices or sub-volumes."""

import contextlib
import itertools
import queue
import threading
from dataclasses import dataclass

import numpy as np

from kerasgan3d.io import windows

SYMMETRIES = ("isotropic", "axial", "orthotropic")


@dataclass(frozen=True)
class Symmetry:
    """Which directions of a material are alike, and so which flips and rotations make valid training data.

    Attributes:
        kind: "isotropic" (all directions alike), "axial" (one axis differs from the other two, as in a calendered
            electrode) or "orthotropic" (all three axes differ).
        axis: The axis that differs where ``kind`` is "axial": 0, 1 or 2 for z, y or x.

    Raises:
        ValueError: if an attribute is not of the above.
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

    @property
    def groups(self):
        """The axes, in groups that are alike: ((0, 1, 2),), or ((0,), (1, 2)), or ((0,), (1,), (2,))."""
        if self.kind == "isotropic":
            return ((0, 1, 2),)
        if self.kind == "axial":
            return ((self.axis,), tuple(a for a in range(3) if a != self.axis))
        return ((0,), (1,), (2,))

    def section_axes(self, normal):
        """The two axes of a slice normal to ``normal``, rows first; the axis that differs is always the rows."""
        axes = [a for a in range(3) if a != normal]
        return tuple(sorted(axes, key=lambda a: (self.kind == "axial" and a != self.axis, a)))

    def interchangeable(self, a, b):
        """Whether two axes are alike."""
        return any(a in group and b in group for group in self.groups)


class SliceSampler:
    """Random slices of labelled data, augmented by the symmetries of the material.

    ``batch(step)`` is a pure function of the seed and the step: an interrupted training goes on with the data that it
    would have seen.

    Args:
        labels: What is sliced, uint8, 0..n-1: a volume (z, y, x); a slice (y, x), or a list of slices of any
            sizes, of an isotropic material; or a dict from axis (0, 1, 2) to a list of slices normal to it, whose rows
            and columns are the other two axes in the order z, y, x. Axes that are alike may share the slices of one of
            them. Arrays, or what is indexed like them (``kerasgan3d.io.StoredLabels``).
        crop: Edge length of a slice in voxels.
        counts: Slices per step for each of ``symmetry.groups``.
        symmetry: A Symmetry.
        seed: Non-negative int.
        excluded: What no slice may touch, see ``exclusion``: bool, of the labels' shape; None excludes nothing. Not for
            several slices.

    Raises:
        ValueError: if the data are smaller than the crop, or slices do not say which way they lie in a material that
            is not isotropic, or no crop is left beside what is excluded.
    """

    def __init__(self, labels, crop, counts, symmetry=Symmetry(), seed=0, excluded=None):
        self.sections = None if _is_volume(labels) else _sections(labels, symmetry)
        for image in [labels] if self.sections is None else [image for part in self.sections for image, _ in part]:
            _check_fits(image.shape, crop)
        self.labels, self.crop, self.counts, self.symmetry, self.seed = labels, crop, tuple(counts), symmetry, seed
        self.excluded = excluded
        self.batch(0)

    def batch(self, step):
        """The slices of a step: one uint8 array (count, crop, crop) per group."""
        rng = np.random.default_rng([self.seed, step])
        return tuple(
            np.stack([self._draw(rng, i) for _ in range(count)])
            for i, (_, count) in enumerate(zip(self.symmetry.groups, self.counts, strict=True))
        )

    def _draw(self, rng, i):
        labels, place, turned, square = _until_free(lambda: self._place(rng, i), self.excluded)
        image = labels[place]
        image = image.T if turned else image
        image = image[:: rng.choice((-1, 1)), :: rng.choice((-1, 1))]
        return image.T if square and rng.random() < 0.5 else image

    def _place(self, rng, i):
        """An image, the window of a random slice in it, whether that is transposed, and whether its axes are alike."""
        group = self.symmetry.groups[i]
        if self.sections is not None:
            image, (rows, columns) = _chosen(rng, self.sections[i], self.crop)
            square = rows is None or self.symmetry.interchangeable(rows, columns)
            corner = [int(rng.integers(n - self.crop + 1)) for n in image.shape]
            turned = rows is not None and (rows, columns) != self._order(rows, columns)
            return image, tuple(slice(c, c + self.crop) for c in corner), turned, square
        normal = int(rng.choice(group))
        rows, columns = self.symmetry.section_axes(normal)
        place = {normal: int(rng.integers(self.labels.shape[normal]))}
        for axis in (rows, columns):
            corner = int(rng.integers(self.labels.shape[axis] - self.crop + 1))
            place[axis] = slice(corner, corner + self.crop)
        window = tuple(place[axis] for axis in range(3))
        return self.labels, window, rows > columns, self.symmetry.interchangeable(rows, columns)

    def _order(self, rows, columns):
        return self.symmetry.section_axes(3 - rows - columns)


class VolumeSampler:
    """Random sub-volumes of labelled data, augmented by the symmetries of the material.

    Args:
        labels: (z, y, x), uint8, 0..n-1: an array, or what is indexed like one (``kerasgan3d.io.StoredLabels``).
        crop: Edge length of a sub-volume in voxels.
        count: Sub-volumes per step.
        symmetry: A Symmetry.
        spacing: Sub-volumes begin at multiples of it; 1 is anywhere, the paper has 8.
        seed: Non-negative int.
        excluded: What no sub-volume may touch, see ``exclusion``: bool, of the labels' shape; None excludes nothing.

    Raises:
        ValueError: if the data are not 3D or smaller than the crop, or no crop is left beside what is excluded.
    """

    def __init__(self, labels, crop, count, symmetry=Symmetry(), spacing=1, seed=0, excluded=None):
        if not _is_volume(labels):
            what = f"shape {labels.shape}" if hasattr(labels, "shape") else "slices"
            raise ValueError(f"a critic of sub-volumes needs a 3D image. Received: {what}.")
        _check_fits(labels.shape, crop)
        self.labels, self.crop, self.count, self.symmetry = labels, crop, count, symmetry
        self.spacing, self.seed, self.excluded = spacing, seed, excluded
        self.batch(0)

    def batch(self, step):
        """The sub-volumes of a step: a uint8 array (count, crop, crop, crop), in a tuple."""
        rng = np.random.default_rng([self.seed, step])
        return (np.stack([self._draw(rng) for _ in range(self.count)]),)

    def _draw(self, rng):
        labels, place = _until_free(lambda: self._place(rng), self.excluded)
        volume = labels[place]
        order = np.arange(3)
        for group in self.symmetry.groups:
            order[list(group)] = rng.permutation(group)
        return volume.transpose(order)[tuple(slice(None, None, int(rng.choice((-1, 1)))) for _ in range(3))]

    def _place(self, rng):
        corner = (int(rng.integers((n - self.crop) // self.spacing + 1)) * self.spacing for n in self.labels.shape)
        return self.labels, tuple(slice(c, c + self.crop) for c in corner)


class SamplerPair:
    """What two samplers give, one after the other, for critics of two kinds.

    Args:
        first, second: Samplers.
    """

    def __init__(self, first, second):
        self.first, self.second = first, second

    def batch(self, step):
        """The arrays of a step: those of the first, then those of the second, in a tuple."""
        return (*self.first.batch(step), *self.second.batch(step))


def exclusion(shape, boxes):
    """A mask of boxes that training and reference statistics shall not see: a crack, a scratch, a held-out block.

    Args:
        shape: (z, y, x) or (y, x), of the labels.
        boxes: Sequence of boxes; a box is one (start, stop) in voxels per axis, or None for the whole axis.

    Returns:
        bool array of ``shape``, True where excluded; None without boxes.

    Raises:
        ValueError: if a box has another number of axes, or is empty or outside the data.
    """
    boxes = list(boxes or ())
    if not boxes:
        return None
    mask = np.zeros(shape, bool)
    for box in boxes:
        mask[box_window(box, shape)] = True
    return mask


def batches(sampler, first=0, count=None, devices=None):
    """The batches of steps ``first``, ``first + 1``, ... for ``fit``, drawn ahead of their use.

    Args:
        sampler: Anything whose ``batch(step)`` gives arrays of the same shapes for every step, in tuples and dicts.
        first: The first step.
        count: How many steps; endlessly many if None.
        devices: How many devices share a batch, within the scope of their strategy; ``sampler.parts(step, devices)``
            then gives each its part.

    Returns:
        A tf.data.Dataset on the TensorFlow backend of Keras, else an iterator.
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
    """The same items, made by another thread before they are asked for."""
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


def fractions(labels, n, excluded=None):
    """Share of each of the ``n`` phases in the labels beside what is excluded: (n,). Block by block."""
    found = counts(labels, n, excluded)
    return found / max(1, found.sum())


def counts(labels, n, excluded=None):
    """Voxels of each of the ``n`` phases in the labels beside what is excluded: (n,) integers. Block by block."""
    total = np.zeros(n, np.int64)
    for window in windows(labels):
        block = labels[window]
        total += np.bincount(block.ravel() if excluded is None else block[~excluded[window]], minlength=n)
    return total


def _until_free(draw, excluded, tries=10_000):
    """The first of random places, (labels, window, ...), that does not touch what is excluded."""
    for _ in range(tries):
        found = draw()
        if excluded is None or not excluded[found[1]].any():
            return found
    raise ValueError(
        f"the data must hold crops beside what is excluded. Received: an exclusion that {tries} random crops touched. "
        "Exclude less, or pass a smaller crop."
    )


def _is_volume(labels):
    return getattr(labels, "ndim", 0) == 3


def _sections(labels, symmetry):
    """For each group of axes the slices that show it: a list of (image, (axis of its rows, of its columns))."""
    if not isinstance(labels, dict):
        if symmetry.kind != "isotropic":
            raise ValueError(
                f"one slice can only train an isotropic material. Received: a 2D image and {symmetry.kind!r} symmetry. "
                'Slices along the other directions would show the rest: {"z": ..., "y": ..., "x": ...}.'
            )
        images = labels if isinstance(labels, list | tuple) else [labels]
        return [[(image, (None, None)) for image in images]]
    found = [
        [
            (image, tuple(axis for axis in range(3) if axis != normal))
            for normal in group
            for image in labels.get(normal, ())
        ]
        for group in symmetry.groups
    ]
    for group, part in zip(symmetry.groups, found, strict=True):
        if not part:
            raise ValueError(
                f"there must be slices normal to {' or '.join('zyx'[axis] for axis in group)} in a material of "
                f"{symmetry} symmetry. Received: slices normal to {', '.join('zyx'[axis] for axis in sorted(labels))}."
            )
    return found


def _chosen(rng, images, crop):
    """One of the images, the likelier the more crops it holds."""
    if len(images) == 1:
        return images[0]
    places = np.array([np.prod([n - crop + 1 for n in image.shape]) for image, _ in images], float)
    return images[int(rng.choice(len(images), p=places / places.sum()))]


def box_window(box, shape):
    """A box, one (start, stop) in voxels or None per axis, as a tuple of slices.

    Raises:
        ValueError: if it has another number of axes, or is empty or outside the data.
    """
    pairs = [(0, n) if pair is None else tuple(pair) for pair, n in zip(box, shape, strict=False)]
    fits = len(box) == len(shape) and all(
        len(pair) == 2 and 0 <= pair[0] < pair[1] <= n for pair, n in zip(pairs, shape, strict=True)
    )
    if not fits:
        raise ValueError(
            f"a box must be one (start, stop) per axis within the data's {' x '.join(map(str, shape))} voxels. "
            f"Received: {box!r}."
        )
    return tuple(slice(*pair) for pair in pairs)


def _check_fits(shape, crop):
    if min(shape) < crop:
        raise ValueError(
            f"the data must be at least as large as a crop of {crop} voxels per side. "
            f"Received: {' x '.join(map(str, shape))}. Pass a smaller crop."
        )


__all__ = [
    "SamplerPair",
    "SliceSampler",
    "Symmetry",
    "VolumeSampler",
    "batches",
    "box_window",
    "counts",
    "exclusion",
    "fractions",
]
