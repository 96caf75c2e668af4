"""Preset folders: a generator with all facts about it; `kerasgan3d.folder` lists the files that they hold."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import keras

from kerasgan3d.files import WriteError, replacing
from kerasgan3d.folder import (
    CARD,
    CONFIG,
    FORMAT,
    MAX_BYTES,
    NEWER_FORMAT,
    PRESET_FILES,
    PREVIEW,
    REFERENCE,
    WEIGHTS,
    check_agreement,
    checked_card,
    own_file,
    read_json,
    write_json,
)
from kerasgan3d.models._weights_file import check_size, check_structure, halve
from kerasgan3d.models.generator import Generator
from kerasgan3d.texts import clipped, shown

# Facts that only the loader may state, and no folder.
_ORIGIN = ("repo", "revision")
_INITIALIZERS = {"HeNormal": (), "GlorotUniform": (), "RandomNormal": ("mean", "stddev")}


def save_preset(
    generator: Generator,
    folder: str | os.PathLike[str],
    card: dict[str, Any] | None = None,
    reference: dict[str, Any] | None = None,
    *,
    precision: str = "float32",
) -> Path:
    """Write a generator to a preset folder, replacing an existing preset, including its card and picture.

    The folder is replaced in one step; files in it that are not part of a preset stay.

    Args:
        generator: The Generator.
        folder: The output folder; created if necessary, but its parent must exist.
        card: JSON-serialisable dict; ``generator.card`` if None, without the version of the folder that the generator
            was loaded from. The format's number, the phases, the voxel size and the weights' sha256 and size are added.
        reference: dict of statistics of the real data, or None.
        precision: Numbers of the file: "float32", or "float16" for kernels of half the size. The voxels are then those
            of the folder's generator, no longer those of ``generator``: measure the folder, not the generator.

    Returns:
        Path of the folder.

    Raises:
        ValueError: if ``precision`` is neither, or a kernel exceeds the range of float16.
        OSError: if the folder cannot be written.
    """
    folder = Path(folder)
    if precision not in ("float32", "float16"):
        raise ValueError(f"`precision` must be 'float32' or 'float16'. Received: {precision!r}.")
    if not folder.absolute().parent.is_dir():
        raise FileNotFoundError(f"the folder to make {folder.name} in must exist. Received: {folder.parent}.")
    with replacing(folder) as temporary:
        try:
            keras.saving.save_model(generator, temporary, zipped=False)
        except RuntimeError as error:  # raised by HDF5 on a full disk
            raise WriteError(f"{folder} could not be written. Is there room on the disk?") from error
        if (temporary / "assets").is_dir():
            (temporary / "assets").rmdir()
        if precision == "float16":
            halve(temporary / WEIGHTS)
        weights = (temporary / WEIGHTS).read_bytes()
        digest = hashlib.sha256(weights).hexdigest()
        card = {
            **(_still_valid(generator.card, digest) if card is None else card),
            "format": NEWER_FORMAT if generator.depths or generator.conditions is not None else FORMAT,
            "phases": list(generator.phases),
            "voxel_size": generator.voxel_size,
            "weights": {"sha256": digest, "bytes": len(weights)},
        }
        write_json(card, temporary / CARD)
        if reference is not None:
            write_json({"format": FORMAT, **reference}, temporary / REFERENCE)
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.name not in PRESET_FILES:
                (shutil.copytree if path.is_dir() else shutil.copy2)(path, temporary / path.name)
    return folder


def load_preset(folder: str | os.PathLike[str], *, origin: dict[str, Any] | None = None) -> Generator:
    """Load the generator of a preset folder without executing anything in it.

    The configuration is read as JSON and checked against the names and bounds of the generator's hyper-parameters, the
    generator's own constructor makes the network, and the weights are checked against their sha256. The file of weights
    must hold plain arrays of exactly that network's shapes and nothing else, which is checked before it is read.

    Args:
        folder: Path of the folder.
        origin: dict of the origin of a preset from the Hub, "repo" and "revision" (the commit). It is added to the
            card; what the folder itself states about these is ignored.

    Returns:
        Generator with its ``card``.

    Raises:
        FileNotFoundError: if the folder or one of its files is missing.
        ValueError: if a file has the wrong content.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no preset folder {folder}.")
    card, config = checked_card(folder / CARD), read_json(folder / CONFIG)
    if (card.get("format") or 0) > NEWER_FORMAT:
        raise ValueError(
            f"{folder / CARD} must be of format {NEWER_FORMAT} or earlier; a newer kerasgan3d wrote it. "
            f"Received: {card['format']}."
        )
    arguments = _checked_arguments(config, folder / CONFIG)
    weights = own_file(folder / WEIGHTS)
    if weights.stat().st_size > MAX_BYTES[WEIGHTS]:
        raise ValueError(f"{weights} must hold at most {MAX_BYTES[WEIGHTS]} bytes. Received: {weights.stat().st_size}.")
    known = (card.get("weights") or {}).get("sha256")
    with open(weights, "rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if known is not None and known != actual:
        raise ValueError(f"{weights} is not the file that {CARD} names: its sha256 is {actual}, not {known}.")
    check_size(weights, arguments)
    try:
        generator = Generator(**arguments, dtype="float32")  # regardless of Keras's settings
    except ValueError as error:
        raise ValueError(f"{folder / CONFIG} describes no generator: {clipped(str(error), 500)}") from error
    made = {"phases": list(generator.phases), "voxel_size": generator.voxel_size}
    check_agreement(folder, card, made, weights.stat().st_size)
    check_structure(weights, [tuple(weight.shape) for weight in generator.weights])
    try:
        generator.load_weights(weights)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ValueError(
            f"{weights} does not hold the weights of this generator: {str(error).splitlines()[0]}"
        ) from error
    card = {key: value for key, value in card.items() if key not in _ORIGIN}
    generator.card = {**card, "sha256": actual, **(origin or {})}
    generator.preview = folder / PREVIEW
    return generator


def _still_valid(card: dict[str, Any], digest: str) -> dict[str, Any]:
    """Return a generator's card, without its version if the file of weights is not the one it was loaded from."""
    return {key: value for key, value in card.items() if key != "version" or card.get("sha256") in (None, digest)}


def _checked_arguments(config: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return the constructor's arguments from Keras's ``config.json``; refuse any that are not the generator's."""
    arguments = config.get("config")
    if config.get("class_name") != "Generator" or not isinstance(arguments, dict):
        raise ValueError(f"{path} must describe a Generator. Received: {shown(config.get('class_name'))}.")
    names = {
        "phases",
        "latent_channels",
        "widths",
        "upsampling",
        "padding",
        "normalization",
        "output_bias",
        "initializer",
        "voxel_size",
        "depths",
        "conditions",
    }
    ignored = {"name", "trainable", "dtype"}
    unknown = set(arguments) - names - ignored
    if unknown:
        raise ValueError(f"{path} has hyper-parameters that a Generator does not have: {shown(sorted(unknown))}.")
    arguments = {name: value for name, value in arguments.items() if name in names}
    if not all(isinstance(arguments.get(name, []), list) for name in ("phases", "widths", "depths")):
        raise ValueError(f"{path} must give lists of phases and widths, and of depths if any.")
    if "initializer" in arguments:
        arguments["initializer"] = _checked_initializer(arguments["initializer"], path)
    return arguments


def _checked_initializer(initializer: Any, path: Path) -> Any:
    name = initializer.get("class_name") if isinstance(initializer, dict) else None
    settings = initializer.get("config") if isinstance(initializer, dict) else None
    if not isinstance(name, str) or name not in _INITIALIZERS or not isinstance(settings, dict):
        raise ValueError(f"{path} must name an initializer of {sorted(_INITIALIZERS)}. Received: {shown(initializer)}.")
    kept = {key: settings[key] for key in _INITIALIZERS[name] if key in settings}
    if not all(isinstance(value, int | float) and abs(value) <= 1 for value in kept.values()):
        raise ValueError(f"{path} has an initializer out of bounds. Received: {shown(initializer)}.")
    return getattr(keras.initializers, name)(**kept)
