"""Training data: from labels to batches of random, symmetry-augmented slices or sub-volumes."""

from dataclasses import dataclass

import numpy as np

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
        labels: (z, y, x) or, for an isotropic material, one slice (y, x); uint8, 0..n-1.
        crop: Edge length of a slice in voxels.
        counts: Slices per step for each of ``symmetry.groups``.
        symmetry: A Symmetry.
        seed: Non-negative int.
        excluded: What no slice may touch, see ``exclusion``: bool, of the labels' shape; None excludes nothing.

    Raises:
        ValueError: if the data are smaller than the crop, or one slice is given of a material that is not isotropic,
            or no crop is left beside what is excluded.
    """

    def __init__(self, labels, crop, counts, symmetry=Symmetry(), seed=0, excluded=None):
        if labels.ndim == 2 and symmetry.kind != "isotropic":
            raise ValueError(
                f"one slice can only train an isotropic material. Received: a 2D image and {symmetry.kind!r} symmetry."
            )
        _check_fits(labels.shape, crop)
        self.labels, self.crop, self.counts, self.symmetry, self.seed = labels, crop, tuple(counts), symmetry, seed
        self.excluded = excluded
        self.batch(0)

    def batch(self, step):
        """The slices of a step: one uint8 array (count, crop, crop) per group."""
        rng = np.random.default_rng([self.seed, step])
        return tuple(
            np.stack([self._draw(rng, group) for _ in range(count)])
            for group, count in zip(self.symmetry.groups, self.counts, strict=True)
        )

    def _draw(self, rng, group):
        order, place, square = _until_free(lambda: self._place(rng, group), self.excluded)
        image = self.labels.transpose(order)[place]
        image = image[:: rng.choice((-1, 1)), :: rng.choice((-1, 1))]
        return image.T if square and rng.random() < 0.5 else image

    def _place(self, rng, group):
        """The order of axes, the index of a random slice in that order, and whether its two axes are alike."""
        if self.labels.ndim == 2:
            order, place, square = (0, 1), (), True
        else:
            normal = int(rng.choice(group))
            rows, columns = self.symmetry.section_axes(normal)
            order, place = (normal, rows, columns), (int(rng.integers(self.labels.shape[normal])),)
            square = self.symmetry.interchangeable(rows, columns)
        corner = [int(rng.integers(self.labels.shape[axis] - self.crop + 1)) for axis in order[-2:]]
        return order, (*place, *(slice(c, c + self.crop) for c in corner)), square


class VolumeSampler:
    """Random sub-volumes of labelled data, augmented by the symmetries of the material.

    Args:
        labels: (z, y, x), uint8, 0..n-1.
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
        if labels.ndim != 3:
            raise ValueError(f"a critic of sub-volumes needs a 3D image. Received: shape {labels.shape}.")
        _check_fits(labels.shape, crop)
        self.labels, self.crop, self.count, self.symmetry = labels, crop, count, symmetry
        self.spacing, self.seed, self.excluded = spacing, seed, excluded
        self.batch(0)

    def batch(self, step):
        """The sub-volumes of a step: a uint8 array (count, crop, crop, crop), in a tuple."""
        rng = np.random.default_rng([self.seed, step])
        return (np.stack([self._draw(rng) for _ in range(self.count)]),)

    def _draw(self, rng):
        _, place = _until_free(lambda: self._place(rng), self.excluded)
        volume = self.labels[place]
        order = np.arange(3)
        for group in self.symmetry.groups:
            order[list(group)] = rng.permutation(group)
        return volume.transpose(order)[tuple(slice(None, None, int(rng.choice((-1, 1)))) for _ in range(3))]

    def _place(self, rng):
        corner = (int(rng.integers((n - self.crop) // self.spacing + 1)) * self.spacing for n in self.labels.shape)
        return (0, 1, 2), tuple(slice(c, c + self.crop) for c in corner)


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
        mask[_slices(box, shape)] = True
    return mask


def batches(sampler, first=0, count=None):
    """The batches of steps ``first``, ``first + 1``, ... as a tf.data.Dataset, drawn ahead of their use."""
    import tensorflow as tf

    example = sampler.batch(first)
    signature = tuple(tf.TensorSpec(part.shape, part.dtype) for part in example)

    def draw():
        step = first
        while count is None or step < first + count:
            yield sampler.batch(step)
            step += 1

    return tf.data.Dataset.from_generator(draw, output_signature=signature).prefetch(4)


def fractions(labels, n):
    """Share of each of the ``n`` phases in the labels: (n,)."""
    return np.bincount(labels.ravel(), minlength=n) / labels.size


def _until_free(draw, excluded, tries=10_000):
    """The first of random places, (order of axes, index, ...), that does not touch what is excluded."""
    for _ in range(tries):
        found = draw()
        if excluded is None or not excluded.transpose(found[0])[found[1]].any():
            return found
    raise ValueError(
        f"the data must hold crops beside what is excluded. Received: an exclusion that {tries} random crops touched. "
        "Exclude less, or pass a smaller crop."
    )


def _slices(box, shape):
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


__all__ = ["SliceSampler", "Symmetry", "VolumeSampler", "batches", "exclusion", "fractions"]
