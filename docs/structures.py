"""Microstructures without a network, for docs/paper.py: random fields above thresholds, and packings with grown phases.

All volumes are periodic along all axes, and pure functions of their seed.
"""

from typing import NamedTuple

import numpy as np
import scipy.fft
from scipy.spatial.transform import Rotation
from scipy.special import ndtr, ndtri

from kerasgan3d.metrics._count import count_pairs_by_displacement

RHO = np.linspace(-0.95, 1, 4001)[:-1]  # correlations between which those of a field are interpolated


class Field(NamedTuple):
    """One Gaussian random field of a plurigaussian model: where it exceeds its threshold, its phase is.

    Attributes:
        phase: The label that it decides on, among what earlier fields leave.
        threshold: In standard deviations.
        correlation: Of the field by displacement, (2 reach + 1) along z, y, x, 1 in the middle and 0 at the faces.
        floor: Powers of its spectrum that are not larger are set to 0: no field has negative ones, and those as small
            are mostly noise of the image's statistics, which would make surfaces rough.
    """

    phase: int
    threshold: float
    correlation: np.ndarray
    floor: float


def fit_fields(labels, order, reach=32):
    """Fit fields to the volume fractions and the two-point statistics of an image.

    Phases are decided on one after the other, each by an independent field in what is left, and the last phase is the
    rest (Armstrong et al., Plurigaussian Simulations in Geosciences, 2011). Of two voxels that are both left, both are
    in the phase with a probability that two-point statistics give for every displacement, and that the correlation rho
    of the field determines: its derivative is that of the bivariate normal distribution,
    dP/drho = exp(-t^2 / (1 + rho)) / (2 pi sqrt(1 - rho^2)) with the threshold t.

    Args:
        labels: Integer array (z, y, x).
        order: Labels of all phases, in the order of the decisions.
        reach: Displacement in voxels at which a field is no longer correlated; from half of it on, correlations fade.
    """
    left, fields = np.ones(labels.shape, bool), []
    fade = np.abs(np.arange(-reach, reach + 1)) / reach
    fade = np.where(fade > 0.5, np.cos(np.pi * (fade - 0.5)) ** 2, 1.0)
    fade = np.minimum.reduce(np.meshgrid(fade, fade, fade, indexing="ij"))
    for phase in order[:-1]:
        here = labels == phase
        threshold = float(ndtri(1 - here.sum() / left.sum()))
        both = _pairs(here, reach) / _pairs(left, reach)
        rho = np.interp(both, joint_probability(threshold), RHO) * fade
        rho[(reach,) * 3] = 1
        fields.append(Field(int(phase), threshold, rho.astype(np.float32), _best_floor(rho.astype(np.float32))))
        left &= ~here
    return fields


def joint_probability(threshold):
    """Return the probability that two normal numbers of each correlation in ``RHO`` both exceed a threshold."""
    density = np.exp(-(threshold**2) / (1 + RHO)) / (2 * np.pi * np.sqrt(1 - RHO**2))
    summed = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2) * (RHO[1] - RHO[0])])
    # At correlation 0 it is the square of the probability of one.
    return summed - np.interp(0, RHO, summed) + ndtr(-threshold) ** 2


def _power(correlation, size):
    """Return the spectrum of a correlation in a periodic cube, negative powers included."""
    reach = len(correlation) // 2
    near = np.arange(-min(reach, (size - 1) // 2), min(reach, (size - 1) // 2) + 1)
    covariance = np.zeros((size,) * 3, np.float32)
    covariance[np.ix_(near, near, near)] = correlation[np.ix_(near + reach, near + reach, near + reach)]
    return scipy.fft.rfftn(covariance).real


def _best_floor(correlation):
    """Return the floor whose field is nearest to a correlation, by the largest difference."""
    size = 2 * len(correlation)
    power, least = _power(correlation, size), (np.inf, 0.0)
    near = np.ix_(*(np.arange(len(correlation)) - len(correlation) // 2,) * 3)
    noise = np.sqrt(np.mean(np.minimum(power, 0) ** 2))
    for floor in noise * np.array([0, 1, 2, 4, 8, 16, 32, 64]):
        found = scipy.fft.irfftn(np.where(power > floor, power, 0).astype(np.complex64), (size,) * 3)
        if found[0, 0, 0] > 0:
            least = min(least, (float(np.abs(found[near] / found[0, 0, 0] - correlation).max()), float(floor)))
    return least[1]


def _pairs(mask, reach):
    """Return the pairs of True voxels by displacement: (2 reach + 1) along z, y, x; one where there are none."""
    upper = np.stack(list(count_pairs_by_displacement(mask, reach, (False,) * 3)))
    return np.maximum(1, np.concatenate([upper[:0:-1, ::-1, ::-1], upper]))


def plurigaussian(fields, last, size, seed):
    """Return a volume of a plurigaussian model.

    Args:
        fields: Result of `fit_fields`.
        last: Label of the phase that is left.
        size: Voxels per side.
        seed: Non-negative int.
    """
    rng, labels = np.random.default_rng(seed), np.full((size,) * 3, 255, np.uint8)
    for field in fields:
        power = _power(field.correlation, size)
        power = np.where(power > field.floor, power, 0)
        noise = scipy.fft.rfftn(rng.standard_normal(labels.shape, np.float32))
        values = scipy.fft.irfftn(noise * np.sqrt(power), labels.shape)
        # The mean power of all waves is the variance of the field.
        scale = scipy.fft.irfftn(power.astype(np.complex64), labels.shape)[0, 0, 0]
        labels[(labels == 255) & (values > field.threshold * np.sqrt(scale))] = field.phase
    labels[labels == 255] = last
    return labels


class Bodies(NamedTuple):
    """Ellipsoids in a periodic cube, in voxels.

    Attributes:
        centres: (bodies, 3) along z, y, x.
        axes: (bodies, 3), semi-axes.
        turns: (bodies, 3, 3), rotations from the ellipsoids' axes to z, y, x.
    """

    centres: np.ndarray
    axes: np.ndarray
    turns: np.ndarray


def pack(axes, size, rng, tries=24):
    """Place ellipsoids one after the other, the largest first, each where of some random places it has most room.

    Args:
        axes: (bodies, 3), semi-axes in voxels.
        size: Voxels per side of the periodic cube.
        rng: NumPy's random generator.
        tries: Random places for each body.
    """
    axes = np.asarray(axes, float)
    axes = axes[np.argsort(-axes.prod(axis=1), kind="stable")]
    radii, centres = np.cbrt(axes.prod(axis=1)), np.empty((len(axes), 3))
    for i, radius in enumerate(radii):
        places = rng.uniform(0, size, (tries, 3))
        if i:
            apart = np.abs(places[:, None] - centres[:i])
            apart = np.linalg.norm(np.minimum(apart, size - apart), axis=2) - radii[:i] - radius
            places = places[[np.argmax(apart.min(axis=1))]]
        centres[i] = places[0]
    return Bodies(centres, axes, Rotation.random(len(axes), rng=rng).as_matrix())


def gaps(bodies, size, reach):
    """Return the distances of each voxel to the nearest body and to the next one, negative inside: two float32 arrays.

    Distances are exact for spheres; of ellipsoids they are (|x|_e - 1) times the least semi-axis, with the norm |x|_e
    that is 1 on the surface. They are at most ``reach``, in voxels.
    """
    nearest, second = (np.full((size,) * 3, reach, np.float32) for _ in range(2))
    for centre, axes, turn in zip(*bodies, strict=True):
        length = min(2 * int(np.ceil(axes.max() * (1 + reach / axes.min()))) + 3, size)
        index = [np.arange(length) + round(c) - length // 2 for c in centre]
        offsets = np.meshgrid(*(i - c for i, c in zip(index, centre, strict=True)), indexing="ij", sparse=True)
        along = [sum(turn[k, j] * offsets[k] for k in range(3)) / axes[j] for j in range(3)]
        distance = ((np.sqrt(sum(part**2 for part in along)) - 1) * axes.min()).astype(np.float32)
        box = np.ix_(*(i % size for i in index))
        before = nearest[box]
        second[box] = np.minimum(second[box], np.maximum(before, distance))
        nearest[box] = np.minimum(before, distance)
    return nearest, second


def lowest(values, free, share):
    """Return the mask of the free voxels with the lowest values that are this share of all voxels."""
    count = round(share * values.size)
    order = np.argpartition(values[free], count - 1)[:count] if count else []
    mask = np.zeros(values.shape, bool)
    mask.flat[np.flatnonzero(free)[order]] = True
    return mask


def spheres_with_binder(radii, shares, size, seed):
    """Return a packing of spheres, grown until they fill their share, with binder at their necks.

    Binder fills what is nearest to two spheres at once, as in the bridge model of NREL's MATBOX.

    Args:
        radii: Radii to draw from, in voxels.
        shares: Volume fractions of pore, spheres and binder, labels 0, 1 and 2.
        size: Voxels per side.
        seed: Non-negative int.
    """
    rng, volume, drawn = np.random.default_rng(seed), 0.0, []
    while volume < shares[1] * size**3:
        drawn.append(rng.choice(radii))
        volume += 4 / 3 * np.pi * drawn[-1] ** 3
    bodies = pack(np.repeat(np.array(drawn)[:, None], 3, axis=1), size, rng)
    nearest, second = gaps(bodies, size, reach=float(np.max(radii)))
    spheres = lowest(nearest, np.ones(nearest.shape, bool), shares[1])
    binder = lowest(nearest + second, ~spheres, shares[2])
    return np.where(spheres, 1, np.where(binder, 2, 0)).astype(np.uint8)


class Layer(NamedTuple):
    """One phase of a made material, in what earlier layers leave.

    Attributes:
        name: Of the phase.
        share: Volume fraction.
        axes: Mean semi-axes of its ellipsoids in voxels; None for a phase that grows on ``on``.
        on: Name of the phase of bodies that it grows on.
        necks: Whether it grows where two of them are near, rather than around each.
    """

    name: str
    share: float
    axes: tuple[float, float, float] | None = None
    on: str | None = None
    necks: bool = False


# The first phase of each is what the layers leave.
MADE = {
    4: (Layer("coarse", 0.34, (11, 11, 7)), Layer("fine", 0.16, (6, 5, 5)), Layer("coating", 0.1, on="coarse")),
    6: (
        Layer("coarse", 0.28, (12, 10, 8)),
        Layer("rods", 0.14, (14, 4, 4)),
        Layer("fine", 0.12, (5, 5, 5)),
        Layer("coating", 0.08, on="coarse"),
        Layer("binder", 0.06, on="fine", necks=True),
    ),
}


def made_material(layers, size, seed, spread=0.15):
    """Return a volume of packed ellipsoids and of phases grown on them: labels, 0 for what is left.

    Args:
        layers: List of Layer; label k + 1 is that of the k-th.
        size: Voxels per side.
        seed: Non-negative int.
        spread: Standard deviation of the logarithm of the bodies' sizes.
    """
    rng, labels, fields = np.random.default_rng(seed), np.zeros((size,) * 3, np.uint8), {}
    for label, layer in enumerate(layers, 1):
        if layer.axes is not None:
            count = max(1, round(layer.share * size**3 / (4 / 3 * np.pi * np.prod(layer.axes))))
            axes = np.outer(np.exp(spread * rng.standard_normal(count)), layer.axes)
            fields[layer.name] = gaps(pack(axes, size, rng), size, reach=2 * min(layer.axes))
        nearest, second = fields[layer.on or layer.name]
        labels[lowest(nearest + second if layer.necks else nearest, labels == 0, layer.share)] = label
    return labels
