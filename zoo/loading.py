"""Finding and loading generators."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasgan3d.folder import CARD, read_facts
from kerasgan3d.zoo import hub
from kerasgan3d.zoo.hub_address import SCHEME, Address, parse
from kerasgan3d.zoo.hub_cache import Snapshot, origin_of

if TYPE_CHECKING:
    from kerasgan3d.models import Generator

_SHIPPED = Path(__file__).resolve().parent / "presets"


def list_presets() -> list[str]:
    """Names of the generators that come with the package, sorted."""
    if not _SHIPPED.is_dir():
        return []
    return sorted(folder.name for folder in _SHIPPED.iterdir() if (folder / CARD).is_file())


def path(name: str | os.PathLike[str], revision: str | None = None) -> Path:
    """The preset folder of a generator: one that ships, a folder, or one of the Hub, which is pulled.

    Args:
        name: A name of ``list_presets()``; the path of a preset folder, or of a run's, whose ``best`` is meant;
            "org/name" or "org/name@revision" on the Hub. What ships wins over a folder of the same name, and a folder
            over the Hub: write ``./name`` for the folder, "hf://org/name" for the Hub.
        revision: For the Hub: a branch, a tag or a commit; its main branch if None.

    Returns:
        Path of the folder.

    Raises:
        ValueError: if there is no such generator.
        OSError: as ``pull``.
    """
    return _found(name, revision)[0]


def is_generator(name: str | os.PathLike[str]) -> bool:
    """Tell whether a name is that of a generator: one that ships, the folder of one or of a run, or "hf://org/name"."""
    folder = _here(name)
    return str(name).startswith(SCHEME) if folder is None else (folder / CARD).is_file()


def on_hub(name: str | os.PathLike[str], revision: str | None = None) -> Address | None:
    """Return the Address of what is not here but may be on the Hub; None for what ships and for folders.

    Raises:
        ValueError: if it begins with "hf://" and is no address, or its revision cannot be one.
    """
    return None if _here(name) is not None else parse(name, revision)


def pull(
    name: str,
    revision: str | None = None,
    *,
    announce: Callable[[dict[str, Any], Snapshot], Any] | None = None,
    progress: Callable[[int, int], Any] | None = None,
    notify: Callable[[str], Any] | None = None,
) -> Snapshot:
    """Bring a generator from the Hub into its usual cache, or find it there; nothing is loaded.

        snapshot = pull("org/name")

    Named files only are fetched, of limited size, each compared with the hash that the Hub lists; what was broken off
    goes on. Where the Hub cannot be reached, the last copy in the cache is taken, with a warning. A token for private
    repositories is that of the Hub's own tools: HF_TOKEN, or ``hf auth login``.

    Args:
        name: "org/name", "org/name@revision", or either with "hf://" in front.
        revision: A branch, a tag or a commit; its main branch if None.
        announce: A function (facts, ``hub.Snapshot``), called before weights are fetched.
        progress: A function (bytes done, bytes in all).
        notify: A function that is told where a copy in the cache stands in for the Hub; a warning if None.

    Returns:
        hub.Snapshot: "repo", "revision" (asked for), "commit", "folder", "files" (name to bytes), "fetched" (bytes).

    Raises:
        ValueError: if it is no name on the Hub, there is no such repository or revision, or what it holds is refused.
        OSError: if the Hub cannot be reached and the cache has no whole copy, or the cache cannot be written.
    """
    address = parse(name, revision)
    if address is None:
        raise ValueError(f"`name` must be org/name, or that and @revision. Received: {name!r}.")
    return hub.pull(address, announce=announce, progress=progress, notify=notify or _warn)


def info(name: str | os.PathLike[str], revision: str | None = None) -> dict[str, Any]:
    """The facts of a generator, without loading it; of one on the Hub, without its weights.

    Args:
        name, revision: As for ``path``.

    Returns:
        dict: "name", "description", "phases", "voxel_size" (µm), "generator" (hyper-parameters), "training" (data,
        recipe, steps ...), "fidelity" (measure to real and generated), "weights" (sha256, bytes), as far as known;
        "repo" and "revision" (the commit) of one from the Hub.

    Raises:
        ValueError, FileNotFoundError: if there is no such generator, or its folder is not whole.
        OSError: as ``pull``.
    """
    folder, origin = _found(name, revision, names=hub.FACTS)
    return {**{key: value for key, value in read_facts(folder).items() if key not in ("repo", "revision")}, **origin}


def load_generator(source: str | os.PathLike[str], revision: str | None = None) -> Generator:
    """Load a pretrained generator.

        volume = load_generator("nmc-cathode").sample(128, periodic=True, seed=0)
        volume = load_generator("org/name").sample(128, periodic=True, seed=0)

    Nothing that the folder holds is executed: its configuration is read against an allow-list, its weights are checked
    against their sha256.

    Args:
        source: A name of ``list_presets()``, a preset folder such as ``train`` makes, or "org/name" on the Hub; see
            ``path`` for what wins.
        revision: For the Hub: a branch, a tag or a commit; its main branch if None. The commit is recorded in the
            generator's card and in the provenance of every volume.

    Returns:
        Generator, with ``phases``, ``voxel_size`` and ``card``.

    Raises:
        ValueError, FileNotFoundError: if there is no such generator, or its folder is not whole.
        OSError: as ``pull``.
    """
    folder, origin = _found(source, revision)
    from kerasgan3d.models.preset import load_preset

    return load_preset(folder, origin=origin)


def _found(name, revision, names=hub.PRESET_FILES):
    """The folder of a generator, and where it came from: (Path, dict)."""
    folder = _here(name)
    if folder is not None:
        if revision is not None:
            raise ValueError(f"`revision` must be None for a shipped generator or a folder. Received: {revision!r}.")
        return folder, origin_of(folder)
    address = parse(name, revision)
    if address is None:
        raise ValueError(_nowhere(name))
    try:
        snapshot = hub.pull(address, names=names, notify=partial(_warn, stacklevel=5))
    except hub.NotOnHubError as error:
        raise hub.NotOnHubError(_nowhere(name, str(error))) from None
    except hub.HubError as error:
        if str(name).startswith(SCHEME):
            raise
        raise hub.HubError(f"{name} is no folder here, and {error}") from None
    return snapshot.folder, snapshot.origin


def _here(name):
    """The folder of what ships or lies on this machine; None where there is neither."""
    if isinstance(name, str) and name in list_presets():
        return _SHIPPED / name
    remote = isinstance(name, str) and name.startswith(SCHEME)
    if isinstance(name, str | os.PathLike) and str(name) and not remote and Path(name).is_dir():
        folder = Path(name)
        run = folder / "best"
        return run if (run / CARD).is_file() and not (folder / CARD).exists() else folder
    return None


def _nowhere(name, why=None):
    shipped = ", ".join(list_presets()) or "none"
    if why is None:
        why = "the untrained architectures compact, wide, paper and deep are made by Generator.from_architecture."
    return (
        f"there is no generator {str(name)!r}. Give one of those that ship ({shipped}), the folder of one that you "
        f"trained, or org/name on the Hub; {why}"
    )


def _warn(text, stacklevel=4):
    warnings.warn(text, stacklevel=stacklevel)
