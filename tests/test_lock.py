"""One process at a time writes to a folder."""

import subprocess
import sys
import threading

import numpy as np
import pytest

from kerasgan3d.files import WriteError
from kerasgan3d.lock import FolderLock

HOLD = """
import sys
from pathlib import Path
from kerasgan3d.lock import FolderLock
lock = FolderLock(Path(sys.argv[1]), Path("a.tif"))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process, which holds the folder."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_another_process_is_refused_until_it_ends(tmp_path, holder):
    with pytest.raises(WriteError, match=r"another process is writing a.tif. Wait until it has ended, or give another"):
        FolderLock(tmp_path / "run", "a.tif")
    holder.stdin.close()
    holder.wait()
    assert not (tmp_path / "run").exists()
    FolderLock(tmp_path / "run", "a.tif").release()


def test_what_a_killed_process_left_is_taken_over(tmp_path, holder):
    holder.kill()
    holder.wait()
    lock = FolderLock(tmp_path / "run", "a.tif")
    assert (tmp_path / "run").is_dir()
    lock.release()
    lock.release()
    assert not (tmp_path / "run").exists()


def test_another_thread_is_refused_and_this_one_takes_over(tmp_path):
    lock, found = FolderLock(tmp_path / "run", "a.tif"), []

    def other():
        try:
            FolderLock(tmp_path / "run", "a.tif")
        except WriteError as error:
            found.append(str(error))

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert len(found) == 1
    again = FolderLock(tmp_path / "run", "a.tif")
    lock.release()
    assert (tmp_path / "run").is_dir()
    again.release()
    assert not (tmp_path / "run").exists()


def test_what_else_lies_in_the_folder_stays(tmp_path):
    (tmp_path / "log.csv").write_text("step")
    FolderLock(tmp_path, "run").release()
    assert [path.name for path in tmp_path.iterdir()] == ["log.csv"]


def test_two_trainings_never_write_one_folder(tmp_path, holder, monkeypatch):
    from kerasgan3d.training import train

    monkeypatch.chdir(tmp_path)
    np.save("labels.npy", np.random.default_rng(0).integers(0, 2, (80, 80, 80)).astype("uint8"))
    with pytest.raises(WriteError, match="another process is writing run. Wait until it has ended"):
        train("labels.npy", "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == [".lock"]
    assert "steps" in train("labels.npy", "run", dry_run=True)
