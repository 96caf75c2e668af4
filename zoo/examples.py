"""Example volumes of generators, as the files of a dataset repository."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kerasgan3d.checks import check_count
from kerasgan3d.folder import PREVIEW, README, own_file, read_facts
from kerasgan3d.io import VolumeRecord, checksum
from kerasgan3d.progress import Told, reported
from kerasgan3d.texts import markdown, printable
from kerasgan3d.volume import Volume
from kerasgan3d.zoo.card import TAGS, licence_tag
from kerasgan3d.zoo.loading import load_generator, path

LICENCE = "LICENSE.md"
_TEMPLATE = Path(__file__).resolve().parent / "examples.md"


def sample_examples(
    names: Sequence[str], *, size: int = 128, count: int = 1, progress: Told = None
) -> dict[str, list[Volume]]:
    """Sample periodic volumes of generators, with the seeds 0, 1, ...

    Args:
        names: Names of generators, as ``load_generator`` takes them.
        size: Edge length of the volumes in voxels, a multiple of each generator's ``stride``.
        count: Number of volumes of each generator.
        progress: A function (volumes done, all volumes). None and False as for ``Generator.sample``.

    Raises:
        ValueError: if there is no such generator, or the size does not fit.
    """
    check_count(count, "count")
    volumes = {}
    with reported(progress, "examples") as report:
        for done, name in enumerate(names, 1):
            volumes[name] = load_generator(name).sample(size, periodic=True, seed=range(count), progress=False)
            if report is not None:
                report(done * count, len(names) * count)
    return volumes


def write_examples(
    folder: Path, volumes: Mapping[str, Sequence[Volume]], origins: Mapping[str, Mapping[str, str]]
) -> dict[str, int]:
    """Write example volumes as TIFF and OME-Zarr, with a card, the generators' pictures and their licences.

    Args:
        folder: An empty folder.
        volumes: Result of `sample_examples`.
        origins: By names the origin of their generators on the Hub, "repo" and "revision" (the commit), which the
            provenance of the volumes will state; none for those that are not there.

    Returns:
        dict: name to bytes of all files.

    Raises:
        OSError: if a file cannot be written.
    """
    facts, rows = {}, []
    for name, samples in volumes.items():
        preset, origin = path(name), origins.get(name, {})
        facts[name] = {**read_facts(preset), **origin}
        (folder / name).mkdir()
        if (preset / PREVIEW).is_file():
            shutil.copyfile(own_file(preset / PREVIEW), folder / name / PREVIEW)
        for volume in samples:
            made_by = {**volume.provenance["generator"], **origin}
            provenance = {**volume.provenance, "generator": made_by}
            volume = replace(VolumeRecord.of(volume), provenance=provenance).volume(volume.labels)
            for suffix in (".tif", ".zarr"):
                volume.save(folder / name / f"seed-{provenance['seed']}{suffix}")
            rows.append(_row(name, facts[name], volume))
    (folder / README).write_text(_card(facts, rows, folder), "utf-8")
    (folder / LICENCE).write_text(_licences(facts), "utf-8")
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.stat().st_size for file in files}


def _row(name: str, facts: Mapping[str, Any], volume: Volume) -> str:
    """Return the row of a volume in the card's table."""
    seed = volume.provenance["seed"]
    shares = ", ".join(f"{markdown(p)} {f:.3f}" for p, f in zip(volume.phases, volume.fractions, strict=True))
    cells = (
        f"`{name}/seed-{seed}`",
        markdown(facts.get("repo") or name),
        markdown(facts.get("version") or "-"),
        seed,
        " x ".join(map(str, volume.shape)),
        f"{volume.voxel_size:g} µm" if volume.voxel_size else "unknown",
        shares,
        f"`{checksum(volume.labels)}`",
    )
    return f"| {' | '.join(map(str, cells))} |"


def _card(facts: Mapping[str, Mapping[str, Any]], rows: Sequence[str], folder: Path) -> str:
    tags = {licence_tag(known) for known in facts.values()}
    lines = [f"license: {tags.pop()}"] if len(tags) == 1 and "other" not in tags else ["license: other"]
    if lines == ["license: other"]:
        lines += ["license_name: by-generator", f"license_link: {LICENCE}"]
    lines += ["pretty_name: Generated microstructures", "size_categories:", "- n<1K", "tags:"]
    lines += [f"- {tag}" for tag in (*TAGS, "synthetic")]
    first = next(iter(facts))
    pictures = [
        f"![{markdown(name)}: slices and a cube of a volume]({name}/{PREVIEW})"
        for name in facts
        if (folder / name / PREVIEW).is_file()
    ]
    return _TEMPLATE.read_text("utf-8").format(
        front_matter="\n".join(lines),
        rows="\n".join(rows),
        first=f"{first}/seed-0",
        source=facts[first].get("repo") or first,
        pictures="\n\n".join(pictures),
        licence=LICENCE,
    )


def _licences(facts: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the licence and the source of each generator, in Markdown."""
    parts = ["# Licences", "The volumes of a generator have its licence."]
    for name, known in facts.items():
        parts += [f"## {markdown(name)}", printable(known.get("description") or "")]
        parts += [f"Licence: {printable(known.get('licence') or 'not stated')}."]
        parts += [f"Data: {printable(known['data'])}"] if known.get("data") else []
        parts += [f"Please cite: {printable(known['citation'])}"] if known.get("citation") else []
    return "\n\n".join(filter(None, parts)) + "\n"
