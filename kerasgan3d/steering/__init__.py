"""Steering: paths from seed to seed, windows with target properties, generators tuned to targets, extended scans.

>>> from kerasgan3d.steering import interpolate, search
>>> frames = list(interpolate("nmc-cathode", seeds=(1, 2), frames=3, size=32))
"""

from kerasgan3d.steering.extending import Extension, extend, extension
from kerasgan3d.steering.frames import interpolate
from kerasgan3d.steering.targets import Target
from kerasgan3d.steering.tuning import TunedMeasure, TuneResult, tune
from kerasgan3d.steering.windows import FoundWindow, SearchResult, search

__all__ = [
    "Extension",
    "FoundWindow",
    "SearchResult",
    "Target",
    "TuneResult",
    "TunedMeasure",
    "extend",
    "extension",
    "interpolate",
    "search",
    "tune",
]
