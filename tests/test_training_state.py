"""The file of a run's state: whole or not at all, and what is damaged or another model's is refused by its name."""

import keras
import numpy as np
import pytest

from kerasgan3d.training.state import load_state, read_state, save_state


def variables(seed=0, shapes=((3, 4), (5,), ())):
    rng = np.random.default_rng(seed)
    found = [keras.Variable(rng.normal(size=shape).astype("float32"), name=f"v{i}") for i, shape in enumerate(shapes)]
    return [*found, keras.Variable(seed, dtype="int32", name="step")]


@pytest.fixture
def path(tmp_path):
    save_state(tmp_path / "state.npz", variables(), best=0.5, name="loss")
    return tmp_path / "state.npz"


def unchanged(values):
    for a, b in zip(values, variables(7), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_what_was_saved_is_read(path):
    found = variables(7)
    extra = load_state(str(path), found)
    assert {key: value.item() for key, value in extra.items()} == {"best": 0.5, "name": "loss"}
    for a, b in zip(found, variables(), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert len(read_state(path)) == 4 + 2


def test_a_state_is_written_at_once(path):
    save_state(path, variables(1))
    assert [item.name for item in path.parent.iterdir()] == ["state.npz"]


def test_more_than_ten_variables_keep_their_order(tmp_path):
    many = [keras.Variable(np.float32(i)) for i in range(12)]
    save_state(tmp_path / "state.npz", many)
    again = [keras.Variable(np.float32(0)) for _ in many]
    load_state(tmp_path / "state.npz", again)
    assert [int(v.numpy()) for v in again] == list(range(12))


OTHERS = {
    "fewer": variables(7)[:-1],
    "more": [*variables(7), keras.Variable(0.0)],
    "of other shapes": variables(7, ((3, 4), (6,), ())),
    "in another order": variables(7, ((5,), (3, 4), ())),
}


@pytest.mark.parametrize("others", OTHERS)
def test_the_state_of_another_model_is_refused(path, others):
    before = [v.numpy() for v in OTHERS[others]]
    with pytest.raises(ValueError, match=r"state.npz holds the state of another model or recipe\."):
        load_state(path, OTHERS[others])
    for a, b in zip(OTHERS[others], before, strict=True):
        np.testing.assert_array_equal(a.numpy(), b)


def rewritten(change):
    """What takes the bytes of a state and gives those with other arrays."""

    def damage(path):
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
        change(arrays)
        np.savez(path, allow_pickle=True, **arrays)

    return damage


def first(arrays):
    return next(name for name in arrays if name.startswith("0000"))


def cut(n):
    return lambda path: path.write_bytes(path.read_bytes()[:n])


def plain(path):
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


def one_value(arrays):
    arrays[first(arrays)] = arrays[first(arrays)] + np.float32(1e-6)


def dtype(arrays):
    arrays[first(arrays)] = arrays[first(arrays)].astype("float64")


DAMAGES = {
    "nothing in it": cut(0),
    "ten bytes": cut(10),
    "half of it": cut(700),
    "all but the last byte": cut(-1),
    "no archive": lambda path: path.write_bytes(b"not an archive" * 99),
    "one plain array": plain,
    "objects": rewritten(lambda arrays: arrays.update(more=np.array([{}], dtype=object))),
    "a value that is another": rewritten(one_value),
    "another dtype": rewritten(dtype),
    "an array less": rewritten(lambda arrays: arrays.pop(first(arrays))),
    "an array more": rewritten(lambda arrays: arrays.update(more=np.zeros(1))),
    "another name": rewritten(lambda arrays: arrays.update({"0000 w": arrays.pop(first(arrays))})),
    "another extra": rewritten(lambda arrays: arrays.update({"extra best": np.asarray(0.4)})),
    "no digest": rewritten(lambda arrays: arrays.pop("digest")),
    "another digest": rewritten(lambda arrays: arrays.update(digest=np.asarray("0" * 64))),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_state_is_refused(path, damage):
    DAMAGES[damage](path)
    values = variables(7)
    with pytest.raises(ValueError, match=r"state.npz is damaged: .*; start afresh with `resume=False`"):
        load_state(path, values)
    unchanged(values)


def test_whatever_byte_is_flipped_is_found_or_changes_nothing(path):
    content = path.read_bytes()
    expected = read_state(path)
    refused = 0
    for place in range(0, len(content), 3):
        damaged = bytearray(content)
        damaged[place] ^= 1 << (place // 3 % 8)
        path.write_bytes(damaged)
        found = attempt(path)
        if isinstance(found, str):
            assert found.startswith(f"{path} is damaged: "), place
            refused += 1
        else:  # a date in the archive, say
            assert set(found) == set(expected)
            for name in expected:
                np.testing.assert_array_equal(found[name], expected[name], err_msg=str(place))
    assert refused > len(content) / 3 / 2


def attempt(path):
    """The arrays of a state, or why it is refused."""
    try:
        return read_state(path)
    except ValueError as error:
        return str(error)


def test_a_state_that_is_not_there_is_told_as_such(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_state(tmp_path / "state.npz")
