"""Comparison with a block of the real image that training did not see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kerasgan3d.checks import box_window
from kerasgan3d.report.compare import compare, named
from kerasgan3d.report.comparison import Comparison
from kerasgan3d.report.sources import Images, generated_source, real_source

_READING = ("phases", "mapping", "voxel_size", "tolerance", "fill_gaps")


def compare_held_out(
    real: Any, generated: Any, hold_out: Sequence[Sequence[int] | None], *, size: int = 64, **options: Any
) -> dict[str, Comparison]:
    """Compare a generator with the part of an image that it learned from, and with the part that it did not see.

    No generator can be expected to come nearer to the held-out block than the rest of the image does.

    Args:
        real: The image: a Volume, an array, or a path.
        generated: As for ``compare``: a generator that was trained with this ``hold_out``.
        hold_out: The block, one (start, stop) in voxels per axis, or None for all of an axis.
        size: Edge length of the sub-volumes in voxels.
        options: All others of ``compare`` but ``exclude``.

    Returns:
        dict of Comparisons: "training part" and "held part" with the generator, and "between the parts", in which
        sub-volumes of the training part take the place of generated ones.

    Raises:
        ValueError: as for ``compare``; or if the block is not within the image, or a part has no room for a sub-volume.
        OSError: if a file cannot be read.
    """
    if "exclude" in options:
        raise ValueError("`exclude` must not be given beside `hold_out`. Crop the image instead.")
    reading = {key: options.pop(key) for key in _READING if key in options}
    real, generated = named(real, "path"), named(generated, "load_generator")
    source = real_source(real, **reading)
    if not isinstance(source, Images):
        raise ValueError("`hold_out` is of an image. Received: statistics alone.")
    (image,) = source.images
    block = box_window(hold_out, image.shape)
    rest = [image[box] for box in _beside(block, image.shape) if min(part.stop - part.start for part in box) >= size]
    if not rest or min(part.stop - part.start for part in block) < size:
        raise ValueError(
            f"`hold_out` must leave room for sub-volumes of {size} voxels per side in both parts of "
            f"{' x '.join(map(str, image.shape))} voxels. Received: {hold_out!r}. A smaller `size` needs less."
        )
    options["size"] = size
    boxes = [[(part.start, part.stop) for part in block]]
    seen = compare(real, generated, exclude=boxes, **reading, **options)
    made = generated_source(generated, **reading)  # the labels of files, since `mapping` holds for the first only
    others = made.images if isinstance(made, Images) else generated
    sides = seen.record.real, seen.record.generated
    options |= {"phases": seen.record.phases, "voxel_size": sides[0].voxel_size or sides[1].voxel_size}
    held, between = (compare(image[block], other, **options) for other in (others, rest))
    return {"training part": seen, "held part": held, "between the parts": between}


def _beside(block: Sequence[slice], shape: Sequence[int]) -> list[tuple[slice, ...]]:
    """Return boxes that together are all of an image but a block."""
    boxes, inner = [], [slice(0, n) for n in shape]
    for axis, (part, n) in enumerate(zip(block, shape, strict=True)):
        for piece in (slice(0, part.start), slice(part.stop, n)):
            if piece.start < piece.stop:
                boxes.append((*inner[:axis], piece, *inner[axis + 1 :]))
        inner[axis] = part
    return boxes
