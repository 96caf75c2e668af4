"""``kerasgan3d export``."""

from pathlib import Path

import click

from kerasgan3d.cli.options import (
    NumbersCommand,
    Phases,
    dtype_option,
    map_option,
    overwrite_option,
    shape_option,
    tolerance_option,
    voxel_size_option,
)
from kerasgan3d.cli.output import echo, refuse_existing


class Conductivity(click.ParamType):
    """A phase and its conductivity, ``CBD=400`` -> {"CBD": 400.0}."""

    name = "phase=S/m"

    def convert(self, value, param, ctx):
        """Return the dict."""
        if isinstance(value, dict):
            return value
        phase, _, number = (part.strip() for part in value.partition("="))
        try:
            return {phase: float(number)}
        except ValueError:
            self.fail(f"must be a phase and its S/m, such as CBD=400. Received: {value}", param, ctx)


@click.command(
    "export",
    cls=NumbersCommand,
    epilog="""\b
Examples:
  kerasgan3d export anode.tif anode.inp
  kerasgan3d export cathode.tif pores.msh --phases pore --unit m
  kerasgan3d export cathode.tif cathode.stl --phases NMC
  kerasgan3d export cathode.tif cathode.json --active NMC --axis z --thickness 75
  kerasgan3d export cathode.tif parameters.json --format pybamm --conductivity CBD=400
""",
)
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--phases", type=Phases(), help="Export these phases only: names or labels. Of meshes.")
@click.option(
    "--format", metavar="NAME", help="voxels, surface, damask, bpx or pybamm, where the suffix does not tell."
)
@click.option("--unit", type=click.Choice(("um", "m")), help="Unit of the coordinates of meshes.  [default: um]")
@click.option("--smoothing", type=click.IntRange(min=0), metavar="N", help="Passes of smoothing, of surfaces.")
@click.option("--pore", metavar="PHASE", help="The phase that holds the electrolyte, of cell models.  [default: pore]")
@click.option("--active", metavar="PHASE", help="The phase that reacts.  [default: the largest other phase]")
@click.option("--axis", type=click.Choice(("z", "y", "x")), help="Through-plane axis.  [default: z]")
@click.option("--electrode", type=click.Choice(("positive", "negative")), help="Which it is.  [default: positive]")
@click.option(
    "--radius",
    type=click.Choice(("surface", "sizes")),
    help="Particle radius by 3 x active fraction / surface area, or the mean of the size distribution.  "
    "[default: surface]",
)
@click.option("--conductivity", type=Conductivity(), help="The phase that conducts electrons, and its S/m.")
@click.option("--thickness", type=click.FloatRange(min=0, min_open=True), metavar="µm", help="Of the electrode.")
@click.option("--base", type=click.Path(path_type=Path), help="BPX file of a cell, to put the electrode into.")
@click.option("--names", type=Phases(), help="Names of the phases in FILE, in the order of their values.")
@map_option
@tolerance_option
@voxel_size_option
@shape_option
@dtype_option
@overwrite_option
def command(file, out, format, names, mapping, tolerance, voxel_size, shape, dtype, overwrite, **options):
    """Export a volume to what solvers and cell models read.

    The suffix of OUT says what is written. Voxels as hexahedra: .inp (Abaqus), .vtu (VTK), .msh (gmsh), .xdmf
    (FEniCSx), .e (Exodus, MOOSE), .nas (NASTRAN); .vti (DAMASK). Surfaces of phases: .stl, .ply, .obj, .3mf. Parameters
    of cell models: .json (BPX, PyBaMM).
    """
    import kerasgan3d

    refuse_existing(out, overwrite)
    volume = kerasgan3d.io.read(
        file, phases=names, mapping=mapping, tolerance=tolerance, voxel_size=voxel_size, shape=shape, dtype=dtype
    )
    given = {name: value for name, value in options.items() if value is not None}
    lines = kerasgan3d.export.export(volume, out, format, overwrite=overwrite, **given)
    echo(f"wrote {out}")
    for line in lines:
        echo(f"  {line}")
