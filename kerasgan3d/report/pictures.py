"""Checked pictures for a report, as slices."""

import numpy as np


def label_slices(pictures, side, n):
    """Return the pictures of one side as a list of label slices (rows, columns).

    Args:
        pictures: integer labels: a list of slices, a list of volumes (z, y, x), of which the middle slices are taken,
            one volume, of which the middle slices normal to z, y and x are taken, one slice, or None.
        side: "real" or "generated".
        n: number of phases.

    Raises:
        ValueError: if an array is of another kind, or labels are not 0..n-1.
    """
    if pictures is None:
        return []
    if isinstance(pictures, np.ndarray) and pictures.ndim == 3:
        slices = [np.take(pictures, size // 2, axis=axis) for axis, size in enumerate(pictures.shape)]
    else:
        images = [pictures] if isinstance(pictures, np.ndarray) else [np.asarray(image) for image in pictures]
        slices = [image[len(image) // 2] if image.ndim == 3 else image for image in images]
    for image in slices:
        if image.ndim != 2 or image.size == 0 or image.dtype.kind not in "iu" or image.min() < 0 or image.max() >= n:
            raise ValueError(
                f"pictures[{side!r}] must be slices (rows, columns) or volumes (z, y, x) of the labels 0 to {n - 1}. "
                f"Received: {image.dtype} of shape {image.shape}"
                + (f", values {image.min()} to {image.max()}" if image.size and image.dtype.kind in "iu" else "")
            )
    return slices


def browsed_volumes(pictures, n):
    """Return the volumes whose slices a page browses: a dict from side to integer labels (z, y, x).

    Args:
        pictures: dict of arrays for the page; "volumes" maps "real" and "generated" to a volume each. A side that is
            one volume itself is browsed, too.
        n: number of phases.

    Raises:
        ValueError: as `label_slices`, or what is to be browsed is no volume.
    """
    found = {side: image for side, image in pictures.items() if np.ndim(image) == 3 and isinstance(image, np.ndarray)}
    found |= pictures.get("volumes") or {}
    for side, image in found.items():
        if np.ndim(image) != 3:
            raise ValueError(f"pictures['volumes'][{side!r}] must be a volume (z, y, x). Received: {np.shape(image)}.")
        label_slices(image, side, n)
    return {side: found[side] for side in ("real", "generated") if side in found}


def flux_slices(maps, side, phases):
    """Return the flux maps of one side as a dict from phase name to a float array (rows, columns).

    Args:
        maps: dict from phase name to (rows, columns), or (z, y, x), of which the middle slice normal to x is taken.
        side: "real" or "generated".
        phases: names of the phases.

    Raises:
        ValueError: if a name is not a phase, or an array is of another kind.
    """
    result = {}
    for phase, image in (maps or {}).items():
        image = np.asarray(image)
        image = image[:, :, image.shape[2] // 2] if image.ndim == 3 else image
        if phase not in phases or image.ndim != 2 or image.size == 0 or image.dtype.kind != "f":
            raise ValueError(
                f"pictures['flux'][{side!r}] must map phases ({', '.join(phases)}) to float arrays (rows, columns) or "
                f"(z, y, x). Received: {phase!r}, {image.dtype} of shape {image.shape}"
            )
        result[phase] = image
    return result
