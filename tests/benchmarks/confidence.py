"""How often confidence intervals hold the truth: ``python tests/benchmarks/confidence.py --json FILE``.

Volumes of Gaussian random fields above a threshold, whose volume fraction and density of voxel faces are known exactly.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from scipy import ndimage, stats

from kerasgan3d.metrics._check import Checked
from kerasgan3d.metrics.confidence import confidence_of, volume_fraction_interval
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
    options = parser.parse_args()
    cases = [{**case, "found": coverage(options.count, **case)} for case in CASES]
    options.json.write_text(json.dumps({"volumes": options.count, "cases": cases}, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
