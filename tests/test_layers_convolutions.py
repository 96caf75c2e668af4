import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasgan3d.layers import PaddedConv3D, TransposedConv3D, UpsampleConv3D

SHAPE = (2, 4, 5, 3, 3)
KINDS = {
    "PaddedConv3D": (PaddedConv3D, {}, 1),
    "UpsampleConv3D": (UpsampleConv3D, {}, 2),
    "TransposedConv3D": (TransposedConv3D, {}, 2),
    "TransposedConv3D, stride 1": (TransposedConv3D, {"strides": 1}, 1),
}
kinds = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def volumes():
    return np.random.default_rng(0).normal(size=SHAPE).astype("float32")


def layers_of(kind, filters=4, use_bias=True):
    """The layer with each padding, all on the same random weights."""
    make, options, _ = KINDS[kind]
    rng = np.random.default_rng(1)
    made = {p: make(filters, padding=p, use_bias=use_bias, **options) for p in ("zeros", "valid", "circular")}
    for layer in made.values():
        layer.build(SHAPE)
    weights = [rng.normal(size=w.shape) for w in made["zeros"].weights]
    for layer in made.values():
        layer.set_weights(weights)
    return made


def cropped(x, n):
    return x[:, n:-n, n:-n, n:-n]


def test_upsampling_equals_repeating_and_convolving(volumes):
    layer = layers_of("UpsampleConv3D")["zeros"]
    repeated = volumes.repeat(2, 1).repeat(2, 2).repeat(2, 3)
    expected = tf.nn.conv3d(repeated, layer.kernel.value, (1, 1, 1, 1, 1), "SAME") + layer.bias.value
    np.testing.assert_allclose(np.array(layer(volumes)), expected, atol=2e-5)


def test_padded_convolution_is_the_ordinary_one(volumes):
    layer = layers_of("PaddedConv3D")["zeros"]
    expected = tf.nn.conv3d(volumes, layer.kernel.value, (1, 1, 1, 1, 1), "SAME") + layer.bias.value
    np.testing.assert_allclose(np.array(layer(volumes)), expected, atol=1e-5)


def test_transposed_convolution_is_tensorflows(volumes):
    layer = layers_of("TransposedConv3D")["zeros"]
    shape = (2, 8, 10, 6, 4)
    expected = tf.nn.conv3d_transpose(volumes, layer.kernel.value, shape, 2, "SAME") + layer.bias.value
    np.testing.assert_allclose(np.array(layer(volumes)), expected, atol=2e-5)


def test_transposed_convolution_of_stride_1_is_the_full_one(volumes):
    layer = layers_of("TransposedConv3D, stride 1")["zeros"]
    shape = (2, 7, 8, 6, 4)
    expected = tf.nn.conv3d_transpose(volumes, layer.kernel.value, shape, 1, "VALID") + layer.bias.value
    np.testing.assert_allclose(np.array(layer(volumes)), expected, atol=2e-5)


@kinds
def test_valid_is_what_is_left_of_zeros_without_its_boundary(kind):
    volumes = np.random.default_rng(0).normal(size=(1, 4, 5, 6, 3)).astype("float32")
    layers = layers_of(kind)
    n = 3 if kind.endswith("stride 1") else 1
    np.testing.assert_allclose(
        np.array(layers["valid"](volumes)), cropped(np.array(layers["zeros"](volumes)), n), atol=2e-5
    )


@kinds
@pytest.mark.parametrize("shift", [(1, 0, 0), (0, 3, 0), (0, 0, -1), (2, 1, 2)], ids=str)
def test_circular_commutes_with_rolls(volumes, kind, shift):
    layer, factor = layers_of(kind)["circular"], KINDS[kind][2]
    rolled = np.array(layer(np.roll(volumes, shift, (1, 2, 3))))
    expected = np.roll(np.array(layer(volumes)), [factor * s for s in shift], (1, 2, 3))
    np.testing.assert_allclose(rolled, expected, atol=2e-5)


@kinds
def test_circular_is_valid_on_wrapped_volumes(volumes, kind):
    layers = layers_of(kind)
    before, after = (2, 1) if kind.endswith("stride 1") else (1, 1)
    wrapped = np.pad(volumes, ((0, 0), *((before, after),) * 3, (0, 0)), mode="wrap")
    # Up-sampled, a voxel around the volume gives one voxel more than the volume has.
    valid = np.array(layers["valid"](wrapped))
    valid = valid if KINDS[kind][2] == 1 else cropped(valid, 1)
    np.testing.assert_allclose(np.array(layers["circular"](volumes)), valid, atol=2e-5)


@kinds
def test_circular_of_one_voxel_sees_the_voxel_all_around(kind):
    one = np.random.default_rng(0).normal(size=(1, 1, 1, 1, 3)).astype("float32")
    layers, factor = layers_of(kind), KINDS[kind][2]
    inside = np.array(layers["circular"](np.tile(one, (1, 3, 3, 3, 1))))[:, :factor, :factor, :factor]
    np.testing.assert_allclose(np.array(layers["circular"](one)), inside, atol=2e-5)
    inputs = keras.Input((None, None, None, 3))
    model = keras.Model(inputs, layers["circular"](inputs))
    np.testing.assert_allclose(model.predict(one, verbose=0), inside, atol=2e-5)


@kinds
@pytest.mark.parametrize("padding", ["zeros", "valid", "circular"])
def test_shapes_are_foretold(kind, padding):
    layer = layers_of(kind, filters=2)[padding]
    volumes = np.zeros((2, 4, 7, 5, 3), "float32")
    assert layer(volumes).shape == layer.compute_output_shape(volumes.shape)
    assert layer.compute_output_shape((None, None, 7, None, 3))[1::2] == (None, None)


@kinds
def test_without_a_bias_there_is_none(kind):
    layer = layers_of(kind, use_bias=False)["valid"]
    assert [w.name for w in layer.weights] == ["kernel"]
    assert not np.array(layer(np.zeros(SHAPE[:1] + (4, 4, 4, 3), "float32"))).any()


@kinds
@pytest.mark.parametrize("filters", [0, -1, True, 2.5, "8", None, (8,)], ids=repr)
def test_filters_must_be_a_positive_integer(kind, filters):
    with pytest.raises(ValueError, match="`filters` must be a positive integer. Received: "):
        KINDS[kind][0](filters)


@kinds
@pytest.mark.parametrize("padding", ["same", None, 1, ["valid"]], ids=repr)
def test_padding_must_be_known(kind, padding):
    with pytest.raises(ValueError, match="`padding` must be one of 'valid', 'circular', 'zeros'. Received: "):
        KINDS[kind][0](4, padding=padding)


@pytest.mark.parametrize("strides", [0, 3, "2", (2, 2, 2)], ids=repr)
def test_strides_must_be_one_or_two(strides):
    with pytest.raises(ValueError, match="`strides` must be 1 or 2. Received: "):
        TransposedConv3D(4, strides)


@kinds
def test_gradients_reach_the_weights(volumes, kind):
    layer = layers_of(kind)["circular"]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(layer(volumes)))
    for gradient in tape.gradient(loss, [w.value for w in layer.trainable_weights]):
        assert np.isfinite(gradient).all()
        assert np.abs(gradient).max() > 0
