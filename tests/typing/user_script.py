"""What a user writes: type checkers find no fault with it, and know what they are told here."""

from pathlib import Path
from typing import assert_type

import numpy as np

import kerasgan3d
from kerasgan3d import Generator, PhaseMap, Volume, load_generator, metrics, zoo

generator = load_generator("nmc-cathode")
assert_type(generator, Generator)
volume = generator.sample(64, periodic=True, seed=0)
labels: np.ndarray = volume.labels
phases: tuple[str, ...] = volume.phases
slab = generator.sample((64, 128, 128), periodic="yx")[0:32, :, :]
assert_type(slab, Volume)
assert_type(slab[3], Volume)
assert_type(slab["pore"], np.ndarray)
assert_type(generator.sample(64, seed=range(4), progress=False), list[Volume])
names: list[str] = kerasgan3d.list_presets()
solid: np.ndarray = volume != "pore"
same: bool = volume.equals(slab.flip("z").crop([(0, 8), None, None]).resample(1.0))
print(names, solid, same, len(volume), volume.ndim, volume.dtype, volume.plot(axis="z").dpi)

fractions: np.ndarray = metrics.volume_fractions(labels, n_phases=3)
areas = metrics.specific_surface_area(volume, method="marching_cubes") * 2
diffusivity: float = metrics.relative_diffusivity(volume, "pore", "z")
value, field = metrics.relative_diffusivity(volume, 0, axis=2, return_field=True)
flux: np.ndarray = field.flux
print(kerasgan3d.measure(volume).volume_fractions, fractions, areas, diffusivity / value, flux.max())

joined = generator.sample((16, 16, 64), seed=1, blend=(2, {"x": [0, 0, 1, 1]}))
found = kerasgan3d.search(generator, ["D_rel.pore.z=0.2", "ssa.NMC>0.4"], size=64, count=10, out="found.csv")
assert_type(generator.sample(found.best.job), Volume)
assert_type(kerasgan3d.reproduce("a.tif", "again.tif", generator="run").same, bool)
comparison = kerasgan3d.compare("scan.tif", generator, count=20)
kerasgan3d.render(volume, "volume.png", axis="z", colors={"pore": "black"}, dpi=300)
volume.save("volume.tif")
again = Volume(PhaseMap(["pore", "solid"], greys=[0, 255]).encode(labels), phases=["pore", "solid"], voxel_size=0.4)
again.roll((1, 0, 0)) if any(again.periodic) else Volume.load("volume.tif").one_hot()

folder = kerasgan3d.train("scan.tif", "run", phases=("pore", "NMC", "CBD"), voxel_size=0.4, steps=2000, progress=print)
tuned = kerasgan3d.finetune("nmc-cathode", Path("scan.tif"), "run", voxel_size=0.4)
print(comparison, folder, tuned, zoo.list_presets(), zoo.publish("run", "org/name", dry_run=True).files)
