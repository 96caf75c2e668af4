"""``kerasgan3d export``."""

from pathlib import Path

import click

from kerasgan3d.cli.options import (
    READING,
    SAMPLE_FIRST,
    NumbersCommand,
    Phases,
    RealNumber,
    WholeNumber,
    each_once,
    overwrite_option,
    reading_options,
    refuse_generator,
)
from kerasgan3d.cli.output import echo, refuse_existing


class Conductivity(click.ParamType):
    """A phase and its conductivity, ``CBD=400`` -> ("CBD", 400.0)."""

    name = "phase=S/m"

    def convert(self, value, param, ctx):
        """Return the pair."""
        if isinstance(value, tuple):
            return value
        phase, _, number = (part.strip() for part in value.partition("="))
        try:
            return phase, float(number)
        except ValueError:
            self.fail(f"must be a phase and its S/m, such as CBD=400. Received: {value}", param, ctx)


@click.command(
    "export",
    cls=NumbersCommand,
    epilog="""\b
Examples:
  kerasgan3d export anode.tif anode.inp
  kerasgan3d export cathode.tif pores.msh --only pore --unit m
  kerasgan3d export cathode.tif cathode.vtu --format tetrahedra
  kerasgan3d export cathode.tif cathode.stl --only NMC --triangles 100000
  kerasgan3d export cathode.tif cathode.json --active NMC --axis z --thickness 75
  kerasgan3d export cathode.tif parameters.json --format pybamm --conductivity CBD=400
""",
)
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--only", type=Phases(), help="Export only these phases, given by names or labels. For meshes.")
@click.option(
    "--format",
    metavar="NAME",
    help="voxels, surface, tetrahedra, damask, bpx or pybamm, for suffixes with several; default: the first.",
)
@click.option("--unit", type=click.Choice(("um", "m")), help="Unit of mesh coordinates.  [default: um]")
@click.option(
    "--smoothing", type=WholeNumber(min=0), metavar="N", help="Smoothing passes. For surfaces and tetrahedra."
)
@click.option("--triangles", type=WholeNumber(min=4), metavar="N", help="Largest number of triangles. For surfaces.")
@click.option("--pore", metavar="PHASE", help="Electrolyte phase. For cell models.  [default: pore]")
@click.option("--active", metavar="PHASE", help="Active phase. For cell models.  [default: the largest other phase]")
@click.option("--axis", type=click.Choice(("z", "y", "x")), help="Through-plane axis. For cell models.  [default: z]")
@click.option(
    "--electrode", type=click.Choice(("positive", "negative")), help="Electrode. For cell models.  [default: positive]"
)
@click.option(
    "--radius",
    type=click.Choice(("surface", "sizes")),
    help="Particle radius from 3 x active fraction / surface area, or the mean of the size distribution.  "
    "[default: surface]",
)
@click.option(
    "--conductivity",
    type=Conductivity(),
    multiple=True,
    help="A phase that conducts electrons, and its conductivity in S/m. Repeat it for several.",
)
@click.option("--thickness", type=RealNumber(min=0, min_open=True), metavar="µm", help="Thickness of the electrode.")
@click.option("--base", type=click.Path(path_type=Path), help="BPX file of a cell in which to replace the electrode.")
@click.option("--names", type=Phases(), hidden=True, help="Old name of --phases.")
@reading_options
@overwrite_option
def command(file, out, format, only, names, conductivity, overwrite, **options):
    """Export a volume as a mesh for solvers or as parameters for cell models.

    The suffix of OUT selects the format. Voxels as hexahedra, or with --format tetrahedra as tetrahedra with smooth
    boundaries: .inp (Abaqus), .vtu (VTK), .msh (gmsh), .xdmf (FEniCSx), .e (Exodus, MOOSE), .nas (NASTRAN, COMSOL);
    .vti (DAMASK). Surfaces of phases: .stl, .ply, .obj, .3mf, and .nas by --format surface. Parameters of cell
    models: .json (BPX, PyBaMM).
    """
    import kerasgan3d

    refuse_existing(out, overwrite)
    refuse_generator(file, SAMPLE_FIRST)
    reading = {name: options.pop(name) for name in READING}
    if names is not None:
        echo("--names is called --phases now; the old name goes with the next release", err=True)
        only, reading["phases"] = only or reading["phases"], names
    volume, only = _read(file, only, reading)
    given = {name: value for name, value in options.items() if value is not None}
    given |= {"phases": only} if only else {}
    given |= {"conductivity": each_once(conductivity, "--conductivity")} if conductivity else {}
    lines = kerasgan3d.export.export(volume, out, format, overwrite=overwrite, **given)
    echo(f"wrote {out}")
    for line in lines:
        echo(f"  {line}")


def _read(file, only, reading):
    """Return the volume and the phases to export, which --phases used to name where they are fewer than all."""
    from kerasgan3d.io import read

    try:
        return read(file, **reading), only
    except ValueError:
        if only or not reading["phases"]:
            raise
        volume = read(file, **reading | {"phases": None})
        if len(reading["phases"]) >= len(volume.phases):
            raise
    echo("--phases of some of the phases is called --only now; the old name goes with the next release", err=True)
    return volume, reading["phases"]
