"""The files of a preset folder and their JSON: all facts about a generator that need no loading of the network.

A preset folder holds Keras's own layout (``config.json``, ``metadata.json``, ``model.weights.h5``), ``kerasgan3d.json``
(phases, voxel size, training data and its citation, recipe, measured fidelity, sha256 of the weights),
``reference.json`` (statistics of the real data), ``README.md`` (the card) and ``preview.png``.
"""

import json
import math
import os
import re
import stat
from pathlib import Path

from kerasgan3d.files import replacing
from kerasgan3d.texts import shown

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
CARD, REFERENCE, README, PREVIEW = "kerasgan3d.json", "reference.json", "README.md", "preview.png"
PRESET_FILES = (CONFIG, METADATA, WEIGHTS, CARD, REFERENCE, README, PREVIEW)
# Formats of kerasgan3d.json and reference.json. In format 1 some measures had other names. Format 3 is that of the card
# of a generator with `depths` or `conditions`, which earlier versions cannot build; otherwise it equals format 2.
FORMAT = 2
NEWER_FORMAT = 3
RENAMED = {
    "volume_fractions": "volume_fraction",
    "interfacial_areas": "interfacial_area",
    "connected_fractions": "connected_fraction",
}
MAX_JSON = 4 * 2**20
MAX_BYTES = dict.fromkeys(PRESET_FILES, MAX_JSON) | {WEIGHTS: 2**30, README: 2**20, PREVIEW: 2**24}
_MAX_DEPTH = 32
IDENTITY = ("version", "sha256", "repo", "revision")  # facts of a card that name its weights
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+-]{0,39}")
_MAX_TEXT = 10_000
_TEXTS = ("name", "description", "data", "citation", "licence", "licence_tag")
_GROUPS = (
    "training",
    "tuning",
    "fidelity",
    "samples",
    "large_volumes",
    "comparison",
    "two_point_correlation",
    "weights",
)
# Types of the nested facts from which cards and tables are made, by place. "*" is any name.
_NUMBER, _TEXT, _LIST, _NUMBERS, _PER_PHASE = "a number", "a text", "a list", "a list of numbers", "a number, or a list"
_SIDES = dict.fromkeys(("real", "generated", "real_std", "generated_std"), _PER_PHASE)
_OF_SAMPLES = {"count": _NUMBER, "size": _NUMBER}
_WRITTEN = {
    "version": _TEXT,
    "training": {
        "recipe": {"stages": _LIST, "steps": _NUMBER, "critic_warmup": _NUMBER, "views": _LIST},
        "data": {"shape": _LIST},
        "symmetry": {"kind": _TEXT, "axis": _NUMBER},
        "calibration": {"before": _NUMBERS, "after": _NUMBERS},
        "answers": {"count": _NUMBER, "rms_error": _NUMBERS},
        "fine_tuned_from": dict.fromkeys(("name", "repo", "revision", "sha256", "citation"), _TEXT),
    },
    "tuned_from": dict.fromkeys(("name", "version", "repo", "revision", "sha256", "digest"), _TEXT),
    "tuning": {
        "targets": _LIST,
        "shift": _NUMBERS,
        "cost": _NUMBER,
        "size": _NUMBERS,
        "count": _NUMBER,
        "seed": _NUMBER,
        "judged": {"size": _NUMBERS, "count": _NUMBER},
        "measures": {
            "*": {
                "target": _TEXT,
                "unit": _TEXT,
                **dict.fromkeys(("wanted", "before", "after", "before_std", "after_std"), _NUMBER),
            }
        },
        "shapes": {"*": {"unit": _TEXT, "before": _NUMBER, "after": _NUMBER}},
        "classifier": {"score": _NUMBER, "standard_error": _NUMBER},
    },
    "fidelity": {"*": _SIDES},
    "samples": {**_OF_SAMPLES, "compared_in": _NUMBER},
    "large_volumes": {**_OF_SAMPLES, "real": _NUMBERS, "generated": _NUMBERS},
    "two_point_correlation": {"difference": _NUMBER, "max_lag": _NUMBER},
    "granulometry": {"difference": _NUMBER, "max_radius": _NUMBER},
    "held_out": {"box": _LIST, **dict.fromkeys(("error", "error_of_training_data", "real_difference"), _NUMBER)},
}


def written_again(card):
    """Return the format of a card that is rewritten: the current one, or its own where that is newer."""
    return NEWER_FORMAT if card.get("format") == NEWER_FORMAT else FORMAT


def current_keys(values):
    """Return a dict keyed by measures with keys of format 1 replaced by the current ones."""
    return {RENAMED.get(key, key): value for key, value in values.items()}


def current_statistics(statistics):
    """Return reference statistics of any format in the current one."""
    groups = {
        key: current_keys(statistics[key])
        for key in ("bulk", "mean", "std", "samples")
        if isinstance(statistics.get(key), dict)
    }
    return {**statistics, **groups}


def read_statistics(path):
    """Read a ``reference.json`` of any format.

    Raises:
        FileNotFoundError, ValueError: as ``read_json``.
    """
    return current_statistics(read_json(path))


def read_facts(folder):
    """Read the facts of a generator from its preset folder.

    Returns:
        dict: the contents of ``kerasgan3d.json`` without null entries, and under "generator" the hyper-parameters of
        ``config.json``.

    Raises:
        FileNotFoundError, ValueError: as ``read_json``; or if a fact has the wrong type, or two files do not agree.
    """
    folder = Path(folder)
    card, config = checked_card(folder / CARD), read_json(folder / CONFIG)
    arguments = config.get("config")
    arguments = arguments if isinstance(arguments, dict) else {}
    for key in ("phases", "widths"):
        if not isinstance(arguments.get(key, []), list):
            raise ValueError(f"{folder / CONFIG} must give a list as {key!r}. Received: {shown(arguments[key])}.")
    weights = folder / WEIGHTS
    check_agreement(folder, card, arguments, own_file(weights).stat().st_size if os.path.lexists(weights) else None)
    card = _as_written(card, _WRITTEN, folder / CARD)
    known = {key: arguments[key] for key in ("phases", "voxel_size") if arguments.get(key) is not None}
    hidden = ("name", "trainable", "dtype", "initializer", "phases", "voxel_size")
    return {**known, **card, "generator": {key: value for key, value in arguments.items() if key not in hidden}}


def check_agreement(folder, card, arguments, size):
    """Check that a card states what the other files hold.

    Args:
        folder: Path of the preset folder.
        card: Checked content of its ``kerasgan3d.json``.
        arguments: Arguments of the generator, from ``config.json``.
        size: Bytes of the file of weights; None where there is none.

    Raises:
        ValueError: if the files do not agree; the message gives both values.
    """
    for key, what in (("phases", "name the phases"), ("voxel_size", "give the voxel size")):
        stated, held = card.get(key), arguments.get(key)
        if stated is not None and held is not None and stated != held:
            raise ValueError(f"{folder / CARD} must {what} of {CONFIG}, {shown(held)}. Received: {shown(stated)}.")
    stated = (card.get("weights") or {}).get("bytes")
    if None not in (stated, size) and stated != size:
        raise ValueError(f"{folder / WEIGHTS} is not the file that {CARD} names: it has {size} bytes, not {stated}.")


def _as_written(value, kind, path, where=""):
    """Return facts without null ones, after checking the type of each."""
    if isinstance(kind, str):
        good = {
            _NUMBER: _is_number,
            _TEXT: lambda v: isinstance(v, str),
            _LIST: lambda v: isinstance(v, list),
            _NUMBERS: _are_numbers,
            _PER_PHASE: lambda v: _is_number(v) or _are_numbers(v),
        }
        if not good[kind](value):
            raise ValueError(f"{path} must give {kind} as {where!r}. Received: {shown(value)}.")
        return value
    if not isinstance(value, dict):
        raise ValueError(f"{path} must give an object as {where!r}. Received: {shown(value)}.")
    kinds = {key: kind.get(key, kind.get("*")) for key in value}
    return {
        key: item if kinds[key] is None else _as_written(item, kinds[key], path, f"{where}.{key}".lstrip("."))
        for key, item in value.items()
        if item is not None or kinds[key] is None
    }


def checked_card(path):
    """Read a ``kerasgan3d.json`` of any format, and check the facts that other modules rely on.

    Among others, texts must be strings, phases names, and a sha256 64 hexadecimal digits.

    Raises:
        FileNotFoundError, ValueError: as ``read_json``; or if a fact has the wrong type.
    """
    card = read_json(path)

    def check(key, what, good):
        if card.get(key) is not None and not good(card[key]):
            raise ValueError(f"{path} must give {what} as {key!r}. Received: {shown(card[key])}.")

    for key in _TEXTS:
        check(key, f"a text of at most {_MAX_TEXT} characters", lambda v: isinstance(v, str) and len(v) <= _MAX_TEXT)
    for key in _GROUPS:
        check(key, "an object", lambda v: isinstance(v, dict))
    check(
        "tuned_from",
        f"an object of texts of at most {_MAX_TEXT} characters",
        lambda v: isinstance(v, dict) and all(isinstance(text, str) and len(text) <= _MAX_TEXT for text in v.values()),
    )
    check("phases", "a list of names", lambda v: isinstance(v, list) and all(isinstance(name, str) for name in v))
    check("voxel_size", "a positive number", lambda v: _is_number(v) and v > 0)
    check("format", "a whole number", lambda v: type(v) is int)
    check(
        "version",
        "at most 40 letters, digits, dots and dashes",
        lambda v: isinstance(v, str) and _VERSION.fullmatch(v) is not None,
    )
    weights = card.get("weights") or {}
    sha256, size = weights.get("sha256"), weights.get("bytes")
    if sha256 is not None and not (isinstance(sha256, str) and re.fullmatch("[0-9a-f]{64}", sha256)):
        raise ValueError(f"{path} must give the weights' sha256 as 64 hexadecimal digits. Received: {shown(sha256)}.")
    if size is not None and not (type(size) is int and 0 <= size < 2**63):
        raise ValueError(f"{path} must give the weights' bytes as a whole number. Received: {shown(size)}.")
    return {**card, "fidelity": current_keys(card["fidelity"])} if card.get("fidelity") else card


def own_file(path):
    """Resolve symbolic links, and return the path of a file if it is a regular file of its folder.

    A link may point to a file of the same folder. In the Hub's cache, where every file of a snapshot is a link, it may
    point to the blobs of the same repository or of the cache.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is a link that leads elsewhere, or not a regular file.
    """
    path = Path(path)
    if not os.path.lexists(path):
        raise FileNotFoundError(f"{path.parent} is no complete folder of a generator: it holds no {path.name}.")
    folder = path.parent.resolve()
    homes = [folder]
    if folder.parent.name == "snapshots":
        repository = folder.parent.parent
        homes += [repository / "blobs", repository.parent / "blobs"]
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise ValueError(f"{path} is a symbolic link that leads nowhere.") from error
    if not any(home in target.parents for home in homes):
        raise ValueError(f"{path} must be a file of its folder. Received: a symbolic link to {target}.")
    if not stat.S_ISREG(target.stat().st_mode):
        raise ValueError(f"{path} must be a regular file.")
    return path


def read_json(path):
    """Read a JSON object of bounded size and depth, with finite numbers and unique names.

    Raises:
        FileNotFoundError: if the file is missing.
        ValueError: if the file is too large or holds no such object.
    """
    path = own_file(path)
    if path.stat().st_size > MAX_JSON:
        raise ValueError(f"{path} must hold at most {MAX_JSON} bytes. Received: {path.stat().st_size}.")
    try:
        content = json.loads(
            path.read_text("utf-8"),
            parse_constant=_refuse_constant,
            parse_float=_finite,
            object_pairs_hook=_named_once,
        )
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a JSON object. Received: {type(content).__name__}.")
    if _depth(content) > _MAX_DEPTH:
        raise ValueError(f"{path} must nest at most {_MAX_DEPTH} levels.")
    return content


def write_json(content, path):
    """Write a JSON object atomically."""
    with replacing(Path(path)) as temporary:
        temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", "utf-8")


def differences(old, new):
    """List the differences of two JSON dicts as texts, nested ones by dotted keys."""
    old, new = _leaves(old), _leaves(json.loads(json.dumps(new)))
    keys = [*new, *(key for key in old if key not in new)]
    return [f"{key} {_short(old.get(key))}, now {_short(new.get(key))}" for key in keys if old.get(key) != new.get(key)]


def _short(value):
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:76]} ..."


def _leaves(value, prefix=""):
    """Return a nested dict flattened to dotted keys."""
    if not isinstance(value, dict):
        return {prefix: value}
    return {
        name: leaf
        for key, part in value.items()
        for name, leaf in _leaves(part, f"{prefix}.{key}" if prefix else key).items()
    }


def _refuse_constant(name):
    raise ValueError(f"{name} is no number of JSON")


def _finite(text):
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is no finite number")
    return value


def _named_once(pairs):
    content = {}
    for name, value in pairs:
        if name in content:
            raise ValueError(f"the name {name[:40]!r} stands twice in one object")
        content[name] = value
    return content


def _depth(content):
    """Return the nesting depth of a value, without recursion."""
    level, depth = [content], 0
    while level:
        depth += 1
        level = [
            child
            for value in level
            if isinstance(value, dict | list)
            for child in (value.values() if isinstance(value, dict) else value)
            if isinstance(child, dict | list)
        ]
    return depth


def _is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _are_numbers(values):
    return isinstance(values, list) and all(map(_is_number, values))


def architectures(recipe):
    """Describe the architectures that a run went through: "compact, then wide".

    Args:
        recipe: Dict of a recipe's settings, as in the card of a generator.
    """
    stages = recipe.get("stages")
    stages = stages if isinstance(stages, list) else ()
    found = [recipe.get("architecture"), *(stage.get("architecture") for stage in stages if isinstance(stage, dict))]
    return ", then ".join(dict.fromkeys(str(name) for name in found if name)) or "unknown"
