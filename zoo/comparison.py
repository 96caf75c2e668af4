"""Comparison of a preset with its material, from which its card is made."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from kerasgan3d.folder import CARD, FORMAT, REFERENCE, checked_card, read_statistics, write_json, written_again
from kerasgan3d.seeds import COMPARISON, COMPARISON_LARGE, COMPARISON_PERIODIC, COMPARISON_SMALL

_SIZE = 96  # voxels


def compare_preset(
    folder,
    real,
    *,
    mapping=None,
    exclude=None,
    peers=None,
    count=400,
    size=None,
    solid=(128, 8),
    large=(256, 4),
    progress=None,
    **options,
):
    """Compare a preset's generator with its material, and write the results into ``kerasgan3d.json``.

    ``reference.json`` then holds the statistics of the same real sub-volumes, the measures of each as "samples", and
    the range of most of their curves as "bands", so that the folder alone, without the image, suffices to compare
    distributions with those of the material.

    Args:
        folder: Path of the preset folder.
        real: The segmented image that it was trained on: a path, a Volume or an array (`kerasgan3d.compare`).
        mapping: Dict of grey value to name, for files; default: the phases of the preset, in the order of their values.
        exclude: Boxes of the image that no sub-volume may touch; default: those that training did not use.
        peers: Dict from title to volumes made by other methods (a list of them, or the path of a folder), which are
            compared with the image in the same way.
        count: Number of sub-volumes on each side.
        size: Their edge length in voxels; default: 96 for images at least twice as large, since larger sub-volumes cut
            fewer large particles, and 64 otherwise. Smaller volumes of peers are compared at their own size.
        solid: Edge length and number of volumes for measures of transport and connectivity.
        large: Edge length and number of large periodic volumes, whose sub-volumes are compared with single small ones.
        progress: A function (done, total, what).
        options: Other arguments of `kerasgan3d.compare`.

    Returns:
        dict: the content of "comparison" in the file: a `ComparisonRecord` in its JSON form, without the values of
        single sub-volumes, and "solid", "large" and "peers".

    Raises:
        ValueError, OSError: if the folder is incomplete, or the image cannot be read or does not fit.
    """
    from kerasgan3d.models.preset import load_preset
    from kerasgan3d.report.compare import compare
    from kerasgan3d.report.sources import real_source, smallest_edge

    folder = Path(folder)
    generator = load_preset(folder)
    facts = checked_card(folder / CARD)
    if exclude is None:
        exclude = facts.get("training", {}).get("data", {}).get("excluded")
    sources = {"mapping": mapping} if mapping else {"phases": generator.phases}
    if size is None:
        size = _SIZE if (smallest_edge(real_source(real, **sources)) or 0) >= 2 * _SIZE else None
    options |= {
        "count": count,
        "seed": COMPARISON,
        "exclude": exclude,
        "voxel_size": generator.voxel_size,
    }
    options |= sources
    found = compare(real, generator, size=size, progress=progress, **options).record
    result = _told(found)
    result["solid"] = _solid(generator, *solid)
    result["large"] = _large(generator, found.samples.size, count, *large)
    options |= {"classifier": False, "nearest": 0}
    result["peers"] = {
        title: _told(compare(real, volumes, size=_fitting(volumes, found.samples.size), **options).record)
        for title, volumes in (peers or {}).items()
    }
    write_json({**facts, "comparison": result, "format": written_again(facts)}, folder / CARD)
    write_json({**read_statistics(folder / REFERENCE), **_reference(found), "format": FORMAT}, folder / REFERENCE)
    return result


def _fitting(volumes, size):
    """Return the largest edge length, at most ``size``, that fits into all of some volumes."""
    from kerasgan3d.report.sources import generated_source, smallest_edge

    edge = smallest_edge(generated_source(volumes))
    return size if edge is None else min(size, edge)


def _told(record):
    """Return the part of a comparison for a card, in its JSON form, without empty entries."""

    def without_nothing(value) -> Any:
        if isinstance(value, dict):
            return {key: without_nothing(item) for key, item in value.items() if item is not None}
        return [without_nothing(item) for item in value] if isinstance(value, list) else value

    return without_nothing(record.excerpt().to_dict())


def _reference(record):
    """Return the statistics of the real sub-volumes in the form of `kerasgan3d.material.statistics`, and more."""
    from kerasgan3d.metrics.registry import MONITORED
    from kerasgan3d.report.record import plain

    samples, kept = _real_samples(record), record.samples
    values = {key: np.array(samples[key], float) for key in MONITORED if key in samples}
    curves = {"two_point_correlation": record.two_point_correlation.real}
    # Of no axis.
    curves |= {
        key: dataclasses.replace(curve.real, **{name: _squeezed(part) for name, part in vars(curve.real).items()})
        for key, curve in record.curves.items()
    }
    mean = {key: plain(array.mean(0)) for key, array in values.items()} | {
        key: curve.mean for key, curve in curves.items()
    }
    return {
        "sub_volumes": {"count": kept.real, "size": kept.size, "dimensions": kept.dimensions, "seed": kept.seed},
        "mean": mean,
        "std": {key: plain(array.std(0, ddof=1)) for key, array in values.items()},
        "bands": {key: {"low": curve.low, "high": curve.high} for key, curve in curves.items()},
        "samples": samples,
    }


def _squeezed(values):
    return None if values is None else [part[0] for part in values]


def _real_samples(record):
    """Return the values of the real sub-volumes in the form of `kerasgan3d.metrics.ensemble.sample_values`."""
    from kerasgan3d.metrics.ensemble import sample_values
    from kerasgan3d.metrics.registry import MEASURES

    gathered = {}
    for row in record.measures:
        if row.axis != "mean":
            gathered.setdefault(row.key, []).append(row.real)
    sizes = {"phases": len(record.phases), "axes": record.samples.dimensions}
    for key, rows in gathered.items():
        shape = MEASURES[key].shape
        pairs = len(shape) == 2 and len(set(shape)) == 1  # each once
        gathered[key] = np.array(rows, float).T.reshape(-1, *([len(rows)] if pairs else (sizes[d] for d in shape)))
    return sample_values(gathered)


def _solid(generator, edge, count):
    """Return transport and connectivity of volumes larger than those that are compared."""
    from kerasgan3d.metrics.ensemble import measure_samples
    from kerasgan3d.metrics.registry import MEASURES

    volumes = [generator.sample(edge, seed=COMPARISON_LARGE + i).labels for i in range(count)]
    found = measure_samples(volumes, n_phases=len(generator.phases), voxel_size=generator.voxel_size, shapes=False)
    told = {key: found[key] for key, row in MEASURES.items() if "percolation" in row.needs and key in found}
    return {
        "size": edge,
        "count": count,
        **{key: values.mean(0).tolist() for key, values in told.items()},
        "percolating": (found["connected_fraction"] > 0).all(axis=(0, 2)).tolist(),
    }


def _large(generator, size, windows, edge, count):
    """Compare sub-volumes of large periodic volumes, their seams in the middle, with single small volumes."""
    from kerasgan3d.metrics.ensemble import measure_samples, random_windows
    from kerasgan3d.metrics.registry import MONITORED

    options = {
        "n_phases": len(generator.phases),
        "voxel_size": generator.voxel_size,
        "transport": False,
        "shapes": False,
    }
    parts = []
    for i in range(count):
        volume = generator.sample(edge, periodic=True, seed=COMPARISON_PERIODIC + i)
        labels = volume.roll((edge // 2,) * 3).labels
        share = windows // count + (i < windows % count)
        for corner in random_windows(labels.shape, size, share, COMPARISON + i):
            parts.append(labels[tuple(slice(c, c + size) for c in corner)])
    small = [generator.sample(size, seed=COMPARISON_SMALL + i).labels for i in range(windows)]
    sides = [measure_samples(samples, **options) for samples in (small, parts)]
    rows = []
    for key, row in MONITORED.items():
        if row.headline and key in sides[0]:
            a, b = (np.atleast_2d(side[key].T) for side in sides)
            error = np.sqrt(a.var(1, ddof=1) / a.shape[1] + b.var(1, ddof=1) / b.shape[1])
            rows.append({"key": key, "small": a.mean(1).tolist(), "large": b.mean(1).tolist()})
            rows[-1]["standard_error"] = error.tolist()
    return {"size": edge, "count": count, "sub_volumes": len(parts), "measures": rows}
