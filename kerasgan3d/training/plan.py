"""What a run would do, in words, before it does it."""

import numpy as np

from kerasgan3d.folder import architectures
from kerasgan3d.models import ARCHITECTURES
from kerasgan3d.training.log import read_log

# Seconds per step and gigabytes on two CPU cores, 8 volumes of 64^3 voxels a step, one update of each player.
_COSTS = {"compact": (0.9, 0.6), "wide": (1.7, 0.9), "deep": (2.0, 0.8), "paper": (10.0, 1.3)}
_BASE_GIGABYTES = 0.6
# Gayon-Lombardo et al., npj Comput. Mater. 6:82 (2020), ask for sub-volumes that hold so many structuring elements.
_STRUCTURES = 2
# Structures whose lengths differ by less than this factor are of one scale.
_ALIKE = 1.5


def describe(material, recipe, output, log, resuming, pretrained=None):
    """Say what was found in the data and what would be done.

    Args:
        material: The Material.
        recipe: The Recipe, with nothing left open.
        output: Folder of the run.
        log: Path of its log.
        resuming: Whether a run in the folder would go on.
        pretrained: The Pretrained that training would start from, or None.

    Returns:
        str of several lines.
    """
    shape = (
        " x ".join(map(str, material.images[0].shape))
        if len(material.images) == 1
        else f"{sum(image.size for image in material.images)}"
    )
    size = f"{material.voxel_size:g} µm" if material.voxel_size else "unknown (voxel_size would say it)"
    shares = ", ".join(f"{name} {x:.3f}" for name, x in zip(material.phases, material.fractions, strict=True))
    rows = [
        ("data", f"{material.name}: {shape} voxels of size {size}" + _left_out(material)),
        ("phases", shares),
        (
            "crops",
            f"{material.crops(recipe.crop)} of {recipe.crop} voxels per side that do not overlap; "
            f"{material.symmetry} symmetry",
        ),
        ("size", _structures(material, recipe.crop)),
        *(
            []
            if pretrained is None
            else [("start", _start(material, pretrained)), ("scale", _scale(material, recipe.crop, pretrained))]
        ),
        ("recipe", f"{recipe.name}: {architectures(recipe.to_dict())} generator, {_critics(recipe)}"),
        ("steps", _steps(recipe)),
        ("cost", _cost(recipe, read_log(log) if resuming else [], pretrained)),
        ("output", f"{output}, " + ("going on with the run in it" if resuming else "a new run")),
    ]
    return "\n".join(f"{key:<8}{value}" for key, value in rows)


def _left_out(material):
    parts = []
    if material.excluded is not None:
        whole = sum(image.size for image in material.images)
        parts.append(f"{100 * material.counts.sum() / whole:.3g} % of them used")
    if material.held_out is not None:
        held = " x ".join(str(part.stop - part.start) for part in material.held_out)
        parts.append(f"a block of {held} held out")
    return "".join(f", {part}" for part in parts)


def _structures(material, crop):
    length = material.structuring_length(crop)
    if not np.isfinite(length):
        return f"structures are larger than crops of {crop} voxels: pass a larger crop, or resample the data"
    held = crop / length
    few = "" if held >= _STRUCTURES else f"; there should be {_STRUCTURES}: pass a larger crop, or resample the data"
    return (
        f"structures up to {length:.0f} voxels long (twice the lag at which the S2 covariance falls below 1/e); a crop "
        f"holds {held:.1f} of them per side{few}"
    )


def _critics(recipe):
    return f"critics of {recipe.critic}{_beside(recipe)}" if recipe.critic_weight else "no critics"


def _beside(recipe):
    return f" and of sub-volumes of {recipe.volume_crop}" if recipe.volume_crop else ""


def _steps(recipe):
    before = f"{recipe.critic_warmup} of the critics alone, then " if recipe.critic_warmup else ""
    return f"{before}{recipe.steps} of {recipe.batch} volumes, measured every {recipe.monitor_every}"


def _start(material, pretrained):
    """Which generator training starts from, and which of its phases become which."""
    old = pretrained.generator
    size = f"{old.voxel_size:g} µm" if old.voxel_size else "voxels of unknown size"
    found = pretrained.counterparts(material.phases, material.fractions)
    pairs = (
        f"{name} from {'none' if j is None else old.phases[j]}" for name, j in zip(material.phases, found, strict=True)
    )
    return f"{old.card.get('name', 'a generator')} ({'/'.join(old.phases)}, {size}): {', '.join(pairs)}"


def _scale(material, crop, pretrained):
    """How long structures are in voxels, against those that the generator makes now."""
    ours, theirs = material.structuring_length(crop), pretrained.structuring_length
    if not (np.isfinite(ours) and np.isfinite(theirs)):
        return f"structures are too long to be compared: those of the {'generator' if np.isfinite(ours) else 'data'}"
    factor = ours / theirs
    line = f"structures are {factor:.2g} times as long as the generator's, {ours:.0f} voxels against {theirs:.0f}"
    if factor > _ALIKE and material.voxel_size:
        return f"{line}: another scale to learn, or resample_to={material.voxel_size * factor:.3g} (--resample-to)"
    return f"{line}: another scale to learn" if max(factor, 1 / factor) > _ALIKE else line


def _cost(recipe, rows, pretrained=None):
    """Time and memory: of the run so far if there is one, else estimated."""
    load = recipe.batch / 8 * (recipe.crop / 64) ** 3
    seconds = gigabytes = 0.0
    for stretch in recipe.stretches():
        costs = _COSTS[stretch.architecture if pretrained is None else _like(pretrained.generator)]
        updates = (recipe.critic_updates + (0 if stretch.held else recipe.generator_updates)) / 2 * stretch.steps
        seconds, gigabytes = seconds + costs[0] * updates, max(gigabytes, costs[1])
    memory = f"some {_BASE_GIGABYTES + gigabytes * load:.1f} GB of memory and what the data take"
    if rows:
        done, so_far = int(rows[-1]["step"]), float(rows[-1]["seconds"])
        left = so_far / done * max(0, recipe.total_steps - done)
        return f"{_time(left)} more, as fast as until now; {memory}"
    return f"about {_time(seconds * load)} on two CPU cores, less on more cores or a GPU; {memory} (estimates)"


def _like(generator):
    """The preset that costs about as much as a generator."""
    if generator.upsampling == "transposed":
        return "paper"
    if generator.depths:
        return "deep"
    wide, compact = (sum(ARCHITECTURES[name]["widths"]) for name in ("wide", "compact"))
    return "wide" if sum(generator.widths) > (wide + compact) / 2 else "compact"


def _time(seconds):
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{max(1, round(seconds / 60))} min"
