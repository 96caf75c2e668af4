"""The files of a preset folder, and JSON in and out: what can be said of a generator without loading it.

A preset folder holds Keras's own layout (``config.json``, ``metadata.json``, ``model.weights.h5``), ``kerasgan3d.json``
(phases, voxel size, training data and its citation, recipe, measured fidelity, sha256 of the weights),
``reference.json`` (statistics of the real data), ``README.md`` (the card) and ``preview.png``.
"""

import json
from pathlib import Path

from kerasgan3d.files import replacing

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
CARD, REFERENCE, README, PREVIEW = "kerasgan3d.json", "reference.json", "README.md", "preview.png"
PRESET_FILES = (CONFIG, METADATA, WEIGHTS, CARD, REFERENCE, README, PREVIEW)
_MAX_JSON = 4 * 2**20


def read_facts(folder):
    """What a preset folder says of its generator.

    Returns:
        dict: the contents of ``kerasgan3d.json``, and as "generator" the hyper-parameters of ``config.json``.

    Raises:
        FileNotFoundError, ValueError: as ``read_json``.
    """
    folder = Path(folder)
    card, config = read_json(folder / CARD), read_json(folder / CONFIG)
    arguments = config.get("config") if isinstance(config.get("config"), dict) else {}
    hidden = ("name", "trainable", "dtype", "initializer", "phases", "voxel_size")
    return {**card, "generator": {key: value for key, value in arguments.items() if key not in hidden}}


def read_json(path):
    """Read a JSON object of modest size.

    Raises:
        FileNotFoundError: if it is missing.
        ValueError: if it is too large or no JSON object.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path.parent} holds no {path.name}.")
    if path.stat().st_size > _MAX_JSON:
        raise ValueError(f"{path} must hold at most {_MAX_JSON} bytes. Received: {path.stat().st_size}.")
    try:
        content = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a JSON object. Received: {type(content).__name__}.")
    return content


def write_json(content, path):
    """Write a JSON object, at once or not at all."""
    with replacing(Path(path)) as temporary:
        temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", "utf-8")
