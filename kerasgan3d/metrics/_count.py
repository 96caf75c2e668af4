"""Exact counts on a lattice of labels, for images of two and of three dimensions alike.

All of them take the number of voxels along an axis that is not periodic as it is (nothing lies beyond the outer
boundary), and join the last voxel to the first along a periodic one.
"""

import numpy as np
import scipy.fft

_CHUNK = 2**20  # values transformed at once: 8 MiB in float64, whatever the size of the volume


def count_voxels(labels, phases):
    """Count the voxels of each phase: (n,) int64."""
    return np.array([np.count_nonzero(labels == phase) for phase in range(phases)], np.int64)


def count_unlike_neighbours(labels, phases, periodic):
    """Count the neighbouring voxels (across faces) of each pair of unlike phases: (n, n) int64, symmetric.

    A pair of neighbours of phases i and j is one interface; it stands once at [i, j] and once at [j, i].
    """
    return np.sum([count_unlike_along(labels, axis, phases, wraps) for axis, wraps in enumerate(periodic)], axis=0)


def count_unlike_along(labels, axis, phases, periodic):
    """Count unlike neighbours like `count_unlike_neighbours`, but only along one axis."""
    counts = np.zeros(phases**2, np.int64)
    lines = np.moveaxis(labels, axis, 0)
    neighbours = [(lines[:-1], lines[1:])]
    if periodic:
        neighbours.append((lines[-1], lines[0]))
    for before, after in neighbours:
        unlike = before != after
        pairs = before[unlike].astype(np.intp) * phases + after[unlike]
        counts += np.bincount(pairs, minlength=phases**2)
    counts = counts.reshape(phases, phases)
    return counts + counts.T


def diagonal_neighbours(values, plane, lag, back=False):
    """Return values, and those a lag further along both axes of a plane; `back`: along one, and back along the other.

    Args:
        values: Array, larger than the lag along both axes.
        plane: Two axes.
        lag: Positive.
        back: Whether the second axis is walked backwards.

    Returns:
        Two views of one shape.
    """
    values = np.flip(values, plane[1]) if back else values
    here, there = [slice(None)] * values.ndim, [slice(None)] * values.ndim
    for axis in plane:
        here[axis], there[axis] = slice(None, -lag), slice(lag, None)
    return values[tuple(here)], values[tuple(there)]


def count_junctions(labels, candidates, plane, periodic, within=None):
    """Count the places where four voxels meet in a `plane` (two axes) and at least three `candidates` are among them.

    In two dimensions the places are pixel corners, in three the voxel edges normal to the plane. Voxels outside the
    boolean mask `within` do not count as any phase.
    """
    return int(np.count_nonzero(junctions(labels, candidates, plane, periodic, within)))


def junctions(labels, candidates, plane, periodic, within=None):
    """Mark the places that `count_junctions` counts: bool, one fewer along axes of the plane that are not periodic."""
    met = np.zeros((), np.uint8)
    for phase in candidates:
        here = labels == phase
        if within is not None:
            here &= within
        for axis in plane:
            here = here_or_next(here, axis, periodic[axis])
        met = met + here.view(np.uint8)
    return met >= 3


def count_pairs(indicator, axis, max_lag, periodic):
    """Count the pairs of True voxels that are 0..max_lag apart along an axis: (max_lag + 1,) int64.

    By the Wiener-Khinchin theorem, from the power spectra of the lines along that axis, summed before one inverse
    transform. The lines are zero-padded unless the axis is periodic. The result is a number of pairs, so that rounding
    it removes the transform's error altogether.
    """
    size = indicator.shape[axis]
    length = size if periodic else scipy.fft.next_fast_len(size + max_lag, real=True)
    lines = np.moveaxis(indicator, axis, -1).reshape(-1, size)
    power = np.zeros(length // 2 + 1)
    rows = max(1, _CHUNK // length)
    for start in range(0, len(lines), rows):
        spectra = scipy.fft.rfft(lines[start : start + rows].astype(np.float64), length, axis=-1)
        power += np.einsum("ij,ij->j", spectra.real, spectra.real) + np.einsum("ij,ij->j", spectra.imag, spectra.imag)
    return np.rint(scipy.fft.irfft(power, length)[: max_lag + 1]).astype(np.int64)


def count_places(shape, axis, max_lag, periodic):
    """Count the pairs of voxels of any phase that are 0..max_lag apart along an axis: (max_lag + 1,)."""
    size = shape[axis]
    lags = np.arange(max_lag + 1)
    return (np.full(max_lag + 1, size) if periodic else size - lags) * (int(np.prod(shape)) // size)


def count_pairs_by_displacement(indicator, max_lag, periodic):
    """Yield, for each displacement of 0..max_lag along z, the pairs of True voxels so far apart: exact numbers.

    Each plane is (2 max_lag + 1, 2 max_lag + 1) int64, for displacements -max_lag..max_lag along y and x. The planes
    of negative displacements along z are these, turned by half.

    The autocorrelation in three dimensions, axis by axis: lines that hold only padding are not transformed, nor are
    lags that nobody asked for. What is held at once is one spectrum of the volume, padded along x alone, and that of
    the planes to come.
    """
    depth, height, width = (
        size if wraps else scipy.fft.next_fast_len(size + max_lag, real=True)
        for size, wraps in zip(indicator.shape, periodic, strict=True)
    )
    lags = np.arange(-max_lag, max_lag + 1)
    frequencies = width // 2 + 1
    spectrum = np.empty((frequencies, *indicator.shape[:2]), complex)
    for z, plane in enumerate(indicator):
        spectrum[:, z] = scipy.fft.rfft(plane.astype(np.float64), width).T
    correlation = np.empty((frequencies, max_lag + 1, len(lags)), complex)
    step = max(1, _CHUNK // (depth * height))
    for start in range(0, frequencies, step):
        part = scipy.fft.fft(scipy.fft.fft(spectrum[start : start + step], height, axis=2), depth, axis=1)
        power = part.real**2 + part.imag**2
        near = scipy.fft.ifft(power, axis=1)[:, : max_lag + 1]
        correlation[start : start + step] = scipy.fft.ifft(near, axis=2)[:, :, lags % height]
    del spectrum
    for lag in range(max_lag + 1):
        lines = scipy.fft.irfft(correlation[:, lag], width, axis=0)[lags % width]
        yield np.rint(lines.T).astype(np.int64)


def count_places_by_displacement(shape, max_lag, periodic):
    """Yield, as `count_pairs_by_displacement`, the pairs of voxels whatever their phase."""
    lags = np.abs(np.arange(-max_lag, max_lag + 1))
    depth, height, width = (
        np.full(len(lags), size) if wraps else size - lags for size, wraps in zip(shape, periodic, strict=True)
    )
    for along_z in depth[max_lag:]:
        yield along_z * height[:, None] * width


def here_or_next(mask, axis, periodic):
    """Mark where a voxel or the next one along an axis is True; one place fewer along an axis that is not periodic."""
    if periodic:
        return mask | np.roll(mask, -1, axis)
    lines = np.moveaxis(mask, axis, 0)
    return np.moveaxis(lines[:-1] | lines[1:], 0, axis)
