"""Search for copies of training data: distances of samples to the most similar window of the real image."""

from collections.abc import Sequence
from itertools import permutations, product

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike

from kerasgan3d.metrics.ensemble import windows_touching

SYMMETRIES = ("none", "flips", "all")
_AT_ONCE = 2**26  # voxels: half a gigabyte for each of the spectra and products


class NearestWindow:
    """Search for the window of an image most similar to a sample, over all places and mirror images.

    The distance is the fraction of voxels whose phases differ. The number of voxels that agree, for all places at once,
    is a cross-correlation, computed by the fast Fourier transform. Phases are encoded as corners of a regular simplex,
    whose different corners all have the same inner product, so that n phases need n - 1 transforms.

    Args:
        image: Labels (z, y, x) or (y, x), 0..n-1.
        n_phases: Number of phases n.
        symmetries: "flips" (of each axis: 8 in a volume), "all" (with permutations of the axes: 48) or "none".
        excluded: bool array of the image's shape: windows that hold one of these voxels are left out.
        workers: Threads of the transforms; default: all cores.

    Raises:
        ValueError: If `symmetries` is not one of these.
    """

    def __init__(
        self,
        image: ArrayLike,
        n_phases: int,
        *,
        symmetries: str = "flips",
        excluded: np.ndarray | None = None,
        workers: int | None = None,
    ):
        if symmetries not in SYMMETRIES:
            raise ValueError(
                f"`symmetries` must be one of {', '.join(map(repr, SYMMETRIES))}. Received: {symmetries!r}."
            )
        self.image, self.excluded = np.asarray(image), excluded
        self.workers = -1 if workers is None else workers
        axes = tuple(range(self.image.ndim))
        self._orders = tuple(permutations(axes)) if symmetries == "all" else (axes,)
        self._flips = (
            tuple(product((False, True), repeat=len(axes))) if symmetries != "none" else ((False,) * len(axes),)
        )
        self._corners = _simplex(n_phases)
        # Spectra are kept for an image that is searched at once; a larger one is searched slab by slab.
        self._planes = max(1, _AT_ONCE // max(1, self.image[0].size))
        self._whole = self._spectra(self.image) if self._planes >= len(self.image) else None

    @property
    def searched(self) -> str:
        """Description of the searched windows."""
        places = "every place in the image"
        count = len(self._orders) * len(self._flips)
        return (
            places
            if count == 1
            else f"{places}, in {count} mirror images" + (" and orders of the axes" if len(self._orders) > 1 else "")
        )

    def distance(self, sample: ArrayLike, apart_from: Sequence[int] | None = None) -> float | None:
        """Return the fraction of voxels that differ between a sample and the window most similar to it.

        Args:
            sample: Labels, not larger than the image along any axis.
            apart_from: First corner of a window of the image; windows that overlap it are skipped.

        Returns:
            float, 0 for a copy; None where no window is left.

        Raises:
            ValueError: If the sample is larger than the image.
        """
        sample = np.asarray(sample)
        if sample.ndim != self.image.ndim or any(s > n for s, n in zip(sample.shape, self.image.shape, strict=True)):
            raise ValueError(
                f"A sample must fit into the image of shape {self.image.shape}. Received: shape {sample.shape}."
            )
        best = None
        for order in self._orders:
            turned = sample.transpose(order)
            if any(s > n for s, n in zip(turned.shape, self.image.shape, strict=True)):
                continue
            allowed = self._allowed(turned.shape, apart_from)
            for start in range(0, len(allowed), self._planes):
                places = allowed[start : start + self._planes]
                if not places.any():
                    continue
                slab = self.image[start : start + len(places) + len(turned) - 1]
                spectra = self._spectra(slab) if self._whole is None else self._whole
                windows = sliding_window_view(slab, turned.shape)
                for flip, likeness in self._correlations(spectra, turned, slab.shape):
                    place = np.unravel_index(np.argmax(np.where(places, likeness, -np.inf)), places.shape)
                    # float32 finds the best place up to a few voxels; the differing voxels there are counted exactly.
                    found = np.count_nonzero(windows[place] != _flipped(turned, flip)) / sample.size
                    best = found if best is None else min(best, found)
        return best

    def _allowed(self, shape, apart_from):
        """Return a mask of the allowed first corners of windows of a shape."""
        places = tuple(n - s + 1 for n, s in zip(self.image.shape, shape, strict=True))
        allowed = np.ones(places, bool) if self.excluded is None else ~windows_touching(self.excluded, shape)
        if apart_from is not None:
            allowed[tuple(slice(max(0, c - s + 1), c + s) for c, s in zip(apart_from, shape, strict=True))] = False
        return allowed

    def _spectra(self, labels, shape=None):
        """Return the spectra of the channels of labels; those of a sample are padded to the shape of a slab."""
        # Only windows within the image count, so that wrap-around at its end does no harm.
        lengths = [scipy.fft.next_fast_len(length, real=True) for length in (shape or labels.shape)]
        spectra = []
        for channel in self._corners:
            # Axis by axis, to pad as late as possible.
            spectrum = scipy.fft.rfft(channel[labels], lengths[-1], axis=-1, workers=self.workers)
            for axis in reversed(range(labels.ndim - 1)):
                spectrum = scipy.fft.fft(spectrum, lengths[axis], axis=axis, workers=self.workers)
            spectra.append(spectrum)
        return spectra

    def _correlations(self, image, sample, shape):
        """Yield each flip, and the cross-correlation of a slab of that shape with the flipped sample at every place."""
        spectra = self._spectra(sample, shape)
        lengths = [scipy.fft.next_fast_len(length, real=True) for length in shape]
        for flip in self._flips:
            total = sum(part * _mirrored(other, flip) for part, other in zip(image, spectra, strict=True))
            for axis, length in enumerate(lengths):
                if axis == len(lengths) - 1:
                    total = scipy.fft.irfft(total, length, axis=axis, workers=self.workers)
                else:
                    total = scipy.fft.ifft(total, axis=axis, workers=self.workers)
                # A spectrum is mirrored about the first voxel of the sample, not its centre, which shifts the places.
                first = sample.shape[axis] - 1 if flip[axis] else 0
                places = shape[axis] - sample.shape[axis] + 1
                total = np.take(total, np.arange(first, first + places) % length, axis=axis)
            yield flip, total


def _simplex(phases):
    """Return the n corners of a regular simplex around the origin: (n - 1 coordinates, n corners) float32."""
    corners = np.eye(phases) - 1 / phases
    basis = np.linalg.svd(corners)[2][: max(1, phases - 1)]
    return (basis @ corners.T).astype(np.float32)


def _flipped(array, flip):
    return np.flip(array, tuple(axis for axis, flipped in enumerate(flip) if flipped))


def _mirrored(spectrum, flip):
    """Return the conjugate of the half spectrum of a real array mirrored about its first voxel along some axes."""
    # Mirrored along all axes a real array has the conjugate spectrum. Along the last axis only half of it is stored:
    # there, mirror all other axes and conjugate instead.
    last = flip[-1]
    axes = tuple(axis for axis in range(len(flip) - 1) if flip[axis] != last)
    if axes:
        spectrum = np.roll(np.flip(spectrum, axes), 1, axes)
    return spectrum if last else np.conj(spectrum)
