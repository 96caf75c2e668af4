"""Generators that are told local volume fractions: the same voxels however they are sampled, and wishes."""

import json
from dataclasses import replace

import keras
import numpy as np
import pytest
from click.testing import CliRunner

from kerasgan3d import io, load_generator
from kerasgan3d.cli import main
from kerasgan3d.folder import read_json, write_json
from kerasgan3d.models import Generator
from kerasgan3d.models.preset import load_preset, save_preset
from kerasgan3d.sampling import Conditions, SamplingJob

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
PROFILE = {"pore": [0.3, 0.55]}
SIZE = (28, 16, 20)


@pytest.fixture(scope="module", params=[(), (1, 1)], ids=["shallow", "deep"])
def generator(request, make_generator):
    return make_generator(phases=PHASES, conditions=CONDITIONS, depths=request.param, voxel_size=0.5)


@pytest.fixture(scope="module")
def preset(make_generator, tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets") / "steered"
    generator = make_generator(phases=PHASES, conditions=CONDITIONS, voxel_size=0.5)
    return save_preset(generator, folder, {"name": "steered"})


@pytest.fixture(scope="module")
def wished(generator):
    return generator.sample(SIZE, periodic="yx", seed=1, fractions=PROFILE).labels


def test_wishes_are_heard(generator, wished):
    drawn = generator.sample(SIZE, periodic="yx", seed=1).labels
    assert (wished != drawn).mean() > 0.01
    for labels in (wished, drawn):
        assert set(np.unique(labels)) == {0, 1, 2}


@pytest.mark.parametrize("tile", [4, (8, 4, 12), 64], ids=str)
@pytest.mark.parametrize("batch", [1, 3])
def test_tiles_and_batches_change_no_voxel(generator, wished, tile, batch):
    again = generator.sample(SIZE, periodic="yx", seed=1, fractions=PROFILE, tile=tile, batch=batch)
    np.testing.assert_array_equal(again.labels, wished)


def test_a_drawn_structure_is_the_same_in_every_window(generator):
    large = generator.sample((24, 20, 16), seed=2, offset=(-6, 0, 3)).labels
    part = generator.sample((9, 7, 5), seed=2, offset=(1, 4, 6)).labels
    np.testing.assert_array_equal(part, large[7:16, 4:11, 3:8])


def test_a_drawn_volume_is_periodic(generator):
    volume = generator.sample((12, 16, 8), periodic=True, seed=3).labels
    rolled = generator.sample((12, 16, 8), periodic=True, seed=3, offset=(5, -3, 2)).labels
    np.testing.assert_array_equal(rolled, np.roll(volume, (-5, 3, -2), (0, 1, 2)))


def test_a_wish_for_a_plane_is_periodic_in_it(generator, wished):
    rolled = generator.sample(SIZE, periodic="yx", seed=1, fractions=PROFILE, offset=(0, 8, -4)).labels
    np.testing.assert_array_equal(rolled, np.roll(wished, (0, -8, 4), (0, 1, 2)))


def test_dask_and_streams_give_the_same_voxels(generator, wished, tmp_path):
    pytest.importorskip("dask")
    options = {"periodic": "yx", "seed": 1, "fractions": PROFILE}
    lazily = generator.to_dask(SIZE, chunks=12, **options)
    np.testing.assert_array_equal(lazily.compute(scheduler="synchronous"), wished)
    path = generator.stream(tmp_path / "volume.zarr", SIZE, **options).path
    volume = io.read(path)
    np.testing.assert_array_equal(volume.labels, wished)
    assert np.shape(volume.provenance["conditions"]["fractions"]) == (7, 1, 1, 3)


def test_another_wish_is_another_volume_to_a_stream(generator, tmp_path):
    path = tmp_path / "volume.zarr"

    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generator.stream(path, 260, seed=1, tile=128, fractions={"pore": 0.4}, progress=interrupt)
    with pytest.raises(ValueError, match="another volume"):
        generator.stream(path, 260, seed=1, tile=128, fractions={"pore": 0.5})


def test_jobs_hold_wishes_as_plain_data(generator, wished):
    job = generator.job(SIZE, periodic="yx", seed=1, fractions=PROFILE)
    assert np.shape(job.conditions["fractions"]) == (7, 1, 1, 3)
    again = SamplingJob.from_json(json.loads(json.dumps(job.to_json())))
    assert again == job
    np.testing.assert_array_equal(generator.sample(again).labels, wished)
    plain = generator.job(SIZE, periodic="yx", seed=1)
    assert "conditions" not in plain.to_json()
    assert generator.job(plain, fractions=PROFILE) == job
    with pytest.raises(ValueError, match="says its fractions itself. Received: both"):
        generator.job(job, fractions=PROFILE)


def test_provenance_tells_wishes_that_are_beyond(generator):
    volume = generator.sample(8, seed=0, fractions={"pore": 0.7}, beyond=True)
    assert volume.provenance["conditions"]["beyond"] is True
    with pytest.raises(ValueError, match="learned of pore, 0.25 to 0.6"):
        generator.sample(8, seed=0, fractions={"pore": 0.7})
    assert "conditions" not in generator.sample(8, seed=0).provenance


def test_a_generator_without_conditions_refuses_wishes_in_one_line(make_generator):
    plain = make_generator(phases=PHASES)
    with pytest.raises(ValueError, match="`fractions` need a generator that was trained on local volume fractions"):
        plain.sample(8, fractions={"pore": 0.4})
    job = replace(plain.job(8, seed=0), conditions={"fractions": [[[[0.4, 0.5, 0.1]]]]})
    with pytest.raises(ValueError, match="takes no conditions"):
        plain.sample(job)


def test_conditions_are_of_as_many_phases():
    with pytest.raises(ValueError, match=r"of as many phases, 2\. Received: 3"):
        Generator(phases=2, conditions=CONDITIONS)


def test_copies_have_the_conditions(generator):
    options = {"seed": 4, "fractions": {"NMC": 0.45}}
    expected = generator.sample(12, **options).labels
    made_again = Generator.from_config(generator.get_config())
    made_again.set_weights(generator.get_weights())
    for other in (generator.folded(), generator.with_padding("circular"), made_again):
        assert other.conditions == CONDITIONS
        np.testing.assert_array_equal(other.sample(12, **options).labels, expected)


def test_a_preset_folder_keeps_conditions_in_a_format_of_its_own(preset):
    assert read_json(preset / "kerasgan3d.json")["format"] == 3
    loaded = load_generator(preset)
    assert loaded.conditions == CONDITIONS
    np.testing.assert_array_equal(keras.saving.load_model(preset).get_weights()[0], loaded.get_weights()[0])


@pytest.mark.parametrize(
    "conditions",
    [7, {}, {**CONDITIONS.to_json(), "mean": [0.5, 0.5]}, {**CONDITIONS.to_json(), "taps": [[1.0] * 999] * 3}],
    ids=["a number", "nothing", "of two phases", "a long filter"],
)
def test_folders_with_conditions_that_are_none_are_refused(preset, conditions, tmp_path):
    import shutil

    folder = shutil.copytree(preset, tmp_path / "hostile")
    config = read_json(folder / "config.json")
    config["config"]["conditions"] = conditions
    write_json(config, folder / "config.json")
    with pytest.raises(ValueError, match="config.json describes no generator: `conditions` must"):
        load_preset(folder)


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


def test_the_command_takes_wishes(preset, tmp_path):
    path = tmp_path / "graded.npy"
    wishes = ("--fraction", "pore=0.3:0.5", "--fraction", "CBD=0.1")
    result = run("sample", preset, "--size", "16 8 8", "--seed", 1, *wishes, "-o", path)
    assert result.exit_code == 0, result.output
    expected = load_generator(preset).sample((16, 8, 8), seed=1, fractions={"pore": [0.3, 0.5], "CBD": 0.1})
    np.testing.assert_array_equal(io.read(path).labels, expected.labels)


WRONG = {
    "no number": (("--fraction", "pore=much"), "must be phase=fraction, such as pore=0.45, or a profile"),
    "no phase": (("--fraction", "0.4"), "must be phase=fraction, such as pore=0.45, or a profile"),
    "twice": (("--fraction", "pore=0.4", "--fraction", "pore=0.5"), "must name each phase once. Received: pore twice."),
    "another phase": (("--fraction", "Ni=0.4"), "must name phases of pore, NMC, CBD. Received: 'Ni'"),
    "too much": (("--fraction", "pore=x:0.4:0.9"), "learned of pore, 0.25 to 0.6. Received: 0.525 to 0.775"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=list(WRONG))
def test_the_command_refuses_wishes_in_one_line(preset, options, message, tmp_path):
    result = run("sample", preset, "--size", 8, "--seed", 1, *options, "-o", tmp_path / "a.npy")
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
    assert not list(tmp_path.iterdir())
