"""Golden draws: what seeds give of training data, references and comparisons; as one dict that JSON holds.

    python tests/golden/make_data.py > tests/golden/data.json

Made before the ways to hold and to draw data became one, with the code of then; a run that was begun with that code
goes on bit for bit, references and comparisons keep their windows. Only where something is excluded, training draws
other crops since (all free places are equally likely, and known).
"""

import hashlib
import json
import tempfile
from pathlib import Path

import numpy as np
import tifffile

from kerasgan3d.data import Samplers, SliceSampler, Symmetry, VolumeSampler
from kerasgan3d.material.material import Material
from kerasgan3d.metrics.ensemble import random_windows
from kerasgan3d.report.sources import real_source

NAMES = ("pore", "Ni", "YSZ")
SYMMETRIES = {
    "isotropic": Symmetry(),
    "axial z": Symmetry("axial", 0),
    "axial y": Symmetry("axial", 1),
    "orthotropic": Symmetry("orthotropic"),
}


def noise(*shape, seed=0):
    """Labels, 0 to 2, of any shape."""
    return np.random.default_rng(seed).integers(0, 3, shape).astype("uint8")


def digest(arrays):
    """The sha256 of some arrays: of their shapes and values."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(str(array.shape).encode())
        total.update(np.ascontiguousarray(array))
    return total.hexdigest()


def batches(sampler):
    """The sha256 of the batches of three steps."""
    return digest(part for step in (0, 1, 1000) for part in sampler.batch(step))


def samplers():
    """Batches of samplers of a volume, of one slice, of several, and of slices by direction."""
    volume, found = noise(20, 24, 28), {}
    stack = {0: [noise(20, 24, seed=1), noise(18, 30, seed=2)], 1: [noise(17, 20, seed=3)], 2: [noise(22, 19, seed=4)]}
    for name, symmetry in SYMMETRIES.items():
        counts = [3 * len(group) for group in symmetry.groups]
        found[f"slices of a volume, {name}"] = batches(SliceSampler(volume, 12, counts, symmetry, seed=5))
        found[f"sub-volumes, {name}"] = batches(VolumeSampler(volume, 12, 3, symmetry, seed=6))
        found[f"sub-volumes of spacing 4, {name}"] = batches(VolumeSampler(volume, 12, 3, symmetry, 4, seed=7))
        found[f"slices by direction, {name}"] = batches(SliceSampler(stack, 12, counts, symmetry, seed=8))
    found["one slice"] = batches(SliceSampler(volume[0], 12, [5], seed=9))
    found["several slices"] = batches(SliceSampler([volume[0], volume[:, 0], volume[1]], 12, [5], seed=10))
    pair = Samplers(SliceSampler(volume, 12, [5], seed=11), VolumeSampler(volume, 8, 2, seed=11))
    return {**found, "pair": batches(pair)}


def windows():
    """Places of sub-volumes of a comparison, with and without an exclusion."""
    mask = np.zeros((20, 24, 28), bool)
    mask[3:5, 8:20, 10:30] = True
    found = {
        "3D": random_windows((20, 24, 28), 9, 40, seed=3),
        "2D": random_windows((50, 60), 20, 30, seed=[4, 1]),
        "fewer than asked for": random_windows((10, 11, 12), 9, 40, seed=5),
        "beside what is excluded": random_windows((20, 24, 28), 9, 40, seed=6, excluded=mask),
        "beside nothing": random_windows((20, 24, 28), 9, 40, seed=6, excluded=np.zeros_like(mask)),
    }
    return {name: digest([corners.astype("int64")]) for name, corners in found.items()}


def images():
    """Sub-volumes of the real side of a comparison, and of its halves."""
    volume, found = noise(20, 24, 40), {}
    for name, exclude in (("whole", None), ("beside a box", [((2, 6), None, (0, 9))])):
        source = real_source(volume, phases=NAMES, voxel_size=0.5, exclude=exclude)
        drawn = source.draw(15, 8, 2)
        train, test, room = source.halves(drawn, 8, 2)
        found[name] = [digest(drawn), digest(train), digest(test), int(room)]
    return found


def kept(statistics):
    """Statistics without most of the lags, fractions by one name whatever the version."""
    mean = dict(statistics["mean"])
    mean["two_point_correlation"] = np.array(mean["two_point_correlation"])[..., ::5].tolist()
    return json.loads(json.dumps({**statistics, "mean": mean}).replace('"volume_fractions"', '"volume_fraction"'))


def described(material):
    """What is known of a material."""
    per_group = [4 * len(group) for group in material.symmetry.groups]
    return {
        "facts": material.facts,
        "counts": material.counts.tolist(),
        "crops": material.crops(8),
        "slices": digest(material.slices(10)),
        "batches": batches(SliceSampler(material.data, 16, per_group, material.symmetry, 3)),
        "structuring_length": material.structuring_length(10),
        "reference": kept(material.reference(10)),
    }


def materials(folder):
    """A volume, read and in its file, one slice, several slices, and slices by direction."""
    volume = noise(24, 26, 28)
    tifffile.imwrite(folder / "volume.tif", volume, photometric="minisblack")
    paths = [folder / f"slice{k}.tif" for k in range(3)]
    for k, path in enumerate(paths):
        tifffile.imwrite(path, noise(30 + k, 40 - k, seed=k), photometric="minisblack")
    options = {"phases": NAMES, "voxel_size": 0.5}
    axial, isotropic = SYMMETRIES["axial z"], SYMMETRIES["isotropic"]
    return {
        "volume": described(Material(folder / "volume.tif", axial, **options)),
        "stored volume": described(Material(folder / "volume.tif", axial, in_memory=0, **options)),
        "coarser volume": described(Material(folder / "volume.tif", isotropic, resample_to=0.6, **options)),
        "one slice": described(Material(paths[0], isotropic, **options)),
        "stored slice": described(Material(paths[0], isotropic, in_memory=0, **options)),
        "several slices": described(Material(paths, isotropic, **options)),
        "by direction": described(Material({"z": paths[:2], "x": paths[2]}, axial, **options)),
        "a stack by direction": described(Material({"z": [folder / "volume.tif"]}, isotropic, **options)),
        "a stored stack by direction": described(
            Material({"z": [folder / "volume.tif"]}, isotropic, in_memory=0, **options)
        ),
    }


def make():
    """All of them."""
    with tempfile.TemporaryDirectory() as folder:
        return {
            "samplers": samplers(),
            "random_windows": windows(),
            "images": images(),
            "materials": materials(Path(folder)),
        }


if __name__ == "__main__":
    parts = {
        key: ",\n  ".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in part.items()) for key, part in make().items()
    }
    print("{\n " + ",\n ".join(f"{json.dumps(key)}: {{\n  {text}\n }}" for key, text in parts.items()) + "\n}")
