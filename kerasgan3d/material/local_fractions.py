"""Local volume fractions of the data and their spatial correlation, on which generators are conditioned."""

from __future__ import annotations

import math

import numpy as np
from scipy import fft, ndimage

from kerasgan3d.data import LabelledData
from kerasgan3d.sampling.conditions import Conditions

BOX = 4  # lattice steps: the edge of the boxes in which fractions are local
_REACH = 6  # half-width of the condition field's filter in lattice steps
_LAGS = 8  # lattice steps beyond which local fractions are taken as uncorrelated
_COVERED = 2.5  # largest requested deviation from the mean, in standard deviations
_RING = 64  # lattice steps of the ring on which spectra are computed
_SMALL = 1e-3  # least standard deviation of a local fraction


def fit_conditions(data: LabelledData, stride: int) -> Conditions:
    """Fit a stationary normal field to the local volume fractions of labelled data.

    Local fractions are those in boxes of four lattice steps. Where the data hold such boxes, covariances are measured
    on the boxes. For slices, or volumes less than two boxes wide, they follow from the covariance of the phases of two
    voxels as a function of their distance, assumed isotropic: the variance of a mean is the mean of the covariances of
    all pairs (Lantuejoul, J. Microsc. 161 (1991) 387).

    Args:
        data: The LabelledData, its number of phases known.
        stride: Voxels per lattice step.

    Returns:
        Conditions with gain 1 and shift 0.

    Raises:
        ValueError: if the number of phases is not known.
    """
    counts = data.counts()
    mean = counts / counts.sum()
    box = BOX * stride
    direct = data.dimensions == 3 and data.smallest >= 2 * box
    covariances = _of_boxes(data, box, stride) if direct else _of_pairs(data, box, stride)
    variances = np.diag(covariances[0, 0])
    deviation = np.maximum(np.sqrt(np.maximum(variances, 0)), _SMALL)
    correlation = covariances[0, 0] / np.outer(deviation, deviation)
    values, vectors = np.linalg.eigh((correlation + correlation.T) / 2)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    traces = np.trace(covariances, axis1=2, axis2=3)  # (axes, lags)
    taps = [_taps(trace / max(trace[0], _SMALL**2)) for trace in traces]
    return Conditions(
        mean=tuple(mean.tolist()),
        deviation=tuple(deviation.tolist()),
        root=tuple(map(tuple, root.tolist())),
        taps=tuple(map(tuple, taps)),
        lowest=tuple(np.clip(mean - _COVERED * deviation, 0, 1).tolist()),
        highest=tuple(np.clip(mean + _COVERED * deviation, 0, 1).tolist()),
        gain=(1.0,) * len(mean),
        shift=(0.0,) * len(mean),
    )


def _of_boxes(data, box, stride):
    """Return covariances of the fractions in boxes at distances of whole lattice steps: (3 axes, lags, n, n)."""
    n, sums, weights = data.n_phases, np.zeros((3, _LAGS + 1, data.n_phases, data.n_phases)), np.zeros((3, _LAGS + 1))
    step = max(1, stride // 4)  # between boxes, in voxels; a fraction of the stride
    step = next(k for k in range(step, 0, -1) if stride % k == 0)
    fields = [_box_means(image, beside, n, box, step) for image, beside in zip(data.images, data.excluded, strict=True)]
    mean = np.concatenate([values[free] for values, free in fields]).mean(0)
    for values, free in fields:
        centred = np.where(free[..., np.newaxis], values - mean, 0)
        for axis in range(3):
            for lag in range(min(_LAGS, (values.shape[axis] - 1) * step // stride) + 1):
                ahead = lag * stride // step
                head, tail = np.arange(values.shape[axis] - ahead), np.arange(ahead, values.shape[axis])
                a, b = (centred.take(places, axis).reshape(-1, n) for places in (head, tail))
                sums[axis, lag] += a.T @ b
                weights[axis, lag] += np.count_nonzero(free.take(head, axis) & free.take(tail, axis))
    found = sums / np.maximum(weights, 1)[..., np.newaxis, np.newaxis]
    found[:, 0] = found[:, 0].mean(0)
    return found


def _box_means(image, beside, n, box, step):
    """Return the fractions in boxes ``step`` voxels apart (z, y, x, n), and a mask of boxes without excluded voxels."""
    labels = np.asarray(image)
    inner = tuple(slice(box // 2, length - box // 2 + 1, step) for length in labels.shape)

    def means(values):
        return ndimage.uniform_filter(values.astype("float32"), box, mode="nearest")[inner]

    values = np.stack([means(labels == k) for k in range(n)], axis=-1)
    free = np.ones(values.shape[:-1], bool) if beside is None else means(beside) < 0.5 / box**3
    return values, free


def _of_pairs(data, box, stride):
    """Return these covariances computed from those of pairs of voxels by distance, assumed isotropic."""
    covariance = _by_distance(data, box + _LAGS * stride)  # (distances, n, n)
    reach = box - 1
    share = (box - np.abs(np.arange(-reach, reach + 1))) / box**2  # of pairs in two boxes, by their lag along an axis
    squares = np.add.outer(np.arange(-reach, reach + 1) ** 2, np.arange(-reach, reach + 1) ** 2).ravel()
    across, index = np.unique(squares, return_inverse=True)
    weights = np.bincount(index, np.multiply.outer(share, share).ravel())
    found = []
    for lag in range(_LAGS + 1):
        along = (np.arange(-reach, reach + 1) + lag * stride) ** 2
        distance = np.sqrt(np.add.outer(along, across))
        shares = np.multiply.outer(share, weights)
        whole = np.floor(distance).astype(int)
        part = (distance - whole)[..., np.newaxis, np.newaxis]
        last = len(covariance) - 1
        values = covariance[np.minimum(whole, last)] * (1 - part) + covariance[np.minimum(whole + 1, last)] * part
        found.append(np.tensordot(shares, values, 2))
    return np.repeat(np.array(found)[np.newaxis], 3, axis=0)


def _by_distance(data, reach):
    """Return the covariance of the phases of two voxels by their distance: (reach + 1 voxels, n, n), 0 at the end."""
    n = data.n_phases
    sums, weights = np.zeros((reach + 1, n, n)), np.zeros(reach + 1)
    counts = data.counts()
    mean = counts / counts.sum()
    for image, beside in zip(data.images, data.excluded, strict=True):
        labels = np.asarray(image)
        free = np.ones(labels.shape, bool) if beside is None else ~beside
        shape = [fft.next_fast_len(length + min(reach, length), real=True) for length in labels.shape]
        spectra = [fft.rfftn(np.where(free, (labels == k) - mean[k], 0), shape) for k in range(n)]
        places = np.meshgrid(*(np.minimum(np.arange(m), m - np.arange(m)) for m in shape), indexing="ij", sparse=True)
        distance = np.rint(np.sqrt(sum(np.square(p.astype(float)) for p in places))).astype(int)
        near = distance <= min(reach, min(labels.shape) // 2)
        mask = fft.rfftn(free.astype(float), shape)
        pairs = fft.irfftn(mask * mask.conj(), shape)[near]
        weights += np.bincount(distance[near], pairs, reach + 1)
        for i in range(n):
            for j in range(i, n):
                found = fft.irfftn(spectra[i] * spectra[j].conj(), shape)[near]
                sums[:, i, j] += np.bincount(distance[near], found, reach + 1)
                sums[:, j, i] = sums[:, i, j]
    found = np.divide(sums, weights[:, None, None], out=np.zeros_like(sums), where=weights[:, None, None] > 0.5)
    found[-1] = 0
    return found


def _taps(correlation):
    """Return a filter of few taps that gives white noise the correlation, by lags from 0."""
    lags = np.arange(len(correlation))
    # Boxes overlap up to four steps; correlations beyond are small and poorly known.
    tapered = correlation * np.where(lags <= BOX, 1, np.cos(np.pi / 2 * np.maximum(lags - BOX, 0) / (_LAGS + 1 - BOX)))
    ring = np.zeros(_RING)
    ring[lags], ring[-lags[1:]] = tapered, tapered[1:]
    spectrum = np.maximum(np.fft.fft(ring).real, 0)
    impulse = np.fft.ifft(np.sqrt(spectrum)).real
    taps = impulse[np.arange(-_REACH, _REACH + 1)]
    return (taps / math.sqrt(np.square(taps).sum())).tolist()
