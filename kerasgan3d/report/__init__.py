"""Pictures of labelled volumes, for papers and documentation.

>>> from kerasgan3d.report import render
>>> render(volume, "anode.png")  # doctest: +SKIP
"""

from kerasgan3d.palette import phase_colors
from kerasgan3d.report.animation import animate_volume
from kerasgan3d.report.files import check_picture
from kerasgan3d.report.gallery import render_slices
from kerasgan3d.report.overview import render
from kerasgan3d.report.viewer import View, view

__all__ = ["View", "animate_volume", "check_picture", "phase_colors", "render", "render_slices", "view"]
