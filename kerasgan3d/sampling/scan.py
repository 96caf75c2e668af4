"""A scan in the endless structure of a seed: voxels that are kept, and latents fitted to continue them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
import zlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from kerasgan3d.checks import AXES, check_integer, check_triple
from kerasgan3d.sampling.generate import Field

UNKNOWN = 255  # in place of a label
_MOST_VALUES = 2**31  # of arrays that are read from a job's text


class Scan:
    """Known voxels at the origin of the structure, and values at lattice points that were fitted to them.

    Two scans are equal if their voxels, points and values are.

    Args:
        labels: uint8 (z, y, x), the first at voxel (0, 0, 0); ``UNKNOWN`` where a voxel is generated.
        points: Integers (m, 3), the lattice points (z, y, x) that were fitted, counted from 0 along periodic axes.
        values: (m, channels), values at these points, which replace those of the seed.
        facts: Facts for a volume's provenance, a JSON-serialisable dict.
        border: uint8, wider than ``labels`` by the same number of voxels at every face: labels that replace generated
            ones beside known voxels; ``UNKNOWN`` elsewhere. None for no such labels.

    Raises:
        ValueError: if shapes do not match, values are not finite, or no voxel is known.
    """

    def __init__(
        self,
        labels: np.ndarray,
        points: np.ndarray,
        values: np.ndarray,
        facts: dict[str, Any] | None = None,
        border: np.ndarray | None = None,
    ):
        self.labels = np.ascontiguousarray(labels, "uint8")
        self.border = None if border is None else np.ascontiguousarray(border, "uint8")
        self.points = np.ascontiguousarray(points, "<i4")
        self.values = np.ascontiguousarray(values, "<f4")
        self.facts = facts or {}
        if self.labels.ndim != 3 or (self.labels == UNKNOWN).all():
            raise ValueError(
                f"a scan must be known voxels (z, y, x). Received: {self.labels.shape}, all of them unknown."
            )
        if self.values.ndim != 2 or self.points.shape != (len(self.values), 3) or not np.isfinite(self.values).all():
            raise ValueError(
                "a scan must have points (m, 3) and finite values (m, channels). "
                f"Received: {self.points.shape} and {self.values.shape}."
            )
        if self.border is not None and self.border.shape != tuple(n + 2 * self._rim for n in self.labels.shape):
            raise ValueError(
                "the border of a scan must be wider than its voxels by as much at every face. "
                f"Received: {self.border.shape} for {self.labels.shape}."
            )

    @property
    def _rim(self) -> int:
        """Number of voxels by which the border is wider at each face."""
        return 0 if self.border is None else (self.border.shape[0] - self.labels.shape[0]) // 2

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Scan) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    @cached_property
    def digest(self) -> str:
        """Return the sha256 of voxels, points, values and border."""
        total = hashlib.sha256(json.dumps([self.labels.shape, self.values.shape]).encode())
        for array in (self.labels, self.points, self.values, self.border):
            total.update(b"" if array is None else array.data)
        return total.hexdigest()

    @cached_property
    def _rows(self) -> tuple[np.ndarray, np.ndarray]:
        """First corner of the box of the points, and the index of the value at each place of it; -1 for none."""
        first = self.points.min(axis=0) if len(self.points) else np.zeros(3, int)
        shape = self.points.max(axis=0) - first + 1 if len(self.points) else np.ones(3, int)
        rows = np.full(shape, -1, "int32")
        rows[tuple((self.points - first).T)] = np.arange(len(self.points))
        return first, rows

    def rows(self, start: Sequence[int], shape: Sequence[int], period: Sequence[int | None]) -> np.ndarray:
        """Return the index of the value at each lattice point of a window: int32 (z, y, x), -1 for the seed's own."""
        first, rows = self._rows
        return _window(rows, first, start, shape, period, -1)

    def known(self, start: Sequence[int], shape: Sequence[int], period: Sequence[int | None]) -> np.ndarray:
        """Return the known labels of a window of the structure: uint8 (z, y, x), ``UNKNOWN`` where generated.

        Args:
            start, shape: The window, in voxels.
            period: Period per axis in voxels, or None along axes that are not periodic.
        """
        return _window(self.labels, (0, 0, 0), start, shape, period, UNKNOWN)

    def kept(self, start: Sequence[int], shape: Sequence[int], period: Sequence[int | None]) -> np.ndarray:
        """Return the labels of a window that are not the generator's: as `known`, and those of the border."""
        known = self.known(start, shape, period)
        if self.border is None:
            return known
        border = _window(self.border, (-self._rim,) * 3, start, shape, period, UNKNOWN)
        return np.where(known == UNKNOWN, border, known)

    def keep(self, voxels: np.ndarray, start: Sequence[int], period: Sequence[int | None]) -> None:
        """Write what is `kept` into generated labels (z, y, x) or probabilities (z, y, x, phases), in place.

        Args:
            voxels: Voxels of a window that begins at ``start``; changed.
            start, period: As for `known`.
        """
        for place, plane in enumerate(voxels):  # plane by plane, to save memory
            kept = self.kept((start[0] + place, *start[1:]), (1, *voxels.shape[1:3]), period)[0]
            where = kept != UNKNOWN
            if voxels.ndim == 3:
                plane[where] = kept[where]
            else:
                plane[where] = kept[where, np.newaxis] == np.arange(voxels.shape[3])

    def check_labels(self, n_phases: int) -> None:
        """Check that all labels are below ``n_phases``.

        Raises:
            ValueError: if one is not.
        """
        both = [self.labels.ravel(), *([] if self.border is None else [self.border.ravel()])]
        highest = max(int(labels[labels != UNKNOWN].max(initial=0)) for labels in both)
        if highest >= n_phases:
            raise ValueError(f"a scan must hold labels of {n_phases} phases, from 0 on. Received: {highest}.")

    def told(self) -> dict[str, Any]:
        """Return the facts for a volume's provenance: position of the scan, digests, and ``facts``."""
        known = hashlib.sha256(self.labels.data).hexdigest()
        count = int(np.count_nonzero(self.labels != UNKNOWN))
        size = {"shape": list(self.labels.shape), "known_voxels": count, "fitted_latents": len(self.points)}
        if self.border is not None:
            size["corrected_voxels"] = int(np.count_nonzero(self.border != UNKNOWN))
        return {**size, "known_sha256": known, "sha256": self.digest, **self.facts}

    def to_json(self) -> dict[str, Any]:
        """Return the scan as a JSON-serialisable dict, with arrays as compressed text."""
        return {
            "shape": list(self.labels.shape),
            "count": len(self.values),
            "channels": self.values.shape[1],
            **{name: _text(getattr(self, name)) for name in ("labels", "points", "values")},
            "facts": self.facts,
            **({} if self.border is None else {"rim": self._rim, "border": _text(self.border)}),
        }

    @classmethod
    def from_json(cls, record: Any) -> Scan:
        """Read a scan back.

        Raises:
            ValueError: if the record is not a result of `to_json`.
        """
        names = {"shape", "count", "channels", "labels", "points", "values", "facts"}
        more = {"rim", "border"} if isinstance(record, dict) and "border" in record else set()
        if not isinstance(record, dict) or set(record) != names | more or not isinstance(record["facts"], dict):
            raise ValueError(
                f"`scan` of a job must be a dict of {', '.join(sorted(names))}. Received: {record!r:.200}."
            )
        shape = check_triple(record["shape"], "shape of a scan", 1)
        m, channels = (check_integer(record[name], f"{name} of a scan", 0) for name in ("count", "channels"))
        labels, points = _array(record["labels"], "u1", shape), _array(record["points"], "<i4", (m, 3))
        values, border = _array(record["values"], "<f4", (m, channels)), None
        if more:
            rim = check_integer(record["rim"], "rim of a scan", 0)
            border = _array(record["border"], "u1", [n + 2 * rim for n in shape])
        return cls(labels, points, values, record["facts"], border)

    def check_fits(self, size: Sequence[int], periodic: Sequence[bool]) -> None:
        """Check that the scan fits into a structure of ``size`` voxels (z, y, x) along its periodic axes.

        Raises:
            ValueError: if it does not.
        """
        for letter, n, length, wraps in zip(AXES, size, self.labels.shape, periodic, strict=True):
            if wraps and length > n:
                raise ValueError(
                    f"`size` must be at least the scan's, {length}, along periodic axes. Received: {n} along {letter}."
                )


class FittedField:
    """A field whose values at some lattice points are replaced by fitted ones.

    Args:
        field: The field of the seed.
        scan: The Scan whose values replace the field's.
    """

    def __init__(self, field: Field, scan: Scan):
        self._field, self._scan = field, scan

    def window(
        self, start: Sequence[int], shape: Sequence[int], period: Sequence[int | None] = (None, None, None)
    ) -> np.ndarray:
        """Compute the values of a window of the lattice: as `LatentField.window`, float32 (z, y, x, channels)."""
        values = self._field.window(start, shape, period)
        rows = self._scan.rows(start, shape, period)
        if values.shape[-1] != self._scan.values.shape[-1]:
            raise ValueError(
                f"a job with a scan needs a generator of as many channels as were fitted, "
                f"{self._scan.values.shape[-1]}. Received: one of {values.shape[-1]}."
            )
        values[rows >= 0] = self._scan.values[rows[rows >= 0]]
        return values


def _window(box, first, start, shape, period, beyond):
    """Return a window of a structure that holds a box at `first`, and `beyond` everywhere else."""
    for axis, (begin, n, modulus) in enumerate(zip(start, shape, period, strict=True)):
        places = np.arange(begin, begin + n) - first[axis]
        places = places if modulus is None else places % modulus
        inside = (places >= 0) & (places < box.shape[axis])
        box = box.take(np.where(inside, places, 0), axis)
        box[(slice(None),) * axis + (~inside,)] = beyond
    return box


def _text(array):
    return base64.b64encode(zlib.compress(array.tobytes(), 6)).decode("ascii")


def _array(text, dtype, shape):
    """Read an array back, unpacking no more bytes than it holds."""
    count = math.prod(shape) * np.dtype(dtype).itemsize
    if count <= _MOST_VALUES:
        try:
            content = zlib.decompressobj().decompress(base64.b64decode(text, validate=True), count or 1)
        except (TypeError, ValueError, binascii.Error, zlib.error):
            content = b""
        if len(content) == count:
            return np.frombuffer(content, dtype).reshape(shape)
    raise ValueError(f"`scan` of a job must hold arrays as compressed text. Received: {text!r:.60} for {shape}.")
