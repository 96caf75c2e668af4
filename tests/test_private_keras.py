"""Private names of other libraries: which are used, why, and the bounds that keep them in place.

A private name may go with any release. Each that is used stands here with its reason, and the library's version has an
upper bound in pyproject.toml, which is raised when the tests pass with the next release.
"""

import ast
import importlib
import inspect
import tomllib
from importlib.metadata import version
from pathlib import Path

import keras
import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = [ROOT / "kerasgan3d", ROOT / "zoo", ROOT / "cli"]
pytestmark = pytest.mark.skipif(not FOLDERS[0].is_dir(), reason="the tests were taken out of the repository")

# Attributes that are read or set of what is not ours: name to library.
USED = {
    # Every device computes the same value of what is not trained; Keras passes an aggregation on only for variables
    # that are made by hand, TensorFlow takes it only when a variable is made.
    "_aggregation": "tensorflow",
    # Documented, in spite of its name: a named tuple with changes.
    "_replace": None,
    "_asdict": None,
    # Who called, which `sys` documents: a bar is shown to users, not for what the package itself asks for.
    "_getframe": None,
    # The way to end a process at once, which the documentation of `os` names.
    "_exit": None,
    # The only dict of what SciPy's reader of NetCDF found, names that are no attributes of Python included.
    "_attributes": None,
}
# Methods of Keras's classes that ours override: name to library.
OVERRIDDEN = {
    # On several devices Keras would take the first step's data to find out shapes, which the networks have already.
    "_maybe_symbolic_build": "keras",
}


def trees():
    return [ast.parse(path.read_text("utf-8")) for folder in FOLDERS for path in folder.rglob("*.py")]


def is_private(name):
    return name.startswith("_") and not name.startswith("__")


def own(node):
    """Names that a piece of our code defines: functions, classes, module variables, attributes of `self` or `cls`."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.alias):
        return {node.asname or node.name.split(".")[-1]}
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return {node.id}
    if (
        isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and ast.unparse(node.value) in ("self", "cls")
    ):
        return {node.attr}
    return set()


def test_private_names_of_others_are_those_that_are_explained_here():
    nodes = [node for tree in trees() for node in ast.walk(tree)]
    defined = set().union(*map(own, nodes))
    used = {node.attr for node in nodes if isinstance(node, ast.Attribute) and is_private(node.attr)}
    imported = {
        alias.name
        for node in nodes
        if isinstance(node, ast.ImportFrom) and not node.module.startswith("kerasgan3d")
        for alias in node.names
        if is_private(alias.name) or any(map(is_private, node.module.split(".")))
    }
    assert used - defined == set(USED)
    assert imported == set()


def test_private_methods_of_keras_that_are_overridden_are_those_that_are_explained_here():
    found = set()
    for room in ("layers", "models", "training"):
        for path in (FOLDERS[0] / room).glob("*.py"):
            module = importlib.import_module(f"kerasgan3d.{room}.{path.stem}".removesuffix(".__init__"))
            for cls in vars(module).values():
                if not (inspect.isclass(cls) and cls.__module__ == module.__name__):
                    continue
                theirs = {n for base in cls.__mro__ if not base.__module__.startswith("kerasgan3d") for n in vars(base)}
                found |= {name for name in vars(cls) if is_private(name) and name in theirs}
    # Not the data that Keras and Python give each class of its own.
    assert {name for name in found if callable(getattr(keras.Model, name, None))} == set(OVERRIDDEN)


@pytest.mark.parametrize("library", sorted({*USED.values(), *OVERRIDDEN.values()} - {None}))
def test_what_has_private_names_in_use_is_bounded_and_installed_within_the_bound(library):
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    (requirement,) = [found for found in map(Requirement, listed) if found.name == library]
    assert {specifier.operator for specifier in requirement.specifier} == {">=", "<"}, "an upper bound is needed"
    assert requirement.specifier.contains(version(library)), f"{version(library)} is outside of {requirement}"
