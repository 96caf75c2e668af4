"""``kerasgan3d doctor``."""

import os
import platform
import sys
from importlib import metadata
from pathlib import Path

import click

from kerasgan3d.cli.group import CommandError
from kerasgan3d.cli.options import json_option
from kerasgan3d.cli.output import echo, in_bytes, print_facts, print_json, print_table
from kerasgan3d.cli.quiet import quiet_tensorflow

_PACKAGES = ("keras", "tensorflow", "torch", "jax", "numpy", "scipy", "zarr", "tifffile", "dask", "huggingface_hub")
# CPU features that make sampling and training faster.
_FEATURES = ("avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16")
_NOT_FOR_USERS = ("dev", "docs", "notebooks", "peers", "test")


@click.command(
    "doctor",
    epilog="""\b
Examples:
  kerasgan3d doctor
  kerasgan3d doctor --json
""",
)
@json_option
def command(as_json):
    """Show installed versions, the machine's hardware, and missing libraries.

    Paste the output into problem reports. The exit code is 2 if Keras cannot be imported, since sampling and training
    need it.
    """
    facts = _facts()
    if as_json:
        print_json(facts)
    else:
        _print(facts)
    if facts["backend"]["error"]:
        raise CommandError(f"Keras cannot be imported: {facts['backend']['error']}")


def _facts():
    """Return all facts in the form of the JSON output."""
    import kerasgan3d

    return {
        "kerasgan3d": kerasgan3d.__version__,
        "folder": Path(kerasgan3d.__file__).parent,
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "packages": {name: version for name in _PACKAGES if (version := _version(name))},
        "backend": _backend(),
        "cpu": _cpu(),
        "cache": _cache(),
        "generators": kerasgan3d.zoo.list_presets(),
        "extras": _extras(),
    }


def _version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _backend():
    """Return the Keras backend, its GPUs and the precision of training; "error" says why Keras cannot be imported."""
    found = {"name": os.environ.get("KERAS_BACKEND"), "gpus": [], "precision": None, "error": None}
    try:
        with quiet_tensorflow():
            from kerasgan3d.backend import gpus, name, precision_of

            return found | {"name": name(), "gpus": gpus(), "precision": precision_of("auto")}
    except Exception as error:  # report whatever a broken installation raises
        return found | {"error": str(error) or type(error).__name__}


def _cpu():
    from kerasgan3d.checks import cores  # imports NumPy, which would delay help

    try:
        text = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    except OSError:
        return {"name": platform.processor() or platform.machine(), "cores": cores(), "features": None}
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return {
        "name": names[0] if names else platform.machine(),
        "cores": cores(),
        "features": [feature for feature in _FEATURES if feature in text.split()],
    }


def _cache():
    """Return the folder of the Hub's cache and its size in bytes."""
    from huggingface_hub.constants import HF_HUB_CACHE

    files = (Path(folder, name) for folder, _, names in os.walk(HF_HUB_CACHE) for name in names)
    return {"folder": HF_HUB_CACHE, "bytes": sum(path.stat().st_size for path in files if not path.is_symlink())}


def _extras():
    """Return the extras of the package, with the missing packages of each and the command that installs them."""
    from packaging.requirements import Requirement

    try:
        own = metadata.metadata("kerasgan3d")
    except metadata.PackageNotFoundError:  # a checkout that is not installed
        return {}
    requirements = [Requirement(text) for text in own.get_all("Requires-Dist") or ()]
    names = [name for name in own.get_all("Provides-Extra") or () if name not in _NOT_FOR_USERS]
    return {
        name: {
            "missing": sorted({gone for need in requirements for gone in _missing(need, name)}),
            "install": f'pip install "kerasgan3d[{name}]"',
        }
        for name in names
    }


def _missing(requirement, extra):
    """Yield the packages that this requirement of an extra needs and that are not installed."""
    if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
        return  # a requirement of the package itself
    if not requirement.marker.evaluate({"extra": extra}):
        return
    try:
        found = metadata.distribution(requirement.name)
    except metadata.PackageNotFoundError:
        yield requirement.name
        return
    for inner in requirement.extras:
        for text in found.requires or ():
            yield from _missing(type(requirement)(text), inner)


def _print(facts):
    backend, cpu, cache = facts["backend"], facts["cpu"], facts["cache"]
    features = "unknown" if cpu["features"] is None else ", ".join(cpu["features"]) or "none that speed up computing"
    print_facts(
        [
            ("kerasgan3d", f"{facts['kerasgan3d']} in {facts['folder']}"),
            ("python", f"{facts['python']}, {facts['executable']}"),
            ("platform", facts["platform"]),
            *facts["packages"].items(),
            ("backend", backend["name"] or "unknown"),
            ("GPUs", ", ".join(backend["gpus"]) or "none"),
            ("precision", backend["precision"] and f"{backend['precision']} (for training with --precision auto)"),
            ("processor", f"{cpu['name']}, {cpu['cores']} cores; {features}"),
            ("cache", f"{cache['folder']}, {in_bytes(cache['bytes'])}"),
            ("generators", ", ".join(facts["generators"])),
        ]
    )
    rows = [
        (name, ", ".join(extra["missing"]) or "-", extra["install"] if extra["missing"] else "installed")
        for name, extra in facts["extras"].items()
    ]
    if rows:
        echo()
        print_table(("EXTRA", "MISSING", "INSTALL"), rows)
