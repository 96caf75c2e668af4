"""The real images that the generators learn from, where they are to be had beside the checkout."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from kerasgan3d import Volume, io, load_generator, metrics
from kerasgan3d.cli import main
from kerasgan3d.training import load_recipe

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def image(name):
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"{name} is not beside the checkout")
    return path


def test_the_cathode_is_read():
    volume = io.read(image("nrel-nmc-1-cal-cbd-bridge.tif"), phases=("pore", "NMC", "CBD"), voxel_size=0.398)
    assert volume.shape == (251, 301, 301)
    assert volume.fractions == pytest.approx([0.401, 0.499, 0.100], abs=5e-4)


@pytest.mark.slow
def test_the_cathode_has_large_round_particles_and_few_specks_in_them():
    volume = io.read(image("nrel-nmc-1-cal-cbd-bridge.tif"), phases=("pore", "NMC", "CBD"), voxel_size=0.398)
    # What ships has 0.81, 0.57, 0.25, 0.06 and 0.01.
    shares = metrics.granulometry(volume, [6, 8, 10, 12, 14])[1]
    assert shares == pytest.approx([0.89, 0.73, 0.51, 0.34, 0.21], abs=0.02)
    holes = metrics.specks(volume).holes[1] * 0.398**3
    assert 12e-6 < holes < 16e-6  # per voxel; what ships has 43e-6


def test_the_anode_slice_is_read():
    labels, phase_map, _ = io.read_labels(image("netl-sofc-anode-z050.tif"), phases=("pore", "Ni", "YSZ"))
    assert labels.shape == (1697, 1900)
    assert phase_map.greys == (0, 128, 255)
    assert np.bincount(labels.ravel()) / labels.size == pytest.approx([0.209, 0.345, 0.446], abs=5e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "phases", "voxel_size"),
    [("mosser-ketton-limestone-2phase.zip", "pore,grain", 15.2), ("netl-sofc-anode-z050.tif", "pore,Ni,YSZ", 0.065)],
    ids=["two phases, 3D", "three phases, one slice"],
)
def test_other_materials_train_and_sample_with_the_same_commands(name, phases, voxel_size, tmp_path):
    path = image(name)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            (member,) = (entry for entry in archive.namelist() if entry.endswith((".tif", ".tiff")))
            path = Path(archive.extract(member, tmp_path))
    # The views of the default made smaller, for a generator of three steps.
    recipe = tmp_path / "recipe.json"
    views = [{"kind": "slices", "size": 32, "count": 4}, {"kind": "volumes", "size": 32, "pool": 2, "count": 1}]
    recipe.write_text(json.dumps({**load_recipe("default").to_dict(), "views": views}))
    run, output = tmp_path / "run", tmp_path / "volume.tif"
    options = ["--recipe", str(recipe), "--phases", phases, "--voxel-size", str(voxel_size)]
    options += ["--steps", "3", "--monitor-every", "3", "--batch", "1", "--size", "32"]
    trained = CliRunner().invoke(main, ["train", str(path), "-o", str(run), *options], catch_exceptions=False)
    assert trained.exit_code == 0, trained.stderr
    sampled = CliRunner().invoke(
        main, ["sample", str(run / "best"), "--size", "48", "--periodic", "--seed", "0", "-o", str(output)]
    )
    assert sampled.exit_code == 0, sampled.stderr
    volume = Volume.load(output)
    assert volume.phases == tuple(phases.split(","))
    assert volume.voxel_size == voxel_size
    assert volume.shape == (48, 48, 48)
    assert load_generator(run / "best").phases == volume.phases
