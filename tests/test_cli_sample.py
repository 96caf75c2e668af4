import importlib
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import kerasgan3d
from kerasgan3d.cli import main
from kerasgan3d.cli.output import in_words
from kerasgan3d.models.estimate import Estimate
from kerasgan3d.sampling import SamplingJob
from kerasgan3d.sampling.stream import Streamed
from kerasgan3d.volume import Volume

PHASES = ("pore", "NMC", "CBD")


class Zoo:
    @staticmethod
    def on_hub(name):
        return None

    @staticmethod
    def info(name):
        if name not in ("nmc", "run/best"):
            raise ValueError(f"`name` must be one of nmc. Received: {name!r}")
        return {"phases": list(PHASES), "generator": {"widths": [8, 8, 8, 8]}}


class Generator:
    """Noise, drawn as a generator draws: the same for the same seed."""

    stride = 16
    phases = PHASES
    voxel_size = 0.398

    def job(self, size, **options):
        job = size if isinstance(size, SamplingJob) else SamplingJob(size, **options)
        return replace(job, stride=16, margin=(1, 1), tile=job.tile or 64)

    def sample(self, size, *, progress=None, **options):
        job = self.job(size, **options).seeded(7)
        probabilities = self.sample_probabilities(job, progress=progress)
        return Volume(
            probabilities.argmax(axis=-1).astype(np.uint8),
            phases=PHASES,
            voxel_size=0.398,
            periodic=job.periodic,
            provenance={"seed": job.seed},
        )

    def estimate(self, job, *, path=None, streams=False):
        return Estimate(90.0, 1_600_000_000, None if path is None else 12_000_000 + streams)

    def stream(self, path, job, *, resume=True, overwrite=False, progress=None, **options):
        asked = {"seed": job.seed, "resume": resume, "overwrite": overwrite, **options}
        asked |= {"periodic": job.periodic, "offset": job.offset, "tile": job.tile[0]}
        if job.seed == 66:
            raise KeyboardInterrupt
        Path(path).write_text(json.dumps(asked, default=str), "utf-8")
        return Streamed(path, job.seeded(5).seed, (0.2, 0.3, 0.5), "f" * 64, 1, 2.5)

    def sample_probabilities(self, job, *, progress=None):
        drawn = np.random.default_rng(job.seed).random((*job.size, 3), dtype=np.float32)
        if progress is not None:
            progress(1, 1)
        return drawn / drawn.sum(axis=-1, keepdims=True)


@pytest.fixture(autouse=True)
def loads(monkeypatch, tmp_path):
    """Put a small generator in place, work in an empty folder, and count how often one is loaded."""
    monkeypatch.chdir(tmp_path)
    loaded = []

    def load_generator(source):
        loaded.append(source)
        return Generator()

    importlib.import_module("kerasgan3d.zoo")  # or it takes the place of the small one when a command imports it
    monkeypatch.setitem(vars(kerasgan3d), "zoo", Zoo)
    monkeypatch.setitem(vars(kerasgan3d), "load_generator", load_generator)
    return loaded


def run(text):
    return CliRunner().invoke(main, ["sample", *text.split()], catch_exceptions=False)


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_volume_is_written_as_the_generator_gives_it(tmp_path):
    result = run("nmc --size 16 32 48 --periodic-axes yx --seed 3 -o a.tif")
    assert (result.exit_code, result.stderr) == (0, "")
    volume = Volume.load(tmp_path / "a.tif")
    expected = Generator().sample((16, 32, 48), seed=3, periodic=(False, True, True))
    np.testing.assert_array_equal(volume.labels, expected.labels)
    assert volume.periodic == (False, True, True)
    assert (volume.phases, volume.voxel_size) == (PHASES, 0.398)
    assert files(tmp_path) == ["a.tif"]
    facts = dict(re.split(r"\s{2,}", line, maxsplit=1) for line in result.stdout.splitlines())
    assert facts["wrote"] == "a.tif"
    assert facts["voxels"] == "16 x 32 x 48, periodic along y, x"
    assert facts["extent"] == "6.368 x 12.74 x 19.1 µm, voxels of 0.398 µm"
    assert facts["seed"] == "3"
    assert re.fullmatch(r"\d+\.\d s", facts["time"])
    shares = [float(share.split()[-1]) for share in facts["fractions"].split(", ")]
    np.testing.assert_allclose(shares, expected.fractions, atol=5e-4)


@pytest.mark.parametrize(
    ("options", "periodic"),
    [("", (False,) * 3), ("--periodic", (True,) * 3), ("--periodic --periodic-axes z", (True, False, False))],
)
def test_periodic_axes(tmp_path, options, periodic):
    assert run(f"nmc --size 16 {options} -o a.tif").exit_code == 0
    assert Volume.load(tmp_path / "a.tif").periodic == periodic


def test_json_tells_the_seed_that_was_drawn(tmp_path):
    result = json.loads(run("nmc --size 16 --json -o a.npy").stdout)
    assert result["outputs"] == ["a.npy"]
    assert (result["shape"], result["seed"], result["voxel_size"]) == ([16, 16, 16], 7, 0.398)
    assert sum(result["fractions"].values()) == pytest.approx(1)
    assert list(result["fractions"]) == list(PHASES)


def test_probabilities_are_written_beside_the_labels(tmp_path):
    assert run("nmc --size 16 16 32 --probabilities -o a.npy").exit_code == 0
    labels, maps = Volume.load(tmp_path / "a.npy").labels, np.load(tmp_path / "a-probabilities.npy")
    assert maps.dtype == np.float32
    np.testing.assert_array_equal(maps.argmax(axis=-1), labels)


@pytest.mark.parametrize("output", ["", "-o a.tif"])
def test_a_dry_run_prints_the_plan_and_writes_nothing(tmp_path, output):
    result = run(f"nmc --size 128 --tile 64 --dry-run {output}")
    assert result.exit_code == 0
    assert "8 of up to 64 x 64 x 64 voxels from 6 x 6 x 6 latents" in result.stdout
    assert ("would write a.tif" in result.stdout) == bool(output)
    assert files(tmp_path) == []


def test_a_dry_run_prints_json(tmp_path):
    plan = json.loads(run("nmc --size 128 --tile 64 --dry-run --json -o a.tif").stdout)
    assert (plan["size"], plan["tiles"], plan["bytes_output"]) == ([128] * 3, 8, 128**3)
    assert plan["outputs"] == ["a.tif"]


def test_a_dry_run_counts_the_probabilities():
    text = run("nmc --size 128 --dry-run --probabilities").stdout
    assert "25.2 MB of probabilities" in text
    assert json.loads(run("nmc --size 128 --dry-run --probabilities --json").stdout)["bytes_probabilities"] == 25165824


def test_a_dry_run_tells_time_memory_and_disk():
    text = run("nmc --size 128 --dry-run -o a.zarr").stdout
    assert "time    about 90 s" in text
    assert "memory  about 1.6 GB" in text
    assert "disk    about 12.0 MB" in text
    plan = json.loads(run("nmc --size 300 --dry-run --json -o a.zarr").stdout)
    assert (plan["seconds"], plan["bytes_memory"], plan["bytes_disk"]) == (90.0, 1_600_000_000, 12_000_001)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.123, "0.12 s"), (99.4, "99 s"), (119, "119 s"), (600, "10 min"), (9000, "2.5 h"), (9e6, "104 days")],
)
def test_durations(seconds, words):
    assert in_words(seconds) == words


@pytest.mark.parametrize("name", ["a.tif", "a.zarr"])
def test_large_volumes_are_streamed(tmp_path, name):
    result = run(f"nmc --size 272 256 256 --periodic-axes y --tile 128 --restart --overwrite -o {name}")
    assert (result.exit_code, result.stderr) == (0, "")
    asked = json.loads((tmp_path / name).read_text("utf-8"))
    assert asked == {
        "seed": None,
        "resume": False,
        "overwrite": True,
        "workers": None,
        "periodic": [False, True, False],
        "offset": [0, 0, 0],
        "tile": 128,
    }
    facts = dict(re.split(r"\s{2,}", line, maxsplit=1) for line in result.stdout.splitlines())
    assert (facts["seed"], facts["checksum"], facts["time"]) == ("5", "f" * 64, "2.5 s")
    assert facts["fractions"] == "pore 0.200, NMC 0.300, CBD 0.500"


@pytest.mark.parametrize("options", ["--size 256 -o a.tif", "--size 272 1 1 --probabilities -o a.tif"])
def test_others_are_made_in_memory(tmp_path, monkeypatch, options):
    monkeypatch.delattr(Generator, "stream")
    assert run(f"nmc {options}").exit_code == 0


def test_workers_stream_whatever_the_size(tmp_path):
    assert run("nmc --size 16 --workers 3 -o a.zarr").exit_code == 0
    assert json.loads((tmp_path / "a.zarr").read_text("utf-8"))["workers"] == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--workers 2 --dask tcp://a:1 -o a.tif", "Either --workers or --dask, not both"),
        ("--workers 2 -o a.npy", "need an output .zarr or .tif"),
        ("--dask tcp://a:1 --probabilities -o a.tif", "need an output .zarr or .tif"),
        ("--workers 0 -o a.tif", "must be a whole number of at least 1. Received: 0"),
    ],
)
def test_who_shares_the_work_is_checked(tmp_path, options, message):
    result = run(f"nmc --size 16 {options}")
    assert result.exit_code == 2
    assert message in result.stderr
    assert files(tmp_path) == []


def test_an_interrupted_stream_says_how_to_go_on():
    result = run("nmc --size 272 --seed 66 -o a.zarr")
    assert result.exit_code == 130
    assert "kept in a.zarr.partial: the same command goes on" in result.stderr


def test_existing_files_are_replaced_only_on_request(tmp_path, loads):
    (tmp_path / "a.tif").write_bytes(b"old")
    result = run("nmc --size 16 -o a.tif")
    assert result.exit_code == 2
    assert result.stderr == "kerasgan3d: a.tif exists already; choose another name, or replace it with --overwrite\n"
    assert (tmp_path / "a.tif").read_bytes() == b"old"
    assert loads == []
    assert run("nmc --size 16 -o a.tif --overwrite").exit_code == 0
    assert Volume.load(tmp_path / "a.tif").shape == (16, 16, 16)


def test_existing_probabilities_are_kept_too(tmp_path):
    (tmp_path / "a-probabilities.tif").write_bytes(b"old")
    assert run("nmc --size 16 --probabilities -o a.tif").exit_code == 2
    assert files(tmp_path) == ["a-probabilities.tif"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nmc --size 0 -o a.tif", "one or three whole numbers of voxels.*Received: 0"),
        ("nmc --size -16 -o a.tif", "one or three whole numbers of voxels.*Received: -16"),
        ("nmc --size 64 64 -o a.tif", "one or three whole numbers of voxels.*Received: 64 64"),
        ("nmc --size 20 --periodic -o a.tif", "multiple of 16 along periodic axes. Received: 20 along z.*16 and 32"),
        ("nmc --size 16 16 24 --periodic-axes x -o a.tif", "multiple of 16 along periodic axes. Received: 24 along x"),
        ("nmx --size 16 -o a.tif", "must be one of nmc. Received: 'nmx'"),
        ("nmc --size 16 -o a.jpg", r"must end in one of .tif.*Received: a\.jpg"),
        ("nmc --size 16 -o missing/a.tif", "folder to write to must exist.*Received: missing"),
        ("nmc --size 16 --probabilities -o a.vti", r"must end in one of .tif, .tiff, .npy.*a-probabilities\.vti"),
        ("nmc --size 16", "Missing option '-o'"),
        ("nmc -o a.tif", "Missing option '--size'"),
        ("nmc --size 16 --seed -1 -o a.tif", "Invalid value for '--seed'"),
        ("nmc --size 16 --tile 0 -o a.tif", "Invalid value for '--tile'"),
        ("nmc --size 16 --periodic-axes w -o a.tif", "letters z, y and x"),
    ],
)
def test_mistakes_are_one_line_before_anything_is_loaded(tmp_path, loads, text, message):
    result = run(text)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert re.search(message, result.stderr)
    assert files(tmp_path) == []
    assert loads == []


def test_numbers_are_checked_against_folders_too_before_anything_is_loaded(tmp_path, loads):
    result = run("run/best --size 24 --periodic -o a.tif")
    assert result.exit_code == 2
    assert re.search("multiple of 16 along periodic axes", result.stderr)
    assert loads == []
    assert run("run/best --size 16 --periodic -o a.tif").exit_code == 0
    assert loads == ["run/best"]


def test_what_the_generator_refuses_is_one_line(tmp_path, monkeypatch):
    def load_generator(source):
        raise ValueError(f"`source` must be a generator. Received: {source}")

    monkeypatch.setitem(vars(kerasgan3d), "load_generator", load_generator)
    result = run("run/best --size 16 -o a.tif")
    assert (result.exit_code, result.stderr) == (2, "kerasgan3d: `source` must be a generator. Received: run/best\n")
    assert files(tmp_path) == []


def test_an_interrupt_leaves_no_file(tmp_path, monkeypatch):
    def interrupt(self, *args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(Generator, "sample", interrupt)
    result = run("nmc --size 16 -o a.tif")
    assert (result.exit_code, result.stderr) == (130, "kerasgan3d: interrupted\n")
    assert files(tmp_path) == []


def test_a_stream_that_was_ended_while_it_was_moved_into_place_is_not_refused(tmp_path):
    (tmp_path / "a.tif").write_text("whole")
    assert "exists already" in run("nmc --size 512 --seed 1 -o a.tif").stderr
    (tmp_path / "a.tif.partial").mkdir()
    assert run("nmc --size 512 --seed 1 -o a.tif").exit_code == 0
    assert json.loads((tmp_path / "a.tif").read_text())["overwrite"] is False


def test_what_was_begun_is_no_permission_to_replace_a_file_at_once(tmp_path):
    (tmp_path / "a.tif").write_text("mine")
    (tmp_path / "a.tif.partial").mkdir()
    assert "exists already" in run("nmc --size 16 --seed 1 -o a.tif").stderr
    assert (tmp_path / "a.tif").read_text() == "mine"


def test_several_volumes_have_their_seeds_in_their_names(tmp_path):
    result = run("nmc --size 16 --periodic --seed 9 --count 3 -o a.tif")
    assert result.exit_code == 0
    assert files(tmp_path) == ["a-10.tif", "a-11.tif", "a-9.tif"]
    assert result.stdout.startswith("wrote a-9.tif\nwrote a-10.tif\nwrote a-11.tif\n")
    assert "a-11.tif  11" in result.stdout
    for seed in (9, 10, 11):
        assert Volume.load(tmp_path / f"a-{seed}.tif").equals(Generator().sample(16, periodic=True, seed=seed))


def test_several_volumes_as_json(tmp_path):
    found = json.loads(run("nmc --size 16 --count 2 --probabilities --json -o a.tif").stdout)
    first = found[0]["seed"]
    assert [row["seed"] for row in found] == [first, first + 1]
    assert [row["outputs"] for row in found] == [[f"a-{s}.tif", f"a-{s}-probabilities.tif"] for s in (first, first + 1)]
    assert files(tmp_path) == sorted(name for row in found for name in row["outputs"])


def interrupted_at(monkeypatch, seed):
    sample = Generator.sample

    def interrupting(self, job, **options):
        if job.seed == seed:
            raise KeyboardInterrupt
        return sample(self, job, **options)

    monkeypatch.setattr(Generator, "sample", interrupting)
    return lambda: monkeypatch.setattr(Generator, "sample", sample)


@pytest.mark.parametrize("seed", ["--seed 4", ""])
def test_an_interrupted_series_goes_on(tmp_path, monkeypatch, seed):
    monkeypatch.setattr("kerasgan3d.sampling.field.draw_seed", lambda: 4)
    mend = interrupted_at(monkeypatch, 5)
    result = run(f"nmc --size 16 --count 3 {seed} -o a.tif")
    assert (result.exit_code, result.stdout) == (130, "wrote a-4.tif\n")
    assert "interrupted; 1 of 3 volumes are there: the same command goes on" in result.stderr
    assert files(tmp_path) == ["a-4.tif", "a.tif.partial.jsonl"]
    mend()
    with (tmp_path / "a.tif.partial.jsonl").open("a") as note:
        note.write('{"seed": 5, "outp')  # a line that a kill cut short
    monkeypatch.setattr("kerasgan3d.sampling.field.draw_seed", lambda: pytest.fail("another seed"))
    before = (tmp_path / "a-4.tif").stat().st_mtime_ns
    result = run(f"nmc --size 16 --count 3 {seed} --json -o a.tif")
    assert [row["seed"] for row in json.loads(result.stdout)] == [4, 5, 6]
    assert files(tmp_path) == ["a-4.tif", "a-5.tif", "a-6.tif"]
    assert (tmp_path / "a-4.tif").stat().st_mtime_ns == before


@pytest.mark.parametrize("text", ["--size 16 --seed 5", "--size 32 --seed 4", "--size 16 --periodic --seed 4"])
def test_another_series_does_not_go_on(tmp_path, monkeypatch, text):
    mend = interrupted_at(monkeypatch, 5)
    run("nmc --size 16 --count 3 --seed 4 -o a.tif")
    mend()
    result = run(f"nmc {text} --count 3 -o a.tif")
    assert result.exit_code == 2
    assert "a.tif.partial.jsonl says that other volumes were begun here" in result.stderr
    assert run(f"nmc {text} --count 3 -o a.tif --restart --overwrite").exit_code == 0
    assert "a.tif.partial.jsonl" not in files(tmp_path)


def test_a_series_replaces_files_only_on_request(tmp_path, loads):
    (tmp_path / "a-5.tif").write_bytes(b"mine")
    result = run("nmc --size 16 --count 3 --seed 4 -o a.tif")
    assert (result.exit_code, loads) == (2, [])
    assert result.stderr == "kerasgan3d: a-5.tif exists already; choose another name, or replace it with --overwrite\n"
    assert files(tmp_path) == ["a-5.tif"]
    assert run("nmc --size 16 --count 3 --seed 4 -o a.tif --overwrite").exit_code == 0
    assert run("nmc --size 16 --count 3 --seed 4 -o a.tif").exit_code == 2


def test_a_series_is_streamed_one_after_the_other(tmp_path):
    assert run("nmc --size 272 --seed 64 --count 2 -o a.zarr").exit_code == 0
    assert [json.loads((tmp_path / f"a-{seed}.zarr").read_text())["seed"] for seed in (64, 65)] == [64, 65]


def test_a_dry_run_of_a_series_is_of_all(tmp_path):
    plan = json.loads(run("nmc --size 64 --seed 3 --count 4 --dry-run --json -o a.tif").stdout)
    assert (plan["seconds"], plan["bytes_disk"]) == (360.0, 48_000_000)
    assert plan["outputs"] == ["a-3.tif", "a-4.tif", "a-5.tif", "a-6.tif"]
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("--count 0", "must be a whole number of at least 1. Received: 0"),
        (f"--count 2 --seed {2**64 - 1}", "`seed` must be an integer from 0"),
    ],
)
def test_counts_are_checked(tmp_path, loads, text, message):
    result = run(f"nmc --size 16 {text} -o a.tif")
    assert (result.exit_code, loads, files(tmp_path)) == (2, [], [])
    assert message in result.stderr
