"""``kerasgan3d rev``."""

import math
from pathlib import Path

import click

from kerasgan3d.cli.generated import check_generating, generated, generating_options
from kerasgan3d.cli.options import (
    Axes,
    NumbersCommand,
    RealNumber,
    complete_files_and_generators,
    json_option,
    overwrite_option,
    reading_options,
)
from kerasgan3d.cli.output import echo, print_json, print_table, refuse_existing


@click.command(
    "rev",
    cls=NumbersCommand,
    epilog="""\b
Examples:
  kerasgan3d rev cathode.tif
  kerasgan3d rev scan.tif --map 0=pore,255=grain --voxel-size 0.5 --measure specific_surface_area --within 0.02
  kerasgan3d rev nmc-cathode --size 128 --count 4 -o sizes.png
""",
)
@click.argument(
    "file", metavar="FILE|NAME", type=click.Path(path_type=Path), shell_complete=complete_files_and_generators
)
@reading_options
@generating_options
@click.option("--periodic-axes", type=Axes(), help="Generate volumes that are periodic along these axes, such as yx.")
@click.option(
    "--measure",
    "keys",
    multiple=True,
    default=("volume_fraction",),
    show_default=True,
    metavar="KEY",
    help="What to measure: a key of the output of measure --json. Repeat it for several.",
)
@click.option("--sizes", metavar="N,N,...", help="Edges of sub-volumes in voxels; default: up to half the volume.")
@click.option(
    "--confidence",
    type=RealNumber(0, 1, min_open=True, max_open=True),
    default=0.95,
    show_default=True,
    metavar="LEVEL",
    help="Confidence level of the edge length.",
)
@click.option(
    "--within",
    type=RealNumber(min=0, min_open=True),
    default=0.05,
    show_default=True,
    metavar="SHARE",
    help="Largest deviation of a volume from the material's value, as a fraction of it.",
)
@json_option
@overwrite_option
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Draw the curves: .png, .pdf or .svg.")
def command(
    file, size, count, seed, periodic_axes, keys, sizes, confidence, within, as_json, overwrite, output, **reading
):
    """Find a representative volume: how measures scatter with volume size.

    Sub-volumes of several sizes are measured. The edge length at which one volume lies within a fraction of the
    material's value follows from the scatter at the largest size with at least eight sub-volumes, and for volume
    fractions also from the two-point statistics of a single volume.

    FILE is a volume. With --size, the argument is the NAME of a generator, whose volumes are divided instead.
    """
    import kerasgan3d
    from kerasgan3d.metrics.confidence import size_curve, volume_fraction_interval

    files_alone = {f"--{key.replace('_', '-')}": value for key, value in reading.items()}
    generator_alone = {"--count": count, "--seed": seed, "--periodic-axes": periodic_axes}
    check_generating(click.get_current_context(), [file], size, generator_alone, files_alone)
    if output is not None:
        kerasgan3d.report.check_picture(output)
        refuse_existing(output, overwrite)
    made = generated(str(file), size, count, seed, periodic_axes) if size else {}
    volumes = list(made.values()) or [_read(file, reading)]
    curve = size_curve(volumes, keys, _sizes(sizes))
    first = volumes[0]
    edges = {key: curve.edges(key, confidence, within) for key in keys}
    pairs = volume_fraction_interval(first, confidence, within).edge if "volume_fraction" in keys else None
    if output is not None:
        from kerasgan3d.report.sizes import draw_sizes

        draw_sizes(curve, output, first.phases, first.voxel_size)
    if as_json:
        print_json(_record(curve, edges, pairs, first, confidence, within))
        return
    _print(curve, edges, pairs, first, confidence, within)
    if output is not None:
        echo(f"wrote {output}")


def _read(file, reading):
    """Return the volume of a file."""
    from kerasgan3d import io

    return io.read(io.raw_path(file, reading.pop("shape"), reading.pop("dtype")), **reading)


def _sizes(text):
    """Return edge lengths from a text, or None without one."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise ValueError(f"`--sizes` must be whole numbers of voxels with commas between them. Received: {text}")
    return [int(part) for part in parts]


def _record(curve, edges, pairs, volume, level, within):
    """Return the results by the names of phases and axes."""
    from kerasgan3d.metrics.summary import named

    def by_size(part):
        sizes = range(len(curve.sizes))
        return [named({key: values[at] for key, values in part.items()}, volume.phases) for at in sizes]

    found = {
        "confidence": level,
        "within": within,
        "voxel_size": volume.voxel_size,
        "sizes": curve.sizes,
        "counts": curve.counts,
        "mean": by_size(curve.mean),
        "std": by_size(curve.std),
        "edge_voxels": named(edges, volume.phases),
    }
    if pairs is not None:
        found["edge_voxels_two_point"] = named({"volume_fraction": pairs}, volume.phases)["volume_fraction"]
    return found


def _print(curve, edges, pairs, volume, level, within):
    """Print a table for each measure: a row per size, and the edge lengths."""
    from kerasgan3d.metrics.registry import ALL, places, sampled_value
    from kerasgan3d.report.sizes import sampled_curve

    for key, edge in edges.items():
        row = ALL[key]
        columns = [place for place in places(row, volume.phases) if slice(None) not in place.index]
        head = [" ".join(filter(None, place[1:])) or "value" for place in columns]
        mean, std = sampled_curve(curve, key)
        rows = [
            [str(size), str(count)] + [_spread(mean[at][place.index], std[at][place.index]) for place in columns]
            for at, (size, count) in enumerate(zip(curve.sizes, curve.counts, strict=True))
        ]
        rows.append(["edge", "", *(_edge(sampled_value(row, edge)[place.index], volume) for place in columns)])
        if key == "volume_fraction" and pairs is not None:
            rows.append(["edge, two-point", "", *(_edge(pairs[place.index], volume) for place in columns)])
        echo(f"{row.name}{'' if row.unit == '1' else ' in ' + row.unit}", bold=True)
        print_table(["voxels", "n", *head], rows)
    echo(f"Edge: that of a volume within {100 * within:g} % of the material's value in {100 * level:g} % of cases.")


def _spread(mean, std):
    return f"{mean:.4g}" if math.isnan(std) else f"{mean:.4g} ± {std:.2g}"


def _edge(edge, volume):
    """Return an edge length as text, in voxels and, where known, in µm; "-" without one."""
    if not math.isfinite(edge):
        return "-"
    return f"{edge:.0f}" if volume.voxel_size is None else f"{edge:.0f} ({edge * volume.voxel_size:.3g} µm)"
