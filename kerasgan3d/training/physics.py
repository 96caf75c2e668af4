"""Statistics of a material that a generator's probabilities can be pulled towards, and their targets from the data.

What is generated is measured on slices normal to each of the three axes: arrays (count, rows, columns, phases) of
probabilities. Each statistic is a plain mean over places, so that it has a gradient, and is exact where probabilities
are 0 or 1.
"""

from itertools import combinations

import keras
import numpy as np
from keras import ops

from kerasgan3d.metrics._count import diagonal_neighbours, here_or_next, junctions

# What a generator can be pulled towards, each with a weight, and which statistics of the data that needs: residuals of
# some are in units of others.
NEEDS = {
    "fraction": ("fractions",),
    "s2": ("fractions", "s2"),
    "diagonal": ("fractions", "diagonal"),
    "surface": ("surface",),
    "tpb": ("tpb",),
    "spread": ("fractions", "spread"),
    "lattice": ("fractions", "surface"),
    "diffusivity": ("fractions", "diffusivity"),
    "volume_spread": ("fractions", "surface", "volume_spread"),
}
TERMS = tuple(NEEDS)
_SMALL = 1e-6
# Of statistics that are so many times what they are divided by, what counts is their ratio to the target.
_MANY = 4.0


def sharpen(probabilities):
    """Probabilities nearer to the labels that they stand for: p^8, normalised over the last axis.

    What is measured in the end are labels. The mean of soft probabilities can be right where that of labels is far off:
    0.3, 0.3 and 0.4 everywhere would be labelled as one phase. Of an even mixture nothing changes; 0.3, 0.3 and 0.4
    become 0.08, 0.08 and 0.83.
    """
    for _ in range(3):
        probabilities = ops.square(probabilities)
    return probabilities / ops.sum(probabilities, axis=-1, keepdims=True)


def soft_fractions(probabilities, sharp=None):
    """Volume fractions: mean sharpened probabilities, (phases,).

    A phase that is nowhere likely has no slope once probabilities are sharpened; a tenth of that of the probabilities
    themselves brings it back.

    Args:
        probabilities: Arrays (..., phases) of one shape, not sharpened.
        sharp: The same sharpened, where they have been.
    """

    def mean(parts):
        return sum(ops.mean(part, axis=tuple(range(len(part.shape) - 1))) for part in parts) / len(parts)

    plain = mean(probabilities)
    return mean(sharp or [sharpen(part) for part in probabilities]) + 0.1 * (plain - ops.stop_gradient(plain))


def soft_pairs(slices, axis):
    """Probability that two places on a line are of the same phase: (phases, places, places).

    Args:
        slices: (count, rows, columns, phases).
        axis: That of the lines: 1 for rows' direction, 2 for that of columns.
    """
    # Lines side by side: (phases, length, lines).
    x = ops.transpose(slices, (3, 1, 0, 2) if axis == 1 else (3, 2, 0, 1))
    x = ops.reshape(x, (slices.shape[3], slices.shape[axis], -1))
    return ops.matmul(x, ops.transpose(x, (0, 2, 1))) / ops.cast(ops.shape(x)[-1], x.dtype)


def soft_two_point_correlation(pairs, lags):
    """Probability that two places a lag apart along a line are of the same given phase: S2(r).

    S2(r) = E p(x) p(x + r), over the pairs within the slices (Torquato, Random Heterogeneous Materials, 2002, 2.2).

    Args:
        pairs: What ``soft_pairs`` gives.
        lags: Lags in voxels, positive and smaller than the slices.

    Returns:
        (phases, lags).
    """
    n = pairs.shape[-1]
    chosen = np.stack([np.eye(n, k=lag, dtype="float32") / (n - lag) for lag in lags])
    return ops.matmul(ops.reshape(pairs, (-1, n * n)), chosen.reshape(len(lags), -1).T)


def soft_diagonals(slices, lags):
    """The two-point correlation along the diagonals of slices: (phases, 2, lags).

    E p(y, x) p(y + k, x + k), and E p(y, x + k) p(y + k, x): places k rows and k columns apart. What leans to one side
    is right along both axes and tells itself here.

    Args:
        slices: (count, rows, columns, phases).
        lags: k in voxels, positive and smaller than the slices.
    """
    x = ops.transpose(slices, (3, 0, 1, 2))  # each phase's places lie together: its means are faster
    down = [ops.mean(x[:, :, :-k, :-k] * x[:, :, k:, k:], axis=(1, 2, 3)) for k in lags]
    up = [ops.mean(x[:, :, :-k, k:] * x[:, :, k:, :-k], axis=(1, 2, 3)) for k in lags]
    return ops.stack([ops.stack(down, axis=-1), ops.stack(up, axis=-1)], axis=1)


def soft_surface(slices, axis):
    """Share of the voxel faces normal to an axis at which a phase begins or ends: (phases,).

    E |p(x + 1) - p(x)|: a boundary counts once however many voxels it is blurred over. Divided by the voxel size it is
    the axis's part of the specific surface area by faces.

    Args:
        slices: (count, rows, columns, phases).
        axis: 1 or 2, the direction in which neighbours are compared.
    """
    a, b = _pair(slices, axis, 1)
    return ops.mean(ops.abs(a - b), axis=(0, 1, 2))


def soft_triple_points(slices):
    """Share of the corners between 2 x 2 places at which three phases or more meet: a scalar.

    Of four places whose phases are independent, none but phase i occurs with probability a_i, the product of its
    probabilities, and none but i and j with probability b_ij, that of their sums; so at least three occur with
    probability 1 + (n - 2) sum a_i - sum b_ij for n phases. Divided by the voxel size squared it is the length per
    volume of the triple-phase boundaries along the slices' normal.

    Args:
        slices: (count, rows, columns, phases).
    """
    n = slices.shape[-1]
    couples = np.zeros((n, n * (n - 1) // 2), "float32")
    for k, pair in enumerate(combinations(range(n), 2)):
        couples[list(pair), k] = 1.0
    alone, together = _all_four(slices), _all_four(ops.matmul(slices, couples))
    return 1.0 + ops.mean((n - 2) * ops.sum(alone, axis=-1) - ops.sum(together, axis=-1))


def soft_spread(slices, fractions):
    """Mean squared deviation of the slices' area fractions from ``fractions``: (phases,)."""
    fractions = ops.convert_to_tensor(fractions, dtype=slices.dtype)
    return ops.mean(ops.square(ops.mean(slices, axis=(1, 2)) - fractions), axis=0)


def soft_volume_spread(volumes, fractions, surface):
    """Mean squared deviation of the volumes' volume fractions and of their surface areas: (phases, 2).

    Args:
        volumes: (count, z, y, x, phases).
        fractions: From what, (phases,).
        surface: The same of the surface areas, the means over axes of what ``soft_surface`` says, (phases,).
    """
    kinds = ops.mean(volumes, axis=(1, 2, 3)), _surface_of_each(volumes)
    found = [
        ops.mean(ops.square(kind - ops.convert_to_tensor(mean, dtype=volumes.dtype)), axis=0)
        for kind, mean in zip(kinds, (fractions, surface), strict=True)
    ]
    return ops.stack(found, axis=-1)


def soft_lattice(slices, axis, stride):
    """How fractions and boundaries depend on the place within the stride, less their means: (2, phases, stride).

    First the mean probability of a phase at each place along an axis, modulo the stride; then the share of the voxel
    faces at which a phase begins or ends. Slices begin at a multiple of the stride.

    Args:
        slices: (count, rows, columns, phases).
        axis: 1 or 2.
        stride: Voxels.
    """
    a, b = _pair(slices, axis, 1)
    lines = (0, 2 if axis == 1 else 1)
    found = [ops.mean(slices, axis=lines), ops.mean(ops.abs(a - b), axis=lines)]
    profiles = [ops.matmul(_modulo(part.shape[0], stride), part) for part in found]
    return ops.stack([ops.transpose(part - ops.mean(part, axis=0, keepdims=True)) for part in profiles])


def soft_statistics(sections, axes, terms, *, lags=(), fractions=None, stride=16):
    """The statistics that are asked for, of slices in three directions.

    Args:
        sections: Three arrays (count, rows, columns, phases), of slices normal to z, y and x; not sharpened.
        axes: For each of them the axes of its rows and columns.
        terms: Names, of ``TERMS``.
        lags: Lags in voxels of "s2" and "diagonal".
        fractions: Volume fractions of the data, for "spread".
        stride: Voxels per latent step, for "lattice".

    Returns:
        dict of "fraction" (phases,), "s2" (phases, 3, lags), "diagonal" (phases, 3, 2, lags), "surface" (phases, 3),
        "tpb" (3,), "spread" (phases, 3), "lattice" (2, phases, 3, stride).
    """

    sharp = [sharpen(slices) for slices in sections]

    def along(statistic):
        """Mean over both kinds of slices that show an axis; the axis becomes the second."""
        found = [[] for _ in range(3)]
        for slices, pair in zip(sharp, axes, strict=True):
            for i, axis in enumerate(pair):
                found[axis].append(statistic(slices, i + 1))
        return [sum(parts) / len(parts) for parts in found]

    found = {}
    if "fraction" in terms:
        found["fraction"] = soft_fractions(sections, sharp)
    if "s2" in terms:
        found["s2"] = ops.stack(along(lambda x, i: soft_two_point_correlation(soft_pairs(x, i), lags)), axis=1)
    if "diagonal" in terms:
        found["diagonal"] = ops.stack([soft_diagonals(slices, lags) for slices in sharp], axis=1)
    if "surface" in terms:
        found["surface"] = ops.stack(along(soft_surface), axis=1)
    if "tpb" in terms:
        found["tpb"] = ops.stack([soft_triple_points(slices) for slices in sharp])
    if "spread" in terms:
        found["spread"] = ops.stack([soft_spread(slices, fractions) for slices in sharp], axis=1)
    if "lattice" in terms:
        found["lattice"] = ops.stack(along(lambda x, i: soft_lattice(x, i, stride)), axis=2)
    return found


class Pull:
    """A statistic that a generator is pulled towards.

    Args:
        target: Of the data: an array (phases, ...).
        scale: What differences are divided by, of the same shape.
        decay: Of a running mean of the statistic, per update, from the target on. With 0 the loss is the squared error
            of one batch, which is least where the volumes of a batch are more alike than they should be; else the
            gradient is that of the statistic times the error of the batches before, which is right on average.
        limit: With a running mean, residuals beyond this pull no stronger: what is far off, as all is at first, shall
            not drown the critics.

    Attributes:
        running: The running mean, a variable; None without.
    """

    def __init__(self, target, scale, decay=0.0, limit=0.2):
        self.target, self.scale = (np.asarray(values, "float32") for values in (target, scale))
        self.decay, self.limit = float(decay), float(limit)
        self.running = keras.Variable(self.target, trainable=False, dtype="float32") if self.decay else None

    def error(self, found):
        """A term of the loss whose gradient is that of the squared error, and the error: two scalars.

        Args:
            found: The statistic of a batch, of the target's shape.
        """
        target, scale = (ops.convert_to_tensor(values, "float32") for values in (self.target, self.scale))
        if self.running is None:
            error = _total(ops.square((found - target) / scale))
            return error, error
        before = ops.convert_to_tensor(self.running)
        residual = (before - target) / scale
        error = _total(ops.square(residual))
        # Neither the residual of what is far off nor its slope shall drown the critics.
        slope = 2.0 * ops.clip(residual, -self.limit, self.limit) / ops.maximum(scale, ops.abs(before) / _MANY)
        known = ops.stop_gradient(found)
        self.running.assign(self.decay * before + (1.0 - self.decay) * known)
        return error + _total(slope * (found - known)), error


def scales(targets, shapes):
    """What residuals of each statistic are divided by: arrays that broadcast to them.

    Args:
        targets: What ``statistics`` gives.
        shapes: dict from the statistics that are asked for to their shapes.

    Returns:
        dict: 1 for fractions; volume fractions for "s2" and "diagonal"; the data's own values, averaged over
        directions, for "surface", "tpb", "spread" and "volume_spread"; for "lattice" fractions and surfaces; for
        "diffusivity" fractions^1.5, what a well mixed medium conducts (Bruggeman), as that of the data may be nothing.
    """

    def fractions():
        return np.asarray(targets["fractions"], float)[:, None]

    def mean(name):
        return np.maximum(np.mean(targets[name], axis=-1, keepdims=True), _SMALL)

    def scale(name):
        if name == "fraction":
            return 1.0
        if name == "s2":
            return fractions()[..., None]
        if name == "diagonal":
            return fractions()[..., None, None]
        if name == "diffusivity":
            return fractions() ** 1.5
        if name == "lattice":
            return np.stack([fractions(), mean("surface")])[..., None]
        if name == "volume_spread":
            # A hundredth of the mean is as little as a few volumes tell.
            means = np.concatenate([fractions(), mean("surface")], axis=1)
            return np.maximum(targets[name], 1e-4 * np.square(means))
        return np.maximum(mean(name), 1e-3 * fractions() * (1 - fractions())) if name == "spread" else mean(name)

    return {name: np.broadcast_to(scale(name), shape).astype("float32") for name, shape in shapes.items()}


def statistics(labels, phases, symmetry, *, lags=(), excluded=None):
    """The same statistics of labelled data, in the same shapes, but for "spread" and "lattice".

    Directions that are alike share their mean; one slice of an isotropic material stands for all three.

    Args:
        labels: (z, y, x) or (y, x), 0..phases-1.
        phases: Number of phases.
        symmetry: A Symmetry.
        lags: Lags in voxels of the two-point correlation: along axes, and of rows and columns along diagonals.
        excluded: What is not counted: bool, of the labels' shape, or None.

    Returns:
        dict of float64 arrays: "fractions" (phases,), "s2" (phases, 3, lags), "diagonal" (phases, 3, 2, lags),
        "surface" (phases, 3), "tpb" (3,). Both diagonals of a plane share their mean, as the data may be flipped.

    Raises:
        ValueError: if a lag leaves no pair in the data.
    """
    axes = range(labels.ndim)
    counted = labels.ravel() if excluded is None else labels[~excluded]
    s2 = np.array([[_same(labels, axis, r, phases, excluded) for r in lags] for axis in axes])
    surface = np.array([changes(labels, axis, phases, excluded) for axis in axes])
    planes = [(0, 1)] if labels.ndim == 2 else [(1, 2), (0, 2), (0, 1)]
    diagonal = np.array([[diagonals(labels, plane, r, phases, excluded) for r in lags] for plane in planes])
    diagonal = np.resize(diagonal.reshape(len(planes), len(lags), phases), (labels.ndim, len(lags), phases))
    tpb = np.array([triple_points(labels, plane, phases, excluded) for plane in planes])
    return {
        "fractions": np.bincount(counted, minlength=phases) / counted.size,
        "s2": alike(s2.reshape(labels.ndim, len(lags), phases), symmetry).transpose(2, 0, 1),
        "diagonal": both_diagonals(alike(diagonal, symmetry)),
        "surface": alike(surface, symmetry).T,
        "tpb": alike(np.resize(tpb, labels.ndim), symmetry),
    }


def spread(windows, phases, symmetry):
    """Variance of the area fractions of windows: (phases, 3 normals).

    Args:
        windows: Labels of slices for each of the symmetry's groups of normals: arrays (count, rows, columns).
        phases: Number of phases.
        symmetry: A Symmetry.
    """
    result = np.empty((phases, 3))
    for group, part in zip(symmetry.groups, windows, strict=True):
        shares = np.array([np.bincount(window.ravel(), minlength=phases) / window.size for window in part])
        result[:, list(group)] = shares.var(axis=0)[:, None]
    return result


def volume_spread(volumes, phases):
    """Variance of the volume fractions and of the surface areas of sub-volumes: (phases, 2).

    Args:
        volumes: Iterable of labels (z, y, x).
        phases: Number of phases.
    """
    kinds = [
        (np.bincount(v.ravel(), minlength=phases) / v.size, np.mean([changes(v, i, phases) for i in range(3)], axis=0))
        for v in volumes
    ]
    return np.var(kinds, axis=0).T


def _total(values):
    """Sum over the first axis of the means over the others."""
    axes = tuple(range(1, len(values.shape)))
    return ops.sum(ops.mean(values, axis=axes) if axes else values)


def _surface_of_each(volumes):
    """Means over the three axes of what ``soft_surface`` says, of each volume: (count, phases)."""
    pairs = [_pair(volumes, axis, 1) for axis in (1, 2, 3)]
    return sum(ops.mean(ops.abs(a - b), axis=(1, 2, 3)) for a, b in pairs) / 3


def _all_four(slices):
    """Products over each 2 x 2 places: (count, rows - 1, columns - 1, channels)."""
    a, b = _pair(slices, 1, 1)
    a, b = _pair(a * b, 2, 1)
    return a * b


def _modulo(length, stride):
    """A matrix that averages the places of a line which are equal modulo the stride: (stride, length)."""
    chosen = (np.arange(length)[None] % stride == np.arange(stride)[:, None]).astype("float32")
    chosen[~chosen.any(1)] = 1.0  # a place that does not occur: the mean of all
    return chosen / chosen.sum(1, keepdims=True)


def _pair(values, axis, lag):
    """Values, and those a lag further along an axis."""
    head, tail = [slice(None)] * len(values.shape), [slice(None)] * len(values.shape)
    head[axis], tail[axis] = slice(None, -lag), slice(lag, None)
    return values[tuple(head)], values[tuple(tail)]


def _too_small(labels, lag):
    shape = " x ".join(map(str, labels.shape))
    return ValueError(f"`s2_lags` must be smaller than the data, {shape} voxels. Received: {lag}.")


def triple_points(labels, plane, phases, excluded=None):
    """Share of the corners in a plane at which at least three phases meet."""

    met = junctions(labels, range(phases), plane, (False,) * labels.ndim)
    if excluded is None:
        return float(np.mean(met))
    for axis in plane:
        excluded = here_or_next(excluded, axis, False)
    return float(np.mean(met[~excluded]))


def _labels_of_pairs(labels, axis, lag, excluded):
    if not lag < labels.shape[axis]:
        raise _too_small(labels, lag)
    a, b = _pair(labels, axis, lag)
    if excluded is None:
        return a.ravel(), b.ravel()
    first, second = _pair(excluded, axis, lag)
    counted = ~(first | second)
    return a[counted], b[counted]


def _same(labels, axis, lag, phases, excluded):
    a, b = _labels_of_pairs(labels, axis, lag, excluded)
    same = a[a == b]
    return np.array([np.count_nonzero(same == phase) for phase in range(phases)]) / a.size


def diagonals(labels, plane, lag, phases, excluded=None):
    """Probability that places, a lag apart along both axes of a plane, are of the same given phase: (phases,).

    The mean over both diagonals.

    Raises:
        ValueError: if the lag leaves no pair in the data.
    """
    if not all(lag < labels.shape[axis] for axis in plane):
        raise _too_small(labels, lag)
    found = []
    for back in (False, True):
        a, b = diagonal_neighbours(labels, plane, lag, back)
        if excluded is not None:
            first, second = diagonal_neighbours(excluded, plane, lag, back)
            a, b = a[~(first | second)], b[~(first | second)]
        same = a[a == b]
        found.append(np.array([np.count_nonzero(same == phase) for phase in range(phases)]) / a.size)
    return np.mean(found, axis=0)


def both_diagonals(values):
    """Values per plane, (3, lags, phases), for each of its two diagonals: (phases, 3, 2, lags)."""
    return np.repeat(values.transpose(2, 0, 1)[:, :, None], 2, axis=2)


def changes(labels, axis, phases, excluded=None):
    """Share of the neighbours along an axis between which a phase begins or ends: (phases,)."""
    a, b = _labels_of_pairs(labels, axis, 1, excluded)
    differ = a != b
    return (np.bincount(a[differ], minlength=phases) + np.bincount(b[differ], minlength=phases)) / a.size


def alike(values, symmetry):
    """Values per axis, averaged over axes that are alike: (3, ...)."""
    if len(values) == 2:
        return np.repeat(values.mean(0, keepdims=True), 3, axis=0)
    result = np.empty_like(values)
    for group in symmetry.groups:
        result[list(group)] = values[list(group)].mean(0)
    return result
