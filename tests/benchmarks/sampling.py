"""Time sampling: against the paper's generator in PyTorch, and from 64^3 to 1024^3, with memory and file.

    python tests/benchmarks/sampling.py peers --size 256 --repeats 5 --json docs/benchmarks/sampling.json
    python tests/benchmarks/sampling.py scaling --sizes 64 128 256 512 1024 --json docs/benchmarks/scaling.json

``peers``: labels of one size, in turns in one process; ratios are medians over the turns. The peer is the paper's
network as one would write it in PyTorch: transposed convolutions with zero padding, softmax and argmax.
``scaling``: ``Generator.stream`` of a generator, each size and way in a process of its own; memory is the sum
over all processes, looked at ten times a second, libraries included.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

PEER = "paper in PyTorch"
WAYS = {"one process": {}, "2 workers": {"workers": 2}}


def main(arguments=None):
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["peers", "scaling", "stream"])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 256, 512])
    parser.add_argument("--repeats", type=int, default=3, help="turns (default: %(default)s)")
    parser.add_argument("--formats", nargs="+", default=["zarr", "tif"])
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument(
        "--source", default="nmc-cathode", help="a generator, or deep, untrained (default: %(default)s)"
    )
    parser.add_argument("--folder", type=Path, help="where the files go for a while; the system's own if left out")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result to this file as well")
    given = parser.parse_args(arguments)
    if given.what == "stream":
        print(json.dumps(stream_once(given.source, given.folder, given.size, WAYS[given.ways[0]])))
        return
    result = peers(given.size, given.repeats) if given.what == "peers" else scaling(given)
    if given.what == "scaling" and given.json is not None and given.json.is_file():
        # A run of some sizes replaces their rows and keeps the others.
        kept = json.loads(given.json.read_text("utf-8"))["rows"]
        new = [key(row) for row in result["rows"]]
        result["rows"] = sorted([*result["rows"], *(row for row in kept if key(row) not in new)], key=key)
    if given.json is not None:
        given.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def key(row):
    """What tells rows of ``scaling`` apart."""
    return row.get("source", "nmc-cathode"), row["format"] != "zarr", row["way"] != "one process", row["size"]


def peers(size, repeats):
    """Seconds of each turn, and the medians of their ratios to the peer's."""
    import keras
    import torch

    from kerasgan3d import Generator, load_generator

    keras.utils.set_random_seed(0)
    cathode = load_generator("nmc-cathode")
    paper, compact = Generator.from_architecture("paper"), Generator.from_architecture("compact")
    ways = {
        PEER: torch_paper(size),
        "paper preset": lambda: paper.sample(size, periodic=True, seed=1),
        "compact preset": lambda: compact.sample(size, periodic=True, seed=1),
        "nmc-cathode": lambda: cathode.sample(size, periodic=True, seed=1),
    }
    for way in ways.values():
        way()
    seconds = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - start)
    result = {
        "size": size,
        "cores": os.cpu_count(),
        "processor": processor(),
        "torch": torch.__version__,
        "seconds": seconds,
        "times_faster": {
            name: statistics.median(a / b for a, b in zip(seconds[PEER], found, strict=True))
            for name, found in seconds.items()
        },
    }
    for name, found in seconds.items():
        median = statistics.median(found)
        print(
            f"{name:<24}{median:>8.2f} s{size**3 / 1e6 / median:>8.1f} M voxels/s{result['times_faster'][name]:>8.2f} x"
        )
    return result


def torch_paper(size):
    """The paper's generator (Table 4) in plain PyTorch: a function that gives labels of one size."""
    import torch
    from torch import nn

    widths, layers = (100, 512, 256, 128, 64, 3), []
    for i, (n_in, n_out) in enumerate(zip(widths, widths[1:], strict=False)):
        layers.append(nn.ConvTranspose3d(n_in, n_out, 4, 1 if i == 0 else 2, 0 if i == 0 else 1, bias=False))
        layers += [nn.BatchNorm3d(n_out), nn.ReLU(True)] if n_out != 3 else [nn.Softmax(1)]
    network = nn.Sequential(*layers).eval()

    def run():
        with torch.inference_mode():
            labels = network(torch.randn(1, 100, *(size // 16 - 3,) * 3)).argmax(1).to(torch.uint8).numpy()[0]
        assert labels.shape == (size,) * 3
        return labels

    return run


def scaling(given):
    """A row for each size, format and way."""
    rows = []
    for size in given.sizes:
        for suffix in given.formats:
            for way in given.ways:
                with tempfile.TemporaryDirectory(dir=given.folder) as folder:
                    facts = {"source": given.source, "size": size, "format": suffix, "way": way}
                    row = {**facts, **watched(given.source, folder, size, suffix, way)}
                rows.append(row)
                speed = row["voxels_per_second"] / 1e6
                print(
                    f"{size:>5}³ {suffix:<5} {way:<12}{row['seconds']:>8.1f} s{speed:>7.1f} M voxels/s"
                    f"{row['memory_MB']:>7} MB of memory{row['file_MB']:>9.1f} MB",
                    flush=True,
                )
    return {"cores": os.cpu_count(), "processor": processor(), "rows": rows}


def watched(source, folder, size, suffix, way):
    """Stream in a new process; its time, the memory of it and all it starts, the size and checksum of the file."""
    import psutil

    path = Path(folder) / f"volume.{suffix}"
    command = [sys.executable, __file__, "stream", "--source", source, "--size", str(size), "--ways", way]
    command += ["--folder", str(path)]
    peak = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        tree = psutil.Process(process.pid)
        while process.poll() is None:
            used = 0
            try:
                for member in (tree, *tree.children(recursive=True)):
                    used += member.memory_info().rss
            except psutil.NoSuchProcess:
                pass
            peak = max(peak, used)
            time.sleep(0.1)
        found = json.loads(process.stdout.read().splitlines()[-1])
    files = path.rglob("*") if path.is_dir() else [path]
    used = sum(file.stat().st_size for file in files if file.is_file())
    return {**found, "memory_MB": round(peak / 1e6), "file_MB": round(used / 1e6, 1)}


def stream_once(source, path, size, options):
    """Stream once; one process has made a small volume before, workers start in the time."""
    from kerasgan3d import Generator, load_generator

    generator = Generator.from_architecture(source) if source == "deep" else load_generator(source)
    if not options:
        generator.sample(min(size, 256), periodic=True, seed=1)
    calls = [(0, time.perf_counter())]
    found = generator.stream(
        path, size, periodic=True, seed=1, progress=lambda done, _: calls.append((done, time.perf_counter())), **options
    )
    # What starting processes takes is left out of this: an eighth of the volume is done before.
    result = {"seconds": found.seconds, "voxels_per_second": size**3 / found.seconds, "checksum": found.checksum}
    steady = [call for call in calls if call[0] >= size**3 / 8]
    if len(steady) > 1:
        result["steady_voxels_per_second"] = (steady[-1][0] - steady[0][0]) / (steady[-1][1] - steady[0][1])
    return result


def processor():
    """What the processor calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return "unknown"
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")


if __name__ == "__main__":
    main()
