"""Fitting of latents to known voxels through the network, while keeping them normally distributed."""

from __future__ import annotations

import hashlib
import math
import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kerasgan3d.files import replacing
from kerasgan3d.sampling.generate import Field
from kerasgan3d.sampling.scan import UNKNOWN, Scan

if TYPE_CHECKING:
    from kerasgan3d.models import Generator

_MOST_CELLS = 5  # lattice steps per side of what the network computes at once
_RATE, _BETAS = 0.2, (0.9, 0.99)  # of Adam (Kingma & Ba, arXiv:1412.6980), the rate falling along half a cosine
_LEAST = 0.02  # of the first rate, at the end
_DOUBT = 2.5  # by how much more than they scatter logits are divided
_PRIOR = 0.02  # of |d|^2 / 2 for what is fitted of the conditions, beside the mean cross-entropy
_KEPT_EVERY = 10  # steps


class Block(NamedTuple):
    """A box of lattice steps whose voxels the network computes at once.

    Attributes:
        rows: int32 (z, y, x), which of the fitted values stands at each lattice point; -1 for the seed's own.
        base: float32 (z, y, x, channels), what the seed gives.
        labels: int32 (1, z, y, x), what is known; 0 where it does not count.
        weights: float32 (1, z, y, x), how much a voxel counts.
    """

    rows: np.ndarray
    base: np.ndarray
    labels: np.ndarray
    weights: np.ndarray


class Fitted(NamedTuple):
    """Result of one start.

    Attributes:
        values: float32 (points, channels).
        loss: Mean cross-entropy of the voxels that count, by their weights.
        agreement: Share of them that the generator makes as they are known.
        touching: The same of those that touch what is generated.
    """

    values: np.ndarray
    loss: float
    agreement: float
    touching: float


def weights_of(labels: np.ndarray, beyond: Sequence[tuple[bool, bool]], reach: int, depth: float) -> np.ndarray:
    """Return the weight of each known voxel: 1 where it touches a generated one, decreasing with distance.

    Args:
        labels: uint8 (z, y, x), ``UNKNOWN`` where a voxel is generated.
        beyond: For each axis, whether there is something to generate below and above the box.
        reach: Voxels; known ones that are farther from what is generated do not count.
        depth: Voxels along which the weight falls to 1/e.

    Returns:
        float32 (z, y, x), 0 where nothing is known.
    """
    from scipy.ndimage import distance_transform_cdt

    known = np.ones([n + 2 for n in labels.shape], bool)
    # The layer around the box is generated where it lies within what is sampled.
    within = [np.r_[low, np.ones(n, bool), high] for n, (low, high) in zip(labels.shape, beyond, strict=True)]
    known[np.ix_(*within)] = False
    known[1:-1, 1:-1, 1:-1] = labels != UNKNOWN
    distance = distance_transform_cdt(known, "chessboard")[1:-1, 1:-1, 1:-1]
    weights = np.exp((1 - distance) / depth).astype("float32")
    weights[(distance < 1) | (distance > reach)] = 0
    return weights


class Fit:
    """Fit of the values at the lattice points on which known voxels depend.

    The mean cross-entropy of known voxels is lowered by Adam, through the network in its inference form. The latents of
    each point keep the length that they were drawn with, so that they stay as normal as they were; what is fitted of
    the conditions, in their whitened form d, has the prior |d|^2 / 2.

    Args:
        generator: The Generator.
        field: What the seed gives, a Field.
        labels: uint8 (z, y, x) from the origin on, ``UNKNOWN`` where a voxel is generated.
        weights: float32 (z, y, x), of `weights_of`.
        period: Period per axis in lattice steps, or None.
        seed: From which the starts are drawn.

    Attributes:
        points: Integers (m, 3), the lattice points that are fitted.
        voxels: How many known voxels count.
    """

    def __init__(
        self,
        generator: Generator,
        field: Field,
        labels: np.ndarray,
        weights: np.ndarray,
        period: Sequence[int | None],
        seed: int,
    ):
        self._seed, self._latents, self._channels = seed, generator.latent_channels, generator.input_channels
        self._conditions = generator.conditions
        self.voxels, self._total = int(np.count_nonzero(weights)), float(weights.sum(dtype="float64"))
        stride, margin = generator.stride, generator.margin
        cells = [-(-n // stride) for n in labels.shape]
        counts = _padded(weights, [n * stride for n in cells]) > 0
        due = counts.reshape([n for c in cells for n in (c, stride)]).any(axis=(1, 3, 5))
        self.points = _points(due, margin, period)
        scan = Scan(labels, self.points, np.zeros((len(self.points), 0)))
        self._blocks = list(_blocks(field, scan, weights, due, period, stride, margin))
        self._slopes = _slopes_of(generator, self._blocks[0].base)

    def digest(self, more: str) -> str:
        """Return the sha256 of everything on which the fit depends, including the text ``more``."""
        total = hashlib.sha256(f"{self._seed} {self._channels} {_RATE} {_PRIOR} {more}".encode())
        total.update(self.points.tobytes())
        for block in self._blocks:
            for array in block:
                total.update(array.tobytes())
        return total.hexdigest()

    def begun(self, start: int) -> np.ndarray:
        """Return the initial values of a start: float64 (points, channels), latents, and zeros for conditions."""
        found = np.random.default_rng([self._seed, start]).standard_normal((len(self.points), self._channels))
        found[:, self._latents :] = 0
        return found

    def values(self, found: np.ndarray) -> np.ndarray:
        """Return the values at the points: float32 (points, channels)."""
        values = np.empty(found.shape, "float32")
        for block in self._blocks:
            inside = block.rows >= 0
            values[block.rows[inside]] = self._at(block, found)[inside]
        return values

    def _at(self, block, found):
        """Return the network's input for a block: float32 (z, y, x, channels)."""
        inside, values = block.rows >= 0, block.base.copy()
        rows = found[block.rows[inside]]
        values[inside] = np.concatenate(
            [rows[:, : self._latents], values[inside][:, self._latents :] + rows[:, self._latents :] @ self._mix],
            axis=1,
        )
        return values

    @property
    def _mix(self):
        """Return the matrix from whitened conditions to conditions: (phases, phases)."""
        if self._conditions is None:
            return np.zeros((0, 0))
        return np.array(self._conditions.root).T / np.array(self._conditions.gain)

    def look(self, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the gradient at the points, (points, channels), and (loss, agreement, agreement at the joint)."""
        slopes, told, touching = np.zeros_like(found), np.zeros(3), 0
        for block in self._blocks:
            *block_told, gradient = self._slopes(self._at(block, found)[np.newaxis], block.labels, block.weights)
            told += np.array(block_told, float)
            touching += np.count_nonzero(block.weights == 1)
            inside = block.rows >= 0
            slope = gradient[0][inside].astype("float64")
            slope = np.concatenate([slope[:, : self._latents], slope[:, self._latents :] @ self._mix.T], axis=1)
            np.add.at(slopes, block.rows[inside], slope)
        prior = found[:, self._latents :]
        slopes /= self._total
        slopes[:, self._latents :] += _PRIOR * prior / max(1, prior.size)
        return slopes, told / np.array([self._total, self.voxels, max(1, touching)])

    def steps(self, found: np.ndarray, moments: np.ndarray, first: int, count: int) -> Iterator[tuple[int, np.ndarray]]:
        """Go on from ``found`` with the moments (2, points, channels) of Adam, both changed in place.

        Yields:
            After each step, how many were done; and what `look` told before it.
        """
        lengths = np.linalg.norm(found[:, : self._latents], axis=1, keepdims=True)
        for step in range(first, count):
            slopes, told = self.look(found)
            for moment, beta, power in zip(moments, _BETAS, (1, 2), strict=True):
                moment += (1 - beta) * (slopes**power - moment)
            mean, square = (m / (1 - b ** (step + 1)) for m, b in zip(moments, _BETAS, strict=True))
            rate = _RATE * (_LEAST + (1 - _LEAST) * (1 + math.cos(math.pi * step / count)) / 2)
            found -= rate * mean / (np.sqrt(square) + 1e-12)
            latents = found[:, : self._latents]
            latents *= lengths / np.linalg.norm(latents, axis=1, keepdims=True)
            yield step + 1, told


class State:
    """Intermediate state of a fit, in a file: .npz.

    Args:
        path: The file, or None for none.
        seed: Of what is generated.
        digest: Of what is fitted.

    Raises:
        ValueError: if the file is of another fit, or damaged.
    """

    def __init__(self, path: str | os.PathLike[str] | None, seed: int, digest: str):
        self._path, self._seed, self._digest = None if path is None else Path(path), seed, digest
        self.done: list[Fitted] = []
        self.found: tuple[int, np.ndarray, np.ndarray] | None = None  # steps, values and moments of the next start
        if self._path is not None and self._path.exists():
            self._read(self._path)

    def _read(self, path):
        held = _held(path)
        digest, done, told = str(held["digest"]), held["done"], held["told"]
        step, found, moments = int(held["step"]), held["found"], held["moments"]
        if digest != self._digest:
            raise ValueError(
                f"{path} is the fit of another scan, generator or seed, or was made otherwise: delete it, or name "
                "another file."
            )
        self.done = [Fitted(values, *map(float, row)) for values, row in zip(done, told, strict=True)]
        self.found = (step, found, moments) if step else None

    def keep(self) -> None:
        """Write the file."""
        if self._path is None:
            return
        step, found, moments = self.found or (0, np.zeros(0), np.zeros(0))
        arrays = {"digest": self._digest, "seed": str(self._seed), "step": step, "found": found, "moments": moments}
        arrays["done"] = np.array([each.values for each in self.done])
        arrays["told"] = np.array([each[1:] for each in self.done])
        with replacing(self._path) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)


def kept_seed(path: str | os.PathLike[str] | None) -> int | None:
    """Return the seed of a fit that is kept in a file; None where there is no file.

    Raises:
        ValueError: if the file is of something else, or damaged.
    """
    return None if path is None or not Path(path).exists() else int(str(_held(path)["seed"]))


def _held(path):
    """Return the arrays of a fit's file."""
    names = ("digest", "seed", "done", "told", "step", "found", "moments")
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in names}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is no fit of a scan, or damaged: delete it, or name another file.") from error


def fit_starts(fit: Fit, state: State, starts: int, steps: int, report: Callable[[int, int], object] | None) -> None:
    """Complete all starts, one after the other, resuming from a state, which then holds the results."""
    while len(state.done) < starts:
        if state.found is None:
            found = fit.begun(len(state.done))
            state.found = (0, found, np.zeros((2, *found.shape)))
        first, found, moments = state.found
        for step, _ in fit.steps(found, moments, first, steps):
            state.found = (step, found, moments)
            if step % _KEPT_EVERY == 0:
                state.keep()
            if report is not None:
                report(len(state.done) * steps + step, starts * steps)
        told = fit.look(found)[1]
        state.done.append(Fitted(fit.values(found), *map(float, told)))
        state.found = None
        state.keep()


def _points(due, margin, period):
    """Return the lattice points on which the voxels of cells depend, without duplicates: (m, 3)."""
    for axis in range(3):
        shape = list(due.shape)
        shape[axis] += sum(margin)
        wider = np.zeros(shape, bool)
        for k in range(sum(margin) + 1):
            wider[(slice(None),) * axis + (slice(k, k + due.shape[axis]),)] |= due
        due = wider
    points = np.argwhere(due) - margin[0]
    for axis, modulus in enumerate(period):
        if modulus is not None:
            points[:, axis] %= modulus
    return np.unique(points, axis=0)


def _blocks(field, scan, weights, due, period, stride, margin):
    edges = [-(-n // -(-n // _MOST_CELLS)) for n in due.shape]
    weights = _padded(weights, [-(-n // e) * e * stride for n, e in zip(due.shape, edges, strict=True)])
    labels = np.where(weights > 0, _padded(scan.labels, weights.shape), np.uint8(0))
    shape = [e + sum(margin) for e in edges]
    for corner in product(*(range(0, n, e) for n, e in zip(due.shape, edges, strict=True))):
        if not due[tuple(slice(a, a + e) for a, e in zip(corner, edges, strict=True))].any():
            continue
        start = [a - margin[0] for a in corner]
        voxels = tuple(slice(a * stride, (a + e) * stride) for a, e in zip(corner, edges, strict=True))
        base = field.window(start, shape, period)
        known = labels[voxels][np.newaxis].astype("int32")
        yield Block(scan.rows(start, shape, period), base, known, weights[voxels][np.newaxis])


def _padded(array, shape):
    """Return an array padded at its ends with zeros to a shape."""
    return np.pad(array, [(0, n - m) for n, m in zip(shape, array.shape, strict=True)])


def _slopes_of(generator: Generator, latents: np.ndarray) -> Callable[..., Any]:
    """A function from (latents, labels, weights) to the cross-entropy, how many labels agree, and how many of those
    of weight 1, all as sums; and the gradient of the first at the latents. NumPy to NumPy.

    Trained networks are so sure of every voxel that the gradients of their cross-entropy lead nowhere: the logits are
    divided by what they scatter by in the structure of ``latents``.
    """
    from keras import ops

    from kerasgan3d.backend import backend

    network, tools, n = generator.folded(), backend(), len(generator.phases)
    usual = ops.convert_to_numpy(ops.stop_gradient(network.logits(ops.convert_to_tensor(latents[np.newaxis]))))
    scatter = _DOUBT * max(float((usual - usual.mean(-1, keepdims=True)).std()), 1e-6)

    def slopes(latents, labels, weights):
        latents = tools.leaf(latents)
        with tools.recording(latents) as tape:
            logits = ops.log_softmax(ops.cast(network.logits(latents), "float32") / scatter)
            loss = -ops.sum(ops.sum(ops.one_hot(labels, n) * logits, axis=-1) * weights)
        (gradient,) = tools.gradients(tape, [loss], [latents], [ops.ones_like(loss)])
        right = ops.cast(ops.equal(ops.cast(ops.argmax(logits, axis=-1), "int32"), labels), "float32")
        counted, touching = (ops.sum(right * ops.cast(m, "float32")) for m in (weights > 0, weights == 1))
        return loss, counted, touching, gradient

    compiled = tools.compiled(slopes)

    def run(*arrays):
        return [ops.convert_to_numpy(ops.stop_gradient(x)) for x in compiled(*map(ops.convert_to_tensor, arrays))]

    return run
