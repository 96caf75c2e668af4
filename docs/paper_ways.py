"""Ways of being periodic with the same weights: their seams, their statistics, and the sizes that each allows."""

import functools

import numpy as np
from paper_rows import FIRST, begun, table
from tables import tested

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
TITLE = "Ways of being periodic"
TEXT = """\
The paper changes the input of its network, and pads the first layer alone circularly. With the same weights and
latents, either is compared with circular padding in every layer, and with a periodic latent field under a network that
drops all voxels that saw a boundary. Latents that are continued by the whole margin of the network are the latter.
"Seam" is the largest difference of label changes at faces that meet, from those inside, relative to these; a plane
inside shows what is chance. Values are unlike where p < 0.05 in Welch's test; one in twenty is by chance. The weights
were trained with circular padding or none: zeros are new to them, while the paper's network was trained with zeros."""


def measure(name, options):
    """Sample a generator in each way, and compare, way by way, so that an interrupted measurement goes on."""
    count, size = options.count, options.sizes[0]
    generator, rows = begun("ways", name, options, count=count, size=size)
    asked = {**KEYS, "n_phases": len(generator.phases), "voxel_size": generator.voxel_size}
    made = functools.cache(lambda way: periodic_volumes(generator, way, size, count))

    @functools.cache
    def ordinary():
        seeds = [FIRST + count + i for i in range(count)]
        volumes = [volume.labels for volume in generator.sample(size, seed=seeds, progress=False)]
        return measure_samples(volumes, **asked)

    def found(way):
        seam = seam_statistics(made(way), generator.phases, lag=max(1, size // 16))
        tests = [float(row[-1]) for row in tested(ordinary(), measure_samples(made(way), **asked), generator.phases)]
        same = np.mean([np.mean(a == b) for a, b in zip(made(way), made("field"), strict=True)])
        row = {key: seam[key] for key in ("largest", "standard_error", "interior", "smallest_p")}
        return row | {"tests": len(tests), "differ": sum(p < 0.05 for p in tests), "same": float(same)}

    slices = []
    titles = ("the first layer alone", "latents continued", "every layer", "a periodic field")
    for way, title in zip(WAYS, titles, strict=True):
        rows.row(way, functools.partial(found, way))
        print(f"{rows.setup['generator']}: {title}", flush=True)
        first = periodic_volumes(generator, way, size, 1)[0]
        # Rolled by half, so that the faces where the volume closes lie in the middle.
        slices.append((title, np.roll(first[size // 2], (size // 2,) * 2, (0, 1))))
    rows.write(complete=True, stride=generator.stride)
    render_slices(slices, generator.phases, generator.voxel_size, rows.path.with_suffix(".png"), dpi=90)


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


def told(record, file):
    """Return the part of a generator: the table and the seams."""
    head = ("way", "seam", "a plane inside", "smallest p", "values unlike ordinary volumes", "voxels as last", "sizes")
    rows = []
    for way, (label, sizes) in WAYS.items():
        row = record["rows"][way]
        seam = f"{100 * row['largest']:.1f} ± {100 * row['standard_error']:.1f} %"
        rows.append([label, seam, f"{100 * row['interior']:.1f} %", f"{row['smallest_p']:.2g}"])
        rows[-1] += [f"{row['differ']} of {row['tests']}", f"{100 * row['same']:.3f} %"]
        rows[-1] += [sizes.format(record["stride"])]
    lines = [f"### Ways of {record['generator']}: {record['count']} volumes of {record['size']}³ voxels", ""]
    lines += [*table(head, rows), "", f"![Volumes rolled by half their size]({file.parent.name}/{file.stem}.png)", ""]
    return [*lines, "*Slices of all, rolled by half: the seam is a cross.*", ""]
