"""What earlier versions made: the same voxels come out again, and what they left half-written is gone on with."""

import importlib.util
import json
import os
import shutil
from pathlib import Path

import pytest

from kerasgan3d import Volume, io

GOLDEN = Path(__file__).with_name("golden")
# Version 0.1.0 was interrupted in `generator.stream(path, SIZE, tile=128, **WINDOW)` after two blocks of four.
SIZE = (4, 3, 400)
WINDOW = {"periodic": (False, False, True), "seed": 11, "offset": (3, -5, 40)}
CHECKSUM = "4900cda924ad31bcfc1f3fe2938e533f69173ccf681aa9ad368d6583dcd23b27"


def make_jobs():
    spec = importlib.util.spec_from_file_location("kerasgan3d_tests_make_jobs", GOLDEN / "make_jobs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def generator(make_generator, monkeypatch):
    monkeypatch.setattr("kerasgan3d.sampling.job.__version__", "0.1.0")
    return make_generator(voxel_size=0.5, phases=("pore", "Ni", "YSZ"))


@pytest.mark.slow
def test_the_shipped_generators_make_the_voxels_that_they_made():
    jobs, expected = make_jobs(), json.loads((GOLDEN / "jobs.json").read_text("utf-8"))
    assert list(expected) == list(jobs.JOBS)
    assert {name: jobs.run(name) for name in jobs.JOBS} == expected


@pytest.mark.parametrize("name", ["old.tif", "old.zarr"])
@pytest.mark.parametrize("seed", [11, None])
def test_what_an_earlier_version_left_is_gone_on_with(generator, tmp_path, name, seed):
    shutil.copytree(GOLDEN / "half-written" / f"{name}.partial", tmp_path / f"{name}.partial")
    found = generator.stream(tmp_path / name, SIZE, **{**WINDOW, "seed": seed})
    assert (found.seed, found.voxels, found.checksum) == (11, 4 * 3 * (400 - 256), CHECKSUM)
    assert io.checksum(Volume.load(tmp_path / name).labels) == CHECKSUM
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("name", ["old.tif", "old.zarr"])
def test_the_journal_is_that_of_the_earlier_version(generator, tmp_path, name):
    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generator.stream(tmp_path / name, SIZE, tile=128, progress=interrupt, **WINDOW)
    made, old = (folder / f"{name}.partial" / "journal.jsonl" for folder in (tmp_path, GOLDEN / "half-written"))
    assert made.read_bytes() == old.read_bytes()
