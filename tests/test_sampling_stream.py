"""Volumes written part by part, interrupted and gone on with, and volumes that Dask holds."""

import errno
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tifffile
import zarr

from kerasgan3d import Volume, io
from kerasgan3d.io import VolumeWriter, blocks, streaming
from kerasgan3d.sampling.stream import parts

SIZE = (136, 130, 144)
WINDOW = {"periodic": (True, False, True), "seed": 11, "offset": (3, -5, 40)}
FILES = ("a.zarr", "a.tif", "a.ome.tif")


@pytest.fixture(scope="module")
def generator(make_generator):
    return make_generator(voxel_size=0.5, phases=("pore", "Ni", "YSZ"))


@pytest.fixture(scope="module")
def volume(generator):
    return generator.sample(SIZE, **WINDOW)


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of 16 voxels, so that small volumes have many."""
    for name in ("kerasgan3d.io.streaming", "kerasgan3d.sampling.stream"):
        monkeypatch.setattr(sys.modules[name], "BLOCK", 16)
    monkeypatch.setattr(streaming.blocks, "__defaults__", (16,))


def record(shape, **changes):
    return io.VolumeRecord(shape, ("a", "b"), 1.0, (False,) * 3, {"seed": 1, **changes})


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("tile", [None, 128, (256, 128, 1000)], ids=str)
def test_what_is_streamed_is_what_is_sampled(generator, volume, tmp_path, name, tile):
    found = generator.stream(tmp_path / name, SIZE, tile=tile, **WINDOW)
    again = Volume.load(tmp_path / name)
    np.testing.assert_array_equal(again.labels, volume.labels)
    assert (again.phases, again.voxel_size, again.periodic) == (volume.phases, 0.5, volume.periodic)
    assert again.provenance == volume.provenance
    assert os.listdir(tmp_path) == [name]
    assert found.checksum == io.checksum(volume.labels) == io.checksum(again.labels)
    assert (found.seed, found.voxels) == (11, volume.labels.size)
    np.testing.assert_allclose(found.fractions, volume.fractions)


def test_a_stack_of_pages_is_what_saving_makes(generator, volume, tmp_path):
    generator.stream(tmp_path / "a.tif", SIZE, **WINDOW)
    volume.save(tmp_path / "b.tif")
    with tifffile.TiffFile(tmp_path / "a.tif") as a, tifffile.TiffFile(tmp_path / "b.tif") as b:
        assert a.imagej_metadata == b.imagej_metadata
        assert a.series[0].shape == b.series[0].shape


def test_what_is_too_large_for_classic_tiff_is_bigtiff(generator, volume, tmp_path, monkeypatch):
    monkeypatch.setattr("kerasgan3d.io._tiff._CLASSIC_TIFF_BYTES", 1000)
    generator.stream(tmp_path / "a.tif", SIZE, **WINDOW)
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert tif.is_bigtiff
    np.testing.assert_array_equal(Volume.load(tmp_path / "a.tif").labels, volume.labels)


def test_the_pyramid_holds_every_second_voxel(generator, volume, tmp_path):
    generator.stream(tmp_path / "a.zarr", SIZE, **WINDOW)
    group = zarr.open_group(tmp_path / "a.zarr", mode="r")
    np.testing.assert_array_equal(group["1"][:], volume.labels[::2, ::2, ::2])
    multiscales = group.attrs["ome"]["multiscales"][0]
    assert [dataset["path"] for dataset in multiscales["datasets"]] == ["0", "1"] == sorted(group.keys())
    scales = [dataset["coordinateTransformations"][0]["scale"] for dataset in multiscales["datasets"]]
    assert scales == [[0.5] * 3, [1.0] * 3]


def test_progress_counts_voxels(generator, tmp_path):
    calls = []
    generator.stream(tmp_path / "a.tif", SIZE, tile=128, progress=lambda *call: calls.append(call), **WINDOW)
    assert [done for done, _ in calls] == sorted({done for done, _ in calls})
    assert calls[-1] == (np.prod(SIZE), np.prod(SIZE))
    assert len(calls) == 8


@pytest.mark.parametrize("name", ["a.zarr", "a.tif"])
@pytest.mark.parametrize("seed", [11, None])
def test_an_interrupted_stream_goes_on(generator, volume, tmp_path, name, seed):
    def interrupt(done, total):
        if done > total / 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generator.stream(tmp_path / name, SIZE, tile=128, progress=interrupt, **WINDOW)
    assert os.listdir(tmp_path) == [f"{name}.partial"]
    found = generator.stream(tmp_path / name, SIZE, tile=256, **{**WINDOW, "seed": seed})
    assert found.voxels < volume.labels.size
    assert (found.seed, found.checksum) == (11, io.checksum(volume.labels))
    np.testing.assert_array_equal(Volume.load(tmp_path / name).labels, volume.labels)
    assert os.listdir(tmp_path) == [name]


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[2])
from kerasgan3d.models import Generator
import keras
keras.utils.set_random_seed(0)
from kerasgan3d.models.preset import load_preset
generator = load_preset(sys.argv[1])
def progress(done, total):
    print(done, flush=True)
    import time
    time.sleep(0.05)
generator.stream(sys.argv[3], (256, 256, 130), seed=3, tile=128, progress=progress)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.zarr", "a.tif"])
def test_a_killed_stream_goes_on(generator, tmp_path, name):
    from kerasgan3d.models.preset import save_preset

    save_preset(generator, tmp_path / "preset", {})
    folder = tmp_path / "out"
    folder.mkdir()
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "preset"), os.getcwd(), str(folder / name)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        for _ in range(3):
            assert process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert os.listdir(folder) == [f"{name}.partial"]
    from kerasgan3d.models.preset import load_preset

    again = load_preset(tmp_path / "preset")
    found = again.stream(folder / name, (256, 256, 130), seed=3)
    assert found.voxels <= 256 * 256 * 130 - 3 * 128**2 * 2
    assert found.checksum == io.checksum(again.sample((256, 256, 130), seed=3).labels)


def test_another_volume_is_not_gone_on_with(generator, tmp_path):
    VolumeWriter(tmp_path / "a.tif", record((32, 32, 32)))
    with pytest.raises(ValueError, match=r"a.tif.partial holds the beginning of another volume .*seed 1, now 5"):
        generator.stream(tmp_path / "a.tif", SIZE, seed=5)
    found = generator.stream(tmp_path / "a.tif", (20, 20, 20), seed=5, resume=False)
    np.testing.assert_array_equal(Volume.load(found.path).labels, generator.sample(20, seed=5).labels)


def test_other_weights_are_another_volume(make_generator, tmp_path):
    VolumeWriter(tmp_path / "a.tif", record((32, 32, 32)), identity="x")
    with pytest.raises(ValueError, match="other weights"):
        VolumeWriter(tmp_path / "a.tif", record((32, 32, 32)), identity="y")


@pytest.mark.parametrize("name", ["a.zarr", "a.tif"])
def test_a_file_that_exists_is_kept_until_the_new_one_is_whole(generator, tmp_path, name):
    generator.sample(16, seed=1).save(tmp_path / name)
    with pytest.raises(FileExistsError, match="exists already"):
        generator.stream(tmp_path / name, 24, seed=2)

    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generator.stream(tmp_path / name, 24, seed=2, overwrite=True, progress=interrupt)
    np.testing.assert_array_equal(Volume.load(tmp_path / name).labels, generator.sample(16, seed=1).labels)
    generator.stream(tmp_path / name, 24, seed=2, overwrite=True)
    np.testing.assert_array_equal(Volume.load(tmp_path / name).labels, generator.sample(24, seed=2).labels)
    assert os.listdir(tmp_path) == [name]


def test_a_full_disk_keeps_what_was_written(small_blocks, tmp_path, monkeypatch):
    labels = np.random.default_rng(0).integers(0, 2, (32, 16, 16)).astype("uint8")
    writer = VolumeWriter(tmp_path / "a.tif", record(labels.shape))
    writer.write((0, 0, 0), labels[:16])

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(streaming.np, "memmap", full)
    with pytest.raises(OSError, match=r"kept in .*a.tif.partial: the same command goes on from there. Is there room"):
        writer.write((16, 0, 0), labels[16:])
    monkeypatch.undo()
    monkeypatch.setattr(streaming, "BLOCK", 16)
    monkeypatch.setattr(streaming.blocks, "__defaults__", (16,))
    again = VolumeWriter(tmp_path / "a.tif", record(labels.shape))
    assert again.done == {(0, 0, 0)}
    again.write((16, 0, 0), labels[16:])
    assert again.finish() == io.checksum(labels)
    np.testing.assert_array_equal(Volume.load(tmp_path / "a.tif").labels, labels)


def test_no_room_at_all_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match=r"a.tif could not be completed. Is there room on the disk"):
        VolumeWriter(tmp_path / "a.tif", record((32, 16, 16)))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("resume", [True, False])
def test_what_is_no_volume_that_was_begun_is_kept(tmp_path, resume):
    folder = tmp_path / "a.zarr.partial"
    folder.mkdir()
    (folder / "thesis.tex").write_text("all of it")
    with pytest.raises(FileExistsError, match=r"a.zarr.partial must hold nothing but a volume .*Received: thesis.tex"):
        VolumeWriter(tmp_path / "a.zarr", record((16, 16, 16)), resume=resume)
    assert (folder / "thesis.tex").read_text() == "all of it"


def test_a_journal_cut_off_in_a_line_counts_to_the_line_before(small_blocks, tmp_path):
    labels = np.ones((32, 16, 16), "uint8")
    writer = VolumeWriter(tmp_path / "a.zarr", record(labels.shape))
    writer.write((0, 0, 0), labels)
    journal = tmp_path / "a.zarr.partial" / "journal.jsonl"
    journal.write_text(journal.read_text()[:-9])
    again = VolumeWriter(tmp_path / "a.zarr", record(labels.shape))
    assert again.done == {(0, 0, 0)}
    again.write((16, 0, 0), labels[:16])
    assert again.finish() == io.checksum(labels)


def test_a_writer_wants_whole_blocks_and_all_of_them(small_blocks, tmp_path):
    writer = VolumeWriter(tmp_path / "a.tif", record((40, 16, 16)))
    with pytest.raises(ValueError, match="parts must be whole blocks of 16. Received:"):
        writer.write((8, 0, 0), np.zeros((16, 16, 16), "uint8"))
    with pytest.raises(ValueError, match="parts must be whole blocks of 16. Received:"):
        writer.write((0, 0, 0), np.zeros((20, 16, 16), "uint8"))
    writer.write((32, 0, 0), np.zeros((8, 16, 16), "uint8"))
    with pytest.raises(ValueError, match=r"2 blocks are missing, the first \(0, 0, 0\)"):
        writer.finish()


@pytest.mark.parametrize("tile", [1, 16, 17, 1000, (16, 40, 33)], ids=str)
def test_parts_are_whole_blocks_and_cover_the_volume(small_blocks, tile):
    size, seen = (40, 33, 16), np.zeros((40, 33, 16), int)
    for start, shape in parts(size, (tile,) * 3 if isinstance(tile, int) else tile):
        assert all(a % 16 == 0 and (n % 16 == 0 or a + n == m) for a, n, m in zip(start, shape, size, strict=True))
        seen[tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))] += 1
    assert (seen == 1).all()


def test_the_checksum_is_of_content_and_shape(tmp_path):
    labels = np.random.default_rng(1).integers(0, 3, (130, 5, 7)).astype("uint8")
    assert io.checksum(labels) == io.checksum(labels.astype("int64").astype("uint8")[:, :, :])
    assert io.checksum(labels) == io.checksum(np.asfortranarray(labels))
    assert io.checksum(labels.reshape(65, 10, 7)) != io.checksum(labels)
    other = labels.copy()
    other[129, 4, 6] ^= 1
    assert io.checksum(other) != io.checksum(labels)
    assert len(list(blocks(labels.shape))) == 2


@pytest.mark.parametrize("chunks", [64, (50, 130, 33)], ids=str)
def test_dask_computes_the_same_volume(generator, volume, chunks):
    array = generator.to_dask(SIZE, chunks=chunks, **WINDOW)
    assert (array.shape, array.dtype) == (SIZE, np.uint8)
    np.testing.assert_array_equal(array[5:70, 100:, ::2].compute(), volume.labels[5:70, 100:, ::2])


@pytest.mark.slow
def test_a_cluster_writes_the_same_volume_and_survives_a_worker(generator, tmp_path):
    from kerasgan3d.sampling.stream import local_client

    size, killed = (384, 256, 130), []
    with local_client(2) as client:
        pids = client.run(os.getpid)

        def kill(done, total):
            if not killed:
                killed.append(next(iter(pids.values())))
                os.kill(killed[0], signal.SIGKILL)

        found = generator.stream(tmp_path / "a.zarr", size, seed=2, client=client, progress=kill)
        deadline = time.time() + 30
        while len(client.nthreads()) < 2 and time.time() < deadline:
            time.sleep(0.2)
        assert killed[0] not in client.run(os.getpid).values()
    assert found.checksum == io.checksum(generator.sample(size, seed=2).labels)


@pytest.mark.parametrize("workers", [0, -1, 1.5, True, "2"], ids=repr)
def test_workers_are_a_positive_number(generator, tmp_path, workers):
    with pytest.raises(ValueError, match="`workers` must be a positive integer. Received: "):
        generator.stream(tmp_path / "a.zarr", 16, workers=workers)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("options", [{"size": 0}, {"size": 17, "periodic": True}, {"seed": -1}, {"tile": 0}], ids=str)
def test_bad_arguments_leave_nothing(generator, tmp_path, options):
    with pytest.raises(ValueError, match="Received: "):
        generator.stream(tmp_path / "a.zarr", **{"size": 16, **options})
    assert os.listdir(tmp_path) == []


def test_an_estimate_tells_what_it_takes(generator, tmp_path):
    found = generator.estimate((64, 48, 32), path=tmp_path / "a.zarr", streams=True)
    assert found.seconds > 0
    assert found.memory > 64 * 48 * 32
    generator.stream(tmp_path / "a.zarr", (64, 48, 32), seed=0)
    used = sum(file.stat().st_size for file in (tmp_path / "a.zarr").rglob("*") if file.is_file())
    assert found.disk == pytest.approx(used, rel=0.3)
    assert generator.estimate(32, path="a.tif").disk == 32**3
    assert generator.estimate(32).disk is None


def test_the_journal_says_what_the_volume_is(generator, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        generator.stream(tmp_path / "a.tif", SIZE, tile=128, progress=_interrupt, **WINDOW)
    noted = io.partial_record(tmp_path / "a.tif")
    assert (noted.shape, noted.provenance["seed"]) == (SIZE, 11)
    assert json.dumps(noted.to_json())
    assert io.partial_record(tmp_path / "b.tif") is None


def _interrupt(done, total):
    raise KeyboardInterrupt
