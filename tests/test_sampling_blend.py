"""Blends of two seeds: as normal as either, at both ends exactly one of them, and a pure function of place."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from kerasgan3d import Volume
from kerasgan3d.cli import main
from kerasgan3d.sampling import Conditions, LatentField, SamplingJob
from kerasgan3d.sampling.blend import BlendedField, asked_blend

PHASES = ("pore", "NMC", "CBD")
TAPS = (0.5, 0.7, 0.5)
CONDITIONS = Conditions(
    mean=(0.4, 0.5, 0.1),
    deviation=(0.05, 0.045, 0.012),
    root=((0.8, -0.6, 0.0), (-0.6, 0.8, 0.0), (0.0, 0.0, 1.0)),
    taps=(TAPS, TAPS, TAPS),
    lowest=(0.25, 0.3, 0.05),
    highest=(0.6, 0.65, 0.15),
    gain=(1.0, 1.0, 1.0),
    shift=(0.0, 0.0, 0.0),
)
HELD = [0, 0, 0, 0, 1, 1, 1, 1]  # of 32 steps the first 13 are 0, the last 13 are 1
LONG, HELD_VOXELS = (128, 12, 8), 32


def blended(t, cells=(1, 1, 1), first=(0, 0, 0)):
    return BlendedField(LatentField(1, 4), LatentField(2, 4), np.array(t, float).reshape(-1, 1, 1), first, cells)


@pytest.mark.parametrize("t", [0, 0.25, 0.5, 0.9, 1])
def test_a_blend_is_as_normal_as_its_parts(t):
    values = blended([t]).window((0, 0, 0), (32, 32, 32)).reshape(-1, 4).astype(float)
    np.testing.assert_allclose(np.cov(values.T), np.eye(4), atol=0.03)
    parts = [LatentField(seed, 4).window((0, 0, 0), (32, 32, 32)).reshape(-1, 4) for seed in (1, 2)]
    expected = np.cos(t * np.pi / 2) * parts[0] + np.sin(t * np.pi / 2) * parts[1]
    np.testing.assert_allclose(values, expected, atol=1e-6)


@pytest.mark.parametrize(("t", "seed"), [(0, 1), (1, 2)])
def test_at_its_ends_a_blend_is_one_of_its_parts(t, seed):
    found = blended([t]).window((-3, 2, 0), (3, 4, 5), (4, None, None))
    np.testing.assert_array_equal(found, LatentField(seed, 4).window((-3, 2, 0), (3, 4, 5), (4, None, None)))


def test_a_profile_goes_on_as_at_its_faces_and_is_a_pure_function_of_place():
    field = blended([0, 0.5, 1], (3, 1, 1), first=(5, 0, 0))
    whole = field.window((0, 0, 0), (12, 2, 2))
    for part, seed in ((slice(0, 6), 1), (slice(7, 12), 2)):
        np.testing.assert_array_equal(whole[part], LatentField(seed, 4).window((0, 0, 0), (12, 2, 2))[part])
    np.testing.assert_array_equal(field.window((4, 1, 0), (3, 1, 2)), whole[4:7, 1:])


@pytest.fixture(scope="module", params=["latents", "conditions", "deep"])
def generator(request, make_generator):
    more = {"latents": {}, "conditions": {"conditions": CONDITIONS}, "deep": {"depths": (1, 1)}}[request.param]
    return make_generator(phases=PHASES, voxel_size=0.5, **more)


@pytest.mark.parametrize("periodic", [False, "yx", True], ids=str)
def test_the_ends_are_the_volumes_of_the_two_seeds(generator, periodic):
    where = {"periodic": periodic, "offset": (3, -5, 2)}
    one, other = (generator.sample((12, 16, 8), seed=seed, **where).labels for seed in (1, 2))
    for t, expected in ((0, one), (1.0, other), ([0, 0], one), ({"x": [1, 1, 1]}, other)):
        found = generator.sample((12, 16, 8), seed=1, blend=(2, t), **where)
        np.testing.assert_array_equal(found.labels, expected)
    between = generator.sample((12, 16, 8), seed=1, blend=(2, 0.25), **where).labels
    assert min((between != one).mean(), (between != other).mean()) > 0.01
    np.testing.assert_array_equal(generator.sample((12, 16, 8), seed=2, blend=(1, 0.75), **where).labels, between)


def test_a_profile_joins_the_voxels_of_both(generator, tmp_path):
    where = {"periodic": "yx", "offset": (-8, 4, 0)}
    one, other = (generator.sample(LONG, seed=seed, **where).labels for seed in (1, 2))
    whole = generator.sample(LONG, seed=1, blend=(2, HELD), **where).labels
    np.testing.assert_array_equal(whole[:HELD_VOXELS], one[:HELD_VOXELS])
    np.testing.assert_array_equal(whole[-HELD_VOXELS:], other[-HELD_VOXELS:])
    assert min((whole[48:80] != labels[48:80]).mean() for labels in (one, other)) > 0.01
    for tile, batch in ((8, 3), ((40, 12, 4), 1)):
        again = generator.sample(LONG, seed=1, blend=(2, HELD), tile=tile, batch=batch, **where).labels
        np.testing.assert_array_equal(again, whole)
    lazily = generator.to_dask(LONG, seed=1, blend=(2, HELD), chunks=50, **where)
    np.testing.assert_array_equal(lazily.compute(scheduler="synchronous"), whole)
    path = generator.stream(tmp_path / "volume.tif", LONG, seed=1, blend=(2, HELD), **where).path
    volume = Volume.load(path)
    np.testing.assert_array_equal(volume.labels, whole)
    assert volume.provenance["blend"]["seed"] == 2
    assert np.shape(volume.provenance["blend"]["t"]) == (32, 1, 1)


def test_a_profile_along_a_periodic_axis_joins_across_the_faces(generator):
    ring = [0, 0, 0, 0, 1, 1, 1, 1]
    volume = generator.sample((128, 8, 8), periodic=True, seed=1, blend=(2, ring)).labels
    one, other = (generator.sample((128, 8, 8), periodic=True, seed=seed).labels for seed in (1, 2))
    np.testing.assert_array_equal(volume[24:28], one[24:28])
    np.testing.assert_array_equal(volume[88:92], other[88:92])
    rolled = generator.sample((128, 8, 8), periodic=True, seed=1, blend=(2, ring), offset=(0, 3, -5)).labels
    np.testing.assert_array_equal(rolled, np.roll(volume, (-3, 5), (1, 2)))


def test_wished_fractions_hold_in_a_blend(make_generator):
    generator = make_generator(phases=PHASES, conditions=CONDITIONS)
    job = generator.job(16, seed=1, fractions={"pore": [0.3, 0.55]}, blend=(2, 0.5))
    ends = [replace(job, seed=seed, blend=None) for seed in (1, 2)]
    values, one, other = (j.field(5, CONDITIONS).window((0, 0, 0), (4, 4, 4), (None, None, None)) for j in (job, *ends))
    np.testing.assert_array_equal(values[..., 5:], one[..., 5:])
    np.testing.assert_allclose(values[..., :5], (one + other)[..., :5] / np.sqrt(2), rtol=1e-5, atol=1e-6)


def test_a_job_holds_a_blend_as_plain_data_and_none_where_there_is_none(make_generator):
    generator = make_generator()
    job = generator.job(8, seed=1, blend=(np.int64(2), {"x": [0, 1]}))
    assert job.blend == {"seed": 2, "t": [[[0.25, 0.75]]]}
    assert SamplingJob.from_json(json.loads(json.dumps(job.to_json()))) == job
    assert "blend" not in generator.job(8, seed=1).to_json()
    assert "blend" not in generator.sample(4, seed=1).provenance
    assert generator.job(generator.job(8, seed=1), blend=(2, {"x": [0, 1]})) == job
    with pytest.raises(ValueError, match="a SamplingJob with a blend says it itself. Received: both"):
        generator.job(job, blend=(2, 0.5))


def test_another_blend_is_another_volume_to_a_stream(make_generator, tmp_path):
    generator, path, shape = make_generator(), tmp_path / "volume.zarr", (4, 4, 260)

    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generator.stream(path, shape, seed=1, tile=128, blend=(2, 0.5), progress=interrupt)
    with pytest.raises(ValueError, match="another volume"):
        generator.stream(path, shape, seed=1, tile=128, blend=(2, 0.6))
    assert generator.stream(path, shape, tile=128, blend=(2, 0.5)).voxels < 4 * 4 * 260
    expected = generator.sample(shape, seed=1, blend=(2, 0.5)).labels
    np.testing.assert_array_equal(Volume.load(path).labels, expected)


WRONG = {
    "no pair": (0.5, r"`blend` must be \(the other seed, t\). Received: 0.5"),
    "no seed": (("a", 0.5), "`seed` must be an integer from 0"),
    "below": ((2, -0.1), "t of a `blend` must be from 0 to 1: .*Received: -0.1"),
    "above": ((2, [0, 1.5]), "t of a `blend` must be from 0 to 1: "),
    "not finite": ((2, float("nan")), "t of a `blend` must be from 0 to 1: "),
    "no values": ((2, []), "t of a `blend` must be from 0 to 1: a number, a list along an axis"),
    "a plane": ((2, [[0, 1]]), "t of a `blend` must be from 0 to 1: a number, a list along an axis"),
    "no axis": ((2, {"t": [0, 1]}), "t of a `blend` must be along one axis of z, y, x"),
    "too long": ((2, {"y": [0.5] * 9}), "at most a value a voxel, 8 along y. Received: 9"),
    "itself": ((1, 0.5), "`blend` must be with another seed than the volume's. Received: 1 for both"),
}


@pytest.mark.parametrize(("blend", "message"), WRONG.values(), ids=list(WRONG))
def test_blends_that_are_none_are_refused(make_generator, blend, message):
    with pytest.raises(ValueError, match=message):
        make_generator().job(8, seed=1, blend=blend)


HOSTILE = {
    "no dict": (0.5, "must be a dict of seed and t"),
    "a name too many": ({"seed": 2, "t": [[[0.5]]], "u": 1}, "must be a dict of seed and t"),
    "no array": ({"seed": 2, "t": 0.5}, r"\[z\]\[y\]\[x\], each of length 1 or .* 2 x 2 x 2. Received: 1 x 1 x 1"),
    "too long": ({"seed": 2, "t": [[[0.5] * 3]]}, r"2 x 2 x 2. Received: 1 x 1 x 3"),
    "out of range": ({"seed": 2, "t": [[[1.5]]]}, "must be from 0 to 1"),
}


@pytest.mark.parametrize(("blend", "message"), HOSTILE.values(), ids=list(HOSTILE))
def test_jobs_of_strangers_are_looked_at(blend, message):
    with pytest.raises(ValueError, match=message):
        SamplingJob(8, seed=1, stride=4, blend=blend)


def test_the_command_blends(make_generator, small_preset, tmp_path):
    out = tmp_path / "out.npy"
    said = ["sample", str(small_preset), "--size", "8", "--seed", "1", "-o", str(out)]
    result = CliRunner().invoke(main, [*said, "--blend", "2=x:0:1"])
    assert result.exit_code == 0, result.output
    expected = make_generator(phases=("pore", "grain")).sample(8, seed=1, blend=(2, {"x": [0, 1]}))
    np.testing.assert_array_equal(Volume.load(out).labels, expected.labels)
    assert asked_blend((2, {"x": [0, 1]}), (8, 8, 8), (2, 2, 2), (False,) * 3) == expected.provenance["blend"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2=1.5", "t of a `blend` must be from 0 to 1"),
        ("2=", "must be seed=t, t from 0 to 1, or a profile"),
        ("two=0.5", "must be seed=t, t from 0 to 1, or a profile"),
        ("2=t:0:1", "must be seed=t, t from 0 to 1, or a profile"),
        ("1=0.5", "another seed than the volume's"),
    ],
)
def test_the_command_refuses_in_one_line(small_preset, tmp_path, text, message):
    out = tmp_path / "out.npy"
    said = ["sample", str(small_preset), "--size", "8", "--seed", "1", "-o", str(out), "--blend", text]
    result = CliRunner().invoke(main, said)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not out.exists()
