"""Scans in a job: what is known is kept, what was fitted stands at its points, whatever the tile, window or worker."""

import json
from dataclasses import replace

import numpy as np
import pytest

from kerasgan3d import Volume
from kerasgan3d.sampling import LatentField, SamplingJob
from kerasgan3d.sampling.scan import UNKNOWN, FittedField, Scan

SIZE, OFFSET = (12, 16, 20), (-3, 2, -5)


def some_scan(channels=5, periodic=False):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (5, 6, 7)).astype("uint8")
    labels[0, 0, 0] = UNKNOWN
    points = [[0, 0, 0], [1, 0, 2], [2, 3, 3]] if periodic else [[-1, 0, -2], [1, 0, 2], [3, 1, 1]]
    return Scan(labels, np.array(points), rng.normal(size=(3, channels)), {"file": "scan.tif"})


@pytest.mark.parametrize("period", [(None, None, None), (4, None, 3), (4, 4, 4)], ids=str)
def test_fitted_values_stand_at_their_points_and_the_seeds_everywhere_else(period):
    scan, field = some_scan(4, any(period)), LatentField(1, 4)
    found = FittedField(field, scan).window((-3, -2, -4), (9, 7, 8), period)
    expected = field.window((-3, -2, -4), (9, 7, 8), period)
    for place in np.ndindex(9, 7, 8):
        at = [a + b if p is None else (a + b) % p for a, b, p in zip(place, (-3, -2, -4), period, strict=True)]
        for point, values in zip(scan.points, scan.values, strict=True):
            if np.array_equal(at, point):
                expected[place] = values
    np.testing.assert_array_equal(found, expected)
    assert (found != field.window((-3, -2, -4), (9, 7, 8), period)).any()


@pytest.mark.parametrize("more", [{}, {"depths": (1, 1)}], ids=["compact", "deep"])
@pytest.mark.parametrize("periodic", [False, "yx", True], ids=str)
def test_known_voxels_are_kept_and_no_tile_or_worker_is_seen(make_generator, tmp_path, periodic, more):
    generator, scan = make_generator(**more), some_scan(periodic=periodic is True)
    job = replace(generator.job(SIZE, periodic=periodic, seed=3, offset=OFFSET), scan=scan)
    whole = generator.sample(job).labels
    for other in (replace(job, tile=(4, 4, 4)), replace(job, tile=(8, 4, 12), batch=3)):
        np.testing.assert_array_equal(generator.sample(other).labels, whole)
    np.testing.assert_array_equal(generator.windows(job)((2, 3, 4), (6, 7, 8)), whole[2:8, 3:10, 4:12])
    np.testing.assert_array_equal(generator.to_dask(job).compute(scheduler="synchronous"), whole)
    np.testing.assert_array_equal(generator.sample_probabilities(job).argmax(-1), whole)
    at_origin = generator.sample(replace(job, offset=(0, 0, 0))).labels
    known = scan.labels != UNKNOWN
    np.testing.assert_array_equal(at_origin[:5, :6, :7][known], scan.labels[known])
    plain = generator.sample(SIZE, periodic=periodic, seed=3).labels
    assert (at_origin[6:] != plain[6:]).any()  # what was fitted has a say beyond the scan
    if periodic is True:
        np.testing.assert_array_equal(np.roll(at_origin, np.negative(OFFSET), (0, 1, 2)), whole)
    streamed = Volume.load(generator.stream(tmp_path / "volume.zarr", job).path)
    np.testing.assert_array_equal(streamed.labels, whole)
    told = streamed.provenance["scan"]
    assert (told["sha256"], told["file"], told["known_voxels"]) == (scan.digest, "scan.tif", 5 * 6 * 7 - 1)


@pytest.mark.parametrize("periodic", [False, True], ids=str)
def test_a_border_stands_beside_known_voxels_and_never_in_their_place(make_generator, periodic):
    generator, plain = make_generator(), some_scan(periodic=periodic)
    border = np.full((9, 10, 11), UNKNOWN, "uint8")
    border[:, 4, 5] = [0, 1, 2, 0, 1, 2, 0, 1, 2]  # of the structure from z = -2 on, at y = 2 and x = 3
    scan = Scan(plain.labels, plain.points, plain.values, plain.facts, border)
    jobs = [replace(generator.job(SIZE, periodic=periodic, seed=3, offset=OFFSET), scan=each) for each in (plain, scan)]
    before, whole = (generator.sample(job).labels for job in jobs)
    column = whole[1:10, 0, 8]
    np.testing.assert_array_equal(column, [0, 1, *scan.labels[:, 2, 3], 1, 2])
    whole_but = before.copy()
    whole_but[1:10, 0, 8] = column
    np.testing.assert_array_equal(whole, whole_but)
    np.testing.assert_array_equal(generator.sample(replace(jobs[1], tile=(4, 8, 4))).labels, whole)
    np.testing.assert_array_equal(generator.windows(jobs[1])((2, 0, 4), (6, 7, 8)), whole[2:8, :7, 4:12])
    np.testing.assert_array_equal(generator.sample_probabilities(jobs[1]).argmax(-1), whole)
    assert SamplingJob.from_json(json.loads(json.dumps(jobs[1].to_json()))) == jobs[1] != jobs[0]
    assert "border" not in plain.to_json()
    assert scan.told()["corrected_voxels"] == 9


def test_a_job_holds_a_scan_as_json_and_none_where_there_is_none(make_generator):
    generator, scan = make_generator(), some_scan()
    job = replace(generator.job(SIZE, seed=3), scan=scan)
    again = SamplingJob.from_json(json.loads(json.dumps(job.to_json())))
    assert again == job
    assert hash(again.scan) == hash(scan)
    np.testing.assert_array_equal(generator.sample(again), generator.sample(job))
    assert job != replace(job, scan=Scan(scan.labels, scan.points, scan.values + 1))
    assert "scan" not in generator.job(8, seed=1).to_json()
    assert "scan" not in generator.sample(4, seed=1).provenance


def test_another_scan_is_another_volume_to_a_stream(make_generator, tmp_path):
    generator, path, scan = make_generator(), tmp_path / "volume.zarr", some_scan()
    job = replace(generator.job((4, 4, 260), seed=1, tile=128), scan=scan)

    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generator.stream(path, job, progress=interrupt)
    with pytest.raises(ValueError, match="another volume"):
        generator.stream(path, replace(job, scan=Scan(scan.labels, scan.points, -scan.values)))
    assert generator.stream(path, job).voxels < 4 * 4 * 260
    np.testing.assert_array_equal(Volume.load(path).labels, generator.sample(job).labels)


WRONG = {
    "flat": (lambda: Scan(np.zeros((2, 2)), np.zeros((0, 3)), np.zeros((0, 5))), r"known voxels \(z, y, x\)"),
    "unknown": (lambda: Scan(np.full((2, 2, 2), UNKNOWN), np.zeros((0, 3)), np.zeros((0, 5))), "all of them unknown"),
    "points": (lambda: Scan(np.zeros((2, 2, 2)), np.zeros((1, 3)), np.zeros((2, 5))), r"points \(m, 3\) and finite"),
    "border": (
        lambda: Scan(np.zeros((2, 2, 2)), np.zeros((0, 3)), np.zeros((0, 5)), border=np.zeros((4, 4, 6))),
        r"wider than its voxels by as much at every face. Received: \(4, 4, 6\) for \(2, 2, 2\)",
    ),
    "no rim": (
        lambda: Scan.from_json(some_scan().to_json() | {"border": ""}),
        "`scan` of a job must be a dict of",
    ),
    "nan": (lambda: Scan(np.zeros((2, 2, 2)), np.zeros((1, 3)), np.full((1, 5), np.nan)), "finite values"),
    "small": (
        lambda: SamplingJob((4, 8, 8), seed=1, periodic=True, stride=4, scan=some_scan()),
        "at least the scan's, 5",
    ),
    "no dict": (lambda: Scan.from_json([]), "`scan` of a job must be a dict of"),
    "no text": (lambda: Scan.from_json(some_scan().to_json() | {"labels": 3}), "arrays as compressed text"),
    "short": (lambda: Scan.from_json(some_scan().to_json() | {"count": 4}), "arrays as compressed text"),
    "huge": (lambda: Scan.from_json(some_scan().to_json() | {"shape": [9**9, 1, 1]}), "arrays as compressed text"),
}


@pytest.mark.parametrize(("make", "message"), WRONG.values(), ids=list(WRONG))
def test_scans_that_are_none_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_generator_takes_only_scans_of_its_own_kind(make_generator):
    for scan, message in ((some_scan(4), "as many channels as were fitted, 4. Received: one of 5"),):
        with pytest.raises(ValueError, match=message):
            make_generator().sample(replace(make_generator().job(8, seed=1), scan=scan))
    with pytest.raises(ValueError, match="labels of 2 phases, from 0 on. Received: 2"):
        make_generator(phases=2).sample(replace(make_generator().job(8, seed=1), scan=some_scan()))
