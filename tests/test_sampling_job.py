"""A job says once what is sampled and how; everything that samples takes it."""

import json
from dataclasses import replace

import numpy as np
import pytest

from kerasgan3d import Volume, io
from kerasgan3d.sampling import LatentField, SamplingJob, generate

NETWORK = {"stride": 4, "margin": (2, 2), "bytes_per_voxel": 33.0}


def by_sign(latents):
    """A network of stride 1 without margin: labels by the sign of the first channel."""
    return (latents[..., 0] > 0).astype("uint8")


@pytest.fixture(scope="module")
def generator(make_generator):
    return make_generator(voxel_size=0.5, phases=("pore", "Ni", "YSZ"))


@pytest.fixture(scope="module")
def job():
    return SamplingJob((16, 130, 12), periodic="zx", offset=(3, -5, 40), seed=11, **NETWORK)


def test_every_way_to_say_it_is_one_job():
    said = SamplingJob(np.int64(8), periodic="yx", offset=3, tile=np.array([4, 8, 8]), batch=None)
    same = SamplingJob((8, 8, 8), periodic=(False, True, True), offset=(3, 3, 3), tile=(4, 8, 8), batch=1)
    assert said == same
    assert hash(said) == hash(same)
    assert all(type(n) is int for n in (*said.size, *said.offset, *said.tile, said.batch))


def test_a_plan_is_made_once(job):
    assert job.plan is job.plan
    assert job.plan.size == job.size
    assert job.plan.period == (4, None, 3)
    assert replace(job, size=16).plan.size == (16, 16, 16)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0}, "`size` must be a positive integer or three of them"),
        (
            {"size": (8, 9, 8), "periodic": True},
            "multiple of 4 along periodic axes. Received: 9 along y.* are 8 and 12",
        ),
        ({"periodic": "xt"}, "`periodic` must be one bool, or one per axis"),
        ({"offset": 0.5}, "`offset` must be an integer or three of them"),
        ({"tile": 0}, "`tile` must be a positive integer or three of them"),
        ({"batch": 0}, "`batch` must be a positive integer"),
        ({"seed": -1}, r"`seed` must be an integer from 0 to 2\*\*64 - 1"),
        ({"stride": 0}, "`stride` must be a positive integer"),
        ({"margin": (2,)}, "`margin` must be two integers of at least 0"),
        ({"margin": (2, -1)}, "`margin` must be two integers of at least 0"),
        ({"conditions": "dense"}, "`conditions` must be a dict or None"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_mistake_is_told_when_the_job_is_made(arguments, message):
    with pytest.raises(ValueError, match=message):
        SamplingJob(**{"size": 8, **NETWORK, **arguments})


def test_json_is_plain_and_complete(job):
    assert json.dumps(job.to_json()) == (
        '{"size": [16, 130, 12], "periodic": [true, false, true], "offset": [3, -5, 40], "seed": 11, "tile": null, '
        '"batch": 1, "stride": 4, "margin": [2, 2], "bytes_per_voxel": 33.0}'
    )
    for changes in ({}, {"seed": None}, {"tile": 7, "batch": 3}, {"conditions": {"pore": 0.4}}):
        changed = replace(job, **changes)
        assert SamplingJob.from_json(json.loads(json.dumps(changed.to_json()))) == changed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda record: [record], "A sampling job must be a dict. Received: "),
        (lambda record: {**record, "sizes": 3}, "must hold size, periodic, .*Received: 'sizes'"),
        (lambda record: {k: v for k, v in record.items() if k != "margin"}, "must hold .*Received: no margin"),
        (lambda record: {**record, "size": "16"}, "`size` must be a positive integer"),
    ],
    ids=["no dict", "too much", "too little", "wrong"],
)
def test_json_that_is_no_job_is_refused(job, change, message):
    with pytest.raises(ValueError, match=message) as error:
        SamplingJob.from_json(change(job.to_json()))
    assert "\n" not in str(error.value)


def test_a_seed_is_the_jobs_own_or_another_or_drawn(job):
    assert job.seeded(5) is job
    unsaid = replace(job, seed=None)
    assert unsaid.seeded(5) == replace(job, seed=5)
    assert unsaid.seeded().seed != unsaid.seeded().seed
    with pytest.raises(ValueError, match="`seed` must be an integer .*Received: None"):
        unsaid.run(by_sign, 1)


def test_a_run_is_the_plan_on_the_latent_field():
    calls = []
    job = SamplingJob((9, 4, 5), offset=(-3, 0, 2), seed=3, tile=4, periodic="y")
    whole = job.run(by_sign, 2, progress=lambda *call: calls.append(call))
    np.testing.assert_array_equal(whole, generate(by_sign, LatentField(3, 2), job.plan))
    assert calls[-1] == (180, 180)
    window = job.run(by_sign, 2, window=((2, 1, 0), (5, 3, 4)))
    np.testing.assert_array_equal(window, whole[2:7, 1:4, :4])


def test_the_record_says_where_a_volume_came_from(job):
    card = {"name": "nmc", "sha256": "ab", "description": "not this"}
    record = job.record(("a", "b"), 0.5, card)
    assert (record.shape, record.phases, record.voxel_size) == (job.size, ("a", "b"), 0.5)
    assert list(record.provenance) == ["kerasgan3d", "generator", "seed", "offset"]
    assert record.provenance["generator"] == {"name": "nmc", "sha256": "ab"}
    assert (record.provenance["seed"], record.provenance["offset"]) == (11, [3, -5, 40])
    asked = replace(job, conditions={"pore": 0.4}).record(("a", "b"), 0.5, card)
    assert asked.provenance == {**record.provenance, "conditions": {"pore": 0.4}}


def test_a_record_is_what_files_hold(tmp_path):
    volume = Volume(np.zeros((2, 3, 4), int), ("a", "b"), 0.5, "yx", {"seed": 1})
    record = io.VolumeRecord.of(volume)
    assert io.VolumeRecord.from_json(json.loads(json.dumps(record.to_json()))) == record
    again = record.volume(volume.labels)
    assert (again.phases, again.voxel_size, again.periodic, again.provenance) == (
        volume.phases,
        volume.voxel_size,
        volume.periodic,
        volume.provenance,
    )
    for wrong in (None, {}, {**record.to_json(), "version": 2}, {**record.to_json(), "seed": 1}):
        with pytest.raises(ValueError, match="must hold shape, phases, voxel_size, periodic, provenance, version 1"):
            io.VolumeRecord.from_json(wrong)


def test_one_job_serves_all_that_sample(generator, job, tmp_path):
    volume = generator.sample(job.size, periodic="zx", offset=job.offset, seed=11)
    asked = SamplingJob(job.size, periodic="zx", offset=job.offset, seed=11)
    sampled = generator.sample(asked)
    np.testing.assert_array_equal(sampled.labels, volume.labels)
    assert sampled.provenance == volume.provenance
    np.testing.assert_array_equal(generator.to_dask(asked).compute(scheduler="synchronous"), volume.labels)
    assert generator.stream(tmp_path / "a.zarr", asked).checksum == io.checksum(volume.labels)
    assert generator.sample_probabilities(asked).shape == (*job.size, 3)
    assert generator.plan(asked) == generator.plan(job.size, periodic="zx", offset=job.offset)
    assert generator.estimate(asked, path="a.tif").disk == volume.labels.size


def test_a_job_is_fitted_to_the_network(generator):
    job = generator.job(SamplingJob(10))
    assert (job.stride, job.margin, job.bytes_per_voxel) == (4, generator.margin, generator.bytes_per_voxel)
    assert generator.job(job) is job
    with pytest.raises(ValueError, match="multiple of 4 along periodic axes"):
        generator.job(SamplingJob(10, periodic=True))
    with pytest.raises(ValueError, match="a SamplingJob says periodic, seed, offset, tile, batch itself"):
        generator.sample(SamplingJob(10), seed=3)
    with pytest.raises(ValueError, match="this generator takes no conditions. Received: {'pore': 0.4}"):
        generator.sample(SamplingJob(10, conditions={"pore": 0.4}))
