"""Generate periodic 3D images of multi-phase microstructures.

    >>> from kerasgan3d import load_generator
    >>> volume = load_generator("nmc-cathode").sample(128, periodic=True, seed=0)

Names are imported when first used, so that ``import kerasgan3d`` costs nothing and what needs no neural network
(volumes, files, measures) never loads Keras.
"""

import importlib
from pathlib import Path

__version__ = "0.1.0"

# In a checkout the zoo and the command line live beside this folder; installed, they live in it.
_here = Path(__file__).resolve().parent
if (
    not (_here / "zoo").is_dir()
    and (_here.parent / "zoo" / "__init__.py").is_file()
    and (_here.parent / "pyproject.toml").is_file()
):
    __path__.append(str(_here.parent))

_EXPORTS = {
    "CircularPad3D": "kerasgan3d.layers",
    "GAN3D": "kerasgan3d.training",
    "Generator": "kerasgan3d.models",
    "LatentField": "kerasgan3d.sampling",
    "PhaseMap": "kerasgan3d.phases",
    "SliceDiscriminator": "kerasgan3d.models",
    "UpsampleConv3D": "kerasgan3d.layers",
    "Volume": "kerasgan3d.volume",
    "VolumeDiscriminator": "kerasgan3d.models",
    "compare": "kerasgan3d.report.compare",
    "finetune": "kerasgan3d.zoo.finetuning",
    "load_generator": "kerasgan3d.zoo",
    "measure": "kerasgan3d.metrics",
    "render": "kerasgan3d.report",
    "train": "kerasgan3d.training",
}
_MODULES = ("data", "io", "layers", "metrics", "models", "phases", "report", "sampling", "training", "volume", "zoo")

__all__ = ["__version__", *sorted(_EXPORTS), *_MODULES]


def __getattr__(name):
    """Import a public name when it is first asked for."""
    if name in _EXPORTS:
        value = getattr(importlib.import_module(_EXPORTS[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(f"kerasgan3d.{name}")
    else:
        raise AttributeError(f"module 'kerasgan3d' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__():
    """List the public names, loaded or not."""
    return __all__
