"""Make the pictures of the documentation again: ``python docs/figures.py [SCAN [SLICE]]``.

``SCAN`` is the segmented cathode that ``nmc-cathode`` was trained on, ``SLICE`` the anode of ``sofc-anode``; without
them, only generated volumes are drawn.
"""

import csv
import sys
from pathlib import Path

from matplotlib.figure import Figure

from kerasgan3d import io, load_generator
from kerasgan3d.report import render, render_slices

DOCS = Path(__file__).resolve().parent
IMAGES = DOCS / "images"


def main(scan=None, anode=None):
    """Draw a periodic volume, what its seam looks like, and slices beside real ones."""
    if anode is not None:
        draw_anode(anode)
    generator = load_generator("nmc-cathode")
    volume = generator.sample(128, periodic=True, seed=0)
    render(volume, IMAGES / "nmc-cathode.png")
    labels = volume.labels
    half = volume.roll((0, 64, 64)).labels
    render_slices(
        [("a periodic volume", labels[64]), ("rolled by half: the seam is in the middle", half[64])],
        volume.phases,
        volume.voxel_size,
        IMAGES / "seam.png",
    )
    for name in ("nmc-cathode", "sofc-anode"):
        draw_training(DOCS / f"{name}-training.csv", load_generator(name).phases, IMAGES / f"{name}-training.png")
    if scan is None:
        return
    real = io.read_labels(scan, phases=volume.phases, voxel_size=volume.voxel_size).labels
    generated = generator.sample(192, seed=1).labels
    z, x = (n // 2 for n in (real.shape[0], real.shape[2]))
    for name, slices in {
        "in-plane": (("real", real[z, :192, :192]), ("generated", generated[96])),
        "through-plane": (("real", real[:192, :192, x]), ("generated", generated[:, :, 96])),
    }.items():
        render_slices(
            [(f"{title}, {name}", image) for title, image in slices],
            volume.phases,
            volume.voxel_size,
            IMAGES / f"real-and-generated-{name}.png",
            names=("y", "x") if name == "in-plane" else ("z", "y"),
        )


def draw_anode(path):
    """Draw a window of the anode's slice beside generated slices in the three directions."""
    generator = load_generator("sofc-anode")
    real = io.read_labels(path, phases=generator.phases, voxel_size=generator.voxel_size).labels
    generated = generator.sample(192, seed=1).labels
    slices = [("the slice", real[:192, :192])]
    slices += [(f"generated, normal to {axis}", generated.take(96, i)) for i, axis in enumerate("zyx")]
    path = IMAGES / "real-and-generated-anode.png"
    render_slices(slices, generator.phases, generator.voxel_size, path, names=("rows", "columns"))


def draw_training(log, phases, path):
    """Draw the curves of a training log."""
    with open(log, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    columns = {key: [float(row[key] or "nan") for row in rows] for key in rows[0]}
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for i, (name, color) in enumerate(zip(phases, ("#23262f", "#4a82b8", "#f0b050"), strict=True)):
        left.plot(columns["step"], columns[f"fraction_{i}"], color=color, label=name)
    left.set(xlabel="step", ylabel="volume fraction", ylim=(0, 1))
    left.legend(frameon=False)
    right.semilogy(columns["step"], columns["error"], color="#23262f", label="error")
    right.semilogy(columns["step"], columns["s2_error"], color="#4a82b8", label="S2(r)/S2(0)")
    right.set(xlabel="step", ylabel="difference from the data")
    right.legend(frameon=False)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main(*sys.argv[1:])
