import subprocess
import sys

import numpy as np
import pytest
from scipy.special import ndtri

from kerasgan3d.sampling import LatentField
from kerasgan3d.sampling.field import _philox, draw_seed


def words(text):
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        pytest.param("0 0 0 0", "0 0", "6627e8d5 e169c58d bc57ac4c 9b00dbd8", id="zeros"),
        pytest.param(
            "ffffffff ffffffff ffffffff ffffffff",
            "ffffffff ffffffff",
            "408f276d 41c83b0e a20bc7c6 6d5451fd",
            id="ones",
        ),
        pytest.param(
            "243f6a88 85a308d3 13198a2e 03707344",
            "a4093822 299f31d0",
            "d16cfe09 94fdcceb 5001e420 24126ea1",
            id="digits of pi",
        ),
    ],
)
def test_philox_gives_the_known_answers(counter, key, expected):
    # The vectors of Random123 (kat_vectors, philox4x32, 10 rounds); the key's first word is the low one.
    low, high = words(key)
    result = _philox([np.array([word], np.uint64) for word in words(counter)], low | high << 32)
    assert [int(word[0]) for word in result] == words(expected)


def test_the_counter_is_the_place_and_the_key_the_seed():
    # Word k of the cipher's block holds channels 2k (low half) and 2k + 1 (high half), as quantiles.
    z = LatentField(0xA4093822 | 0x299F31D0 << 32, 16).window((3, -1, 7), (1, 1, 1))[0, 0, 0]
    for block in range(2):
        counter = [np.array([word], np.uint64) for word in (3, 0xFFFFFFFF, 7, block)]
        four = [int(word[0]) for word in _philox(counter, 0xA4093822 | 0x299F31D0 << 32)]
        halves = np.array([half for word in four for half in (word & 0xFFFF, word >> 16)])
        np.testing.assert_array_equal(z[8 * block : 8 * block + 8], ndtri((halves + 0.5) / 65536).astype("float32"))


@pytest.mark.parametrize("channels", [1, 7, 8, 9, 64])
def test_windows_agree_where_they_overlap(channels):
    field = LatentField(5, channels)
    large = field.window((-3, -4, -5), (7, 8, 9))
    assert large.shape == (7, 8, 9, channels)
    assert large.dtype == np.float32
    np.testing.assert_array_equal(field.window((-1, 0, -5), (2, 4, 9)), large[2:4, 4:8])
    np.testing.assert_array_equal(LatentField(5, channels).window((3, 3, 3), (1, 1, 1))[0, 0, 0], large[6, 7, 8])


def test_more_channels_leave_the_first_as_they_are():
    few, many = (LatentField(1, channels).window((0, 0, 0), (2, 2, 2)) for channels in (5, 70))
    np.testing.assert_array_equal(many[..., :5], few)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_period_wraps_its_axis_alone(axis):
    field, period = LatentField(2, 3), [None] * 3
    period[axis] = 3
    window = field.window((-4, -4, -4), (8, 8, 8), period)
    first, next_period = (np.take(window, range(a, a + 3), axis) for a in (0, 3))
    np.testing.assert_array_equal(first, next_period)
    open_window = field.window((-4, -4, -4), (8, 8, 8))
    np.testing.assert_array_equal(np.take(window, range(4, 7), axis), np.take(open_window, range(4, 7), axis))
    assert not np.array_equal(np.take(window, 7, axis), np.take(open_window, 7, axis))


def test_the_axes_are_told_apart():
    z = LatentField(0, 1).window((0, 0, 0), (4, 4, 4))[..., 0]
    assert len({z[1, 2, 3], z[1, 3, 2], z[2, 1, 3], z[2, 3, 1], z[3, 1, 2], z[3, 2, 1]}) == 6


@pytest.mark.parametrize(("one", "other"), [(0, 1), (0, 2**32), (1, 2**63), (2**64 - 2, 2**64 - 1)], ids=str)
def test_seeds_make_different_fields(one, other):
    a, b = (LatentField(seed, 8).window((0, 0, 0), (10, 10, 10)) for seed in (one, other))
    assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.05
    assert (a == b).mean() < 0.01


def test_a_million_latents_are_normal():
    z = LatentField(123, 64).window((-12, 0, 12), (25, 25, 25)).astype("float64")
    assert z.size == 1_000_000
    assert abs(z.mean()) < 0.004
    assert abs(z.std() - 1) < 0.003
    assert abs((z**3).mean()) < 0.012
    assert abs((z**4).mean() - 3) < 0.03
    assert np.abs(z).max() < 4.4
    shares, _ = np.histogram(z, ndtri(np.linspace(0, 1, 17)))
    np.testing.assert_allclose(shares / z.size, 1 / 16, rtol=0.02)


def test_neighbours_and_channels_are_independent():
    z = LatentField(7, 16).window((0, 0, 0), (20, 20, 20)).astype("float64")
    for axis in range(4):
        ahead, behind = (np.take(z, range(a, z.shape[axis] - 1 + a), axis).ravel() for a in (1, 0))
        assert abs((ahead * behind).mean()) < 0.015


def test_large_indices_are_as_good_as_small_ones():
    field = LatentField(0, 2)
    far = field.window((2**31 - 2, -(2**31), 0), (2, 2, 1))
    np.testing.assert_array_equal(far[1, 0], field.window((2**31 - 1, -(2**31), 0), (1, 1, 1))[0, 0])


@pytest.mark.parametrize("start", [2**31 - 1, 2**31, -(2**31) - 1, 2**80])
def test_beyond_32_bits_the_field_would_repeat(start):
    with pytest.raises(ValueError, match="the latent field has indices from"):
        LatentField(0, 2).window((0, start, 0), (1, 2, 1))


def test_a_periodic_field_has_no_bounds():
    field = LatentField(0, 2)
    far = field.window((3 * 2**80 + 1, 0, 0), (3, 1, 1), (3, None, None))
    np.testing.assert_array_equal(far, field.window((1, 0, 0), (3, 1, 1), (3, None, None)))


@pytest.mark.parametrize("seed", [-1, 2**64, 0.0, True, None, "0"], ids=repr)
def test_seeds_are_64_bits(seed):
    with pytest.raises(ValueError, match=r"`seed` must be an integer from 0 to 2\*\*64 - 1. Received: "):
        LatentField(seed, 2)


@pytest.mark.parametrize("channels", [0, -1, 2.0, True, None], ids=repr)
def test_channels_are_positive(channels):
    with pytest.raises(ValueError, match="`channels` must be a positive integer. Received: "):
        LatentField(0, channels)


def test_numpy_integers_are_integers():
    a, b = LatentField(np.int64(3), np.int32(2)), LatentField(3, 2)
    np.testing.assert_array_equal(a.window((0, 0, 0), (2, 2, 2)), b.window((0, 0, 0), (2, 2, 2)))


def test_nobody_can_change_the_table():
    z = LatentField(0, 2).window((0, 0, 0), (2, 2, 2))
    before = z.copy()
    z[:] = 0
    np.testing.assert_array_equal(LatentField(0, 2).window((0, 0, 0), (2, 2, 2)), before)


def test_drawn_seeds_differ_and_are_short():
    seeds = {draw_seed() for _ in range(20)}
    assert len(seeds) > 15
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_the_field_and_the_plan_need_no_network():
    code = "import sys, kerasgan3d.sampling; assert not {'keras', 'tensorflow'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
