"""Ways of being periodic with the same weights: their seams, their statistics, and the sizes that each allows."""

import json

import numpy as np
from paper_rows import FIRST, Rows, generator_of, identity, table, title_of
from steering import tested

from kerasgan3d.metrics.ensemble import measure_samples
from kerasgan3d.report import render_slices
from kerasgan3d.report.seam import seam_statistics

WAYS = {
    "first": ("circular padding in the first layer alone, zeros in the others", "multiples of {0}, in one piece"),
    "input": ("latents continued by one at each face, zeros in all layers, cut to the period", "as above"),
    "every": ("circular padding in every layer", "as above"),
    "field": ("a periodic latent field, no padding", "multiples of {0}, tile by tile; along any of the axes"),
}
KEYS = {"transport": False, "shapes": False, "workers": 1}


def measure(options):
    """Sample each generator in each way, and compare."""
    for name in options.names:
        generator, size = generator_of(name), options.sizes[0]
        path = options.out / f"ways-{title_of(name)}.json"
        setup = {"generator": title_of(name), "weights": identity(generator), "count": options.count, "size": size}
        rows = Rows(path, **setup, stride=generator.stride)
        volumes = {way: periodic_volumes(generator, way, size, options.count) for way in WAYS}
        seeds = [FIRST + options.count + i for i in range(options.count)]
        ordinary = [volume.labels for volume in generator.sample(size, seed=seeds, progress=False)]
        asked = {**KEYS, "n_phases": len(generator.phases), "voxel_size": generator.voxel_size}
        measured = measure_samples(ordinary, **asked)
        for way, side in volumes.items():
            seam = seam_statistics(side, generator.phases, lag=max(1, size // 16))
            tests = [float(row[-1]) for row in tested(measured, measure_samples(side, **asked), generator.phases)]
            same = np.mean([np.mean(a == b) for a, b in zip(side, volumes["field"], strict=True)])
            rows.rows[way] = {key: seam[key] for key in ("largest", "standard_error", "interior", "smallest_p")}
            rows.rows[way] |= {"tests": len(tests), "differ": sum(p < 0.05 for p in tests), "same": float(same)}
        rows.write(complete=True)
        # Rolled by half, so that the faces where the volume closes lie in the middle.
        rolled = [(way, np.roll(side[0][size // 2], (size // 2,) * 2, (0, 1))) for way, side in volumes.items()]
        titles = ("the first layer alone", "latents continued", "every layer", "a periodic field")
        slices = [(title, labels) for title, (_, labels) in zip(titles, rolled, strict=True)]
        render_slices(slices, generator.phases, generator.voxel_size, path.with_suffix(".png"), dpi=90)


def periodic_volumes(generator, way, size, count):
    """Return labels of periodic volumes of one of ``WAYS``, the same seeds for each."""
    seeds = [FIRST + i for i in range(count)]
    if way == "field":
        return [volume.labels for volume in generator.sample(size, periodic=True, seed=seeds, progress=False)]
    network = generator.with_padding("circular" if way == "every" else "zeros")
    if way == "first":
        network.convolutions[0].padding = "circular"
    more, period = int(way == "input"), size // generator.stride
    fields = (generator.field(seed).window((-more,) * 3, (period + 2 * more,) * 3, (period,) * 3) for seed in seeds)
    own = (slice(more * generator.stride, more * generator.stride + size),) * 3
    return [np.asarray(network(field[np.newaxis]))[0].argmax(-1).astype(np.uint8)[own] for field in fields]


def section(files):
    """Return the section: a table and the seams."""
    lines = [
        "## Ways of being periodic",
        "",
        "The paper changes the input of its network, and pads the first layer alone circularly. With the same weights "
        "and latents, either is compared with circular padding in every layer, and with a periodic latent field under "
        "a network that drops all voxels that saw a boundary (`python docs/paper.py ways`). Latents that are continued "
        'by the whole margin of the network are the latter. "Seam" is the largest difference of label changes at faces '
        "that meet, from those "
        "inside, relative to these; a plane inside shows what is chance.",
        "",
    ]
    for file in files:
        record = json.loads(file.read_text("utf-8"))
        lines += [f"### Ways of {record['generator']}: {record['count']} volumes of {record['size']}³ voxels", ""]
        head = (
            "way",
            "seam",
            "a plane inside",
            "smallest p",
            "values unlike ordinary volumes",
            "voxels as last",
            "sizes",
        )
        rows = []
        for way, (label, sizes) in WAYS.items():
            row = record["rows"][way]
            seam = f"{100 * row['largest']:.1f} ± {100 * row['standard_error']:.1f} %"
            rows.append([label, seam, f"{100 * row['interior']:.1f} %", f"{row['smallest_p']:.2g}"])
            rows[-1] += [f"{row['differ']} of {row['tests']}", f"{100 * row['same']:.3f} %"]
            rows[-1] += [sizes.format(record["stride"])]
        picture = f"![Volumes rolled by half their size]({file.parent.name}/{file.stem}.png)"
        lines += [
            *table(head, rows),
            "",
            picture,
            "",
            "*Slices of all, rolled by half: the seam is a cross.*",
            "",
        ]
    lines += [
        "Values are unlike where p < 0.05 in Welch's test; one in twenty is by chance. The weights were trained with "
        "circular padding or none: zeros are new to them, while the paper's network was trained with zeros."
    ]
    return "\n".join(lines)
