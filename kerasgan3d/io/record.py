"""What files of a volume hold beside its labels."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from kerasgan3d.volume import Volume

_VERSION = 1


@dataclass(frozen=True)
class VolumeRecord:
    """All that the labels of a volume do not say.

    Attributes:
        shape: Voxels (z, y, x).
        phases: Names of the phases, in the order of the labels.
        voxel_size: Edge of a voxel in µm, or None where it is unknown.
        periodic: Whether the volume is periodic along z, y and x.
        provenance: Where it came from: a dict that JSON can hold.
    """

    shape: tuple[int, ...]
    phases: tuple[str, ...]
    voxel_size: float | None
    periodic: tuple[bool, ...]
    provenance: dict[str, Any]

    @classmethod
    def of(cls, volume: Volume) -> VolumeRecord:
        """Return the record of a volume."""
        return cls(*(getattr(volume, field.name) for field in fields(cls)))

    def volume(self, labels: np.ndarray) -> Volume:
        """Return the volume of these labels (z, y, x)."""
        return Volume(labels, self.phases, self.voxel_size, self.periodic, self.provenance)

    def to_json(self) -> dict[str, Any]:
        """Return the record as files hold it."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {"version": _VERSION} | {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    @classmethod
    def from_json(cls, record: Any) -> VolumeRecord:
        """Read a record back.

        Raises:
            ValueError: If it is not what `to_json` makes.
        """
        names = [field.name for field in fields(cls)]
        if not isinstance(record, dict) or set(record) != {"version", *names} or record["version"] != _VERSION:
            raise ValueError(
                f"The record of a volume must hold {', '.join(names)}, version {_VERSION}. Received: {record!r:.200}."
            )
        shape, phases, periodic = (tuple(record[name]) for name in ("shape", "phases", "periodic"))
        return cls(shape, phases, record["voxel_size"], periodic, record["provenance"])
