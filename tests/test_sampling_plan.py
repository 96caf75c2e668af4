import itertools

import numpy as np
import pytest

from kerasgan3d.sampling import plan_tiles


def plan(size, **options):
    return plan_tiles(size, **{"stride": 16, "margin": (2, 2), **options})


def intervals(slices):
    """The distinct (start, stop) along each axis."""
    return [sorted({(s[axis].start, s[axis].stop) for s in slices}) for axis in range(3)]


@pytest.mark.parametrize(
    ("size", "options"),
    [
        pytest.param(64, {}, id="one tile"),
        pytest.param(64, {"tile": 16}, id="64 tiles"),
        pytest.param((70, 45, 130), {"tile": (32, 16, 48)}, id="odd sizes"),
        pytest.param((70, 45, 130), {"tile": 32, "offset": (7, -5, 33)}, id="odd sizes and offsets"),
        pytest.param((64, 48, 32), {"tile": 32, "periodic": True, "offset": (-1000, 5, 16)}, id="periodic"),
        pytest.param(1, {"offset": (15, 16, -1)}, id="one voxel"),
        pytest.param((2, 2, 2), {"offset": (15, -1, 31), "tile": 1}, id="two voxels, two cells"),
        pytest.param((33, 20, 5), {"stride": 4, "margin": (3, 2), "tile": 9, "offset": 2}, id="another network"),
    ],
)
def test_tiles_give_every_voxel_once(size, options):
    p = plan(size, **options)
    tiles = list(p.iterate())
    assert len(tiles) == p.tiles
    # The tiles are a grid: along each axis they follow one another, and every combination occurs.
    along = intervals([tile.out for tile in tiles])
    for axis in range(3):
        stops = [0, *(stop for _, stop in along[axis])]
        assert [start for start, _ in along[axis]] == stops[:-1]
        assert stops[-1] == p.size[axis]
        assert all(stop > start for start, stop in along[axis])
    assert {tuple((s.start, s.stop) for s in tile.out) for tile in tiles} == set(itertools.product(*along))
    assert sum(tile.voxels for tile in tiles) == np.prod(p.size)


@pytest.mark.parametrize("offset", [(0, 0, 0), (7, -5, 33), (-16, 16, -1)], ids=str)
@pytest.mark.parametrize("margin", [(2, 2), (3, 2)], ids=str)
def test_latents_fit_their_voxels(offset, margin):
    p = plan((70, 45, 130), margin=margin, tile=32, offset=offset)
    for tile in p.iterate():
        for axis in range(3):
            # Latent i fills voxels 16 i to 16 i + 15 of the infinite structure.
            first = (tile.start[axis] + margin[0]) * 16
            cells = tile.shape[axis] - sum(margin)
            assert first + tile.crop[axis].start == offset[axis] + tile.out[axis].start
            assert tile.out[axis].stop - tile.out[axis].start == tile.crop[axis].stop - tile.crop[axis].start
            assert 0 <= tile.crop[axis].start < tile.crop[axis].stop <= 16 * cells
            assert cells <= 2


def test_tiles_are_rounded_up_to_the_stride_and_no_larger_than_the_volume():
    assert plan(64, tile=17).tile_shape == (32, 32, 32)
    assert plan(64, tile=1).tile_shape == (16, 16, 16)
    assert plan((64, 20, 5), tile=1000).tile_shape == (64, 32, 16)
    assert plan(64, tile=32).latent_shape == (6, 6, 6)
    assert plan(64, tile=32, margin=(3, 2)).latent_shape == (7, 7, 7)


def test_periods_are_in_latents():
    assert plan((64, 40, 32), periodic=(True, False, True)).period == (4, None, 2)
    assert plan(64).period == (None, None, None)


@pytest.mark.parametrize("kind", [int, np.int64, np.uint8])
def test_numbers_of_any_integer_kind_are_ints(kind):
    p = plan(kind(32), offset=(kind(1), 0, kind(3)), tile=kind(16), batch=kind(2))
    assert (p.size, p.offset, p.batch) == ((32, 32, 32), (1, 0, 3), 2)
    assert all(type(n) is int for n in (*p.size, *p.offset, p.batch))
    assert plan(np.array([1, 2, 3])).size == (1, 2, 3)


def test_a_plan_can_be_compared_and_kept():
    assert plan(64, tile=32) == plan((64, 64, 64), tile=(32, 32, 32))
    assert len({plan(64), plan(64), plan(65)}) == 2


def test_bytes():
    p = plan((64, 32, 16), tile=32, batch=3)
    assert p.bytes_output == 64 * 32 * 16
    assert p.bytes_peak == p.bytes_output
    heavy = plan((64, 32, 16), tile=32, batch=3, bytes_per_voxel=10.0)
    assert heavy.bytes_peak == p.bytes_output + 10 * 3 * 32 * 32 * 16
    assert heavy.size == p.size


def test_a_huge_volume_is_planned_at_once():
    p = plan(100_000, tile=256)
    assert p.tiles == 391**3
    assert next(p.iterate()).shape == (20, 20, 20)
    assert "1e+15 B" not in p.describe()
    assert "labels  1e+03 TB" in p.describe()


def test_describe():
    p = plan((512, 256, 64), periodic=(True, True, False), tile=128, bytes_per_voxel=30.0)
    assert p.describe().splitlines() == [
        "volume  512 x 256 x 64 voxels, periodic along z, y",
        "tiles   8 of up to 128 x 128 x 64 voxels from 12 x 12 x 8 latents",
        "labels  8.39 MB",
    ]
    assert plan(16, offset=(0, 5, -7)).describe().splitlines()[:2] == [
        "volume  16 x 16 x 16 voxels, not periodic",
        "offset  0 x 5 x -7",
    ]


@pytest.mark.parametrize("name", ["size", "tile"])
@pytest.mark.parametrize(
    "value", [0, -16, 16.0, True, "16", None, (16, 16), (16,) * 4, (16, 0, 16), (16, 16.0, 16)], ids=repr
)
def test_sizes_and_tiles_must_be_positive_integers(name, value):
    options = {"size": 64, name: value}
    with pytest.raises(ValueError, match=f"`{name}` must be a positive integer or three of them .z, y, x.. Received: "):
        plan(**options)


@pytest.mark.parametrize("offset", [1.0, True, "1", None, (1, 2), (1, 2, 3.0), [[1, 2, 3]]], ids=repr)
def test_offsets_must_be_integers(offset):
    with pytest.raises(ValueError, match="`offset` must be an integer or three of them .z, y, x.. Received: "):
        plan(64, offset=offset)


@pytest.mark.parametrize("batch", [0, -1, 1.0, True, "1", (1, 2, 3)], ids=repr)
def test_batches_must_be_positive_integers(batch):
    with pytest.raises(ValueError, match="`batch` must be a positive integer. Received: "):
        plan(64, batch=batch)


@pytest.mark.parametrize("periodic", [1, 0, None, "zz", "", (True, False), (True, False, 1), (True,) * 4], ids=repr)
def test_periodic_must_be_bools(periodic):
    with pytest.raises(ValueError, match="`periodic` must be one bool, or one per axis .z, y, x., .* Received: "):
        plan(64, periodic=periodic)


@pytest.mark.parametrize(
    ("size", "periodic", "message"),
    [
        (70, True, "multiple of 16 along periodic axes. Received: 70 along z; the nearest are 64 and 80."),
        (5, True, "multiple of 16 along periodic axes. Received: 5 along z; the nearest are 16."),
        ((70, 45, 64), (False, True, True), "Received: 45 along y; the nearest are 32 and 48."),
        ((70, 45, 63), (False, False, True), "Received: 63 along x; the nearest are 48 and 64."),
    ],
)
def test_periodic_sizes_must_be_multiples_of_the_stride(size, periodic, message):
    with pytest.raises(ValueError, match=message):
        plan(size, periodic=periodic)


def test_open_sizes_need_not_be():
    assert plan((70, 45, 64), periodic=(False, False, True)).size == (70, 45, 64)
