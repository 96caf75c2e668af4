"""Guards of arguments: the canonical form, and one message that names what came."""

import os
import re
from pathlib import Path

import numpy as np
import pytest

from kerasgan3d import checks


def test_integers_are_returned_as_int():
    found = checks.check_integer(np.uint8(3), "n", 0, 3)
    assert found == 3
    assert type(found) is int
    assert type(checks.check_count(np.int64(1), "n")) is int


@pytest.mark.parametrize("value", [True, np.True_, 2.0, "2", None, 4, -1])
def test_what_is_no_integer_in_range_is_refused(value):
    with pytest.raises(ValueError, match=r"`n` must be an integer from 0 to 3\. Received: "):
        checks.check_integer(value, "n", 0, 3)


@pytest.mark.parametrize(
    ("value", "triple"), [(4, (4, 4, 4)), ((1, 2, 3), (1, 2, 3)), (np.array([3, 2, 1]), (3, 2, 1))], ids=str
)
def test_one_size_or_three(value, triple):
    assert checks.check_triple(value, "size", 1) == triple


@pytest.mark.parametrize("value", [0, (1, 2), (1, 2, 0), (1, 2, 3.0), "8"])
def test_sizes_that_are_none_are_refused(value):
    with pytest.raises(ValueError, match="`size` must be a positive integer or three of them"):
        checks.check_triple(value, "size", 1)


@pytest.mark.parametrize(
    ("periodic", "axes"),
    [
        (True, "zyx"),
        (False, ""),
        ((False, True, True), "yx"),
        ("yx", "yx"),
        ("xz", "zx"),
        (np.array([True, False, True]), "zx"),
    ],
    ids=str,
)
def test_periodic_axes_as_bools_or_by_name(periodic, axes):
    found = checks.check_periodic(periodic)
    assert found == tuple(axis in axes for axis in "zyx")
    assert checks.axis_letters(found) == axes


def test_a_slice_has_two_axes():
    assert checks.check_periodic("x", "yx") == (False, True)
    with pytest.raises(ValueError, match=r"one per axis \(y, x\).* Received: 'z'"):
        checks.check_periodic("z", "yx")


@pytest.mark.parametrize("seed", [0, 2**64 - 1, np.uint64(7)])
def test_seeds(seed):
    assert checks.check_seed(seed) == int(seed)


@pytest.mark.parametrize("seed", [-1, 2**64, 1.0, True, None])
def test_what_is_no_seed_is_refused(seed):
    with pytest.raises(ValueError, match=r"`seed` must be an integer from 0 to 2\*\*64 - 1\. Received: "):
        checks.check_seed(seed)


def test_cores_are_those_that_the_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {1, 5, 6}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert checks.cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    assert checks.cores() == 64
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert checks.cores() == 1


def test_nothing_else_counts_cores():
    folder = Path(checks.__file__).parent
    asks = [path for path in folder.rglob("*.py") if re.search(r"cpu_count|sched_getaffinity", path.read_text("utf-8"))]
    assert asks == [folder / "checks.py"]
