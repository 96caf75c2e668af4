"""Phases of a segmented image: their grey values, labels and names.

A segmented image holds one grey value per phase, and every tool chooses its own: 0/1/2, 0/127/255, 0/128/255.
Inside kerasgan3d a voxel always holds a label 0, 1, ..., n - 1. Only a `PhaseMap` converts between the two, and it
never guesses: an unknown grey value is an error, not phase 1.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from kerasgan3d.checks import is_integer, plain_array
from kerasgan3d.texts import shown

MAX_PHASES = 255
# An image with more unnamed values than this is taken for a grey-scale image, not for a segmentation.
MAX_INFERRED_PHASES = 16

_MAX_VALUES = 1 << 16
_CHUNK = 1 << 22
_SHOWN = 10


@dataclass(frozen=True, init=False)
class PhaseMap:
    """The phases of an image in the order of their labels.

    Args:
        names: One name per phase, unique and not empty; 1 to 255 phases. Label k is called `names[k]`.
        greys: Grey value of each phase in image files, unique integers; 0, 1, ..., n - 1 if left out.

    Raises:
        ValueError: if names or greys are not as above, or differ in number.

    Example:
        >>> phases = PhaseMap(("pore", "Ni", "YSZ"), greys=(0, 128, 255))
        >>> phases.encode(np.array([[0, 255], [128, 0]]))
        array([[0, 2],
               [1, 0]], dtype=uint8)
    """

    names: tuple[str, ...]
    greys: tuple[int, ...]

    def __init__(self, names: Iterable[str] | PhaseMap, greys: Iterable[int] | None = None) -> None:
        names = _checked_names(names)
        greys = tuple(range(len(names))) if greys is None else _checked_greys(greys)
        if len(greys) != len(names):
            raise ValueError(
                f"`greys` must give one value per phase. Received: {len(greys)} greys {_listed(greys)} for "
                f"{len(names)} phases {', '.join(names)}."
            )
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "greys", greys)

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def infer(
        cls,
        image: ArrayLike,
        names: Iterable[str] | PhaseMap | None = None,
        mapping: Mapping[int, str] | None = None,
    ) -> PhaseMap:
        """Infer the phases of an integer image from its grey values.

        Images are recognised if they hold labels 0, 1, ..., n - 1; n greys spread evenly from 0 to 255, rounded either
        way (0/255, 0/127/255, 0/128/255, 0/85/170/255 ...); 0/85/170; or booleans. All others need `mapping`.

        Args:
            image: Integer or boolean array of any shape.
            names: Names of the phases in the order of their labels, which is that of their greys; "phase 0",
                "phase 1", ... if left out. An image that holds only labels 0 to len(names) - 1 may lack some of them.
            mapping: Dict of grey value to name, applied strictly. Labels follow the order of `names` if given, else the
                order of `mapping`. The image may lack some of the greys but hold no others.

        Returns:
            The PhaseMap that encodes the image.

        Raises:
            ValueError: if the image is not a segmentation, or is ambiguous.
        """
        image = _checked_image(image)
        if mapping is not None:
            phases = cls._from_mapping(mapping, names)
            values, counts = value_counts(image)
            phases._refuse_unknown(values, counts)
            return phases
        if names is not None:
            names = _checked_names(names)
        values, counts = value_counts(image)
        return cls(names or default_names(len(values)), _recognised_greys(values, counts, names))

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> PhaseMap:
        """Make a PhaseMap from what `to_dict` returned.

        Raises:
            ValueError: if the record is not a dict with `names` and, optionally, `greys`.
        """
        if not isinstance(record, Mapping) or "names" not in record or set(record) - {"names", "greys"}:
            raise ValueError(f"A phase record must be a dict with `names` and `greys`. Received: {record!r:.200}.")
        return cls(record["names"], record.get("greys"))

    def to_dict(self) -> dict[str, Any]:
        """Return names and greys as a JSON-serialisable dict."""
        return {"names": list(self.names), "greys": list(self.greys)}

    def encode(self, image: ArrayLike) -> np.ndarray:
        """Turn grey values into labels.

        Args:
            image: integer or boolean array of any shape.

        Returns:
            uint8 array of the same shape, values 0 to n - 1.

        Raises:
            ValueError: if the image does not hold integers, or holds a grey value that belongs to no phase.
        """
        image = _checked_image(image)
        if image.dtype == bool:
            image = image.view(np.uint8)
        labels = np.empty(image.shape, np.uint8)
        flat_labels = labels.reshape(_at_least_1d(image).shape)
        lookup = self._lookup(image.dtype)
        lost = False
        for part in _chunks(image):
            flat_labels[part] = lookup(_at_least_1d(image)[part])
            lost = lost or bool((flat_labels[part] == MAX_PHASES).any())
        if lost:
            self._refuse_unknown(*value_counts(image))
        return labels

    def decode(self, labels: ArrayLike) -> np.ndarray:
        """Turn labels into grey values.

        Args:
            labels: integer or boolean array of any shape, values 0 to n - 1.

        Returns:
            Array of the same shape in the smallest dtype that holds the greys, unsigned unless a grey is negative.

        Raises:
            ValueError: if a label belongs to no phase.
        """
        labels = _checked_labels(labels, len(self))
        lowest, highest = min(self.greys), max(self.greys)
        smallest = np.min_scalar_type(highest if lowest >= 0 else min(lowest, -1 - highest))
        table = np.array(self.greys, smallest)
        image = np.empty(labels.shape, smallest)
        for part in _chunks(labels):
            _at_least_1d(image)[part] = table[_at_least_1d(labels)[part].astype(np.intp, copy=False)]
        return image

    @classmethod
    def _from_mapping(cls, mapping, names):
        if not isinstance(mapping, Mapping) or not mapping:
            raise ValueError(
                f"`mapping` must be a dict of grey value to name, such as {{0: 'pore', 255: 'solid'}}. "
                f"Received: {mapping!r:.200}."
            )
        phases = cls(tuple(mapping.values()), tuple(mapping))
        if names is None:
            return phases
        names = _checked_names(names)
        if set(names) != set(phases.names):
            raise ValueError(
                f"The names and those in `mapping` must be the same. Received: {', '.join(names)} and "
                f"{', '.join(phases.names)}."
            )
        return cls(names, tuple(phases.greys[phases.names.index(name)] for name in names))

    def _refuse_unknown(self, values, counts):
        unknown = ~np.isin(values, np.array(self.greys, np.int64))
        if unknown.any():
            known = ", ".join(f"{grey} = {name}" for grey, name in zip(self.greys, self.names, strict=True))
            raise ValueError(
                f"Every grey value must belong to a phase ({known}). Received: {counts[unknown].sum()} other "
                f"voxels, {_described(values[unknown], counts[unknown], counts.sum())}. Name these values in "
                "`mapping` too, or clean the image."
            )

    def _lookup(self, dtype):
        """Return a function from greys of this dtype to labels, with MAX_PHASES for unknown greys."""
        limits = np.iinfo(dtype)
        known = [(grey, label) for label, grey in enumerate(self.greys) if limits.min <= grey <= limits.max]
        if dtype.itemsize <= 2:
            # A table over all values of the type, which negative greys index by their two's complement.
            table = np.full(1 << 8 * dtype.itemsize, MAX_PHASES, np.uint8)
            unsigned = np.dtype(f"u{dtype.itemsize}")
            for grey, label in known:
                table[grey % len(table)] = label
            return lambda greys: table[greys.astype(unsigned, copy=False)]
        if not known:
            return lambda greys: np.full(greys.shape, MAX_PHASES, np.uint8)
        known.sort()
        sorted_greys = np.array([grey for grey, _ in known], dtype.newbyteorder("="))
        sorted_labels = np.array([label for _, label in known], np.uint8)

        def lookup(greys):
            position = np.minimum(np.searchsorted(sorted_greys, greys), len(sorted_greys) - 1)
            return np.where(sorted_greys[position] == greys, sorted_labels[position], np.uint8(MAX_PHASES))

        return lookup


def one_hot(labels: ArrayLike, n: int, dtype: DTypeLike = "float32") -> np.ndarray:
    """Encode labels as one channel per phase.

    Args:
        labels: Integer or boolean array (...), values 0 to n - 1.
        n: Number of phases.
        dtype: Type of the result.

    Returns:
        Array (..., n): 1 in the channel of the voxel's phase, 0 in the others.

    Raises:
        ValueError: if labels are not integers from 0 to n - 1.
    """
    labels = _checked_labels(labels, n)
    channels = np.empty((*labels.shape, n), dtype)
    for label in range(n):
        channels[..., label] = labels == label
    return channels


def from_one_hot(probabilities: ArrayLike) -> np.ndarray:
    """Return the most probable phase of every voxel; the first one where several are equally probable.

    Args:
        probabilities: real array (..., n), one channel per phase.

    Returns:
        uint8 array (...), values 0 to n - 1.

    Raises:
        ValueError: if there are not 1 to 255 channels, or values that cannot be compared (NaN, complex).
    """
    probabilities = plain_array(probabilities)
    if probabilities.ndim == 0 or not 1 <= probabilities.shape[-1] <= MAX_PHASES:
        raise ValueError(
            f"Probabilities must have one channel per phase on the last axis, 1 to {MAX_PHASES}. "
            f"Received: shape {probabilities.shape}."
        )
    if probabilities.dtype.kind not in "fiub":
        raise ValueError(f"Probabilities must be real numbers. Received: {probabilities.dtype}.")
    if probabilities.ndim == 1:
        return from_one_hot(probabilities[None])[0]
    labels = np.empty(probabilities.shape[:-1], np.uint8)
    for part in _chunks(probabilities):
        if probabilities.dtype.kind == "f" and np.isnan(probabilities[part]).any():
            raise ValueError("Probabilities must be numbers. Received: NaN. The network that made them has diverged.")
        labels[part] = np.argmax(probabilities[part], axis=-1)
    return labels


def value_counts(image: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Count how often each value occurs, using little memory.

    Args:
        image: integer or boolean array of any shape.

    Returns:
        The values in ascending order and the number of voxels of each: two integer arrays. Counting stops early
        at more than 65536 values, which no segmentation has.
    """
    image = _at_least_1d(plain_array(image))
    if image.dtype == bool:
        image = image.view(np.uint8)
    if image.dtype.itemsize <= 2:
        lowest = int(np.iinfo(image.dtype).min)
        totals = np.zeros(1 << 8 * image.dtype.itemsize, np.int64)
        for part in _chunks(image):
            found = np.bincount(image[part].ravel().astype(np.int64) - lowest)
            totals[: len(found)] += found
        present = np.flatnonzero(totals)
        return present + lowest, totals[present]
    totals = {}
    for part in _chunks(image):
        for value, count in zip(*(x.tolist() for x in np.unique(image[part], return_counts=True)), strict=True):
            totals[value] = totals.get(value, 0) + count
        if len(totals) > _MAX_VALUES:
            break
    values = sorted(totals)
    return np.array(values, image.dtype.newbyteorder("=")), np.array([totals[value] for value in values], np.int64)


def check_dense(labels: ArrayLike, highest: int) -> None:
    """Check that values are plausible labels where the number of phases is not given: most of them must occur.

    Args:
        labels: Integer array, or the values in it.
        highest: The highest value.

    Raises:
        ValueError: if they are more likely grey values.
    """
    if highest < MAX_INFERRED_PHASES:
        return
    values = value_counts(labels)[0]
    if 2 * len(values) <= highest:
        raise ValueError(
            f"Labels must be 0, 1, ..., n - 1. Received: the values {_listed(values)}, which are more likely grey "
            "values. They become labels with PhaseMap.infer(image).encode(image); if these are labels of "
            f"{highest + 1} phases, pass `phases`."
        )


class UnknownPhaseError(KeyError, ValueError):
    """Error raised for an unknown phase name; both a KeyError and, like all errors about arguments, a ValueError."""

    __str__ = Exception.__str__  # a KeyError shows its message in quotes


def label_of(name: str, names: Sequence[str]) -> int:
    """Return the label of a phase by its name.

    Raises:
        UnknownPhaseError: If no phase has that name.
    """
    if name not in names:
        raise UnknownPhaseError(f"A phase must be one of {', '.join(map(repr, names))}. Received: {shown(name)}.")
    return names.index(name)


def default_names(n: int) -> tuple[str, ...]:
    """Return the default names of n phases: "phase 0", "phase 1", ..."""
    return tuple(f"phase {label}" for label in range(n))


def _recognised_greys(values, counts, names):
    """Return the greys of the phases if the values follow a known convention; raise a ValueError otherwise."""
    found = [int(value) for value in values]
    n = len(found)
    if n == 0:
        raise ValueError("The image must hold voxels. Received: an empty image.")
    listing = _described(values, counts, counts.sum())
    if names is not None and found[0] >= 0 and found[-1] < len(names):
        return tuple(range(len(names)))
    if n > MAX_INFERRED_PHASES and (names is None or len(names) != n):
        n_found = f"more than {_MAX_VALUES}" if n > _MAX_VALUES else n
        raise ValueError(
            f"The image must be segmented: one grey value per phase. Received: {n_found} different {listing}. "
            "Segment it first, or, if these are phases, name each one with `mapping`."
        )
    if names is not None and len(names) != n:
        raise ValueError(
            f"There must be one name per grey value. Received: {len(names)} names ({_listed(names)}) for "
            f"{n} grey {listing}. Name the values one by one: {_advice(found, names)}."
        )
    if n == 1:
        raise ValueError(
            f"The image must hold at least two phases. Received: only the {listing}. If it is one phase of "
            f"several, name them: {_advice([*found, (found[0] + 1) % 256], names)}."
        )
    if found == list(range(n)) or found == [0, 85, 170] or _spread_evenly(found):
        return tuple(found)
    reason = (
        f"could be two phases, or an image of 0/{found[1]}/255 that lacks its last phase"
        if found in ([0, 127], [0, 128])
        else "are neither labels 0, 1, 2, ... nor greys spread evenly from 0 to 255"
    )
    raise ValueError(
        f"The grey values must be known phases. Received: {listing}, which {reason}. Name them: "
        f"{_advice(found, names)}."
    )


def _spread_evenly(values):
    """Tell whether the values are k 255 / (n - 1), rounded up or down."""
    steps = len(values) - 1
    return all(value in (255 * k // steps, -(-255 * k // steps)) for k, value in enumerate(values))


def _advice(values, names):
    """Return the argument that maps these values: "`mapping={0: 'pore', 255: 'solid'}`"."""
    shown = values[:4]
    called = [names[k] if names is not None and k < len(names) else f"name{k}" for k in range(len(shown))]
    more = ", ..." if len(values) > len(shown) else ""
    pairs = ", ".join(f"{value}: {name!r}" for value, name in zip(shown, called, strict=True))
    return f"`mapping={{{pairs}{more}}}`"


def _described(values, counts, total):
    """List values with their shares: "0 (40.1 %), 128 (59.9 %)"."""
    shown = [
        f"{value} ({100 * count / total:.3g} %)"
        for value, count in zip(values[:_SHOWN].tolist(), counts[:_SHOWN].tolist(), strict=True)
    ]
    more = " and others" if len(values) > _SHOWN else ""
    return ("values " if len(values) > 1 else "value ") + ", ".join(shown) + more


def _listed(values):
    values = [str(value) for value in values]
    return ", ".join(values[:_SHOWN]) + (" and others" if len(values) > _SHOWN else "")


def _checked_names(names):
    if isinstance(names, PhaseMap):
        return names.names
    if isinstance(names, str) or not isinstance(names, Iterable):
        wanted = "a sequence of strings, such as ('pore', 'solid')"
        raise ValueError(f"Phase names must be {wanted}. Received: {shown(names)}.")
    names = tuple(names)
    if not 1 <= len(names) <= MAX_PHASES:
        raise ValueError(f"There must be 1 to {MAX_PHASES} phases. Received: {len(names)} names.")
    for name in names:
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            raise ValueError(f"A phase name must be a printable string that is not empty. Received: {shown(name)}.")
    if len(set(names)) != len(names):
        raise ValueError(f"Phase names must be unique. Received: {_listed(names)}.")
    return tuple(str(name) for name in names)


def _checked_greys(greys):
    if isinstance(greys, str) or not isinstance(greys, Iterable):
        raise ValueError(f"Grey values must be a sequence of integers. Received: {shown(greys)}.")
    greys = tuple(greys)
    try:
        values = tuple(operator.index(grey) for grey in greys)
    except TypeError:
        raise ValueError(f"Grey values must be integers. Received: {_listed(map(repr, greys))}.") from None
    if len(set(values)) != len(values):
        raise ValueError(f"Grey values must be unique, one per phase. Received: {_listed(values)}.")
    if any(not -(2**31) <= value < 2**32 for value in values):
        raise ValueError(f"Grey values must be integers of up to 32 bits. Received: {_listed(values)}.")
    return values


def _checked_image(image):
    image = plain_array(image)
    if image.dtype.kind not in "iub":
        raise ValueError(
            f"A segmented image must be of integers. Received: {image.dtype}. Segment a grey-scale image first; "
            "convert labels that were stored in another type to integers, for example of 8 bits."
        )
    return image


def _checked_labels(labels, n):
    labels = plain_array(labels)
    if not is_integer(n) or not 1 <= n <= MAX_PHASES:
        raise ValueError(f"The number of phases must be an integer from 1 to {MAX_PHASES}. Received: {shown(n)}.")
    if labels.dtype.kind not in "iub":
        raise ValueError(f"Labels must be integers. Received: {labels.dtype}.")
    if labels.size and (labels.min() < 0 or labels.max() >= n):
        raise ValueError(
            f"Labels of {n} phases must lie in 0 to {n - 1}. Received: {int(labels.min())} to {int(labels.max())}. "
            "Grey values become labels with PhaseMap.encode."
        )
    return labels


def _at_least_1d(array):
    return array.reshape(1) if array.ndim == 0 else array


def _chunks(array):
    """Split the first axis into slices of a few million values, so that temporary arrays stay small."""
    array = _at_least_1d(array)
    length = len(array)
    step = max(1, _CHUNK * length // max(1, array.size))
    return [slice(start, min(start + step, length)) for start in range(0, length, step)]
