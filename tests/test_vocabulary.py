"""One word for one thing in the public interface, as the table in docs/architecture.md says."""

import importlib
import inspect
import re
from pathlib import Path

import numpy as np
import pytest

import kerasgan3d

TABLE = Path(__file__).resolve().parent.parent / "docs" / "architecture.md"
ROOMS = ["", *(f".{name}" for name in kerasgan3d.__all__ if inspect.ismodule(getattr(kerasgan3d, name)))]


def public():
    """Name and object of each public function, class and method."""
    for room in ROOMS:
        module = importlib.import_module(f"kerasgan3d{room}")
        for name in getattr(module, "__all__", [n for n in vars(module) if not n.startswith("_")]):
            value = getattr(module, name)
            if not getattr(value, "__module__", "").startswith("kerasgan3d"):
                continue
            yield f"kerasgan3d{room}.{name}", value
            for method, function in inspect.getmembers(value) if inspect.isclass(value) else ():
                ours = getattr(function, "__module__", None) or ""
                if not method.startswith("_") and callable(function) and ours.startswith("kerasgan3d"):
                    yield f"kerasgan3d{room}.{name}.{method}", function


def parameters():
    """(where, parameter, what the documentation says of it) of the public interface; "" where it says nothing."""
    found = []
    for where, value in public():
        try:
            signature = inspect.signature(value)
        except (TypeError, ValueError):
            continue
        text = inspect.getdoc(value) or ""
        for parameter in signature.parameters.values():
            said = re.search(rf"^ +(?:\w+, )*{parameter.name}(?:, \w+)*: (.*(?:\n {{8,}}.*)*)", text, re.M)
            found.append((where, parameter, " ".join(said[1].split()) if said else ""))
    return found


PARAMETERS = parameters()


def named(name):
    """Where a parameter of the name is in the interface."""
    found = [(w, p, said) for w, p, said in PARAMETERS if p.name == name]
    assert found, name
    return found


def is_number(value):
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def refers(said):
    """Tell whether the documentation says nothing itself: nothing at all, or that it is as for another function."""
    return not said or said[:2].lower() == "as"


def test_phases_are_names_or_names_and_a_number():
    for where, parameter, said in named("phases"):
        assert str(parameter.annotation) not in ("int", "int | None"), where
        assert refers(said) or "name" in said.lower(), f"{where}: {said}"


def test_n_phases_is_a_number():
    for where, parameter, said in named("n_phases"):
        assert str(parameter.annotation) in ("int", "int | None", "<class 'int'>"), where
        assert refers(said) or said.startswith("Number of phases"), f"{where}: {said}"


def test_periodic_is_axes():
    for where, parameter, said in named("periodic"):
        assert not is_number(parameter.default), where
        assert not re.search("how many|number of", said.lower()), f"{where}: {said}"


def test_sizes_are_voxels_and_voxel_sizes_micrometres():
    for where, _, said in named("size"):
        assert refers(said) or ("voxel" in said.lower() and "µm" not in said), f"{where}: {said}"
    for where, _, said in named("voxel_size"):
        assert refers(said) or "µm" in said or "no unit" in said, f"{where}: {said}"


@pytest.mark.parametrize(
    ("word", "means"), [("tile", "at once|of a tile"), ("block", "block"), ("crop", "sub-volume|slice|recipe")]
)
def test_tile_block_and_crop_each_mean_one_thing(word, means):
    for where, _, said in named(word):
        assert refers(said) or re.search(means, said), f"{where}: {said}"


@pytest.mark.skipif(not TABLE.is_file(), reason="the tests were taken out of the repository")
def test_the_table_has_the_words():
    section = TABLE.read_text("utf-8").split("## Vocabulary")[1].split("\n## ")[0]
    words = {word for row in re.findall(r"^\| (.*?) \|", section, re.M) for word in re.findall(r"`(\w+)`|(\w+)", row)}
    words = {word for pair in words for word in pair if word}
    asked = "preset architecture phases n_phases size voxel_size periodic periodic_volumes tile block crop"
    assert set(asked.split()) <= words


def test_old_names_are_told_apart():
    old = {w: v.renamed_keywords for w, v in public() if hasattr(v, "renamed_keywords")}
    assert old["kerasgan3d.metrics.volume_fractions"] == {"phases": "n_phases"}
    for where, names in old.items():
        value = dict(public())[where]
        assert set(names.values()) <= set(inspect.signature(value).parameters), where
    assert kerasgan3d.metrics.volume_fractions(np.zeros((1, 1, 1), int), n_phases=2).tolist() == [1, 0]
