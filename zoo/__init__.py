"""The model zoo: generators by name, and their preset folders.

>>> from kerasgan3d import zoo
>>> zoo.list_presets()
['nmc-cathode', 'sofc-anode']
"""

from kerasgan3d.zoo.card import complete
from kerasgan3d.zoo.comparison import compare_preset
from kerasgan3d.zoo.fidelity import measure_fidelity
from kerasgan3d.zoo.hub import search
from kerasgan3d.zoo.loading import info, is_generator, list_presets, load_generator, on_hub, path, pull
from kerasgan3d.zoo.publishing import publish, publish_all
from kerasgan3d.zoo.reproducing import Reproduction, reproduce

__all__ = [
    "Reproduction",
    "compare_preset",
    "complete",
    "info",
    "is_generator",
    "list_presets",
    "load_generator",
    "measure_fidelity",
    "on_hub",
    "path",
    "publish",
    "publish_all",
    "pull",
    "reproduce",
    "search",
]
