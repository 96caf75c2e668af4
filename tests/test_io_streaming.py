"""What is left of an interrupted write may be damaged in any way: the file is right in the end, or refused by name."""

import contextlib
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tifffile
import zarr

from kerasgan3d import Volume, io
from kerasgan3d.io import VolumeRecord, VolumeWriter, streaming

LABELS = np.random.default_rng(0).integers(0, 3, (40, 16, 36)).astype("uint8")
RECORD = VolumeRecord(LABELS.shape, ("a", "b", "c"), 0.5, (False,) * 3, {"seed": 1})
DONE = [(0, 0, 0), (0, 0, 16), (0, 0, 32), (16, 0, 0), (16, 0, 16)]
FILES = ("a.tif", "a.ome.tif", "a.zarr")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Blocks of 16 voxels, so that small volumes have many."""
    monkeypatch.setattr(streaming, "BLOCK", 16)
    monkeypatch.setattr(streaming.blocks, "__defaults__", (16,))


def block(start):
    return LABELS[tuple(slice(a, a + 16) for a in start)]


def write(writer, starts):
    for start in starts:
        writer.write(start, block(start))


def missing(writer):
    return [start for start, _ in streaming.blocks(LABELS.shape) if start not in writer.done]


@pytest.fixture
def begin(tmp_path):
    """A function that begins a file as a process that was killed does; returns the folder with what is left."""

    def make(name):
        writer = VolumeWriter(tmp_path / name, RECORD)
        write(writer, DONE)
        writer.close()
        return tmp_path / f"{name}.partial"

    return make


def finish(path, **options):
    """Go on with a file; returns the blocks that were there, once the file is what it should be."""
    writer = VolumeWriter(path, RECORD, **options)
    done = writer.done
    write(writer, missing(writer))
    np.testing.assert_allclose(writer.fractions, np.bincount(LABELS.ravel()) / LABELS.size)
    assert writer.finish() == io.checksum(LABELS)
    volume = Volume.load(path)
    np.testing.assert_array_equal(volume.labels, LABELS)
    assert (volume.phases, volume.voxel_size, volume.provenance) == (RECORD.phases, 0.5, {"seed": 1})
    assert os.listdir(path.parent) == [path.name]
    if path.suffix == ".zarr":
        np.testing.assert_array_equal(zarr.open_group(path, mode="r")["1"][:], LABELS[::2, ::2, ::2])
        assert not list(path.rglob("*.partial"))
    return done


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 0x10
    path.write_bytes(content)


def chunk(folder, *index):
    return folder.joinpath("volume.zarr", "0", "c", *map(str, index))


def tiff_voxel(folder):
    """Where the first voxel lies."""
    with tifffile.TiffFile(folder / "volume.tif") as tif:
        return tif.series[0].dataoffset


# kind: (what is done to the folder, the blocks that are lost)
ZARR = {
    "nothing": (lambda folder: None, set()),
    "a flip": (lambda folder: flip(chunk(folder, 1, 0, 0), -9), {(16, 0, 0)}),
    "a truncated chunk": (lambda folder: os.truncate(chunk(folder, 0, 0, 2), 20), {(0, 0, 32)}),
    "an empty chunk": (lambda folder: os.truncate(chunk(folder, 0, 0, 2), 0), {(0, 0, 32)}),
    "a lost chunk": (lambda folder: chunk(folder, 0, 0, 0).unlink(), {(0, 0, 0)}),
    "a whole chunk of another place": (
        lambda folder: shutil.copy(chunk(folder, 0, 0, 0), chunk(folder, 0, 0, 1)),
        {(0, 0, 16)},
    ),
    "a folder for a chunk": (
        lambda folder: (chunk(folder, 0, 0, 1).unlink(), chunk(folder, 0, 0, 1).mkdir()),
        {(0, 0, 16)},
    ),
    "all chunks": (lambda folder: shutil.rmtree(chunk(folder)), set(DONE)),
    "a garbled array": (lambda folder: (folder / "volume.zarr/0/zarr.json").write_text("{"), set()),
    "another array": (
        lambda folder: (folder / "volume.zarr/0/zarr.json").write_text(
            (folder / "volume.zarr/0/zarr.json").read_text().replace('"fill_value": 255', '"fill_value": 1')
        ),
        set(),
    ),
    "a lost group": (lambda folder: (folder / "volume.zarr/zarr.json").unlink(), set()),
    "a pyramid that was begun": (
        lambda folder: zarr.open_group(folder / "volume.zarr").create_array("1", shape=(3,), dtype="u1"),
        set(),
    ),
    "a chunk that was being written": (
        lambda folder: chunk(folder, 0, 0, "1.0f3a.partial").write_bytes(b"begun"),
        set(),
    ),
    "no data at all": (lambda folder: shutil.rmtree(folder / "volume.zarr"), set(DONE)),
}
TIFF = {
    "nothing": (lambda folder: None, set()),
    "a flip": (lambda folder: flip(folder / "volume.tif", tiff_voxel(folder)), {(0, 0, 0)}),
    "a truncated file": (
        lambda folder: os.truncate(folder / "volume.tif", tiff_voxel(folder) + 16 * 16 * 36),
        set(DONE[3:]),
    ),
    "an empty file": (lambda folder: os.truncate(folder / "volume.tif", 0), set(DONE)),
    "a flipped frame": (lambda folder: flip(folder / "volume.tif", 4), set()),
    "no data at all": (lambda folder: (folder / "volume.tif").unlink(), set(DONE)),
    "an empty offset of an earlier version": (lambda folder: (folder / "offset").write_text(""), set()),
    "a wrong offset of an earlier version": (lambda folder: (folder / "offset").write_text("1"), set()),
    "a frame that was being made": (lambda folder: (folder / "frame.tif").write_bytes(b"II"), set()),
}
LINE = json.dumps({"block": [16, 0, 16], "sha256": "00" * 32, "counts": [1, 2, 3]})
JOURNAL = {
    "no brackets": "block 16",
    "a list": "[1, 2]",
    "a number": "12",
    "no block": '{"sha256": "00"}',
    "a block that is a number": '{"block": 5, "sha256": "00"}',
    "a nested block": '{"block": [[0], 0, 0], "sha256": "00"}',
    "an odd digest": '{"block": [0, 0, 0], "sha256": "0x"}',
    "a digest that is a number": '{"block": [0, 0, 0], "sha256": 7}',
    "brackets": "[" * 100_000,
    "no text": b"\xff\x00\xfe",
    "a place beside the blocks": LINE.replace("16,", "17,"),
    "a place outside": LINE.replace("16,", "1600,"),
    "nothing": "",
}


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.zarr", kind) for kind in ZARR] + [(name, kind) for name in FILES[:2] for kind in TIFF],
)
def test_what_is_damaged_is_computed_again(begin, tmp_path, name, kind):
    damage, lost = (ZARR if name == "a.zarr" else TIFF)[kind]
    if name == "a.ome.tif":  # whose pages' directory follows the voxels
        lost = lost if kind != "a truncated file" else None
    damage(begin(name))
    done = finish(tmp_path / name)
    assert lost is None or done == set(DONE) - lost


@pytest.mark.parametrize("name", ["a.tif", "a.zarr"])
@pytest.mark.parametrize("line", list(JOURNAL.values()), ids=list(JOURNAL))
def test_a_garbled_line_is_a_missing_block(begin, tmp_path, name, line):
    journal = begin(name) / "journal.jsonl"
    lines = journal.read_bytes().splitlines()
    assert json.loads(lines[3])["block"] == [0, 0, 32]
    lines[3] = line if isinstance(line, bytes) else line.encode()
    journal.write_bytes(b"\n".join(lines) + b"\n")
    assert finish(tmp_path / name) == set(DONE) - {(0, 0, 32)}


def test_a_flip_anywhere_in_the_journal_changes_nothing(begin, tmp_path):
    whole = begin("a.tif")
    shutil.move(whole, tmp_path / "kept")
    length, refused = (tmp_path / "kept" / "journal.jsonl").stat().st_size, 0
    for place in range(3, length, 29):
        shutil.copytree(tmp_path / "kept", tmp_path / "out" / "a.tif.partial")
        flip(tmp_path / "out" / "a.tif.partial" / "journal.jsonl", place)
        try:
            finish(tmp_path / "out" / "a.tif")
        except ValueError as error:
            message = str(error)
            assert "damaged in its first line" in message
            assert finish(tmp_path / "out" / "a.tif", resume=False) == set()
            refused += 1
        shutil.rmtree(tmp_path / "out")
    assert 0 < refused < length / 29 / 2


@pytest.mark.parametrize("content", [b"", b"\n", b"{}\n", b"[1, 2]\n", b'{"record": 1, "identity": ""}\n', b"\xff\n"])
def test_a_first_line_that_says_nothing_is_named(begin, tmp_path, content):
    (begin("a.tif") / "journal.jsonl").write_bytes(content)
    expected = r"a.tif.partial.journal.jsonl is damaged in its first line.* Start afresh with `resume=False`\."
    with pytest.raises(ValueError, match=expected):
        io.partial_record(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=expected):
        VolumeWriter(tmp_path / "a.tif", RECORD)
    assert finish(tmp_path / "a.tif", resume=False) == set()


def test_a_seed_that_was_flipped_is_not_taken_over(begin, tmp_path):
    journal = begin("a.tif") / "journal.jsonl"
    journal.write_text(journal.read_text().replace('"seed": 1', '"seed": 9'))
    with pytest.raises(ValueError, match="damaged in its first line"):
        io.partial_record(tmp_path / "a.tif")


@pytest.mark.parametrize("name", FILES)
def test_what_is_damaged_after_it_was_written_is_named_at_the_end(begin, tmp_path, name):
    folder = begin(name)
    writer = VolumeWriter(tmp_path / name, RECORD)
    write(writer, missing(writer))
    if name == "a.zarr":
        flip(chunk(folder, 1, 0, 0), -9)
    else:
        flip(folder / "volume.tif", tiff_voxel(folder) + 16 * 16 * 36)
    with pytest.raises(OSError, match=r"1 blocks of .* are not what was written there, the first \(16, 0, 0\)"):
        writer.finish()
    writer.close()
    assert len(VolumeWriter(tmp_path / name, RECORD).done) == 8
    finish(tmp_path / name)


class Killed(BaseException):
    pass


def kill_at(monkeypatch, function, calls):
    """Let a call of a function of `os` be the last thing that a process does."""
    real, left = getattr(os, function), [calls]

    def killed(*args, **options):
        left[0] -= 1
        if left[0] == 0:
            raise Killed
        return real(*args, **options)

    monkeypatch.setattr(os, function, killed)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(("function", "calls"), [("replace", 1), ("replace", 2), ("unlink", 1), ("unlink", 2)])
def test_a_kill_while_it_is_moved_into_place_loses_nothing(
    begin, tmp_path, monkeypatch, name, overwrite, function, calls
):
    if overwrite:
        Volume(np.zeros((4, 4, 4), "uint8"), ("a", "b", "c")).save(tmp_path / name)
    begin(name) if not overwrite else write(VolumeWriter(tmp_path / name, RECORD, overwrite=True), DONE)
    writer = VolumeWriter(tmp_path / name, RECORD, overwrite=overwrite)
    write(writer, missing(writer))
    with monkeypatch.context() as patch:
        kill_at(patch, function, calls)
        with contextlib.suppress(Killed):
            writer.finish()
    writer.close()
    if not (tmp_path / f"{name}.partial").exists():  # it was over
        np.testing.assert_array_equal(Volume.load(tmp_path / name).labels, LABELS)
        return
    assert len(finish(tmp_path / name, overwrite=overwrite)) == 9


RACE = """
import os, random, sys, time
import numpy as np
from pathlib import Path
from kerasgan3d import io
from kerasgan3d.io import streaming
from kerasgan3d.sampling import SamplingJob
from kerasgan3d.sampling.stream import stream

path, seed, turns = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
SIZE = (130, 140, 20)


def labels(seed):
    return np.random.default_rng(seed).integers(0, 2, SIZE).astype("uint8")


def write(seed, delay):
    time.sleep(delay)

    def compute(start, shape):
        time.sleep(random.random() * 0.02)
        return labels(seed)[tuple(slice(a, a + n) for a, n in zip(start, shape))]

    record = io.VolumeRecord(SIZE, ("a", "b"), 1.0, (False,) * 3, {"seed": seed})
    job = SamplingJob(SIZE, seed=seed, tile=128)
    try:
        found = stream(job, compute, path, record, identity=str(seed), overwrite=True)
    except OSError as error:
        os._exit(3 if "another process is writing" in str(error) else 4)
    except ValueError as error:
        os._exit(5 if "the beginning of another volume" in str(error) else 4)
    os._exit(0 if found.checksum == io.checksum(labels(seed)) else 4)


rng = random.Random(seed)
for turn in range(turns):
    seeds, children = (2 * turn, 2 * turn + 1), []
    for each in seeds:
        delay = rng.random() * 0.08
        pid = os.fork()
        if not pid:
            random.seed(each)
            write(each, delay)
        children.append(pid)
    ends = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
    found = io.checksum(io.read(path).labels)
    right = [io.checksum(labels(each)) for each, end in zip(seeds, ends) if not end]
    print(*ends, found in right, os.listdir(path.parent) == [path.name], flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.parametrize("name", FILES)
def test_two_processes_at_one_path_make_one_right_file_or_a_refusal(tmp_path, name):
    (tmp_path / "out").mkdir()
    command = [sys.executable, "-c", RACE, str(tmp_path / "out" / name), str(FILES.index(name)), "20"]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    turns = [line.split() for line in found.stdout.splitlines()]
    assert len(turns) == 20
    assert {end for turn in turns for end in turn[:2]} <= {"0", "3"}, found.stdout
    assert all(turn[2:] == ["True", "True"] for turn in turns), found.stdout
    assert any("3" in turn[:2] for turn in turns)
