"""Pictures of the paper: the data, volumes in 3D, confidence, and periodic tilings with the flux through them."""

import numpy as np
from matplotlib.figure import Figure
from paper_rows import FIRST, begun, if_there, real_of, table

from kerasgan3d.metrics import relative_diffusivity
from kerasgan3d.palette import phase_colors
from kerasgan3d.report import render, render_slices
from kerasgan3d.report.figures import flux_rows

LAYERS = 4  # voxels: how far from the sides flux counts as near them
BOUNDARIES = {"mirror": "mirrors", "periodic": "sides joined"}
CAPTIONS = {
    "data": "Slices of the real data.",
    "real": "The real volume.",
    "generated": "A generated volume.",
    "confidence": "Labels and probabilities of a slice.",
    "tiling": "Flux along z in a slice of a periodic volume, twice along y and x: between mirrors, and sides joined.",
}
TITLE = "Volumes, confidence and periodic tilings"
TEXT = """\
The paper shows slices of its data, real and generated volumes, slices of the network's confidence, and four copies of a
periodic volume side by side with maps of the flux of diffusion, between mirrors and with periodic sides. Between
mirrors nothing passes the sides, and the flux turns away from them."""


def measure(name, options):
    """Draw a generator, and measure the flux near the sides of periodic volumes."""
    size, edge = options.sizes
    generator, rows = begun("looks", name, options, size=size)
    stem = rows.path.with_suffix("")
    draw_data(generator, if_there(real_of, options.data, name, generator), edge, stem)
    render(generator.sample(edge, seed=FIRST, progress=False), f"{stem}-generated.png", dpi=70)
    draw_confidence(generator, size, f"{stem}-confidence.png")
    for i in range(options.count):
        rows.row(str(i), lambda i=i: flux_near_sides(periodic_volume(generator, size, i)))
    draw_tiling(periodic_volume(generator, size, 0), f"{stem}-tiling.png")
    rows.write(complete=True)


def periodic_volume(generator, size, i):
    """Return the i-th periodic volume."""
    return generator.sample(size, periodic=True, seed=FIRST + i, progress=False)


def draw_data(generator, real, edge, stem):
    """Draw the real data: slices normal to the axes, and the volume where it is one."""
    if real is None:
        return
    middle, edges = [n // 2 for n in real.shape], [slice(0, min(edge, n)) for n in real.shape]
    axes = range(3 if real.shape[0] > 1 else 1)
    slices = [
        (f"normal to {'zyx'[k]}", real.labels[tuple(middle[k] if j == k else edges[j] for j in range(3))]) for k in axes
    ]
    options = {"names": ("rows", "columns"), "dpi": 90}
    render_slices(slices, generator.phases, generator.voxel_size, f"{stem}-data.png", **options)
    if real.shape[0] > 1:
        render(real[tuple(edges)], f"{stem}-real.png", dpi=70)


def draw_confidence(generator, size, path):
    """Draw a slice of labels beside the probabilities of the phases."""
    labels = generator.sample(size, seed=FIRST, progress=False).labels[size // 2]
    probabilities = generator.sample_probabilities(size, seed=FIRST, progress=False)[size // 2]
    figure = Figure(figsize=(2.6 * (probabilities.shape[-1] + 1), 2.9), layout="constrained")
    first, *others = figure.subplots(1, probabilities.shape[-1] + 1)
    first.imshow(phase_colors(generator.phases)[labels], interpolation="nearest")
    first.set_title("labels")
    for axes, phase, values in zip(others, generator.phases, np.moveaxis(probabilities, -1, 0), strict=True):
        image = axes.imshow(values, vmin=0, vmax=1, interpolation="nearest")
        axes.set_title(f"probability of {phase}")
    figure.colorbar(image, ax=others, shrink=0.8)
    for axes in (first, *others):
        axes.set(xticks=[], yticks=[])
    figure.savefig(path, dpi=90)


def flux_of(volume, phase, boundary):
    """Return the flux along z through a phase: a field (z, y, x), NaN outside the phase; None where nothing passes."""
    value, field = relative_diffusivity(volume, phase, "z", boundary, True)
    return np.where(volume.labels == phase, field.flux, np.nan) if value > 0 else None


def flux_near_sides(volume):
    """Return, by boundary and phase, the mean flux in the phase's voxels near the sides, relative to the others."""
    index = np.minimum(np.arange(volume.shape[1]), np.arange(volume.shape[1])[::-1])
    near = np.minimum(index[:, None], index) < LAYERS
    found = {}
    for boundary in BOUNDARIES:
        for phase, name in enumerate(volume.phases):
            flux = flux_of(volume, phase, boundary)
            if flux is not None:
                ratio = np.nanmean(flux[:, near]) / np.nanmean(flux[:, ~near])
                found.setdefault(boundary, {})[name] = float(ratio)
    return found


def draw_tiling(volume, path):
    """Draw the flux in a slice of a volume, twice along y and x: between mirrors, and with periodic sides."""
    maps = {label: {} for label in BOUNDARIES.values()}
    for boundary, label in BOUNDARIES.items():
        for phase, name in enumerate(volume.phases):
            flux = flux_of(volume, phase, boundary)
            if flux is not None:
                maps[label][name] = np.tile(flux[len(flux) // 2], (2, 2))
    figure = flux_rows(maps)
    if figure is not None:
        figure.savefig(path, dpi=80)


def told(record, file):
    """Return the part of a generator: pictures, and the flux near the sides."""
    lines = [f"### Pictures of {record['generator']}", ""]
    for key, caption in CAPTIONS.items():
        if file.with_name(f"{file.stem}-{key}.png").is_file():
            lines += [f"![{caption}]({file.parent.name}/{file.stem}-{key}.png)", "", f"*{caption}*", ""]
    return [*lines, *_flux_table(record), ""]


def _flux_table(record):
    """Return the table of fluxes near the sides: mean and standard error over volumes."""
    rows, count = [], len(record["rows"])
    for phase in record["phases"]:
        cells = []
        for boundary in BOUNDARIES:
            found = [row.get(boundary, {}).get(phase) for row in record["rows"].values()]
            values = np.array([value for value in found if value is not None])
            error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
            cells.append(f"{values.mean():.2f} ± {error:.2f}" if len(values) > 1 else "")
        rows.append([phase, *cells])
    volumes = f"{count} periodic volumes of {record['size']}³ (mean ± standard error)"
    text = f"Flux within {LAYERS} voxels of the sides, relative to the rest, of {volumes}:"
    return [text, "", *table(("phase", *BOUNDARIES.values()), rows)]
