"""The page on the paper is made of its measurement files, and what its figures compute obeys laws."""

import importlib
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from kerasgan3d import Volume, metrics
from kerasgan3d.report.run_figure import keep_frame

DOCS = Path(__file__).resolve().parent.parent / "docs"
pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="the tests were taken out of the repository")


@pytest.fixture(scope="module")
def load():
    """A function that imports a module of docs, as the commands there do."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.syspath_prepend(DOCS)
        yield importlib.import_module


def test_the_page_is_made_of_the_files(load):
    paper = load("paper")
    assert (DOCS / "paper.md").read_text("utf-8") == paper.page()
    files = [file for file in paper.OUT.glob("*") if file.is_file()]
    assert {file.name.split("-")[0] for file in files} <= set(paper.FIGURES)
    assert sum(file.stat().st_size for file in files) < 4e6


def test_rows_go_on_and_begin_anew_for_another_setup(load, tmp_path, capsys):
    rows_of = load("paper_rows").Rows
    rows_of(tmp_path / "a.json", size=8).row("1", lambda: [0.5])
    again = rows_of(tmp_path / "a.json", size=8)
    assert again.row("1", lambda: pytest.fail("computed again")) == [0.5]
    assert rows_of(tmp_path / "a.json", size=16).rows == {}
    assert "a.json was measured of something else, and begins anew" in capsys.readouterr().out


def test_what_was_interrupted_is_not_on_the_page(load, tmp_path):
    paper, rows_of = load("paper"), load("paper_rows").Rows
    for name in paper.FIGURES:
        rows_of(tmp_path / f"{name}-blocks.json", size=8).row("whole", lambda: 0.5)
    page = paper.page(tmp_path)
    assert page.count("not yet") == len(paper.FIGURES)
    assert "\n## " not in page


@pytest.mark.parametrize("wrong", [["ways", "--count", "1"], ["looks", "--sizes", "64"]])
def test_too_few_volumes_or_sizes_are_refused_before_they_are_measured(load, tmp_path, wrong):
    with pytest.raises(SystemExit, match="takes a --count of at least 2, and --sizes like"):
        load("paper").main([*wrong, "--out", str(tmp_path)])


def test_savings_are_those_of_known_errors(load, tmp_path):
    periodicity = load("paper_periodicity")
    rows = load("paper_rows").Rows(tmp_path / "p.json", phases=["pore", "solid"], axis="z", generator="known", large=8)
    rows.rows |= {f"large {i} {p}": [value, 1.0] for i in range(4) for p, value in enumerate((0.2, 0.0))}
    # Errors fall as n^-1.5, those of cut volumes are twice as large, and times go as the number of voxels.
    sizes, signs = (16, 32, 64, 128), (1, -1, 1, -1)
    for n in sizes:
        for seed, sign in enumerate(signs):
            error = sign * 8 * n**-1.5
            values = {"periodic": error, "mirror": error, "cut": 2 * error}
            rows.rows[f"{n} {seed}"] = {way: {"pore": [0.2 * (1 + e), 1e-6 * n**3]} for way, e in values.items()}
    found = periodicity.summary(rows, set(rows.rows) - {f"large {i} {p}" for i in range(4) for p in range(2)})
    assert list(found) == ["pore"]
    first = found["pore"]["errors"]["cut"][0]
    assert [first["rms"], *first["band"], first["bias"]] == pytest.approx([0.25, 0.25, 0.25, 0], abs=1e-9)
    assert first["seconds"] == pytest.approx(1e-6 * 16**3)
    row = next(row for row in found["pore"]["saved"] if row["error"] == 0.05)
    assert row["periodic"][0] == pytest.approx((0.05 / 8) ** (-1 / 1.5))
    assert row["voxels"][0] == pytest.approx(4)
    assert row["time"][0] == pytest.approx(4)
    rows.write(found=found)
    text = load("paper").section("periodicity", [rows.path])
    assert "saves a factor of 4.0" in text
    assert "4 seeds per size" in text
    row["voxels"] = [1.5, 0.9, 2.0]
    assert "within chance: a factor of 1.5" in periodicity.cited(rows.setup, "pore", {**found["pore"], "saved": [row]})


@pytest.mark.parametrize(
    ("distances", "alike", "at_least"),
    [
        ([[], [1.0], [1.0, 1.0], [1.0] * 3], 0, 6 / -np.log(0.05)),
        ([[], [1.0], [1.0, 0.1], [1.0] * 3], 1, 6 / (stats.chi2.ppf(0.95, 4) / 2)),
    ],
)
def test_the_birthday_test_counts_pairs(load, distances, alike, at_least):
    found = load("paper_diversity").birthday(distances)
    assert (found["pairs"], found["alike"]) == (6, alike)
    assert found["at_least"] == pytest.approx(at_least)
    assert found["estimate"] == (6 if alike else None)


def test_a_shifted_copy_is_found(load, tmp_path):
    rng, diversity = np.random.default_rng(0), load("paper_diversity")
    volumes = [rng.integers(2, size=(16,) * 3).astype(np.uint8) for _ in range(2)]
    volumes.append(np.roll(volumes[0], (3, -2, 1), (0, 1, 2)))
    found = diversity.birthday(diversity.paired(load("paper_rows").Rows(tmp_path / "d.json"), "side", volumes, 2))
    assert found["closest"] == [2, 0]
    assert found["least"] == 0
    assert found["alike"] == 1


def test_volumes_with_hardly_anything_in_their_middles_are_not_alike(load):
    rng, diversity = np.random.default_rng(0), load("paper_diversity")
    even, empty, full = (rng.random((3, 16, 16, 16)) < np.reshape([0.5, 0.02, 0.0], (3, 1, 1, 1))).astype(np.uint8)
    found = diversity.relative([[], [0.03], [0.0, 0.0]], [even, empty, full])
    assert found[1][0] == pytest.approx(0.03 / (2 * 0.02 * 0.98), rel=0.3)
    assert found[2] == [1, 1]
    assert diversity.relative([[0.25]], [even])[0][0] == pytest.approx(0.5, rel=0.02)


def test_ways_of_being_periodic(load, make_generator):
    ways, generator = load("paper_ways"), make_generator(voxel_size=0.5)
    made = {way: np.array(ways.periodic_volumes(generator, way, 16, 2)) for way in ways.WAYS}
    np.testing.assert_array_equal(made["every"], made["field"])
    # Far from the faces all are the same; of the first layer alone, and nearer with continued latents, they are not.
    same = {way: np.mean(labels == made["field"]) for way, labels in made.items()}
    assert same["first"] < same["input"] < 1
    inside = (slice(None), *(slice(4, 12),) * 3)
    np.testing.assert_array_equal(made["input"][inside], made["field"][inside])


def test_probabilities_of_two_normal_numbers(load):
    structures = load("structures")
    for rho in (-0.5, 0.0, 0.5, 0.9):
        known = stats.multivariate_normal.cdf([-0.3, -0.3], cov=[[1, rho], [rho, 1]])
        assert np.interp(rho, structures.RHO, structures.joint_probability(0.3)) == pytest.approx(known, abs=1e-6)


def test_fields_fitted_to_a_field_repeat_its_statistics(load):
    from kerasgan3d.metrics import two_point_correlation

    structures = load("structures")
    lags = np.arange(-8, 9)
    squares = lags[:, None, None] ** 2 + lags[:, None] ** 2 + lags**2
    known = [structures.Field(1, 0.2, np.exp(-squares / 18).astype(np.float32), 0.0)]
    known.append(structures.Field(2, -0.1, np.exp(-squares / 8).astype(np.float32), 0.0))
    real = structures.plurigaussian(known, 0, 48, seed=0)
    made = structures.plurigaussian(structures.fit_fields(real, (1, 2, 0), 8), 0, 48, seed=1)
    one, other = (two_point_correlation(labels, 6, periodic=True) for labels in (real, made))
    np.testing.assert_allclose(other[..., 0], one[..., 0], atol=0.03)
    np.testing.assert_allclose(other / other[..., :1], one / one[..., :1], atol=0.06)


def test_distances_of_a_sphere_across_the_faces(load):
    structures = load("structures")
    bodies = structures.Bodies(np.array([[0.0, 0.0, 8.0]]), np.full((1, 3), 3.0), np.eye(3)[None])
    nearest, second = structures.gaps(bodies, 16, reach=4.0)
    assert nearest[0, 0, 8] == -3
    assert nearest[15, 0, 8] == nearest[1, 0, 8] == nearest[0, 15, 8] == -2
    assert nearest[8, 8, 0] == second[0, 0, 8] == 4
    # However far it reaches, every voxel of a cube of an even or odd edge has the distance to the nearest image.
    for size in (15, 16):
        index = np.arange(size)
        along = np.minimum(index, size - index)
        far = np.abs(index - 8)
        far = np.minimum(far, size - far)
        known = np.sqrt(along[:, None, None] ** 2 + along[:, None] ** 2 + far**2) - 3
        np.testing.assert_allclose(structures.gaps(bodies, size, reach=30.0)[0], known, atol=1e-5)


@pytest.mark.parametrize("phases", [4, 6])
def test_made_materials_have_their_fractions(load, phases):
    structures = load("structures")
    labels = structures.made_material(structures.MADE[phases], 24, seed=1)
    shares = [layer.share for layer in structures.MADE[phases]]
    np.testing.assert_allclose(np.bincount(labels.ravel()) / labels.size, [1 - sum(shares), *shares], atol=1e-3)
    np.testing.assert_array_equal(labels, structures.made_material(structures.MADE[phases], 24, seed=1))


def test_binder_lies_at_the_necks_of_spheres(load):
    structures = load("structures")
    labels = structures.spheres_with_binder([5.0, 6.0], (0.4, 0.5, 0.1), 32, seed=0)
    np.testing.assert_allclose(np.bincount(labels.ravel()) / labels.size, [0.4, 0.5, 0.1], atol=1e-3)


def test_a_command_without_its_data_says_what_is_left_out(load, tmp_path, capsys):
    rows = load("paper_rows")
    with pytest.raises(rows.MissingError, match=r"^no data of blocks are known$"):
        rows.real_of(tmp_path, "folder/blocks", None)
    with pytest.raises(SystemExit, match=r"^left out of closed: nowhere \(.*nowhere"):
        load("paper").main(["closed", "--name", "nowhere", "--out", str(tmp_path / "out")])
    assert rows.if_there(rows.published_of, tmp_path, "sofc-anode", None) is None
    assert rows.if_there(rows.real_of, tmp_path, "nmc-cathode", None) is None
    assert capsys.readouterr().out.splitlines() == [
        f"left out: pores4thought-published-samples-64.zip is not in {tmp_path}",
        f"left out: nrel-nmc-1-cal-cbd-bridge.tif is not in {tmp_path}",
    ]


def test_a_figure_ends_with_what_it_left_out(load, tmp_path, monkeypatch, capsys):
    paper, rows = load("paper"), load("paper_rows")

    def measure(name, options):
        if name == "there":
            return rows.Rows(options.out / "ways-there.json").write()
        raise ModuleNotFoundError("pyamg is not installed")

    monkeypatch.setattr(paper.paper_ways, "measure", measure)
    paper.main(["ways", "--name", "there", "--name", "other", "--out", str(tmp_path / "out")])
    assert capsys.readouterr().out == "left out of ways: other (pyamg is not installed)\n"


def test_the_help_says_which_figures_of_the_paper_are_meant(load, capsys):
    with pytest.raises(SystemExit, match="0"):
        load("paper").main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert (
        "statistics box plots, relative diffusivity against volume fraction, and S2; in the paper: Figures 4 " in text
    )
    assert "](" not in text


class Noise:
    """What a figure needs of a generator."""

    phases, voxel_size, stride, card = ("pore", "grain"), 0.5, 8, {"name": "noise"}

    def sample(self, size, *, seed, periodic=False, progress=False):
        if isinstance(seed, list):
            return [self.sample(size, seed=each, periodic=periodic) for each in seed]
        labels = np.random.default_rng(seed).integers(2, size=tuple(np.broadcast_to(size, 3))).astype(np.uint8)
        return Volume(labels, self.phases, self.voxel_size, periodic=periodic)


def test_one_seed_through_training(load, tmp_path, monkeypatch):
    paper, out = load("paper"), str(tmp_path / "out")
    monkeypatch.setattr(load("paper_evolution"), "generator_of", lambda name: Noise())
    with pytest.raises(SystemExit, match="^left out of evolution: --run must name the folder of a training run$"):
        paper.main(["evolution", "--out", out])
    run = tmp_path / "run"
    run.mkdir()
    with pytest.raises(SystemExit, match=r"^left out of evolution: run \(it holds no slices of one seed"):
        paper.main(["evolution", "--run", str(run), "--out", out])
    for number in range(10):
        keep_frame(run, number, 50 * number, np.full((4, 4, 4), number % 2, np.uint8))
    (run / "log.csv").write_text("step,error\n50,0.5\n450,0.125\n", "utf-8")
    paper.main(["evolution", "--run", str(run), "--out", out])
    assert (tmp_path / "out" / "evolution-noise.png").stat().st_size > 1000
    text = (tmp_path / "out.md").read_text("utf-8")
    assert "4² voxels of one seed after 0 to 450 steps." in text
    assert "The error of the generator is 0.500 after 50 steps and 0.125 after 450 steps." in text


@pytest.fixture
def scanned(load, tmp_path, monkeypatch):
    """Arguments of a figure of noise, whose real data are noise of blocks."""
    labels = np.random.default_rng(0).integers(2, size=(10,) * 3).astype(np.uint8)
    for axis in range(3):
        labels = labels.repeat(2, axis)
    Volume(labels, ("pore", "grain"), 0.5).save(tmp_path / "scan.tif")
    rows = load("paper_rows")
    monkeypatch.setitem(rows.DATA, "noise", rows.Data("scan.tif", "none"))
    monkeypatch.setattr(rows, "generator_of", lambda name: Noise())
    folders = ["--data", str(tmp_path), "--out", str(tmp_path / "out"), "--work", str(tmp_path / "work")]
    return ["--name", "noise", *folders, "--workers", "1", "--sizes", "16", "--count"]


@pytest.mark.filterwarnings("ignore:ks_2samp")  # of SciPy, where there are as few volumes as here
def test_statistics_go_on_part_by_part(load, scanned, tmp_path, monkeypatch):
    paper, statistics = load("paper"), load("paper_statistics")
    monkeypatch.setattr(statistics, "PART", 2)
    measured, parts = statistics.measure_samples, []

    def interrupted(samples, **asked):
        if len(parts) == 3:
            raise KeyboardInterrupt
        parts.append(len(samples))
        return measured(samples, **asked)

    with monkeypatch.context() as once:
        once.setattr(statistics, "measure_samples", interrupted)
        with pytest.raises(KeyboardInterrupt):
            paper.main(["statistics", *scanned, "5"])
    assert parts == [2, 2, 1]
    parts.clear()
    monkeypatch.setattr(statistics, "measure_samples", interrupted)
    with pytest.raises(KeyboardInterrupt):  # after the three parts of the generated volumes
        paper.main(["statistics", *scanned, "5"])
    assert parts == [2, 2, 1]
    monkeypatch.setattr(statistics, "measure_samples", measured)
    paper.main(["statistics", *scanned, "5"])
    record = json.loads((tmp_path / "out" / "statistics-noise.json").read_text("utf-8"))
    area = record["rows"]["area grain"]
    delta = area["delta"]
    assert delta["real"][0] == pytest.approx(0, abs=1e-9)
    assert delta["real"][1] == pytest.approx(100 * area["deviations"][0] / area["means"][0])
    assert delta["generated"][0] == pytest.approx(100 * (area["means"][2] / area["means"][0] - 1))
    whole = Volume.load(tmp_path / "scan.tif")
    area_of_scan = metrics.specific_surface_area(whole)[1]
    assert delta["compare"] == pytest.approx(100 * (area["means"][2] / area_of_scan - 1), rel=1e-4)
    text = "| grain | ± {:.1f} % | {:+.1f} ± {:.1f} % | {:+.1f} % |"
    text = text.format(delta["real"][1], *delta["generated"], delta["compare"])
    assert text in (tmp_path / "out.md").read_text("utf-8")


def test_ways_go_on_way_by_way(load, scanned, tmp_path, monkeypatch):
    paper, ways = load("paper"), load("paper_ways")
    seams, found = ways.seam_statistics, []

    def interrupted(*args, **options):
        if len(found) == 2:
            raise KeyboardInterrupt
        found.append(seams(*args, **options))
        return found[-1]

    def periodic_noise(generator, way, size, count):
        return [generator.sample(size, seed=i, periodic=True).labels for i in range(count)]

    monkeypatch.setattr(ways, "periodic_volumes", periodic_noise)
    for _ in range(2):
        monkeypatch.setattr(ways, "seam_statistics", interrupted)
        with pytest.raises(KeyboardInterrupt):
            paper.main(["ways", *scanned, "2"])
        rows = json.loads((tmp_path / "out" / "ways-noise.json").read_text("utf-8"))["rows"]
        assert list(rows) == ["first", "input"]
    monkeypatch.setattr(ways, "seam_statistics", seams)
    paper.main(["ways", *scanned, "2"])
    assert "a periodic latent field, no padding" in (tmp_path / "out.md").read_text("utf-8")


def test_what_does_not_conduct_is_solved_once(load, tmp_path, monkeypatch):
    periodicity = load("paper_periodicity")
    solved = []

    def timed(labels, phase, axis, boundary):
        solved.append((labels.shape, phase, boundary))
        return [0.2 * (phase == 1), 1.0]

    class Inline:
        def submit(self, function, *args):
            value = function(*args)
            return SimpleNamespace(result=lambda: value)

    monkeypatch.setattr(periodicity, "timed", timed)
    generator = Noise()
    setup = {"phases": list(generator.phases), "axis": "z", "generator": "noise", "large": 16}
    rows = load("paper_rows").Rows(tmp_path / "p.json", **setup)
    periodicity.solve_large(rows, generator, Inline())
    assert [phase for _, phase, _ in solved] == [0, 1, 1, 1, 1]
    assert {shape for shape, *_ in solved} == {(48, 16, 16)}
    solved.clear()
    for _ in range(2):
        periodicity.solve_missing(rows, generator, Inline(), [16, 32], 0)
    # The largest first, and nothing twice.
    assert [shape[0] for shape, *_ in solved] == [32] * 3 + [16] * 3
    assert [boundary for *_, boundary in solved] == ["periodic", "mirror", "mirror"] * 2
    assert rows.rows["32 0"]["cut"] == {generator.phases[1]: [0.2, 1.0]}


def test_measured_sections_say_the_numbers_of_their_files(load, tmp_path):
    methods = load("paper_methods")
    row = {key: [0.1, None, -0.2] for key in methods.MEASURES}
    row |= {"samples": [8, 8], "classifier": [0.75, 0.05], "passes": [3, 9], "seconds": 12.3}
    record = {"generator": "x", "phases": ["a", "b", "c"], "sizes": [8, 16, 32], "rows": {"ours": row}}
    (tmp_path / "methods-x.json").write_text(json.dumps(record), "utf-8")
    text = load("paper").section("methods", [tmp_path / "methods-x.json"])
    for line in (
        "| volume fractions, difference | +10 % / – / -20 % |",
        "| classifier | 0.75 ± 0.05 |",
        "| time of 32³ | 12 s |",
    ):
        assert line in text
