"""Generate periodic 3D images of multi-phase microstructures.

    >>> from kerasgan3d import load_generator
    >>> volume = load_generator("nmc-cathode").sample(128, periodic=True, seed=0)

Names are imported when first used, so that ``import kerasgan3d`` is fast and everything that needs no neural network
(volumes, files, measures) never loads Keras.
"""

import contextlib
import importlib
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING

__version__ = "0.1.0"

# In a checkout the zoo and the command line live beside this folder; installed, they live in it.
_here = Path(__file__).resolve().parent
if (
    not (_here / "zoo").is_dir()
    and (_here.parent / "zoo" / "__init__.py").is_file()
    and (_here.parent / "pyproject.toml").is_file()
):
    __path__.append(str(_here.parent))

# A notebook passes MPLBACKEND on to every process it starts. Where that names a backend that is not installed here,
# neither matplotlib nor Keras, which imports it, can be imported: the variable is then removed. Our own pictures take
# no backend from the environment.
if "MPLBACKEND" in os.environ and "matplotlib" not in sys.modules:
    _backend = os.environ.pop("MPLBACKEND")
    with contextlib.suppress(ValueError):
        importlib.import_module("matplotlib").rcParams["backend"] = _backend or "agg"
        os.environ["MPLBACKEND"] = _backend

# TensorFlow's oneDNN convolutions take half the time of its other ones, which it prefers on some processors (AMD's).
# It reads this setting once, on import.
if platform.machine() in ("x86_64", "AMD64"):
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

# What `__getattr__` imports, for type checkers.
if TYPE_CHECKING:
    import kerasgan3d.data as data
    import kerasgan3d.export as export
    import kerasgan3d.io as io
    import kerasgan3d.layers as layers
    import kerasgan3d.metrics as metrics
    import kerasgan3d.models as models
    import kerasgan3d.phases as phases
    import kerasgan3d.report as report
    import kerasgan3d.sampling as sampling
    import kerasgan3d.steering as steering
    import kerasgan3d.training as training
    import kerasgan3d.volume as volume
    import kerasgan3d.zoo as zoo
    from kerasgan3d.io import convert
    from kerasgan3d.layers import CircularPad3D, UpsampleConv3D
    from kerasgan3d.metrics import measure
    from kerasgan3d.models import Generator, SliceDiscriminator, VolumeDiscriminator
    from kerasgan3d.phases import PhaseMap
    from kerasgan3d.report import render
    from kerasgan3d.report.compare import compare
    from kerasgan3d.sampling import LatentField
    from kerasgan3d.steering import search, tune
    from kerasgan3d.training import GAN3D, train
    from kerasgan3d.volume import Volume
    from kerasgan3d.zoo import list_presets, load_generator, reproduce
    from kerasgan3d.zoo.finetuning import finetune

__all__ = [
    "__version__",
    "CircularPad3D",
    "GAN3D",
    "Generator",
    "LatentField",
    "PhaseMap",
    "SliceDiscriminator",
    "UpsampleConv3D",
    "Volume",
    "VolumeDiscriminator",
    "compare",
    "convert",
    "finetune",
    "list_presets",
    "load_generator",
    "measure",
    "render",
    "reproduce",
    "search",
    "train",
    "tune",
    "data",
    "export",
    "io",
    "layers",
    "metrics",
    "models",
    "phases",
    "report",
    "sampling",
    "steering",
    "training",
    "volume",
    "zoo",
]

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
    "convert": "kerasgan3d.io",
    "finetune": "kerasgan3d.zoo.finetuning",
    "list_presets": "kerasgan3d.zoo",
    "load_generator": "kerasgan3d.zoo",
    "measure": "kerasgan3d.metrics",
    "render": "kerasgan3d.report",
    "reproduce": "kerasgan3d.zoo",
    "search": "kerasgan3d.steering",
    "train": "kerasgan3d.training",
    "tune": "kerasgan3d.steering",
}

if not TYPE_CHECKING:  # it would make every name valid to type checkers

    def __getattr__(name):
        """Import a public name when it is first asked for."""
        if name in _EXPORTS:
            value = getattr(importlib.import_module(_EXPORTS[name]), name)
        elif name in __all__:
            value = importlib.import_module(f"kerasgan3d.{name}")
        else:
            raise AttributeError(f"module 'kerasgan3d' has no attribute {name!r}")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return __all__
