"""Views of the data and of generated volumes, which are the critics' input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import keras
import numpy as np
from keras import ops

from kerasgan3d.checks import check_count, check_number
from kerasgan3d.data import LabelledData, Samplers, SliceSampler, Symmetry, VolumeSampler
from kerasgan3d.material.edges import softened
from kerasgan3d.models import SliceDiscriminator, VolumeDiscriminator

KINDS = ("slices", "volumes")
POOLS = (1, 2, 4)
_WIDTHS = {"slices": (32, 64, 128, 256), "volumes": (32, 64, 128, 256)}
_LEFT = 4  # least number of voxels per side of the input of a critic's last convolution
_LEAST = 2 * _LEFT  # the same for the whole critic: at least one of its layers halves them


@dataclass(frozen=True)
class View:
    """Input of one kind of critic.

    Attributes:
        kind: "slices", with a critic for each group of equivalent axes, or "volumes" for sub-volumes.
        size: Edge length in voxels.
        pool: Edge length in voxels of the blocks over which means are taken: 1, 2 or 4.
        count: Number of slices along each axis, or of sub-volumes, per generated volume.
        weight: Total weight of the critics' losses, which groups share in proportion to their numbers of axes.
        penalty: Weight of these critics' gradient penalty relative to the recipe's.
        widths: Channels of the critics' layers; None for as many default layers as the view's size permits.

    Raises:
        ValueError: if an attribute is invalid.
    """

    kind: str
    size: int
    pool: int = 1
    count: int = 16
    weight: float = 1.0
    penalty: float = 1.0
    widths: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"`kind` of a view must be one of {', '.join(KINDS)}. Received: {self.kind!r}.")
        if self.pool not in POOLS:
            raise ValueError(f"`pool` of a view must be 1, 2 or 4. Received: {self.pool!r}.")
        for name in ("size", "count"):
            check_count(getattr(self, name), name)
        for name in ("weight", "penalty"):
            check_number(getattr(self, name), name, 0)
        if self.size % self.pool or self.size // self.pool < _LEAST:
            raise ValueError(
                f"`size` of a view must be a multiple of its `pool`, and {_LEAST} times it or more. "
                f"Received: {self.size} and {self.pool}."
            )
        if self.widths is not None:
            object.__setattr__(self, "widths", tuple(check_count(width, "widths") for width in self.widths))

    def __str__(self) -> str:
        edges = " x ".join([str(self.size)] * (2 if self.kind == "slices" else 3))
        return f"{self.kind} of {edges}" + (f" pooled by {self.pool}" if self.pool > 1 else "")

    @classmethod
    def of(cls, settings: Any) -> View:
        """Return the view for a dict of its attributes, as in recipes.

        Raises:
            ValueError: if an attribute is missing, unknown or invalid.
        """
        if isinstance(settings, View):
            return settings
        known = set(cls.__dataclass_fields__)
        if not isinstance(settings, dict) or not {"kind", "size"} <= set(settings) <= known:
            raise ValueError(
                f"a view must be a dict with `kind` and `size`, and those of {', '.join(sorted(known))} that "
                f"differ from the default. Received: {settings!r:.200}."
            )
        return cls(**settings)

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as in recipes."""
        return asdict(self)

    def groups(self, symmetry: Symmetry) -> tuple[tuple[int, ...], ...]:
        """Return for each critic the axes to which its slices are normal; one empty group for sub-volumes."""
        return symmetry.groups if self.kind == "slices" else ((),)

    def shrunk(self, room: int) -> View | None:
        """Return the view, reduced to fit ``room`` voxels per side if necessary; None if it cannot be."""
        size = min(self.size, room // self.pool * self.pool)
        return replace(self, size=size) if size // self.pool >= _LEAST else None

    def critic(self, n_phases: int, initializer: Any = "glorot_uniform") -> keras.Model:
        """Return an untrained critic of the view."""
        halvings = (self.size // self.pool // _LEFT).bit_length() - 1
        widths = (self.widths or _WIDTHS[self.kind])[:halvings]
        if self.kind == "slices":
            return SliceDiscriminator(n_phases, widths)
        return VolumeDiscriminator(n_phases, widths, initializer=initializer)


def fitted(views: Sequence[View], data: LabelledData, size: int) -> tuple[list[View], list[str]]:
    """Fit views to the data and to generated volumes; return them, and the changes in words.

    Args:
        views: The Views.
        data: The LabelledData.
        size: Edge length of a generated volume in voxels.

    Raises:
        ValueError: if no view is left.
    """
    found, notes = [], []
    room = min(size, data.smallest)
    for view in views:
        flat = view.kind == "volumes" and data.dimensions == 2
        fits = None if flat else view.shrunk(room)
        why = "the data are slices" if flat else f"there is room for {room} voxels"
        if fits is None:
            notes.append(f"no {view}: {why}")
            continue
        found.append(fits)
        if fits != view:
            notes.append(f"{fits} instead of {view}: {why}")
    if not found:
        raise ValueError(f"at least one view must fit into the data and the generated volumes. Received: {notes}.")
    return found, notes


def real_views(data: LabelledData, views: Sequence[View], share: float, volumes: int, seed: int) -> Samplers:
    """Return a sampler of the critics' views of the data: random crops with soft edges, augmented by the symmetries.

    Args:
        data: The LabelledData, its number of phases known.
        views: The Views, see ``fitted``.
        share: Share of a voxel's label that each neighbour receives, see ``kerasgan3d.material.edges``.
        volumes: Generated volumes per step, which are matched by as much real data.
        seed: Non-negative int.

    Returns:
        Samplers whose ``batch(step)``, a pure function of seed and step, gives a uint8 array (count, ..., phases) for
        each critic, 255 for one.

    Raises:
        ValueError: if the directions of slices are unknown in a material that is not isotropic, or no crop is free of
            excluded voxels.
    """
    soft, found = softened(data, share), []
    for i, view in enumerate(views):
        own, count = seed + (i << 40), volumes * view.count  # views draw independently of each other
        if view.kind == "volumes":
            found.append(VolumeSampler(soft, view.size, count, data.symmetry, seed=own))
        else:
            counts = [count * len(group) for group in data.symmetry.groups]
            found.append(SliceSampler(soft, view.size, counts, data.symmetry, seed=own))
    return Samplers(*found)


def generated_views(volumes: Any, views: Sequence[View], symmetry: Symmetry) -> list[Any]:
    """Return the critics' views of periodic volumes: evenly spaced slices and sub-volumes, pooled.

    If volumes are first rolled at random, the views cover all of them, including the joints at their faces.

    Args:
        volumes: (batch, size, size, size, phases).
        views: The Views.
        symmetry: A Symmetry.

    Returns:
        list of arrays (count, ..., phases), one per critic.
    """
    found = []
    for view in views:
        if view.kind == "volumes":
            found.append(_sub_volumes(volumes, view))
            continue
        for group in symmetry.groups:
            found.append(_joined([_slices(volumes, view, normal, symmetry) for normal in group]))
    return found


def pooled(x: Any, pool: int) -> Any:
    """Return means over blocks of ``pool`` voxels per side of (count, ..., phases)."""
    for axis in range(1, len(x.shape) - 1) if pool > 1 else ():
        before, (length, *after) = x.shape[1:axis], x.shape[axis:]
        x = ops.mean(ops.reshape(x, (-1, *before, length // pool, pool, *after)), axis=axis + 1)
    return x


def _slices(volumes, view, normal, symmetry):
    """Return slices of all volumes normal to an axis; where planes hold several windows, these alternate."""
    size, phases, m = volumes.shape[1], volumes.shape[-1], view.size
    at = (slice(None),) * (normal + 1)
    if size % view.count:
        planes = ops.take(volumes, np.arange(view.count) * size // view.count, axis=normal + 1)
    else:  # the gradient of evenly spaced planes is faster
        planes = volumes[(*at, slice(0, None, size // view.count))]
    rows, columns = symmetry.section_axes(normal)
    planes = ops.transpose(planes, (normal + 1, 0, rows + 1, columns + 1, 4))
    per_axis = size // m
    windows = [divmod(i, per_axis) for i in range(min(view.count, per_axis**2))]
    parts = [planes[i :: len(windows), :, y * m : (y + 1) * m, x * m : (x + 1) * m] for i, (y, x) in enumerate(windows)]
    return pooled(_joined([ops.reshape(part, (-1, m, m, phases)) for part in parts]), view.pool)


def _sub_volumes(volumes, view):
    """Return adjacent sub-volumes, ``count`` of the view from each volume."""
    n, m = volumes.shape[1] // view.size, view.size // view.pool
    volumes = pooled(volumes, view.pool)
    corners = np.array(np.unravel_index(np.arange(view.count) % n**3, (n, n, n))).T * m
    return _joined([volumes[:, z : z + m, y : y + m, x : x + m] for z, y, x in corners.tolist()])


def _joined(parts):
    return parts[0] if len(parts) == 1 else ops.concatenate(parts)
