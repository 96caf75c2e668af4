"""How many different volumes a generator makes: the birthday paradox test, and their spread against the scan's."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from paper_rows import FIRST, begun, if_there, published_of, real_of, table
from scipy import stats

from kerasgan3d.metrics import volume_fractions
from kerasgan3d.metrics.ensemble import measure_samples
from kerasgan3d.metrics.registry import SAMPLED, places
from kerasgan3d.report import render_slices
from kerasgan3d.report.nearest import NearestWindow

ALIKE = 0.5  # of the median distance: pairs that are closer count as one and the same
SPREADS = ("volume_fraction", "specific_surface_area", "triple_phase_boundary_density", "relative_diffusivity")
SIDES = {"real": "real sub-volumes", "generated": "generated", "published": "the paper's samples"}
TITLE = "Diversity"
TEXT = f"""\
Does the generator make ever new volumes, or some over and over? Among n volumes, pairs of the same betray a small
number of different ones (the birthday paradox; Arora and Zhang, the paper's references 50 and 51). The distance of two
volumes is the least share of voxels that differ between the middle of one and any window of the other, relative to the
share that differs between unrelated voxels with the volume fractions of this middle: a middle with hardly anything but
pores is near to every place full of pores. Pairs closer than {ALIKE:g} of the median count as alike. Real sub-volumes
do not overlap, and show how often that is chance."""


def measure(name, options):
    """Compare all pairs of volumes of each side, and their spread."""
    size = options.sizes[0]
    generator, rows = begun("diversity", name, options, size=size)
    sides, found = sides_of(generator, name, options.data, size, options.count), {}
    for side, volumes in sides.items():
        distances = relative(paired(rows, side, volumes, len(generator.phases), options.workers), volumes)
        scatter = rows.row(f"{side}: spread of {len(volumes)}", partial(spread, volumes, generator, options.workers))
        found[side] = {"count": len(volumes), "spread": scatter, **birthday(distances)}
    rows.write(found=found, complete=True)
    slices = [pair for side in found for pair in alike(side, found[side], sides[side])]
    render_slices(slices, generator.phases, generator.voxel_size, rows.path.with_suffix(".png"), dpi=90)


def sides_of(generator, name, data, size, count):
    """Return labels of volumes by side: of the real image all that fit side by side, so that none overlap."""
    seeds, sides = [FIRST + i for i in range(count)], {}
    real = if_there(real_of, data, name, generator)
    if real is not None and min(real.shape) >= size:  # a slice holds no volumes
        corners = np.ndindex(*(length // size for length in real.shape))
        beside = [real.labels[tuple(slice(i * size, (i + 1) * size) for i in c)] for c in corners][:count]
        if len(beside) > 1:  # else there is no pair
            sides["real"] = beside
    sides["generated"] = [volume.labels for volume in generator.sample(size, seed=seeds, progress=False)]
    published = if_there(published_of, data, name, generator) or []
    published = [volume.labels for volume in published if min(volume.shape) >= size]
    if published:
        sides["published"] = [labels[:size, :size, :size] for labels in published]
    return sides


def paired(rows, side, volumes, n_phases, workers=1):
    """Return the distances of all pairs (i, j < i), volume by volume, so that an interrupted search goes on.

    The distance of two volumes is the least share of voxels that differ between the middle of one, of half its edge
    length, and any window of the other: copies are found however they are shifted, by up to a quarter of the edge.
    """
    searches = []
    with ThreadPoolExecutor(workers) as pool:  # Fourier transforms hold no lock
        for i, volume in enumerate(volumes):
            rows.row(f"{side} {i}", partial(_distances, pool, middle_of(volume), searches))
            searches.append(NearestWindow(volume, n_phases, symmetries="none", workers=1))
    return [rows.rows[f"{side} {i}"] for i in range(len(volumes))]


def _distances(pool, sample, searches):
    return [round(distance, 5) for distance in pool.map(lambda search: search.distance(sample), searches)]


def middle_of(volume):
    """Return the middle of a volume, of half its edge length."""
    quarter = len(volume) // 4
    return volume[(slice(quarter, len(volume) - quarter),) * 3]


def relative(distances, volumes):
    """Return distances relative to those of unrelated voxels: these differ with the probability 1 - sum f^2.

    Args:
        distances: For each volume, the distances of its middle to the volumes before it.
        volumes: Their labels; f are the volume fractions of their middles. A middle of one phase alone, which is found
            everywhere, counts as unrelated to all.
    """
    found = []
    for row, volume in zip(distances, volumes, strict=True):
        differ = 1 - np.sum(volume_fractions(middle_of(volume)) ** 2)
        found.append([distance / differ if differ > 0 else 1.0 for distance in row])
    return found


def birthday(distances):
    """Estimate the number of different volumes from the pairs among some of them that are alike.

    If all of N volumes are as likely, n of them hold n (n - 1) / (2 N) pairs of the same on average (Arora, Risteski
    and Zhang, Do GANs learn the distribution?, ICLR 2018, section 3). The number of such pairs is about Poisson
    distributed, so that k of them bound their mean from above by half the 0.95 quantile of chi-squared with 2 k + 2
    degrees of freedom (3.0 for none), and N from below.

    Args:
        distances: For each volume, the distances to those before it.

    Returns:
        dict: "pairs"; "alike", those closer than ``ALIKE`` times the median distance; "at_least", the lower bound of N
        at 95 %; "estimate" of N, None where no pair is alike; "median" and "least" distance; "closest", the pair.
    """
    pairs = {(i, j): distance for i, row in enumerate(distances) for j, distance in enumerate(row)}
    values = np.array(list(pairs.values()))
    median = float(np.median(values))
    alike = int(np.sum(values < ALIKE * median))
    return {
        "pairs": len(values),
        "alike": alike,
        "at_least": float(len(values) / (stats.chi2.ppf(0.95, 2 * alike + 2) / 2)),
        "estimate": len(values) / alike if alike else None,
        "median": median,
        "least": float(values.min()),
        "closest": list(min(pairs, key=pairs.__getitem__)),
    }


def spread(volumes, generator, workers):
    """Return means and standard deviations between volumes: by the name of the measure, [mean, deviation]."""
    options = {"n_phases": len(generator.phases), "voxel_size": generator.voxel_size, "shapes": False}
    measured, found = measure_samples(volumes, **options, workers=workers), {}
    for key in SPREADS:
        for place in places(SAMPLED[key], generator.phases):
            values = measured[key][(slice(None), *place.index)].reshape(len(volumes), -1).mean(-1)
            least = 0.01 if key == "relative_diffusivity" else 0
            if place.axis in (None, "mean") and values.mean() > least:
                name = " ".join(filter(None, (SAMPLED[key].name, place.phase)))
                found[name] = [float(values.mean()), float(values.std(ddof=1))]
    return found


def alike(side, found, volumes):
    """Return the middle slices of the two closest volumes of a side, with titles."""
    return [(f"{side}, no. {i}", volumes[i][len(volumes[i]) // 2]) for i in found["closest"]]


def told(record, file):
    """Return the part of a generator: the test's table, the closest pairs, and the table of spreads."""
    lines = [f"### Diversity of {record['generator']}, volumes of {record['size']}³ voxels", ""]
    head = ("", "volumes", "median distance", "least", "pairs alike", "different volumes, 95 %")
    rows = []
    for side, found in record["found"].items():
        distances = [f"{found[key]:.3f}" for key in ("median", "least")]
        pairs = f"{found['alike']} of {found['pairs']}"
        rows.append([SIDES[side], found["count"], *distances, pairs, f"at least {found['at_least']:,.0f}"])
    lines += [*table(head, rows), "", f"![The closest pairs]({file.parent.name}/{file.stem}.png)", ""]
    return [*lines, "*Middle slices of the closest pair of each side.*", "", *_spreads(record["found"]), ""]


def _spreads(found):
    """Return the table of coefficients of variation, with 95 % intervals."""
    names = list(found["generated"]["spread"])
    rows = []
    for name in names:
        cells = [_variation(side["spread"].get(name), side["count"]) for side in found.values()]
        rows.append([name, *cells])
    text = "Standard deviation between volumes, relative to the mean (95 % if values are normally distributed):"
    return [text, "", *table(["measure", *(SIDES[side] for side in found)], rows)]


def _variation(facts, count):
    if facts is None:
        return ""
    mean, deviation = facts
    ends = (np.sqrt((count - 1) / stats.chi2.ppf(q, count - 1)) for q in (0.975, 0.025))
    return f"{100 * deviation / mean:.1f} % ({' to '.join(f'{100 * end * deviation / mean:.1f}' for end in ends)})"
