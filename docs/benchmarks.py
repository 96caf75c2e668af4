"""Write docs/benchmarks.md from the measurement files in docs/benchmarks: ``python docs/benchmarks.py``.

The files come from the scripts in tests/benchmarks; what made each stands in the page.
"""

import json
import statistics
from pathlib import Path

HERE = Path(__file__).resolve().parent
FILES = HERE / "benchmarks"
HEAD = """\
# Benchmarks

The benchmarks ran on two cores of a server processor with 24 GiB of memory and no GPU: on an AMD EPYC, unless a
section names another. Ratios are medians over the repeats of one run, which times both sides one after the other. The
commands below measure the figures again (`pip install '.[peers]'` installs the other tools), and
`python docs/benchmarks.py` makes this page from the files in `docs/benchmarks`. Only the table of sampling speeds was
measured with version 2 of `nmc-cathode`; the others are of version 1.
"""


def main():
    """Write the page."""
    (HERE / "benchmarks.md").write_text(page(), encoding="utf-8")


def page():
    """Return the page: a section for each measurement file that is there."""
    parts = [HEAD]
    for name, section in SECTIONS.items():
        file = FILES / f"{name}.json"
        if file.is_file():
            parts.append(section(json.loads(file.read_text("utf-8"))))
    return "\n".join(parts)


def transport(rows):
    """Relative diffusivity against TauFactor."""
    lines = [
        "## Relative diffusivity, compared with TauFactor on the CPU",
        "",
        "`python tests/benchmarks/transport.py --sizes 64 128 256 --json docs/benchmarks/transport.json`: pores of a "
        "generated cathode, along z. Errors refer to D_eff / D_0 of a solution with a tolerance of 1e-9. Both tools "
        "run with their defaults; TauFactor stops when the fluxes agree to 1 %.",
        "",
        "| volume | kerasgan3d | its error | its memory | TauFactor | its error | times faster |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        ours, theirs = row["ours"]["default"], row["taufactor"]
        lines.append(
            f"| {row['size']}³ | {_seconds(ours)} | {ours['error']:.0e} | {row['memory_MB']} MB "
            f"| {_seconds(theirs)} | {theirs['error']:.0e} | {ours['times_faster']:.1f} |"
        )
    return "\n".join([*lines, ""])


def correlation(result):
    """Two-point correlation against PoreSpy."""
    lines = [
        f"## Two-point correlation of three phases at {result['size']}³, compared with PoreSpy",
        "",
        f"`python tests/benchmarks/correlation.py --workers 2 --repeats 1 --json docs/benchmarks/correlation.json`; "
        f"PoreSpy {result['porespy']} uses all cores and gives the radial average; kerasgan3d uses "
        f"{result['workers']} cores. Repeats: {result['repeats']}.",
        "",
        "| | seconds | times faster |",
        "|---|---|---|",
    ]
    for name, seconds in result["seconds"].items():
        ratio = f"{result['ratios'][name]:.0f}" if name in result["ratios"] else ""
        lines.append(f"| {name} | {statistics.median(seconds):.2f} | {ratio} |")
    return "\n".join([*lines, ""])


def measure(rows):
    """The whole record of a volume."""
    lines = [
        "## All measures of a volume: `kerasgan3d measure`",
        "",
        "`python tests/benchmarks/measure.py --sizes 64 128 256 --repeats 1 --json docs/benchmarks/measure.json`: a "
        "generated cathode of three phases. The measures include nine diffusion problems. Memory excludes imports and "
        "the volume.",
        "",
        "| volume | seconds | seconds of transport | memory |",
        "|---|---|---|---|",
    ]
    for row in rows:
        memory = f"{row['memory_MB'] / 1e3:.2f} GB"
        lines.append(f"| {row['size']}³ | {row['seconds']:.1f} | {row['transport_seconds']:.1f} | {memory} |")
    return "\n".join([*lines, ""])


def blocks(rows):
    """A stored volume block by block."""
    lines = [
        "## Volumes larger than memory: `kerasgan3d measure --block 256`",
        "",
        "`python tests/benchmarks/blocks.py --sizes 256 512 --at-once 512 --json docs/benchmarks/blocks.json`: a "
        "generated, periodic cathode of three phases in a Zarr file. Volume fractions, surfaces, triple-phase "
        "boundaries, connectivity and S2 along the axes are the same numbers in each row. These times exclude shapes, "
        "which now take about 40 s more per block of 256³ (see below) unless you give `--no-shapes`. Seconds include "
        "reading. Memory is that of all processes, imports included.",
        "",
        "| volume | way | seconds | memory |",
        "|---|---|---|---|",
    ]
    for row in rows:
        lines.append(f"| {row['size']}³ | {row['way']} | {row['seconds']:.1f} | {row['memory_MB'] / 1e3:.2f} GB |")
    return "\n".join([*lines, ""])


def shapes(rows):
    """The measures of shape."""
    lines = [
        f"## Shapes of three phases at {rows[0]['size']}³",
        "",
        f"`python tests/benchmarks/shapes.py --size {rows[0]['size']} --repeats {len(rows[0]['runs'])} --json "
        "docs/benchmarks/shapes.json`: a generated cathode, one thread, balls of radius 0 to 16 voxels. Seconds are "
        "medians. Memory is that of the process, with imports and the volume. Along periodic axes, balls need 32 more "
        "voxels on either side, and specks 26.",
        "",
        "| | granulometry | chords | Euler characteristic | specks and holes | all | memory |",
        "|---|---|---|---|---|---|---|",
    ]
    names = ("granulometry", "chord_lengths", "euler_characteristic", "specks", "seconds")
    for row in rows:
        seconds = " | ".join(f"{row[name]:.1f}" for name in names)
        lines.append(
            f"| {'periodic' if row['periodic'] else 'not periodic'} | {seconds} | {row['memory_MB'] / 1e3:.2f} GB |"
        )
    return "\n".join([*lines, ""])


def export(rows):
    """Meshes and surfaces."""
    lines = [
        f"## Meshes and surfaces of three phases at {rows[0]['size']}³",
        "",
        f"`python tests/benchmarks/export.py --size {rows[0]['size']} --repeats {len(rows[0]['runs'])} --json "
        "docs/benchmarks/export.json`: a generated, periodic cathode, one thread. Seconds are medians. Memory is that "
        'of the process, with imports and the volume. "A tenth" reduces the number of triangles to a tenth.',
        "",
        "| volume | | cells or triangles | seconds | memory |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        numbers = f"{row['cells'] / 1e6:.2f} M | {row['seconds']:.1f} | {row['memory_MB'] / 1e3:.2f} GB"
        lines.append(f"| {row['size']}³ | {row['way']} | {numbers} |")
    return "\n".join([*lines, ""])


def sampling(result):
    """Labels of one size, against PyTorch."""
    lines = [
        f"## Sampling {result['size']}³ voxels, compared with the paper's generator in PyTorch",
        "",
        f"`python tests/benchmarks/sampling.py peers --size {result['size']} --repeats 5 --json "
        f"docs/benchmarks/sampling.json`: periodic labels. The peer pads with zeros, and its volume is not cropped. "
        f"{result['processor']}, {result['cores']} cores, PyTorch {result['torch']}.",
        "",
        "| | seconds | M voxels/s | times faster |",
        "|---|---|---|---|",
    ]
    for name, seconds in result["seconds"].items():
        median = statistics.median(seconds)
        speed = result["size"] ** 3 / 1e6 / median
        lines.append(f"| {name} | {median:.2f} | {speed:.1f} | {result['times_faster'][name]:.1f} |")
    return "\n".join([*lines, ""])


def scaling(result):
    """Streams of growing size."""
    lines = [
        "## Streaming: from a laptop's memory to a gigavoxel",
        "",
        "`python tests/benchmarks/sampling.py scaling --sizes 64 128 256 512 1024 --formats zarr --ways 'one process' "
        "--json docs/benchmarks/scaling.json`; other sizes, formats and ways add their rows. `Generator.stream` writes "
        "periodic volumes of `nmc-cathode`, unless a row names another generator, each in a separate process. Seconds "
        "include writing and the start of workers. Memory is that of all processes, with libraries. "
        f"{result['processor']}, {result['cores']} cores.",
        "",
        "| volume | file | way | seconds | M voxels/s | steady | memory | size of the file |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        steady = f"{row['steady_voxels_per_second'] / 1e6:.1f}" if "steady_voxels_per_second" in row else ""
        speed, memory = row["voxels_per_second"] / 1e6, row["memory_MB"] / 1e3
        of = f" of {row['source']}" if row.get("source", "nmc-cathode") != "nmc-cathode" else ""
        lines.append(
            f"| {row['size']}³{of} | {row['format']} | {row['way']} | {row['seconds']:.1f} | {speed:.1f} | {steady} "
            f"| {memory:.2f} GB | {row['file_MB']:.0f} MB |"
        )
    return "\n".join([*lines, ""])


def training(result):
    """A training step of the paper, against PyTorch."""
    seconds = {name: statistics.median(found) for name, found in result["seconds"].items()}
    ours, theirs, compact, default = (seconds[name] for name in ("paper", "plain PyTorch", "paper, compact", "default"))
    lines = [
        "## A training step with 128³ voxels",
        "",
        "`python tests/benchmarks/training.py --repeats 5 --json docs/benchmarks/training.json`: the paper's networks "
        "with its step (two updates of the generator, one of the critic), the same in plain PyTorch, the same step "
        "with the compact generator, and a step of the recipe `default`, which updates the generator once. "
        f"{result['processor']}, {result['cores']} cores. The paper's networks train {theirs / ours:.2f} times as fast "
        f"as in PyTorch (target: 1). The compact generator trains {ours / compact:.1f} times as fast as the paper's in "
        f"the paper's step, and {ours / default:.1f} times in the default step (target: 4).",
        "",
        "| | seconds a step | ms a sample |",
        "|---|---|---|",
    ]
    for name, median in seconds.items():
        lines.append(f"| {name} | {median:.2f} | {1000 * median / result['batch']:.0f} |")
    return "\n".join([*lines, ""])


def finetune_ketton(result):
    """Fine-tuning on two phases in 3D."""
    command = "ketton.tif -o curves --phases pore,grain --voxel-size 15.2"
    return _finetune(result, "Ketton limestone, two phases, 3D", command, "finetune-ketton.png")


def finetune_anode(result):
    """Fine-tuning on three phases in 2D."""
    command = (
        "netl-sofc-anode-z050.tif -o curves --map 0=pore,128=Ni,255=YSZ --voxel-size 0.065 --exclude 640:756,1325:1655"
    )
    return _finetune(result, "SOFC anode, three phases, one slice", command, "finetune-anode.png")


def _finetune(result, title, command, picture):
    names = {"finetune": f"{result['preset']} fine-tuned", "scratch": "from scratch"}
    volumes = result["results"]["finetune"]["volumes"]
    lines = [
        f"## Fine-tuning compared with training from scratch: {title}",
        "",
        f"`python tests/benchmarks/finetune.py {command} --minutes {result['minutes']:g} --steps {result['steps']} "
        f"--monitor-every {result['monitor_every']}` runs the recipes `{result['recipes']['finetune']}` and "
        f"`{result['recipes']['scratch']}` one after the other, with one seed each. "
        f"{result['processor']}, {result['cores']} cores. The error of the result is that of the calibrated generator, "
        f"over {volumes} volumes that were not used for any choice. During a run, the error is that of 16 volumes, "
        "always the same, so the smallest of many is partly luck.",
        "",
        "| | error of the result | smallest during the run | last of the run | minutes |",
        "|---|---|---|---|---|",
    ]
    for name, rows in result["curves"].items():
        lines.append(
            f"| {names[name]} | {result['results'][name]['error']:.3f} | {min(row['error'] for row in rows):.3f} "
            f"| {rows[-1]['error']:.3f} | {rows[-1]['minutes']:.1f} |"
        )
    return "\n".join([*lines, "", f"![Curves of both](images/{picture})", ""])


def streams(rows):
    """What it costs that a stream can be relied on."""
    lines = [
        "## The cost of safe streams",
        "",
        "`python tests/benchmarks/streams.py --json docs/benchmarks/streams.json`: two parts of 256³ voxels, computed "
        "by `nmc-cathode` and written, with and without waiting for the disk and reading every block back. Since "
        "kerasgan3d writes a part while it computes the next one, the share is an upper bound of the cost.",
        "",
        "| file | computing | safe writing | plain writing | share |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row['file'].removeprefix('a')} | {row['computing']:.0f} s | {row['safe']:.2f} s | {row['bare']:.2f} s "
            f"| {100 * row['share']:.1f} % |"
        )
    return "\n".join([*lines, ""])


def sizes(rows):
    """Particles, chords and conduction through two phases of a large volume."""
    names = {
        "particles": "particles of NMC",
        "chord_lengths": "chord lengths",
        "effective_conductivity": "conduction through NMC and CBD, 1 : 10⁴",
    }
    size = rows[0]["size"]
    lines = [
        f"## Particles, chords and conduction: {size}³ voxels",
        "",
        f"`python tests/benchmarks/sizes.py --size {size} --repeats {len(rows[0]['runs'])} "
        "--json docs/benchmarks/sizes.json`: a periodic volume of `nmc-cathode`, medians; memory is all of a process.",
        "",
        "| | seconds | memory |",
        "|---|---|---|",
        *(f"| {names[row['what']]} | {_seconds(row)} | {row['memory_MB'] / 1e3:.1f} GB |" for row in rows),
    ]
    return "\n".join([*lines, ""])


def confidence(found):
    """How often confidence intervals hold the truth."""
    names = {"volume_fraction": "volume fraction", "specific_surface_area": "specific surface area"}
    lines = [
        "## How often confidence intervals contain the true value",
        "",
        f"`python tests/benchmarks/confidence.py --json docs/benchmarks/confidence.json`: {found['volumes']} Gaussian "
        "random fields above a threshold for each row, whose volume fraction and surface are known exactly, and "
        "intervals of 95 % from single volumes. The half width is the mean, relative to the true value.",
        "",
        "| volumes | measure | true value | intervals that contain it | half width |",
        "|---|---|---|---|---|",
    ]
    for case in found["cases"]:
        volume = f"{case['size']}³, filter of {case['width']:g} voxels, {'' if case['periodic'] else 'not '}periodic"
        for key, row in case["found"].items():
            lines.append(
                f"| {volume} | {names[key]} | {row['truth']:.3g} | {100 * row['coverage']:.1f} % "
                f"| {100 * row['mean_half_width_of_truth']:.1f} % |"
            )
    return "\n".join([*lines, ""])


def confidence_records(found):
    """How often confidence intervals of whole records hold the mean over all volumes."""
    lines = [
        f"`python tests/benchmarks/confidence.py --volumes fields --size {found['size']} --transport pore --json "
        f"docs/benchmarks/confidence-records.json`: {found['volumes']} periodic volumes of {found['size']}³ voxels "
        "with three phases, from two Gaussian random fields above a threshold, and intervals of 95 % from single "
        "volumes. The true values are the means over all volumes, and the shares are means over phases, pairs and "
        "axes. Diffusivities are those of the pore.",
        "",
        "| measure | intervals that contain the true value | half width |",
        "|---|---|---|",
        *(
            f"| {key.replace('_', ' ')} | {100 * row['coverage']:.1f} % "
            f"| {100 * row['mean_half_width_of_truth']:.1f} % |"
            for key, row in found["found"]["fields"].items()
        ),
    ]
    return "\n".join([*lines, ""])


def soak_streams(found):
    """Streams that were killed and whose remains were damaged."""
    damages = ", ".join(f"{kind} {n}" for kind, n in found["damages"].items())
    return (
        "## Killed and damaged streams\n\n"
        "`python tests/soak/streams.py --seconds 55 --json docs/benchmarks/soak-streams.json` kills processes that "
        f"stream a volume, at random moments. {sum(found['damages'].values())} times it also damaged the folder that "
        f"they left ({damages}). The next process resumes, or refuses the damaged file by name.\n\n"
        "| volumes | kills | finally correct | refused by name on the way | lost |\n|---|---|---|---|---|\n"
        f"| {found['volumes']} | {found['kills']} | {found['right']} | {found['refused']} | {found['lost']} |\n"
    )


def _seconds(run):
    return f"{run['seconds']:.2g} s" if run["seconds"] < 10 else f"{run['seconds']:.0f} s"


SECTIONS = {
    "training": training,
    "finetune-ketton": finetune_ketton,
    "finetune-anode": finetune_anode,
    "sampling": sampling,
    "scaling": scaling,
    "transport": transport,
    "correlation": correlation,
    "measure": measure,
    "blocks": blocks,
    "shapes": shapes,
    "export": export,
    "sizes": sizes,
    "confidence": confidence,
    "confidence-records": confidence_records,
    "streams": streams,
    "soak-streams": soak_streams,
}


if __name__ == "__main__":
    main()
