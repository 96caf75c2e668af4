"""Scans continued: what is known stays, what is generated goes on from it, and bad wishes are refused in a line."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from kerasgan3d import Volume, io
from kerasgan3d.cli import main
from kerasgan3d.sampling import Conditions
from kerasgan3d.sampling.scan import UNKNOWN, Scan
from kerasgan3d.steering import extend, extension
from kerasgan3d.steering.border import weights_of
from kerasgan3d.steering.joint import joint_statistics
from kerasgan3d.steering.lbfgs import Descent

PHASES = ("pore", "NMC", "CBD")
QUICK = {"starts": 1, "steps": 3}
CONDITIONS = Conditions(
    mean=(0.4, 0.5, 0.1),
    deviation=(0.05, 0.045, 0.012),
    root=((0.8, -0.6, 0.0), (-0.6, 0.8, 0.0), (0.0, 0.0, 1.0)),
    taps=((1.0,), (1.0,), (1.0,)),
    lowest=(0.25, 0.3, 0.05),
    highest=(0.6, 0.65, 0.15),
    gain=(1.0, 1.0, 1.0),
    shift=(0.0, 0.0, 0.0),
)


@pytest.fixture(scope="module")
def generator(make_generator):
    return make_generator(phases=PHASES, voxel_size=0.5)


@pytest.fixture(scope="module")
def scan(generator):
    return generator.sample((16, 12, 10), seed=9, offset=(1, 2, 3))


@pytest.fixture(scope="module")
def closed(generator, scan):
    return extension(generator, scan, (24, 16, 16), periodic=True, seed=4, starts=2, steps=30)


def test_a_fit_comes_near_to_the_scan_and_stays_normal(generator, scan, closed):
    begun = extension(generator, scan, (24, 16, 16), periodic=True, seed=4, starts=1, steps=1).report
    first, best = begun["starts"][0], closed.report["starts"][closed.report["chosen"]]
    assert best["touching"] > first["touching"] + 0.1
    assert best["cross_entropy"] == min(start["cross_entropy"] for start in closed.report["starts"])
    assert best["cross_entropy"] < 0.8 * first["cross_entropy"]
    drawn = np.random.default_rng([4, closed.report["chosen"]]).standard_normal(closed.job.scan.values.shape)
    lengths = (np.linalg.norm(values, axis=1) for values in (closed.job.scan.values, drawn))
    np.testing.assert_allclose(*lengths, rtol=1e-5)


def test_a_closed_scan_is_kept_periodic_and_the_same_for_any_tile(generator, scan, closed):
    volume = generator.sample(closed.job)
    assert volume.periodic == (True, True, True)
    at = closed.report["at"]
    assert at == [4, 2, 3]
    np.testing.assert_array_equal(volume.labels[4:20, 2:14, 3:13], scan.labels)
    tiled = generator.sample(replace(closed.job, tile=(4, 8, 4)))
    np.testing.assert_array_equal(tiled.labels, volume.labels)
    rolled = generator.sample(replace(closed.job, offset=(0, 0, 0)))
    np.testing.assert_array_equal(np.roll(rolled.labels, at, (0, 1, 2)), volume.labels)
    told = volume.provenance["scan"]
    assert (told["shape"], told["at"], told["sha256"]) == ([16, 12, 10], at, closed.job.scan.digest)
    assert told["fit"]["joint"] == closed.report["joint"]
    json.dumps(volume.provenance)


def test_the_report_tells_what_lies_across_the_joint(closed):
    rows = {row["measure"]: row for row in closed.report["joint"]}
    assert list(rows)[:4] == ["label changes", *(f"fraction {phase}" for phase in PHASES)]
    assert "S2 CBD at 8" in rows
    assert all(set(row) == {"measure", "joint", "known", "generated", "deviations"} for row in rows.values())
    for side in ("joint", "known", "generated"):
        assert sum(rows[f"fraction {phase}"][side] for phase in PHASES) == pytest.approx(1)
    assert [start["label_changes"] for start in closed.report["starts"]][closed.report["chosen"]] == (
        rows["label changes"]["joint"]
    )


def test_surfaces_go_on_across_the_joint(generator, closed):
    scan = closed.job.scan
    assert scan.border.shape == (20, 16, 14)
    bare = replace(closed.job, scan=Scan(scan.labels, scan.points, scan.values))
    plain, volume = generator.sample(bare), generator.sample(closed.job)
    known = scan.known((-4, -2, -3), volume.shape, closed.job.period) != UNKNOWN
    before, after = (joint_statistics(each.labels, known, PHASES, 4)[0]["joint"] for each in (plain, volume))
    assert after == closed.report["joint"][0]["joint"] < before
    assert np.count_nonzero(plain.labels != volume.labels) == volume.provenance["scan"]["corrected_voxels"]


def test_statistics_are_those_of_counting():
    labels = np.zeros((2, 2, 6), "uint8")
    labels[..., 1], labels[..., 3:] = 1, 1
    known = np.zeros(labels.shape, bool)
    known[..., :3] = True
    changes, zero, one = joint_statistics(labels, known, ("a", "b"), 1)[:3]
    # Along z and y nothing changes: 6 + 6 of 12 pairs each; along x 4 pairs of each of 5 places.
    assert changes["joint"] == 1
    assert changes["known"] == pytest.approx(8 / 20)
    assert changes["generated"] == 0
    assert (zero["joint"], zero["known"], one["joint"]) == (0, pytest.approx(2 / 3), 1)


def test_voxels_count_less_the_farther_they_lie_from_what_is_generated():
    labels = np.zeros((4, 3, 8), "uint8")
    labels[1, 1, 7] = UNKNOWN
    weights = weights_of(labels, [(False, False), (False, False), (True, False)], 2, 1.0)
    np.testing.assert_allclose(weights[3, 0], [1, np.exp(-1), 0, 0, 0, np.exp(-1), np.exp(-1), np.exp(-1)], rtol=1e-6)
    assert (weights[0, 0, 6], weights[1, 1, 7]) == (1, 0)


def told(descent, count):
    """A descent that was told of Rosenbrock's function so many times."""
    for _ in range(count):
        x, y = descent.trial
        slope = np.array([-400 * x * (y - x**2) - 2 * (1 - x), 200 * (y - x**2)])
        descent.tell(100 * (y - x**2) ** 2 + (1 - x) ** 2, slope)
    return descent


def test_a_descent_comes_to_the_lowest_place_and_goes_on_from_arrays():
    begun = told(Descent(np.array([-1.2, 1.0])), 20)
    whole, resumed = told(Descent(begun.best, begun.memory, begun.numbers), 40), told(begun, 40)
    np.testing.assert_allclose(whole.best, 1, atol=1e-4)
    np.testing.assert_array_equal(resumed.best, whole.best)
    np.testing.assert_array_equal(resumed.memory, whole.memory)


def test_latents_that_known_voxels_do_not_hold_stay_as_they_were_drawn(generator, scan):
    found = extension(generator, scan.labels[:, :, :4], (16, 12, 32), at=(0, 0, 0), seed=3, starts=1, steps=30).job.scan
    drawn = np.random.default_rng([3, 0]).standard_normal(found.values.shape)
    places = found.points[:, 2]
    for place, least, most in ((places.max(), 0.98, 1), (places.max() - 1, 0, 0.98)):
        alike = np.corrcoef(found.values[places == place].ravel(), drawn[places == place].ravel())[0, 1]
        assert least < alike < most, (place, alike)


def test_holes_are_filled_and_slices_gone_on_from(generator, scan):
    hole = np.zeros(scan.shape, bool)
    hole[4:9, 5:8, 2:6] = True
    filled = generator.extend(scan, scan.shape, unknown=hole, seed=1, **QUICK)
    np.testing.assert_array_equal(filled.labels[~hole], scan.labels[~hole])
    assert filled.provenance["scan"]["known_voxels"] == int((~hole).sum())
    beneath = extend(generator, scan.labels[3], (8, 12, 12), at=(7, 0, 1), seed=1, **QUICK)
    np.testing.assert_array_equal(beneath.labels[7, :, 1:11], scan.labels[3])
    assert beneath.voxel_size == 0.5


def test_a_larger_whole_takes_the_fit_as_it_is(generator, scan, tmp_path):
    steps, state = [], tmp_path / "fit.npz"
    small = extension(generator, scan, (24, 20, 18), seed=2, state=state, **QUICK)
    again = extension(generator, scan, (32, 20, 26), state=state, progress=lambda *at: steps.append(at), **QUICK)
    assert (steps, again.job.seed) == ([], 2)
    a, b = generator.sample(small.job).labels, generator.sample(again.job).labels
    np.testing.assert_array_equal(b[4:28, :, 4:22], a)
    with pytest.raises(ValueError, match="fit.npz is the fit of another scan, generator or seed"):
        extension(generator, scan, (32, 20, 26), seed=3, state=state, **QUICK)
    state.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="fit.npz is no fit of a scan, or damaged"):
        extension(generator, scan, (32, 20, 26), seed=3, state=state, **QUICK)


def test_an_interrupted_fit_goes_on_as_if_it_had_not_been(generator, scan, tmp_path):
    asked = {"seed": 2, "starts": 2, "steps": 12}

    def stop(done, total):
        assert total == 24
        if done == 23:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extension(generator, scan, 20, state=tmp_path / "fit.npz", progress=stop, **asked)
    seen = []
    resumed = extension(
        generator, scan, 20, state=tmp_path / "fit.npz", progress=lambda *at: seen.append(at[0]), **asked
    )
    assert seen == [23, 24]
    assert resumed == extension(generator, scan, 20, **asked)


def test_a_start_that_was_interrupted_at_its_end_is_finished(generator, scan, tmp_path):
    asked, seen = {"seed": 2, "starts": 1, "steps": 10}, []

    def stop_at_the_end(done, total):
        seen.append(done)
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extension(generator, scan, 20, state=tmp_path / "fit.npz", progress=stop_at_the_end, **asked)
    resumed = extension(generator, scan, 20, state=tmp_path / "fit.npz", progress=stop_at_the_end, **asked)
    assert seen == list(range(1, 11))
    assert resumed == extension(generator, scan, 20, progress=False, **asked)


def test_conditions_are_fitted_within_what_they_can_be(make_generator):
    generator = make_generator(phases=PHASES, conditions=CONDITIONS, depths=(1, 1))
    labels = np.zeros((8, 8, 8), "uint8")
    labels[2:5] = 1
    found = extension(generator, labels, (12, 8, 8), at=(0, 0, 0), seed=1, starts=1, steps=4).job
    scan = found.scan
    y, drawn = scan.values[:, 5:], generator.field(1)
    drawn = np.array([drawn.window(point, (1, 1, 1), (None,) * 3)[0, 0, 0, 5:] for point in scan.points])
    assert np.abs(y - drawn).max() > 0.01
    assert np.abs(y - drawn)[:, 2].max() > 0
    np.testing.assert_array_equal(generator.sample(found).labels[:8], labels)


def test_phases_in_another_order_are_the_same_phases(generator, scan):
    order = np.array([2, 0, 1], "uint8")
    other = Volume(order[scan.labels], ("NMC", "CBD", "pore"), 0.5)
    found = generator.extend(other, (20, 12, 10), seed=1, **QUICK)
    np.testing.assert_array_equal(found.labels[2:18], scan.labels)


def of(scan, **changes):
    given = {"labels": scan.labels, "phases": scan.phases, "voxel_size": scan.voxel_size}
    return Volume(**{**given, **changes})


WRONG = {
    "phases": (
        lambda v: of(v, phases=("pore", "Ni", "YSZ")),
        {},
        "generator's phases, pore, NMC, CBD. Received: pore, Ni",
    ),
    "fewer": (lambda v: of(v, labels=v.labels % 2, phases=("pore", "NMC")), {}, "generator's phases, pore, NMC, CBD"),
    "voxels": (lambda v: of(v, voxel_size=0.4), {}, r"voxels, of 0.5 µm. Received: 0.4 µm.*volume.resample"),
    "labels": (lambda v: v.labels + 1, {}, "labels from 0 to 2, of pore, NMC, CBD. Received: 1 to 3"),
    "a line": (lambda v: v.labels[0, 0], {}, r"\(z, y, x\) or \(y, x\). Received: shape \(10,\)"),
    "small": (lambda v: v, {"size": (16, 12, 8)}, "at least the scan's, 16 x 12 x 10 voxels. Received: 16 x 12 x 8"),
    "nothing to do": (
        lambda v: v,
        {"size": (16, 12, 10)},
        "must be something to generate. Received: a scan of 16 x 12",
    ),
    "nothing unknown": (
        lambda v: v,
        {"size": (16, 12, 10), "unknown": np.zeros((16, 12, 10), bool)},
        "must be something to generate",
    ),
    "all unknown": (lambda v: v, {"unknown": np.ones((16, 12, 10))}, "`unknown` must leave something known"),
    "mask": (lambda v: v, {"unknown": np.ones((16, 12, 9))}, r"`unknown` must have the scan's shape, \(16, 12, 10\)"),
    "stride": (lambda v: v, {"size": 22, "periodic": True}, "multiple of 4 along periodic axes. Received: 22"),
    "no gap": (lambda v: v, {"size": (16, 16, 16), "periodic": "z"}, "larger than the scan along periodic axes"),
    "place": (lambda v: v, {"at": (9, 0, 0)}, "`at` must be from 0 to 8 along z. Received: 9"),
    "starts": (lambda v: v, {"starts": 0}, "`starts` must be a positive integer"),
    "steps": (lambda v: v, {"steps": 0}, "`steps` must be a positive integer"),
    "seed": (lambda v: v, {"seed": -1}, "`seed` must be an integer"),
}


@pytest.mark.parametrize(("make", "options", "message"), WRONG.values(), ids=list(WRONG))
def test_bad_wishes_are_refused(generator, scan, make, options, message):
    with pytest.raises(ValueError, match=message):
        generator.extend(make(scan), **{"size": 24, **options})


@pytest.fixture(scope="module")
def files(make_generator, tmp_path_factory):
    """A folder with a scan of the small preset, a slice of it and masks."""
    folder = tmp_path_factory.mktemp("scans")
    volume = make_generator(phases=("pore", "grain")).sample(8, seed=5)
    of(volume, voxel_size=0.5).save(folder / "scan.tif")
    of(volume, voxel_size=0.25).save(folder / "fine.tif")
    hole = np.zeros((8, 8, 8), "uint8")
    hole[2:5, 3:6, 2:4] = 1
    for name, mask in (("hole", hole), ("none", hole * 0), ("all", hole * 0 + 1)):
        Volume(mask, ("known", "unknown")).save(folder / f"{name}.tif")
    import tifffile

    tifffile.imwrite(folder / "slice.tif", volume.labels[0])
    return folder


def run(small_preset, files, *words):
    return CliRunner().invoke(main, ["extend", str(files / words[0]), str(small_preset), *words[1:]])


def test_the_command_extends(small_preset, files, tmp_path, make_generator):
    out = tmp_path / "out.zarr"
    said = ["--size", "16", "--periodic", "--seed", "1", "--starts", "2", "--steps", "2", "-o", str(out)]
    result = run(small_preset, files, "scan.tif", *said)
    assert result.exit_code == 0, result.output
    assert all(
        text in result.stdout for text in ("label changes", "S2 grain at 4", "agreement", "periodic along z, y, x")
    )
    volume, scan = io.read(out), io.read(files / "scan.tif")
    np.testing.assert_array_equal(volume.labels[4:12, 4:12, 4:12], scan.labels)
    assert (volume.periodic, volume.provenance["seed"]) == ((True,) * 3, 1)
    again = run(
        small_preset, files, "scan.tif", *said[:-1], str(tmp_path / "b.npy"), "--fit", f"{out}.fit.npz", "--json"
    )
    told = json.loads(again.stdout)
    assert (told["checksum"], told["at"], len(told["starts"])) == (io.checksum(volume.labels), [4, 4, 4], 2)


def test_the_command_takes_masks_slices_and_other_voxels(small_preset, files, tmp_path):
    quick = ["--starts", "1", "--steps", "1", "--seed", "1", "--json"]
    scan, hole = io.read(files / "scan.tif"), io.read(files / "hole.tif").labels
    out = tmp_path / "filled.npy"
    result = run(
        small_preset, files, "scan.tif", "--size", "8", "--unknown", str(files / "hole.tif"), *quick, "-o", str(out)
    )
    assert result.exit_code == 0, result.output
    np.testing.assert_array_equal(io.read(out).labels[hole == 0], scan.labels[hole == 0])
    out = tmp_path / "beside.npy"
    result = run(
        small_preset,
        files,
        "slice.tif",
        "--size",
        "8 12 8",
        "--normal",
        "y",
        "--at",
        "0",
        "11",
        "0",
        *quick,
        "-o",
        str(out),
    )
    assert result.exit_code == 0, result.output
    np.testing.assert_array_equal(io.read(out).labels[:, 11], scan.labels[0])
    out = tmp_path / "coarse.npy"
    result = run(small_preset, files, "fine.tif", "--size", "8", "--resample", *quick, "-o", str(out))
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["at"] == [2, 2, 2]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["scan.tif", "--size", "8"], "must be something to generate"),
        (["scan.tif", "--size", "8", "--unknown", "none.tif"], "must be something to generate"),
        (["scan.tif", "--size", "8", "--unknown", "all.tif"], "`unknown` must leave something known"),
        (["scan.tif", "--size", "4"], "at least the scan's, 8 x 8 x 8"),
        (["scan.tif", "--size", "10", "--periodic"], "multiple of 4 along periodic axes"),
        (["fine.tif", "--size", "16"], "voxels, of 0.5 µm. Received: 0.25 µm"),
        (["scan.tif", "--size", "16", "--map", "0=a,1=b"], "generator's phases, pore, grain"),
        (["nothing.tif", "--size", "16"], "nothing.tif"),
        (["slice.tif", "--size", "8", "--unknown", "hole.tif"], "must have the scan's shape, 1 x 8 x 8 voxels"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_the_command_refuses_in_one_line(small_preset, files, tmp_path, words, message):
    words = [str(files / word) if word.endswith(".tif") and i else word for i, word in enumerate(words)]
    result = run(small_preset, files, *words, "-o", str(tmp_path / "out.npy"))
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
