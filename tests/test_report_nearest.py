from itertools import permutations, product

import numpy as np
import pytest

from kerasgan3d.report.nearest import NearestWindow


def noise(*shape, phases=3, seed=0):
    return np.random.default_rng(seed).integers(phases, size=shape, dtype=np.uint8)


def by_looking(image, sample, flips, orders, excluded=None, apart_from=None):
    """The least share of voxels that differ, place by place."""
    best = None
    for order, flip in product(orders, flips):
        turned = np.flip(sample.transpose(order), [axis for axis, flipped in enumerate(flip) if flipped])
        for corner in np.ndindex(*(n - s + 1 for n, s in zip(image.shape, turned.shape, strict=True))):
            place = tuple(slice(c, c + s) for c, s in zip(corner, turned.shape, strict=True))
            if excluded is not None and excluded[place].any():
                continue
            if apart_from is not None and all(
                abs(c - a) < s for c, a, s in zip(corner, apart_from, turned.shape, strict=True)
            ):
                continue
            share = (image[place] != turned).mean()
            best = share if best is None else min(best, share)
    return best


@pytest.mark.parametrize("phases", [2, 3, 4])
@pytest.mark.parametrize("shape", [(11, 14), (7, 9, 8)], ids=["slice", "volume"])
@pytest.mark.parametrize("symmetries", ["none", "flips", "all"])
def test_the_nearest_window_is_that_of_a_search_place_by_place(phases, shape, symmetries):
    image = noise(*shape, phases=phases)
    sample = noise(*(4, 3, 4)[: len(shape)], phases=phases, seed=1)
    axes = range(len(shape))
    flips = [(False,) * len(shape)] if symmetries == "none" else list(product((False, True), repeat=len(shape)))
    orders = list(permutations(axes)) if symmetries == "all" else [tuple(axes)]
    excluded = np.zeros(shape, bool)
    excluded[(3,) * len(shape)] = True
    for options in ({}, {"excluded": excluded}):
        search = NearestWindow(image, phases, symmetries=symmetries, workers=1, **options)
        assert search.distance(sample) == by_looking(image, sample, flips, orders, **options)


@pytest.mark.parametrize("flip", list(product((False, True), repeat=3)))
def test_a_copy_is_found_in_every_mirror_image(flip):
    image = noise(20, 17, 23)
    window = np.flip(image[5:13, 2:10, 9:17], [axis for axis in range(3) if flip[axis]])
    search = NearestWindow(image, 3)
    assert search.distance(window) == 0
    spoilt = window.copy()
    spoilt[0, :3, 0] = (spoilt[0, :3, 0] + 1) % 3
    assert search.distance(spoilt) == 3 / 512
    assert (NearestWindow(image, 3, symmetries="none").distance(window) == 0) == (not any(flip))


def test_a_turned_copy_is_found_among_all_symmetries_only():
    image = noise(12, 12, 12)
    window = image[2:8, 3:9, 4:10].transpose(2, 0, 1)[::-1]
    assert NearestWindow(image, 3, symmetries="all").distance(window) == 0
    assert NearestWindow(image, 3, symmetries="flips").distance(window) > 0.4


def test_a_window_is_not_compared_with_what_overlaps_it():
    image = noise(13, 12, 11)
    window = image[4:8, 3:7, 2:6]
    search = NearestWindow(image, 3, workers=1)
    flips = list(product((False, True), repeat=3))
    expected = by_looking(image, window, flips, [(0, 1, 2)], apart_from=(4, 3, 2))
    assert search.distance(window) == 0
    assert search.distance(window, apart_from=(4, 3, 2)) == expected > 0


def test_there_may_be_no_window_left():
    image = noise(6, 6)
    assert NearestWindow(image, 3).distance(image[:4, :4], apart_from=(0, 0)) is None
    assert NearestWindow(image, 3, excluded=np.ones((6, 6), bool)).distance(image[:4, :4]) is None


@pytest.mark.parametrize("planes", [1, 3, 5])
def test_large_images_are_searched_slab_by_slab(monkeypatch, planes):
    image, sample = noise(9, 8, 7), noise(4, 3, 4, seed=1)
    excluded = np.zeros(image.shape, bool)
    excluded[:4] = True
    for options in ({}, {"excluded": excluded}):
        whole = NearestWindow(image, 3, symmetries="all", **options).distance(sample, apart_from=(0, 1, 2))
        with monkeypatch.context() as patch:
            patch.setattr("kerasgan3d.report.nearest._AT_ONCE", planes * 56)
            assert NearestWindow(image, 3, symmetries="all", **options).distance(sample, (0, 1, 2)) == whole


def test_what_was_searched_is_said():
    searched = [NearestWindow(noise(4, 4, 4), 3, symmetries=name).searched for name in ("none", "flips", "all")]
    assert searched == [
        "every place in the image",
        "every place in the image, in 8 mirror images",
        "every place in the image, in 48 mirror images and orders of the axes",
    ]


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"`symmetries` must be one of 'none', 'flips', 'all'\. Received: 'some'"):
        NearestWindow(noise(4, 4), 3, symmetries="some")
    with pytest.raises(ValueError, match=r"must fit into the image of shape \(4, 4\)\. Received: shape \(5, 3\)"):
        NearestWindow(noise(4, 4), 3).distance(noise(5, 3))
