"""Finding and loading generators."""

import os
from pathlib import Path

from kerasgan3d.folder import CARD, read_facts

_SHIPPED = Path(__file__).resolve().parent / "presets"


def list_presets():
    """Names of the generators that come with the package, sorted."""
    if not _SHIPPED.is_dir():
        return []
    return sorted(folder.name for folder in _SHIPPED.iterdir() if (folder / CARD).is_file())


def path(name):
    """The preset folder of a shipped generator, or the folder itself where ``name`` is one, or ``best`` in a run's.

    Args:
        name: A name of ``list_presets()``, or the path of a preset folder. A shipped name wins over a folder of the
            same name; write ``./name`` for the folder.

    Raises:
        ValueError: if there is neither.
    """
    if isinstance(name, str) and name in list_presets():
        return _SHIPPED / name
    if isinstance(name, str | os.PathLike) and str(name) and Path(name).is_dir():
        folder = Path(name)
        run = folder / "best"
        return run if (run / CARD).is_file() and not (folder / CARD).exists() else folder
    raise ValueError(
        f"there is no generator {str(name)!r}. Give one of those that ship ({', '.join(list_presets()) or 'none'}) "
        "or the folder of one that you trained; "
        "the untrained architectures compact and paper are made by Generator.from_preset."
    )


def info(name):
    """The facts of a generator, without loading it.

    Args:
        name: As for ``path``.

    Returns:
        dict: "name", "description", "phases", "voxel_size" (µm), "generator" (hyper-parameters), "training" (data,
        recipe, steps ...), "fidelity" (measure to real and generated), "weights" (sha256, bytes), as far as known.

    Raises:
        ValueError, FileNotFoundError: if there is no such generator, or its folder is not whole.
    """
    return read_facts(path(name))


def load_generator(source, revision=None):
    """Load a pretrained generator.

        volume = load_generator("nmc-cathode").sample(128, periodic=True, seed=0)

    Nothing that the folder holds is executed: its configuration is read against an allow-list, its weights are checked
    against their sha256.

    Args:
        source: A name of ``list_presets()``, or a preset folder such as ``train`` makes.
        revision: For generators on a hub; a shipped one or a folder has none.

    Returns:
        Generator, with ``phases``, ``voxel_size`` and ``card``.

    Raises:
        ValueError, FileNotFoundError: if there is no such generator, or its folder is not whole.
    """
    folder = path(source)
    if revision is not None:
        raise ValueError(f"`revision` must be None for a shipped generator or a folder. Received: {revision!r}.")
    from kerasgan3d.models.preset import load_preset

    return load_preset(folder)
