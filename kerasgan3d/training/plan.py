"""Plan of a run, in words and as settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerasgan3d.folder import architectures
from kerasgan3d.material.material import Material
from kerasgan3d.material.statistics import ERROR_OF
from kerasgan3d.models.pretrained import Pretrained
from kerasgan3d.sampling.conditions import Conditions
from kerasgan3d.training.log import read_log
from kerasgan3d.training.recipe import Recipe
from kerasgan3d.training.terms import Term

ROOM = 2  # format of the settings of runs that can be resumed
# Seconds and gigabytes of a step of one volume of 128^3 voxels on two CPU cores, including the critics' views.
_COSTS = {"compact": (1.7, 2.0), "deep": (2.4, 2.0), "paper": (6.0, 4.0)}
_BASE_GIGABYTES = 0.9
_ALIKE = 1.5  # structures whose lengths differ by less than this factor have the same scale


@dataclass(frozen=True)
class Plan:
    """A run with all its decisions.

    Attributes:
        material: The Material.
        recipe: The Recipe, with views that fit the data, and with its edges and precision decided.
        source: The Pretrained that training starts from, or None.
        conditions: Conditions of the generator, or None for an unconditional one.
        terms: Statistic-matching losses that apply, by name: (weight, Term).
        notes: Parts of the recipe that do not apply, and the reasons, in words.
        size: Edge length in voxels of the volumes by which generators are evaluated.
        seed: Seed of the run.
        open_precision: Whether the precision was chosen to suit the machine.
    """

    material: Material
    recipe: Recipe
    source: Pretrained | None
    conditions: Conditions | None
    terms: Mapping[str, tuple[float, Term]]
    notes: tuple[str, ...]
    size: int
    seed: int
    open_precision: bool

    @property
    def settings(self) -> dict[str, Any]:
        """Settings that identify the run, for JSON: those of a resumed run, notes included, must be the same."""
        material = self.material
        settings = {
            "room": ROOM,
            "recipe": self.recipe.to_dict(),
            "symmetry": {"kind": material.symmetry.kind, "axis": material.symmetry.axis},
            "seed": self.seed,
            "phases": list(material.phases),
            "voxel_size": material.voxel_size,
            "data": material.facts,
            "terms": {name: weight for name, (weight, _) in self.terms.items()},
            "notes": list(self.notes),
            "error_of": list(ERROR_OF),
        }
        if self.source is not None:
            settings["fine_tuned_from"] = self.source.facts(material.phases, material.fractions)
        return settings

    def describe(self, output: Path, log: Path, resuming: bool) -> str:
        """Describe the data and the planned run in several lines.

        Args:
            output: Folder of the run.
            log: Path of its log.
            resuming: Whether a run in the folder would be resumed.
        """
        material, recipe = self.material, self.recipe
        images = material.images
        shape = " x ".join(map(str, images[0].shape)) if len(images) == 1 else f"{sum(image.size for image in images)}"
        size = f"{material.voxel_size:g} µm" if material.voxel_size else "unknown: pass `voxel_size`"
        shares = ", ".join(f"{name} {x:.3f}" for name, x in zip(material.phases, material.fractions, strict=True))
        crop, volumes = min(recipe.size, material.data.smallest), f"{recipe.batch} x {recipe.size}^3"
        apart = material.crops(crop)
        start = [] if self.source is None else [("start", _start(material, self.source)), ("scale", self._scale(crop))]
        told = "told local volume fractions" if self.conditions is not None else "not told volume fractions"
        rows = [
            ("data", f"{material.name}: {shape} voxels of size {size}" + material.left_out),
            ("phases", shares),
            ("crops", f"{apart} of {crop} voxels per side that do not overlap; {material.symmetry} symmetry"),
            ("size", material.structures(crop)),
            *start,
            ("recipe", f"{recipe.name}: {architectures(recipe.to_dict())} generator, {told}; {recipe.loss} loss"),
            ("critics", f"of {', of '.join(map(str, recipe.views))}; soft edges of {recipe.edges:g}"),
            ("terms", ", ".join(f"{name} {weight:g}" for name, (weight, _) in self.terms.items()) or "none"),
            *(("note", note) for note in self.notes),
            ("steps", f"{recipe.steps} of {volumes} voxels, measured every {recipe.monitor_every}"),
            ("cost", self._cost(read_log(log) if resuming else [])),
            ("output", f"{output}, " + ("resuming the run in it" if resuming else "a new run")),
        ]
        return "\n".join(f"{key:<9}{value}" for key, value in rows)

    def _scale(self, crop):
        """Compare the length of structures in voxels with that of the pretrained generator's structures."""
        assert self.source is not None
        ours, theirs = self.material.structuring_length(crop), self.source.structuring_length
        if not (np.isfinite(ours) and np.isfinite(theirs)):
            which = "generator" if np.isfinite(ours) else "data"
            return f"structures of the {which} are too long to be compared"
        factor, size = ours / theirs, self.material.voxel_size
        line = f"structures are {factor:.2g} times as long as the generator's, {ours:.0f} voxels against {theirs:.0f}"
        if factor > _ALIKE and size:
            return f"{line}: another scale to learn, or set `resample_to` to {size * factor:.3g}"
        return f"{line}: another scale to learn" if max(factor, 1 / factor) > _ALIKE else line

    def _cost(self, rows):
        """Estimate time and memory, from the log of the run so far if there is one."""
        recipe = self.recipe
        kind = recipe.architecture if self.source is None else _like(self.source.generator)
        seconds, gigabytes = _COSTS[kind]
        load = recipe.batch * (recipe.size / 128) ** 3
        memory = f"some {_BASE_GIGABYTES + gigabytes * load:.1f} GB of memory besides the data"
        if rows:
            done, so_far = int(rows[-1]["step"]), float(rows[-1]["seconds"])
            left = so_far / done * max(0, recipe.steps - done)
            return f"{_time(left)} more at the speed so far; {memory}"
        updates = (recipe.critic_updates + recipe.generator_updates) / 2 * recipe.steps
        whole = _time(seconds * load * updates)
        return f"about {whole} on two CPU cores, less on more cores or a GPU; {memory} (estimates)"


def _start(material, pretrained):
    """Describe the generator that training starts from, and the mapping of its phases."""
    old = pretrained.generator
    size = f"{old.voxel_size:g} µm" if old.voxel_size else "voxels of unknown size"
    found = pretrained.counterparts(material.phases, material.fractions)
    pairs = (
        f"{name} from {'none' if j is None else old.phases[j]}" for name, j in zip(material.phases, found, strict=True)
    )
    return f"{old.card.get('name', 'a generator')} ({'/'.join(old.phases)}, {size}): {', '.join(pairs)}"


def _like(generator):
    """Return the architecture whose cost is most like a generator's."""
    if generator.upsampling == "transposed":
        return "paper"
    return "deep" if generator.depths else "compact"


def _time(seconds):
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{max(1, round(seconds / 60))} min"
