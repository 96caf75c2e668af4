import keras
import numpy as np
import pytest

from kerasgan3d.layers import CircularPad3D

FORMS = pytest.mark.parametrize(
    ("padding", "pairs"),
    [
        pytest.param(0, ((0, 0),) * 3, id="nothing"),
        pytest.param(2, ((2, 2),) * 3, id="int"),
        pytest.param((0, 1, 2), ((0, 0), (1, 1), (2, 2)), id="triple"),
        pytest.param((3, 0, 0), ((3, 3), (0, 0), (0, 0)), id="z alone"),
        pytest.param((0, 3, 0), ((0, 0), (3, 3), (0, 0)), id="y alone"),
        pytest.param((0, 0, 3), ((0, 0), (0, 0), (3, 3)), id="x alone"),
        pytest.param(((0, 1), (2, 0), (1, 3)), ((0, 1), (2, 0), (1, 3)), id="pairs"),
        pytest.param([[0, 1], 2, (1, 3)], ((0, 1), (2, 2), (1, 3)), id="mixed"),
        pytest.param((4, 5, 3), ((4, 4), (5, 5), (3, 3)), id="as wide as the volume"),
        pytest.param(((9, 0), (0, 11), (7, 8)), ((9, 0), (0, 11), (7, 8)), id="wider than the volume"),
    ],
)


@pytest.fixture(scope="module")
def volumes():
    return np.random.default_rng(0).normal(size=(2, 4, 5, 3, 2)).astype("float32")


@FORMS
def test_it_is_numpys_wrap(volumes, padding, pairs):
    layer = CircularPad3D(padding)
    assert layer.padding == pairs
    padded = np.array(layer(volumes))
    np.testing.assert_array_equal(padded, np.pad(volumes, ((0, 0), *pairs, (0, 0)), mode="wrap"))
    assert padded.shape == layer.compute_output_shape(volumes.shape)


@FORMS
@pytest.mark.parametrize("known", [True, False], ids=["known size", "unknown size"])
def test_inside_a_functional_model_it_is_the_same(volumes, padding, pairs, known):
    shape = volumes.shape[1:] if known else (None, None, None, 2)
    inputs = keras.Input(shape)
    model = keras.Model(inputs, CircularPad3D(padding)(inputs))
    expected = np.pad(volumes, ((0, 0), *pairs, (0, 0)), mode="wrap")
    np.testing.assert_array_equal(np.array(model(volumes)), expected)
    np.testing.assert_array_equal(model.predict(volumes, verbose=0), expected)


@pytest.mark.parametrize("shift", [(1, 0, 0), (0, 2, 0), (0, 0, 1), (3, 4, 2)], ids=str)
def test_a_convolution_behind_it_commutes_with_rolls(volumes, shift):
    convolve = keras.Sequential([CircularPad3D(1), keras.layers.Conv3D(3, 3)])
    rolled = np.array(convolve(np.roll(volumes, shift, (1, 2, 3))))
    np.testing.assert_allclose(rolled, np.roll(np.array(convolve(volumes)), shift, (1, 2, 3)), atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
def test_it_keeps_the_dtype(dtype):
    assert (
        keras.backend.standardize_dtype(CircularPad3D(1, dtype=dtype)(np.zeros((1, 2, 2, 2, 1), dtype)).dtype) == dtype
    )


@pytest.mark.parametrize(
    "padding",
    [-1, True, 1.0, "1", None, (1, 2), (1, 2, 3, 4), (1, -2, 3), (1, 2.0, 3), (1, True, 3), ((1, 2), (3, 4))]
    + [((1, 2), (3, 4), (5,)), ((1, 2), (3, 4), (5, -6)), "123"],
    ids=repr,
)
def test_other_forms_are_refused(padding):
    with pytest.raises(ValueError, match=r"`padding` must be a non-negative int, three of them.*Received: "):
        CircularPad3D(padding)


def test_a_volume_without_channels_is_refused():
    with pytest.raises(ValueError, match="expected ndim=5, found ndim=4"):
        CircularPad3D(1)(np.zeros((4, 4, 4, 1), "float32"))
