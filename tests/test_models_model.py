"""The base class of the networks: what type checkers are told of it is true."""

import ast
from pathlib import Path

import keras

from kerasgan3d.models import Generator, _model


def test_it_is_that_of_keras():
    assert _model.Model is keras.Model


def test_the_members_that_are_declared_are_there():
    tree = ast.parse(Path(_model.__file__).read_text("utf-8"))
    (declared,) = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    names = [node.target.id for node in declared.body if isinstance(node, ast.AnnAssign)]
    assert names == sorted(names)
    made = Generator(phases=2, latent_channels=2, widths=(2,))
    made.compile(loss="mse")
    # `fit` sets it.
    assert [name for name in names if not hasattr(made, name) and name != "stop_training"] == []
