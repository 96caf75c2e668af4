"""Finding and loading generators."""

from __future__ import annotations

import difflib
import os
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasgan3d.folder import CARD, checked_card, read_facts
from kerasgan3d.zoo import hub
from kerasgan3d.zoo.hub_address import SCHEME, Address, parse
from kerasgan3d.zoo.hub_cache import Snapshot, origin_of
from kerasgan3d.zoo.versions import told_version

if TYPE_CHECKING:
    from kerasgan3d.models import Generator

_UNTRAINED = ("compact", "deep", "paper")  # `models.ARCHITECTURES`, which needs Keras
_SHIPPED = Path(__file__).resolve().parent / "presets"


def list_presets() -> list[str]:
    """Return the names of the generators that come with the package, sorted."""
    if not _SHIPPED.is_dir():
        return []
    return sorted(folder.name for folder in _SHIPPED.iterdir() if (folder / CARD).is_file())


def path(name: str | os.PathLike[str], revision: str | None = None) -> Path:
    """Return the preset folder of a generator: a shipped one, a folder, or one on the Hub, which is downloaded.

    Args:
        name: A name of ``list_presets()``; the path of a preset folder, or of a run's folder, which stands for its
            ``best``; "org/name" or "org/name@revision" on the Hub. Shipped generators take precedence over folders of
            the same name, and folders over the Hub: write ``./name`` for the folder, "hf://org/name" for the Hub.
        revision: For the Hub: a branch, a tag or a commit; its main branch if None. For a shipped generator: its
            version, which must be the one that ships.

    Returns:
        Path of the folder.

    Raises:
        ValueError: if there is no such generator.
        OSError: as for ``pull``.
    """
    return _found(name, revision)[0]


def is_generator(name: str | os.PathLike[str]) -> bool:
    """Tell whether a name is that of a generator: shipped, the folder of one or of a run, or "hf://org/name"."""
    folder = _here(name)
    return str(name).startswith(SCHEME) if folder is None else (folder / CARD).is_file()


def on_hub(name: str | os.PathLike[str], revision: str | None = None) -> Address | None:
    """Return the Address of a name that may be on the Hub; None for shipped generators and folders.

    Raises:
        ValueError: if it begins with "hf://" and is not an address, or its revision is invalid.
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
    """Download a generator from the Hub into its usual cache, or find it there, without loading it.

        snapshot = pull("org/name")

    Only the files of a preset are downloaded, with limits on their size, and each is compared with the hash that the
    Hub lists; interrupted downloads resume. If the Hub cannot be reached, the last cached copy is used, with a warning.
    The token for private repositories is that of the Hub's own tools: HF_TOKEN, or ``hf auth login``.

    Args:
        name: "org/name", "org/name@revision", or either with "hf://" in front.
        revision: A branch, a tag or a commit; its main branch if None.
        announce: A function (facts, ``hub.Snapshot``), called before weights are downloaded.
        progress: A function (bytes done, total bytes).
        notify: A function of a text, called where a cached copy replaces the Hub's; a warning if None.

    Returns:
        hub.Snapshot: "repo", "revision" (requested), "commit", "folder", "files" (name to bytes), "fetched" (bytes).

    Raises:
        ValueError: if the name is not one on the Hub, there is no such repository or revision, or its content is
            refused.
        OSError: if the Hub cannot be reached and the cache has no complete copy, or the cache cannot be written.
    """
    address = parse(name, revision)
    if address is None:
        ships = " It comes with kerasgan3d: there is nothing to download." if name in list_presets() else ""
        raise ValueError(f"`name` must be org/name, or that and @revision. Received: {name!r}.{ships}")
    return hub.pull(address, announce=announce, progress=progress, notify=notify or _warn)


def info(name: str | os.PathLike[str], revision: str | None = None) -> dict[str, Any]:
    """Return the facts of a generator without loading it; for one on the Hub, without downloading its weights.

    Args:
        name, revision: As for ``path``.

    Returns:
        dict: "name", "version", "description", "phases", "voxel_size" (µm), "generator" (hyper-parameters), "training"
        (data, recipe, steps ...), "fidelity" (measure to real and generated), "weights" (sha256, bytes), where known;
        "repo" and "revision" (the commit) of one from the Hub.

    Raises:
        ValueError, FileNotFoundError: if there is no such generator, or its folder is incomplete.
        OSError: as for ``pull``.
    """
    folder, origin = _found(name, revision, names=hub.FACTS)
    return {**{key: value for key, value in read_facts(folder).items() if key not in ("repo", "revision")}, **origin}


def load_generator(source: str | os.PathLike[str], revision: str | None = None) -> Generator:
    """Load a pretrained generator.

        volume = load_generator("nmc-cathode").sample(128, periodic=True, seed=0)
        volume = load_generator("org/name").sample(128, periodic=True, seed=0)

    Nothing in the folder is executed: its configuration is checked against an allow-list, its weights against their
    sha256.

    Args:
        source: A name of ``list_presets()``, a preset folder such as ``train`` makes, or "org/name" on the Hub; see
            ``path`` for the precedence.
        revision: For the Hub: a branch, a tag or a commit; its main branch if None. The commit is recorded in the
            generator's card and in the provenance of every volume. For a shipped generator: its version, which must be
            the one that ships; the message says where others are.

    Returns:
        Generator, with ``phases``, ``voxel_size`` and ``card``.

    Raises:
        ValueError, FileNotFoundError: if there is no such generator, or its folder is incomplete.
        OSError: as for ``pull``.
    """
    folder, origin = _found(source, revision)
    from kerasgan3d.models.preset import load_preset

    return load_preset(folder, origin=origin)


def _found(name, revision, names=hub.PRESET_FILES):
    """Return the folder of a generator, and its origin: (Path, dict)."""
    folder = _here(name)
    if folder is not None:
        if revision is not None:
            _check_version(folder, revision)
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


def _check_version(folder, revision):
    """Check that a folder is a shipped generator of this version."""
    if folder.parent != _SHIPPED:
        raise ValueError(f"`revision` must be None for a shipped generator or a folder. Received: {revision!r}.")
    card = checked_card(folder / CARD)
    shipped = card.get("version")
    if revision not in (shipped, (card.get("weights") or {}).get("sha256")):
        raise ValueError(told_version(folder.name, revision, shipped))


def _here(name):
    """Return the folder of a shipped or local generator; None if there is neither."""
    if isinstance(name, str) and name in list_presets():
        return _SHIPPED / name
    remote = isinstance(name, str) and name.startswith(SCHEME)
    if isinstance(name, str | os.PathLike) and str(name) and not remote and Path(name).is_dir():
        folder = Path(name)
        run = folder / "best"
        return run if (run / CARD).is_file() and not (folder / CARD).exists() else folder
    return None


def _nowhere(name, why=None):
    shipped = list_presets()
    close = difflib.get_close_matches(str(name).lower().replace("_", "-"), shipped, 1)
    if close:
        hint = f"; did you mean {close[0]}?"
    elif os.path.isfile(str(name)):
        hint = ", but a file of that name."
    elif name in _UNTRAINED:
        hint = ", but an untrained architecture, which Generator.from_architecture makes."
    else:
        hint = "."
    return (
        f"there is no generator {str(name)!r}{hint} Give one of those that ship ({', '.join(shipped) or 'none'}), the "
        f"folder of one that you trained, or org/name on the Hub{'.' if why is None else f'; {why}'}"
    )


def _warn(text, stacklevel=4):
    warnings.warn(text, stacklevel=stacklevel)
