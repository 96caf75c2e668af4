"""Publishing of generators on the Hub."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kerasgan3d.folder import (
    CARD,
    CONFIG,
    MAX_BYTES,
    METADATA,
    PRESET_FILES,
    PREVIEW,
    README,
    REFERENCE,
    WEIGHTS,
    checked_card,
    own_file,
    read_json,
    write_json,
)
from kerasgan3d.progress import Told
from kerasgan3d.zoo import hub
from kerasgan3d.zoo.card import card_text, complete
from kerasgan3d.zoo.examples import sample_examples, write_examples
from kerasgan3d.zoo.hub_address import SCHEME, Address, parse
from kerasgan3d.zoo.loading import list_presets, path

ABOUT = ("name", "version", "description", "data", "citation", "licence")
# Facts that users of a generator rely on, with the arguments that state them.
_STATED = {
    "name": "a name to pass as `about['name']`",
    "citation": "the citation of the data to pass as `about['citation']`",
    "licence": "a licence to pass as `about['licence']`",
}


@dataclass(frozen=True)
class Published:
    """Summary of an upload.

    Attributes:
        repo: Name of the repository.
        url: Address of its page; None for a dry run.
        commit: The commit; None for a dry run.
        files: Name to bytes.
    """

    repo: str
    url: str | None
    commit: str | None
    files: dict[str, int]


def publish(
    source: str | os.PathLike[str],
    repo_id: str,
    *,
    private: bool = False,
    revision: str | None = None,
    about: Mapping[str, str | None] | None = None,
    message: str | None = None,
    dry_run: bool = False,
) -> Published:
    """Publish a generator on the Hugging Face Hub.

        publish("run", "org/name")

    The folder is checked first, and everything it lacks is listed at once. Its own files are not changed: a copy gets a
    card that is made from them and names the repository, and a picture if it has none. Only the seven files of a preset
    are uploaded, in one commit. The token is that of the Hub's own tools: HF_TOKEN, or ``hf auth login``.

    Args:
        source: A preset folder, a run's folder, or the name of a shipped generator.
        repo_id: "org/name"; the repository is created if necessary.
        private: Whether a new repository is private.
        revision: The branch, created if necessary; the main one if None.
        about: Dict of facts for the card that the folder lacks or that replace its own: "name", "version",
            "description", "data", "citation", "licence".
        message: Message of the commit.
        dry_run: Whether only to check, and to return what would be uploaded.

    Returns:
        Published: "repo", "url", "commit", "files" (name to bytes).

    Raises:
        ValueError: if the folder lacks something or is refused by the loader, ``repo_id`` is not such a name, or the
            repository is public although ``private`` is true.
        FileNotFoundError: if there is no such folder.
        OSError: if the Hub cannot be reached or refuses.
    """
    address = parse(repo_id, revision)
    if address is None or str(repo_id).startswith(SCHEME):
        raise ValueError(f"`repo_id` must be org/name. Received: {repo_id!r}.")
    if parse(source) is not None and not Path(source).exists():
        raise ValueError(f"`source` must be a folder or the name of a generator that ships. Received: {source!r}.")
    about = {key: value for key, value in (about or {}).items() if value is not None}
    if not all(key in ABOUT and isinstance(value, str) for key, value in about.items()):
        raise ValueError(f"`about` must be a dict of texts of {', '.join(ABOUT)}. Received: {about!r}.")
    folder = path(source)
    check_publishable(folder, about)
    with tempfile.TemporaryDirectory(prefix="kerasgan3d-") as temporary:
        copy = Path(temporary) / "preset"
        copy.mkdir()
        for name in PRESET_FILES:
            if (folder / name).exists():
                shutil.copyfile(own_file(folder / name), copy / name)
        if about:
            write_json({**read_json(copy / CARD), **about}, copy / CARD)
        if not (copy / PREVIEW).is_file():
            complete(copy)
        (copy / README).write_text(card_text(copy, source=address.repo), "utf-8")
        files = {name: (copy / name).stat().st_size for name in PRESET_FILES if (copy / name).is_file()}
        for name, size in files.items():
            if size > MAX_BYTES[name]:
                raise ValueError(f"{name} must hold at most {MAX_BYTES[name]} bytes. Received: {size}.")
        if dry_run:
            return Published(address.repo, None, None, files)
        name = checked_card(copy / CARD)["name"]
        url, commit = hub.upload(copy, address, private=private, message=message or f"Publish {name} with kerasgan3d")
    return Published(address.repo, url, commit, files)


def publish_all(
    owner: str,
    *,
    private: bool = False,
    revision: str | None = None,
    examples: str | None = "kerasgan3d-examples",
    size: int = 128,
    count: int = 1,
    dry_run: bool = False,
    progress: Told = None,
) -> list[Published]:
    """Publish all generators that ship with kerasgan3d on the Hub, and a dataset of volumes that they make.

        publish_all("org")

    Each becomes the model "org/name", as by ``publish``. The dataset holds periodic volumes of each, as TIFF and as
    OME-Zarr, with a card and their licences; the provenance of the volumes states the commit of their generator. All
    folders are checked, and the volumes are made, before anything is uploaded; whether a repository is public is asked
    when its turn comes. HF_ENDPOINT selects a Hub of one's own.

    Args:
        owner: The user or the organisation.
        private: Whether new repositories are private.
        revision: The branch, created if necessary; the main one if None.
        examples: Name of the dataset; None for no dataset.
        size: Edge length of its volumes in voxels.
        count: Number of volumes of each generator.
        dry_run: Whether only to check, and to return what would be uploaded.
        progress: A function (volumes done, all volumes). None and False as for ``Generator.sample``.

    Returns:
        list of Published, one for each generator and the last for the dataset.

    Raises:
        ValueError: if ``owner`` or ``examples`` is no such name, or as for ``publish``.
        OSError: as for ``publish``.
    """
    names = list_presets()
    if not names:
        raise ValueError("There must be generators that ship with kerasgan3d. Received: none in this installation.")
    for what, name in (("owner", owner), ("examples", examples)):
        good = isinstance(name, str) and "/" not in name and parse(f"{name}/{name}") is not None
        if not good and (name is not None or what == "owner"):
            raise ValueError(f"`{what}` must be a name on the Hub, without a slash. Received: {name!r}.")
    published = [publish(name, f"{owner}/{name}", revision=revision, dry_run=True) for name in names]
    volumes = {} if examples is None else sample_examples(names, size=size, count=count, progress=progress)
    if not dry_run:
        options = {"private": private, "revision": revision}
        published = [publish(name, f"{owner}/{name}", **options) for name in names]
    if examples is None:
        return published
    origins = {name: {"repo": each.repo, "revision": each.commit} for name, each in zip(names, published, strict=True)}
    with tempfile.TemporaryDirectory(prefix="kerasgan3d-") as temporary:
        files = write_examples(Path(temporary), volumes, {} if dry_run else origins)
        address, url, commit = Address(f"{owner}/{examples}", revision), None, None
        if not dry_run:
            message = "Publish volumes generated with kerasgan3d"
            url, commit = hub.upload(Path(temporary), address, private=private, message=message, kind="dataset")
    return [*published, Published(address.repo, url, commit, files)]


def check_publishable(folder: str | os.PathLike[str], about: Mapping[str, str] | None = None) -> None:
    """Check that a preset folder has everything that others need to use and judge it.

    Args:
        folder: Path of the folder.
        about: Dict of additional facts.

    Raises:
        ValueError: if it lacks anything, all of which is listed; or if its generator cannot be loaded.
        FileNotFoundError: if there is no such folder.
    """
    from kerasgan3d.models.preset import load_preset

    folder = Path(folder)
    missing = [name for name in (CONFIG, METADATA, WEIGHTS, CARD) if not (folder / name).is_file()]
    lacks = [f"the file {name}" for name in missing]
    card = {**checked_card(folder / CARD), **(about or {})} if CARD not in missing else {}
    if CARD not in missing:
        lacks += [what for key, what in _STATED.items() if not str(card.get(key) or "").strip()]
        lacks += [] if card.get("phases") else ["the names of its phases"]
        lacks += [] if card.get("voxel_size") else ["a voxel size"]
        lacks += [] if (card.get("weights") or {}).get("sha256") else ["the sha256 of its weights"]
        if not any(card.get(key) for key in ("fidelity", "comparison", "tuning")):
            lacks.append(f"measured fidelity (python -m kerasgan3d.zoo {folder})")
    if not (folder / REFERENCE).is_file():
        lacks.append(f"statistics of the real data ({REFERENCE})")
    elif not read_json(folder / REFERENCE):
        lacks.append(f"statistics of the real data (in {REFERENCE}, which is empty)")
    if not missing:
        try:
            load_preset(folder)
        except ValueError as error:
            lacks.append(f"a generator that loads: {error}")
    if lacks:
        raise ValueError(f"{folder} cannot be published. It lacks {'; '.join(lacks)}.".replace("..", "."))
