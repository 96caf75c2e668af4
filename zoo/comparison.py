"""A preset compared with its material: what its card is made from."""

from pathlib import Path

import numpy as np

from kerasgan3d.folder import CARD, REFERENCE, read_json, write_json
from kerasgan3d.seeds import COMPARISON as SEED

_ROW = (
    "key",
    "phase",
    "unit",
    "estimated",
    "real_mean",
    "real_std",
    "generated_mean",
    "generated_std",
    "relative_difference",
    "deviation_ratio",
    "ks_distance",
)


def compare_preset(
    folder,
    real,
    *,
    mapping=None,
    exclude=None,
    peers=None,
    count=100,
    size=None,
    solid=(128, 8),
    large=(256, 4),
    progress=None,
    **options,
):
    """Compare a preset's generator with its material, and write what was found into ``kerasgan3d.json``.

    The measures of each real sub-volume are put into ``reference.json``, as "samples": whoever has the folder can then
    compare distributions with those of the material, without having the image.

    Args:
        folder: Path of the preset folder.
        real: The segmented image that it was trained on: a path, a Volume or an array (`kerasgan3d.compare`).
        mapping: dict of grey value to name, for files; default: the phases of the preset, in the order of their values.
        exclude: Boxes of the image that no sub-volume may touch; default: those that training did not see.
        peers: dict from title to volumes made by others (a list of them, or the path of a folder), which are compared
            with the image in the same way.
        count: Sub-volumes of either side.
        size: Their edge length in voxels; default: 64.
        solid: Edge length and number of volumes of which transport and connectivity are measured.
        large: Edge length and number of large periodic volumes, whose sub-volumes are compared with single small ones.
        progress: A function (done, total, what).
        options: Others of `kerasgan3d.compare`.

    Returns:
        dict: what was written, under "comparison".

    Raises:
        ValueError, OSError: if the folder is not whole, or the image cannot be read or does not fit.
    """
    from kerasgan3d.models.preset import load_preset
    from kerasgan3d.report.compare import compare

    folder = Path(folder)
    generator = load_preset(folder)
    facts = read_json(folder / CARD)
    if exclude is None:
        exclude = facts.get("training", {}).get("data", {}).get("excluded")
    options |= {"count": count, "size": size, "seed": SEED, "exclude": exclude, "voxel_size": generator.voxel_size}
    options |= {"mapping": mapping} if mapping else {"phases": generator.phases}
    found = compare(real, generator, progress=progress, **options).to_dict()
    result = _essence(found)
    size = found["samples"]["size"]
    result["solid"] = _solid(generator, *solid)
    result["large"] = _large(generator, size, *large, count)
    options |= {"classifier": False, "nearest": 0}
    result["peers"] = {
        title: _essence(compare(real, volumes, **options).to_dict()) for title, volumes in (peers or {}).items()
    }
    write_json({**facts, "comparison": result}, folder / CARD)
    reference = read_json(folder / REFERENCE)
    write_json({**reference, "samples": _real_samples(found)}, folder / REFERENCE)
    return result


def _essence(record):
    """Return the parts of a comparison that a card needs, without the values of single sub-volumes."""
    from kerasgan3d.report.verdict import headline, largest_differences

    def rows(measures):
        return [{key: row[key] for key in _ROW} for row in headline(measures)]

    result = {
        "version": record["version"],
        "samples": record["samples"],
        "measures": rows(record["measures"]),
        "two_point_correlation": largest_differences(record["two_point_correlation"]),
        "max_lag": record["two_point_correlation"]["lags"][-1],
        "seconds": record["seconds"],
    }
    result["leaning"] = {
        side: {"largest": found["largest"], "smallest_p": found["smallest_p"]}
        for side, found in record["leaning"].items()
        if found
    }
    volumes = record["volumes"]
    if volumes:
        result["volumes"] = {
            "count": volumes["count"],
            "windows": volumes["windows"],
            "measures": rows(volumes["measures"]),
            "two_point_correlation": largest_differences(volumes["two_point_correlation"]),
            "anisotropy": volumes["anisotropy"],
        }
    transport = [row for row in record["measures"] if row["key"] == "relative_diffusivity" and row["axis"] != "mean"]
    if transport:
        result["transport"] = [{key: row[key] for key in (*_ROW, "axis")} for row in transport]
    if record["classifier"]:
        result["classifier"] = record["classifier"]
    if record["nearest"] and record["nearest"]["real"] and record["nearest"]["generated"]:
        sides = {side: record["nearest"][side] for side in ("generated", "real")}
        result["nearest"] = {"searched": record["nearest"]["searched"]}
        result["nearest"] |= {
            side: {"count": len(values), "mean": float(np.mean(values)), "least": min(values)}
            for side, values in sides.items()
        }
    if record["seam"]:
        p = [row["p"] for row in record["seam"]["measures"]]
        result["seam"] = {"count": record["seam"]["count"], "size": record["seam"]["size"]}
        result["seam"] |= {"tests": len(p), "smallest_p": min(1.0, min(p) * len(p))}
    if record["lattice"]:
        lattice = record["lattice"]
        swing = {
            name: _swing(np.array(lattice[key]))
            for name, key in (("volume_fraction", "fractions"), ("label_change_rate", "label_change_rates"))
        }
        result["lattice"] = {"period": lattice["period"], "smallest_p": lattice["smallest_p"], "largest_swing": swing}
    return result


def _swing(profiles):
    """Return the largest deviation of profiles, (..., places), from their means, relative to these where not 0."""
    means = profiles.mean(-1, keepdims=True)
    return float((np.abs(profiles - means) / np.where(means > 0, means, 1)).max())


def _real_samples(record):
    """Return the values of the real sub-volumes, as `kerasgan3d.metrics.ensemble.sample_values` shapes them."""
    from kerasgan3d.metrics.ensemble import sample_values

    count, phases = record["samples"]["real"], len(record["real"]["phases"])
    gathered = {}
    for row in record["measures"]:
        if row["axis"] != "mean":
            gathered.setdefault(row["key"], []).append(row["real"])
    shapes = {"connected_fraction": (count, phases, 3), "relative_diffusivity": (count, phases, 3)}
    for key, rows in gathered.items():
        values = np.array(rows, float).T
        whole = key.endswith("triple_phase_boundary_density")
        gathered[key] = values[:, 0] if whole else values.reshape(shapes.get(key, values.shape))
    return sample_values(gathered)


def _solid(generator, edge, count):
    """Return transport and connectivity of volumes that are larger than those that are compared."""
    from kerasgan3d.metrics.ensemble import measure_samples

    volumes = [generator.sample(edge, seed=SEED + 1000 + i).labels for i in range(count)]
    found = measure_samples(volumes, phases=len(generator.phases), voxel_size=generator.voxel_size)
    diffusivity, connected = found["relative_diffusivity"], found["connected_fraction"]
    result = {
        "size": edge,
        "count": count,
        "relative_diffusivity": diffusivity.mean(0).tolist(),
        "connected_fraction": connected.mean(0).tolist(),
        "percolating": (connected > 0).all(axis=(0, 2)).tolist(),
    }
    if "active_triple_phase_boundary_density" in found:
        result["active_triple_phase_boundary_density"] = float(found["active_triple_phase_boundary_density"].mean())
    return result


def _large(generator, size, edge, count, windows):
    """Compare sub-volumes of large periodic volumes, their seams in the middle, with single small volumes."""
    from kerasgan3d.metrics.ensemble import measure_samples, random_windows

    options = {"phases": len(generator.phases), "voxel_size": generator.voxel_size, "transport": False}
    parts = []
    for i in range(count):
        volume = generator.sample(edge, periodic=True, seed=SEED + 2000 + i)
        labels = volume.roll((edge // 2,) * 3).labels
        share = windows // count + (i < windows % count)
        for corner in random_windows(labels.shape, size, share, SEED + i):
            parts.append(labels[tuple(slice(c, c + size) for c in corner)])
    small = [generator.sample(size, seed=SEED + 3000 + i).labels for i in range(windows)]
    sides = [measure_samples(samples, **options) for samples in (small, parts)]
    rows = []
    for key in ("volume_fraction", "specific_surface_area", "triple_phase_boundary_density"):
        if key in sides[0]:
            a, b = (np.atleast_2d(side[key].T) for side in sides)
            error = np.sqrt(a.var(1, ddof=1) / a.shape[1] + b.var(1, ddof=1) / b.shape[1])
            rows.append({"key": key, "small": a.mean(1).tolist(), "large": b.mean(1).tolist()})
            rows[-1]["standard_error"] = error.tolist()
    return {"size": edge, "count": count, "sub_volumes": len(parts), "measures": rows}
