"""How often confidence intervals hold the truth.

    python tests/benchmarks/confidence.py --json fields.json
    python tests/benchmarks/confidence.py --volumes fields nmc-cathode sofc-anode --size 64 --json volumes.json

The first takes Gaussian random fields above a threshold, whose volume fraction and density of voxel faces are known
exactly. The second takes whole records of volumes, with triple-phase boundaries and relative diffusivities, of three
phases of two random fields or of generators: the truth is then the mean over all volumes, off by a standard error of
its own, and the coverage of a measure the mean over its phases, pairs and axes.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from scipy import ndimage, stats

from kerasgan3d import Volume, load_generator, measure
from kerasgan3d.metrics._check import Checked
from kerasgan3d.metrics.confidence import BY_PARTS, confidence_of, volume_fraction_interval
from kerasgan3d.metrics.surface import specific_surface_area


def field(rng, size, width, periodic):
    """Return a field of mean 0 and variance 1: white noise through a Gaussian of a width in voxels."""
    margin = 0 if periodic else 4 * round(width) + 1
    line = kernel(width)
    found = rng.standard_normal((size + 2 * margin,) * 3)
    for axis in range(3):
        found = ndimage.convolve1d(found, line, axis, mode="wrap")
    return found[(slice(margin, margin + size),) * 3] if margin else found


def kernel(width):
    """Return a Gaussian along a line, cut at four widths, whose squares add up to one."""
    line = np.exp(-0.5 * (np.arange(-int(4 * width), int(4 * width) + 1) / width) ** 2)
    return line / np.sqrt(np.sum(line**2))


def true_surface(width, threshold):
    """Return the voxel faces between unlike voxels per voxel: three times the share of unlike neighbours."""
    line = kernel(width)
    near = line[1:] @ line[:-1]
    both = stats.multivariate_normal([0, 0], [[1, near], [near, 1]]).cdf([-threshold, -threshold])
    return 3 * 2 * (stats.norm.sf(threshold) - both)


def coverage(count, size, width, share, periodic, surface=False):
    """Return the share of volumes whose 95 % intervals hold the truth, and the mean half width relative to it."""
    threshold = stats.norm.isf(share)
    truths = {"volume_fraction": share} | ({"specific_surface_area": true_surface(width, threshold)} if surface else {})
    held = {key: [] for key in truths}
    for seed in range(count):
        labels = (field(np.random.default_rng(seed), size, width, periodic) > threshold).astype(np.uint8)
        found = {"volume_fraction": volume_fraction_interval(labels, periodic=periodic, n_phases=2)}
        if surface:
            area = specific_surface_area(labels, voxel_size=1, periodic=periodic, n_phases=2)
            checked = Checked(labels, 2, (periodic,) * 3, 1.0)
            found = confidence_of(checked, {"specific_surface_area": area}, (), 0.95, 0.05)
        for key, truth in truths.items():
            interval = found[key]
            held[key].append((bool(interval.low[1] <= truth <= interval.high[1]), interval.half_width[1] / truth))
    return {
        key: {
            "truth": float(f"{truth:.6g}"),
            "coverage": float(np.mean([inside for inside, _ in held[key]])),
            "mean_half_width_of_truth": float(f"{np.mean([half for _, half in held[key]]):.3g}"),
        }
        for key, truth in truths.items()
    }


def of_two_fields(seed, size, width=1.5):
    """Return a periodic volume of three phases: where one field is high, else where another one is, and the rest."""
    rng = np.random.default_rng(seed)
    first, second = (field(rng, size, width, True) for _ in range(2))
    labels = np.where(first > 0.4, 1, np.where(second > 0.4, 2, 0)).astype(np.uint8)
    return Volume(labels, ("pore", "NMC", "CBD"), 1.0, True)


def coverage_of_records(volumes, transport=True):
    """Return for each measure how often intervals of single volumes hold the mean over all volumes."""
    records = [measure(volume, confidence=0.95, shapes=False, transport=transport) for volume in volumes]
    found = {}
    for key in (key for key in ("volume_fraction", *BY_PARTS) if records[0][key] is not None):
        values = np.array([record[key] for record in records])
        low, high, half = (
            np.array([getattr(record.confidence[key], part) for record in records])
            for part in ("low", "high", "half_width")
        )
        truth, told = values.mean(axis=0), np.isfinite(half)
        if values.ndim == 3 and key == "interfacial_area":
            told &= ~np.eye(values.shape[1], dtype=bool)  # a phase has no interface with itself
        with np.errstate(divide="ignore", invalid="ignore"):
            error = values.std(axis=0, ddof=1) / np.sqrt(len(values)) / truth
            wide = half / truth
        found[key] = {
            "coverage": float(((low <= truth) & (truth <= high))[told].mean()),
            "told": float(told.mean()),
            "mean_half_width_of_truth": float(f"{wide[told & np.isfinite(wide)].mean():.3g}"),
            "standard_error_of_truth": float(f"{error[np.isfinite(error)].mean():.3g}"),
        }
    return found


def sampled(name, count, size):
    """Return volumes of a material: "fields", or the name of a generator."""
    if name == "fields":
        return (of_two_fields(seed, size) for seed in range(count))
    generator = load_generator(name)
    return (generator.sample(size, periodic=True, seed=seed) for seed in range(count))


CASES = (
    {"size": 32, "width": 1.5, "share": 0.3, "periodic": True, "surface": True},
    {"size": 32, "width": 1.5, "share": 0.5, "periodic": False},
    {"size": 40, "width": 2.0, "share": 0.2, "periodic": False},
)


def main():
    """Measure every case and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200, help="volumes of each case")
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--volumes", nargs="+", metavar="NAME", help="whole records of these: fields, or generators")
    parser.add_argument("--size", type=int, default=64, help="of --volumes, voxels along each axis")
    parser.add_argument(
        "--transport", nargs="*", help="of --volumes, the phases that conduct; default: all, none: none"
    )
    options = parser.parse_args()
    if options.volumes:
        transport = True if options.transport is None else options.transport or False
        found = {
            name: coverage_of_records(sampled(name, options.count, options.size), transport) for name in options.volumes
        }
        record = {"volumes": options.count, "size": options.size, "found": found}
        options.json.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
        return
    cases = [{**case, "found": coverage(options.count, **case)} for case in CASES]
    options.json.write_text(json.dumps({"volumes": options.count, "cases": cases}, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
