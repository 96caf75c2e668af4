"""Lazy arrays are indexed as arrays are, and read no more than what is asked for."""

import pickle

import numpy as np
import pytest

from kerasgan3d import io
from kerasgan3d.io.lazy import LazyArray, lazy
from kerasgan3d.volume import Volume

ARRAY = np.arange(6 * 5 * 7, dtype=np.uint8).reshape(6, 5, 7)
WINDOWS = [
    np.s_[:, :, :],
    np.s_[1:4, 2:5, 0:7],
    np.s_[2, 0:3, 1:4],
    np.s_[0:2, 4, :],
    np.s_[5, 1, 3],
    np.s_[-1, -3:, :-2],
    np.s_[2:2, :, :],
    np.s_[1:3],
    np.s_[4],
]


def noted(array):
    """A lazy array of it, and the list of the windows that were read."""
    read = []

    def get(window):
        read.append(window)
        return array[window]

    return LazyArray(array.shape, array.dtype, get), read


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_indexing_is_that_of_the_array(window):
    found = lazy(ARRAY)[window]
    np.testing.assert_array_equal(found, ARRAY[window])
    assert (np.shape(found), found.dtype) == (np.shape(ARRAY[window]), ARRAY.dtype)


def test_only_what_is_asked_for_is_read():
    array, read = noted(ARRAY)
    array[2, 1:3, 4:4]
    assert read == []
    array[2, 1:3, 4]
    assert read == [(slice(2, 3), slice(1, 3), slice(4, 5))]


def test_it_says_what_arrays_say():
    array = lazy(ARRAY)
    assert (array.shape, array.ndim, array.size, array.dtype) == (ARRAY.shape, 3, ARRAY.size, ARRAY.dtype)
    np.testing.assert_array_equal(np.asarray(array), ARRAY)
    np.testing.assert_array_equal(np.asarray(array, float), ARRAY.astype(float))
    assert lazy(array) is array
    with pytest.raises(TypeError, match="not iterable"):
        iter(array)


@pytest.mark.parametrize("window", [np.s_[6], np.s_[-7], np.s_[:, ::2]], ids=str)
def test_what_arrays_have_and_it_has_not_is_refused(window):
    with pytest.raises(IndexError, match="must"):
        lazy(ARRAY)[window]


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_what_is_made_of_it_is_lazy_too(window):
    array, read = noted(ARRAY)
    indices = [np.array(part) for part in ([0, 0, 2, 5, 5, 5], [1, 2, 2, 4, 4], [0, 0, 3, 3, 6, 6, 6])]
    made = {
        "map": (array.map(lambda block: block > 50, bool), ARRAY > 50),
        "take": (array.take(indices), ARRAY[np.ix_(*indices)]),
        "plane": (array.plane(3), ARRAY[3]),
    }
    assert read == []
    for name, (found, expected) in made.items():
        part = window[-expected.ndim :] if isinstance(window, tuple) else window
        np.testing.assert_array_equal(found[part], expected[part], err_msg=name)
        assert found.dtype == expected.dtype


def test_values_go_to_other_processes_unless_it_can_be_opened_again(tmp_path):
    found = pickle.loads(pickle.dumps(lazy(ARRAY).map(np.sqrt, float)))
    np.testing.assert_array_equal(found, np.sqrt(ARRAY))
    assert type(found) is np.ndarray
    io.write(Volume(ARRAY % 3), tmp_path / "v.zarr")
    (stored,) = io.open_labels(tmp_path / "v.zarr", in_memory=0).images
    assert stored.reopens
    sent = pickle.dumps(stored)
    assert len(sent) < 1000
    np.testing.assert_array_equal(pickle.loads(sent), ARRAY % 3)
