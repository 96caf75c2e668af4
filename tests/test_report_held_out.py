"""Comparison with the part of an image that training saw, with the part that it did not see, and between the two."""

import json

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner
from scipy import ndimage

from kerasgan3d import Volume
from kerasgan3d.cli import main
from kerasgan3d.report.held_out import compare_held_out

PHASES = ("pore", "grain")
QUICK = {"count": 4, "size": 8, "classifier": False, "nearest": 0, "periodic_volumes": 0, "transport": False}
QUICK |= {"workers": 1}


def material(shape, seed, share):
    field = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1.5, mode="wrap")
    return (field < np.quantile(field, share)).astype(np.uint8)


# The held part has fewer grains than the training part, and the generator has those of the training part.
SCAN = np.concatenate([material((16, 24, 24), 0, 0.2), material((24, 24, 24), 1, 0.5)])


class Blobs:
    phases, voxel_size, stride = PHASES, 0.5, 4
    card = {"name": "blobs"}

    def sample(self, size, *, periodic=False, seed=None):
        return Volume(material((16,) * 3, seed % 2**32, 0.5)[:size, :size, :size], PHASES, 0.5, periodic)


def difference(comparison):
    return comparison.measure("volume_fraction", "grain").relative_difference


@pytest.mark.parametrize("as_file", [False, True])
def test_three_comparisons_tell_the_parts_apart(tmp_path, as_file):
    real = Volume(SCAN, PHASES, 0.5)
    if as_file:
        real.save(tmp_path / "scan.tif")
        real = tmp_path / "scan.tif"
    found = compare_held_out(real, Blobs(), ((0, 16), None, None), **QUICK)
    assert list(found) == ["training part", "held part", "between the parts"]
    assert abs(difference(found["training part"])) < 0.4
    assert difference(found["held part"]) > 0.8
    assert difference(found["between the parts"]) > 0.8
    assert [each.record.real.shape for each in found.values()] == [[40, 24, 24], [16, 24, 24], [16, 24, 24]]


@pytest.mark.parametrize(
    ("box", "options", "message"),
    [
        (
            ((0, 4), None, None),
            {},
            "`hold_out` must leave room for sub-volumes of 8 voxels per side in both parts of 40",
        ),
        (((0, 40), None, None), {}, "`hold_out` must leave room for sub-volumes of 8"),
        (((0, 50), None, None), {}, "a box must be one .start, stop. per axis within the data's 40 x 24 x 24 voxels"),
        (((0, 16), None, None), {"exclude": [((0, 1), None, None)]}, "`exclude` must not be given beside `hold_out`"),
    ],
)
def test_blocks_that_do_not_fit_are_refused(box, options, message):
    with pytest.raises(ValueError, match=message):
        compare_held_out(Volume(SCAN, PHASES, 0.5), Blobs(), box, **QUICK, **options)


def test_the_command_prints_the_three(tmp_path, monkeypatch):
    monkeypatch.setattr("kerasgan3d.cli.compare._generated", lambda name: Blobs())
    Volume(SCAN, PHASES, 0.5).save(tmp_path / "scan.tif")
    quick = ["-n", "4", "--size", "8", "--nearest", "0", "--periodic-volumes", "0", "--workers", "1"]
    quick += ["--no-classifier", "--no-transport"]
    args = ["compare", str(tmp_path / "scan.tif"), "nmc-cathode", "--hold-out", "0:16,:,:", *quick]
    lines = CliRunner().invoke(main, args, catch_exceptions=False).stdout.splitlines()
    assert [line.split(":")[0] for line in lines[:3]] == ["training part", "held part", "between the parts"]
    assert lines[4].split("  ")[0] == "TEST"
    assert any(line.startswith("volume fraction  ") for line in lines)
    told = json.loads(CliRunner().invoke(main, [*args, "--json"], catch_exceptions=False).stdout)
    assert told["held part"]["samples"]["size"] == 8
    result = CliRunner().invoke(main, [*args, "-o", "a.html"])
    assert result.exit_code == 2
    assert "-o is not possible with --hold-out, which prints three comparisons" in result.stderr


def test_grey_values_of_generated_files_mean_the_same_in_all_three(tmp_path):
    mapping, grey = {255: "grain", 0: "pore"}, np.array([0, 255], "uint8")
    (tmp_path / "made").mkdir()
    for seed in range(2):
        tifffile.imwrite(tmp_path / "made" / f"{seed}.tif", grey[material((24, 24, 24), 5 + seed, 0.5)])
    tifffile.imwrite(tmp_path / "scan.tif", grey[material((40, 24, 24), 1, 0.5)])
    options = {"mapping": mapping, "voxel_size": 0.5, **QUICK, "count": 2}
    found = compare_held_out(tmp_path / "scan.tif", tmp_path / "made", ((0, 16), None, None), **options)
    for comparison in found.values():
        assert abs(difference(comparison)) < 0.3
