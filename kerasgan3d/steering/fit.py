"""Fitting of latents to known voxels through the network, while keeping them normally distributed."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kerasgan3d.files import replacing
from kerasgan3d.sampling.generate import Field
from kerasgan3d.sampling.scan import UNKNOWN, FittedField, Scan
from kerasgan3d.steering.border import HOW, border_of, weights_of
from kerasgan3d.steering.lbfgs import Descent

if TYPE_CHECKING:
    from kerasgan3d.models import Generator

_MOST_CELLS = 5  # lattice steps per side of what the network computes at once
_DOUBTS = (2.5, 0.8, 0.1)  # divisors of logits, relative to their standard deviation, for each third of the steps
_TRUST = 0.3  # weight of a known voxel's cross-entropy beside the prior, because neighbours are correlated
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
        border: uint8 (z, y, x), of `border_of`.
    """

    values: np.ndarray
    loss: float
    agreement: float
    touching: float
    border: np.ndarray


class Fit:
    """Fit of the values at the lattice points on which known voxels depend.

    The objective is the cross-entropy of known voxels, through the network in its inference form, plus |d|^2 / 2, where
    d is the difference of latents and whitened conditions from those drawn. If the network were linear, the minimum
    would be a random sample of all latents that agree with the scan (randomised maximum likelihood: Oliver, He &
    Reynolds, ECMOR V, 1996). Latents that known voxels hardly determine stay as drawn. The latents of each point also
    keep their length.

    Args:
        generator: The Generator.
        field: What the seed gives, a Field.
        labels: uint8 (z, y, x) from the origin on, ``UNKNOWN`` where a voxel is generated.
        beyond: For each axis, whether there is something to generate below and above them.
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
        beyond: Sequence[tuple[bool, bool]],
        period: Sequence[int | None],
        seed: int,
    ):
        self._seed, self._latents, self._channels = seed, generator.latent_channels, generator.input_channels
        self._conditions, self._network = generator.conditions, generator.folded()
        self._field, self._labels, self._beyond, self._period = field, labels, beyond, period
        self._stride, self._margin = stride, margin = generator.stride, generator.margin
        weights = weights_of(labels, beyond, stride, stride / 8)
        self.voxels, self._total = int(np.count_nonzero(weights)), float(weights.sum(dtype="float64"))
        cells = [-(-n // stride) for n in labels.shape]
        counts = _padded(weights, [n * stride for n in cells]) > 0
        due = counts.reshape([n for c in cells for n in (c, stride)]).any(axis=(1, 3, 5))
        self.points = _points(due, margin, period)
        scan = Scan(labels, self.points, np.zeros((len(self.points), 0)))
        self._blocks = list(_blocks(field, scan, weights, due, period, stride, margin))
        usual = _logits(self._network, self._blocks[0].base)
        self._scatter = max(float((usual - usual.mean(-1, keepdims=True)).std()), 1e-6)
        self._slopes = _slopes_of(self._network, len(generator.phases), self._scatter)

    def digest(self, more: str) -> str:
        """Return the sha256 of everything on which the fit depends, including the text ``more``."""
        total = hashlib.sha256(f"{self._seed} {self._channels} {_DOUBTS} {_TRUST} {HOW} {more}".encode())
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

    def values(self, found: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        """Return the values at the points: float32 (points, channels).

        Args:
            found: (points, channels); the lengths of the latents do not count.
            drawn: The values at which the start began.
        """
        values, rows = np.empty(found.shape, "float32"), self._as_long(found, drawn)[0]
        for block in self._blocks:
            inside = block.rows >= 0
            values[block.rows[inside]] = self._at(block, rows)[inside]
        return values

    def _as_long(self, found, drawn):
        """Return the values with latents as long as those drawn, and the factors of the latents."""
        one, other = (np.linalg.norm(rows[:, : self._latents], axis=1, keepdims=True) for rows in (found, drawn))
        rows, factor = found.copy(), other / one
        rows[:, : self._latents] *= factor
        return rows, factor

    def _at(self, block, rows):
        """Return the network's input for a block: float32 (z, y, x, channels)."""
        inside, values = block.rows >= 0, block.base.copy()
        rows = rows[block.rows[inside]]
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

    def look(self, found: np.ndarray, drawn: np.ndarray, doubt: float) -> tuple[float, np.ndarray, np.ndarray]:
        """Return the objective, its gradient at ``found``, and (loss, agreement, agreement at the joint)."""
        (rows, factor), slopes, told, touching = self._as_long(found, drawn), np.zeros_like(found), np.zeros(3), 0
        for block in self._blocks:
            *block_told, gradient = self._slopes(self._at(block, rows), block.labels, block.weights, doubt)
            told += np.array(block_told, float)
            touching += np.count_nonzero(block.weights == 1)
            inside = block.rows >= 0
            slope = gradient[inside].astype("float64")
            slope = np.concatenate([slope[:, : self._latents], slope[:, self._latents :] @ self._mix.T], axis=1)
            np.add.at(slopes, block.rows[inside], slope)
        apart = rows - drawn
        value, slopes = _TRUST * told[0] + float((apart**2).sum()) / 2, _TRUST * slopes + apart
        # A change along the latents only changes their length, which is put right again.
        latents, across = rows[:, : self._latents], slopes[:, : self._latents]
        along = (latents * across).sum(1, keepdims=True) / (latents**2).sum(1, keepdims=True)
        slopes[:, : self._latents] = factor * (across - along * latents)
        return value, slopes, told / np.array([self._total, self.voxels, max(1, touching)])

    def finished(self, found: np.ndarray, drawn: np.ndarray) -> Fitted:
        """Return the result of a start."""
        scan = Scan(self._labels, self.points, self.values(found, drawn))
        period = [p and p * self._stride for p in self._period]
        border = border_of(
            partial(self._window, FittedField(self._field, scan)), scan, self._beyond, period, self._stride
        )
        return Fitted(scan.values, *map(float, self.look(found, drawn, _DOUBTS[-1])[2]), border=border)

    def _window(self, field, start, shape):
        """Return the logits of a window of a field, relative to their standard deviation: (z, y, x, phases)."""
        first, last = start // self._stride, -(-(start + shape) // self._stride)
        cells = (last - first + sum(self._margin)).tolist()
        logits = _logits(self._network, field.window((first - self._margin[0]).tolist(), cells, self._period))
        cut = tuple(slice(a, a + n) for a, n in zip(start - first * self._stride, shape, strict=True))
        return logits[cut] / self._scatter

    def steps(self, descent: Descent, drawn: np.ndarray, first: int, count: int) -> Iterator[tuple[int, Descent]]:
        """Go on with a descent from what was drawn, after ``first`` of ``count`` steps.

        Yields:
            After each step, how many were done; and the descent.
        """
        parts = [count * part // len(_DOUBTS) for part in range(len(_DOUBTS))]
        for step in range(first, count):
            if step in parts:
                descent = Descent(descent.best)  # what is made small is another function from here on
            doubt = _DOUBTS[max(i for i, part in enumerate(parts) if part <= step)]
            descent.tell(*self.look(descent.trial, drawn, doubt)[:2])
            yield step + 1, descent


class _Held(NamedTuple):
    """The arrays of a fit's file. Of borders, which are nearly empty, they hold only what is in them."""

    digest: Any
    seed: Any
    done: Any  # values of each start that is done
    told: Any  # what `Fitted` says of each
    shape: Any  # of borders
    counts: Any  # voxels in the border of each start
    places: Any  # theirs, one start after the other
    changed: Any  # their labels
    step: Any  # steps of the start that is not done, 0 for none
    found: Any  # where it is
    memory: Any
    numbers: Any


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
        self.found: tuple[int, Descent] | None = None  # steps that were taken of the next start, and where it is
        if self._path is not None and self._path.exists():
            self._read(self._path)

    def _read(self, path):
        held = _held(path)
        if str(held.digest) != self._digest:
            raise ValueError(
                f"{path} is the fit of another scan, generator or seed, or was made otherwise: delete it, or name "
                "another file."
            )
        places, changed = (np.split(each, np.cumsum(held.counts)[:-1]) for each in (held.places, held.changed))
        for i, (values, row) in enumerate(zip(held.done, held.told, strict=True)):
            border = np.full(held.shape, UNKNOWN, "uint8")
            border.flat[places[i]] = changed[i]
            self.done.append(Fitted(values, *map(float, row), border=border))
        step = int(held.step)
        self.found = (step, Descent(held.found, held.memory, held.numbers)) if step else None

    def keep(self) -> None:
        """Write the file."""
        if self._path is None:
            return
        step, descent = self.found or (0, Descent(np.zeros(0)))
        borders = [each.border for each in self.done]
        places = [np.flatnonzero(border != UNKNOWN) for border in borders]
        changed = [border.flat[each] for border, each in zip(borders, places, strict=True)]
        held = _Held(
            digest=self._digest,
            seed=str(self._seed),
            done=np.array([each.values for each in self.done]),
            told=np.array([each[1:4] for each in self.done]),
            shape=np.array(borders[0].shape if borders else (0, 0, 0)),
            counts=np.array([len(each) for each in places], int),
            places=np.concatenate([np.zeros(0, int), *places]),
            changed=np.concatenate([np.zeros(0, "uint8"), *changed]),
            step=step,
            found=descent.best,
            memory=descent.memory,
            numbers=descent.numbers,
        )
        with replacing(self._path) as temporary, temporary.open("wb") as file:
            np.savez(file, **held._asdict())


def kept_seed(path: str | os.PathLike[str] | None) -> int | None:
    """Return the seed of a fit that is kept in a file; None where there is no file.

    Raises:
        ValueError: if the file is of something else, or damaged.
    """
    return None if path is None or not Path(path).exists() else int(str(_held(path).seed))


def _held(path):
    """Return the arrays of a fit's file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return _Held(*(file[name] for name in _Held._fields))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is no fit of a scan, or damaged: delete it, or name another file.") from error


def fit_starts(fit: Fit, state: State, starts: int, steps: int, report: Callable[[int, int], object] | None) -> None:
    """Complete all starts, one after the other, resuming from a state, which then holds the results."""
    while len(state.done) < starts:
        drawn = fit.begun(len(state.done))
        first, descent = state.found or (0, Descent(drawn))
        for step, lower in fit.steps(descent, drawn, first, steps):
            descent, state.found = lower, (step, lower)
            if step % _KEPT_EVERY == 0:
                state.keep()
            if report is not None:
                report(len(state.done) * steps + step, starts * steps)
        state.done.append(fit.finished(descent.best, drawn))
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
    weights = _padded(weights, [n * stride for n in due.shape])
    labels = np.where(weights > 0, _padded(scan.labels, weights.shape), np.uint8(0))
    for corner in product(*(range(0, n, e) for n, e in zip(due.shape, edges, strict=True))):
        cells = np.argwhere(due[tuple(slice(a, a + e) for a, e in zip(corner, edges, strict=True))]) + corner
        if not len(cells):
            continue
        first, last = cells.min(axis=0), cells.max(axis=0) + 1  # the box of those that count
        start, shape = first - margin[0], last - first + sum(margin)
        voxels = tuple(slice(a * stride, b * stride) for a, b in zip(first, last, strict=True))
        base = field.window(start.tolist(), shape.tolist(), period)
        known = labels[voxels][np.newaxis].astype("int32")
        yield Block(scan.rows(start, shape, period), base, known, weights[voxels][np.newaxis])


def _padded(array, shape):
    """Return an array padded at its ends with zeros to a shape."""
    return np.pad(array, [(0, n - m) for n, m in zip(shape, array.shape, strict=True)])


def _logits(network, latents):
    """Return the logits of latents (z, y, x, channels): float32 (z, y, x, phases)."""
    from keras import ops

    from kerasgan3d.backend import backend

    batch = ops.convert_to_tensor(latents[np.newaxis])
    return ops.convert_to_numpy(backend().without_gradients(lambda: network.logits(batch)))[0]


def _slopes_of(network: Generator, n: int, scatter: float) -> Callable[..., Any]:
    """A function from (latents, labels, weights, doubt) to the cross-entropy, how many labels agree, and how many of
    those of weight 1, all as sums; and the gradient of the first at the latents. NumPy to NumPy.

    Trained networks are so sure of every voxel that the gradients of their cross-entropy lead nowhere: the logits are
    divided by ``doubt`` times ``scatter``, their standard deviation. ``n`` is the number of phases.
    """
    from keras import ops

    from kerasgan3d.backend import backend

    tools = backend()

    def slopes(latents, labels, weights, scale):
        latents = tools.leaf(latents)
        with tools.recording(latents) as tape:
            logits = ops.log_softmax(ops.cast(network.logits(latents), "float32") / scale)
            loss = -ops.sum(ops.sum(ops.one_hot(labels, n) * logits, axis=-1) * weights)
        (gradient,) = tools.gradients(tape, [loss], [latents], [ops.ones_like(loss)])
        right = ops.cast(ops.equal(ops.cast(ops.argmax(logits, axis=-1), "int32"), labels), "float32")
        counted, touching = (ops.sum(right * ops.cast(m, "float32")) for m in (weights > 0, weights == 1))
        return loss, counted, touching, gradient

    compiled = tools.compiled(slopes)

    def run(latents, labels, weights, doubt):
        arrays = (latents[np.newaxis], labels, weights, np.float32(doubt * scatter))
        loss, *counts, gradient = (
            ops.convert_to_numpy(ops.stop_gradient(x)) for x in compiled(*map(ops.convert_to_tensor, arrays))
        )
        return loss, *counts, gradient[0]

    return run
