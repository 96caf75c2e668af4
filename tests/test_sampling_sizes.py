"""Sizes are judged before anything of theirs is listed: an answer at once, in as much memory as for small ones."""

import contextlib
import time
import tracemalloc

import dask.array  # noqa: F401  the time to import it is not what is judged
import numpy as np
import pytest

from kerasgan3d import io
from kerasgan3d.checks import check_memory
from kerasgan3d.cli import main
from kerasgan3d.sampling import SamplingJob
from kerasgan3d.sampling.stream import parts

HUGE = 2**34


@contextlib.contextmanager
def at_once():
    """Run a block that must end within a second of work, in a few MB."""
    tracemalloc.start()
    began = time.process_time()
    try:
        yield
        seconds, (_, peak) = time.process_time() - began, tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert seconds < 1
    assert peak < 4e6


@pytest.fixture(scope="module")
def generator(make_generator):
    generator = make_generator(widths=(8, 8, 8, 6))
    generator.sample(16, seed=0)
    return generator


def job(size):
    return SamplingJob(size, stride=16, margin=(2, 2))


@pytest.mark.parametrize("size", [100_000, HUGE, (HUGE, 1, 1), (1, 1, HUGE)], ids=str)
def test_plans_parts_and_blocks_are_not_listed(size):
    with at_once():
        plan = job(size).plan
        assert plan.tiles == np.prod([-(-n // 256) for n in plan.size], dtype=object)
        assert next(plan.iterate()).start == (-2, -2, -2)
        assert len(next(plan.boxes(32))) <= 8
        assert next(iter(parts(plan.size, (256,) * 3)))[0] == (0, 0, 0)
        assert next(io.blocks(plan.size))[0] == (0, 0, 0)
        assert plan.describe()


@pytest.mark.parametrize("size", [100_000, (HUGE, 1000, 1000), 2**34], ids=str)
@pytest.mark.parametrize("method", ["sample", "sample_probabilities"])
def test_what_no_memory_holds_is_refused_before_it_is_computed(generator, size, method):
    with at_once(), pytest.raises(MemoryError, match=r"bytes are needed, and this machine has .* streamed to .zarr"):
        getattr(generator, method)(size, seed=0)


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif", "a.zarr"])
@pytest.mark.parametrize("size", [1_000_000, HUGE], ids=str)
def test_what_no_disk_holds_is_refused_before_it_is_computed(generator, tmp_path, name, size):
    generator.stream(tmp_path / name, 16, seed=0)  # imports and compiles
    expected = r"Is there room on the disk\? Received: \d+ bytes are needed, and \d+ are free"
    with at_once(), pytest.raises(OSError, match=expected):
        generator.stream(tmp_path / name, size, seed=0, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("method", ["sample", "plan", "stream", "to_dask"])
@pytest.mark.parametrize(
    "arguments", [{"size": 2**40}, {"size": 16, "offset": 2**36}, {"size": 2**36, "periodic": "z"}]
)
def test_what_lies_beyond_the_latent_field_is_refused(generator, tmp_path, method, arguments):
    first = (tmp_path / "a.zarr",) if method == "stream" else ()
    with at_once(), pytest.raises((ValueError, MemoryError), match=r"latent field has indices|bytes are needed"):
        getattr(generator, method)(*first, **arguments)
    assert list(tmp_path.iterdir()) == []


def test_dask_is_not_asked_to_list_too_many_chunks(generator):
    with at_once(), pytest.raises(ValueError, match=r"at most 1000000 here. Received: 59776471 of \(256, 256, 256\)"):
        generator.to_dask(100_000)
    assert generator.to_dask(100_000, chunks=20_000).shape == (100_000,) * 3


def test_an_estimate_of_a_huge_volume_computes_one_tile(generator, tmp_path):
    generator.estimate(100_000, path=tmp_path / "a.tif", streams=True, tile=16)
    with at_once():
        found = generator.estimate(16_000, path=tmp_path / "a.tif", tile=16)
    assert found.disk == 16_000**3


@pytest.mark.parametrize(("needed", "refused"), [(1, False), (10**9, False), (10**15, True)])
def test_memory_is_what_the_machine_has_at_all(needed, refused):
    expected = pytest.raises(MemoryError, match="1000000000000000 bytes are needed, .* Take less.")
    with expected if refused else contextlib.nullcontext():
        check_memory(needed, "Take less.")


def test_the_command_loads_no_generator_for_what_no_memory_holds(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["sample", "nmc-cathode", "--size", "100000", "-o", str(tmp_path / "a.npy")])
    assert ended.value.code == 2
    assert "not enough memory; a smaller --size" in capsys.readouterr().err
