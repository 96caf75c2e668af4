"""Mistakes that type checkers are to report, each on its line and in the words that stand behind it."""

import kerasgan3d
from kerasgan3d import Volume, load_generator, metrics

generator = load_generator("nmc-cathode")
generator.sampel(64)  # mistake: "sampel"
print(generator.sample(64).label)  # mistake: "label"
kerasgan3d.load_generater("nmc-cathode")  # mistake: "load_generater"
metrics.volume_fractions(generator.sample(64), phases=3)  # mistake: "phases"
print(metrics.relative_diffusivity(generator.sample(64), 0, "z").flux)  # mistake: "flux"
Volume([[[0, 1]]], voxel_size="0.4 µm")  # mistake: "voxel_size"
kerasgan3d.train("scan.tif", "run", step=2000)  # mistake: "step"
