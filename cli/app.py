"""The table of commands."""

import click

import kerasgan3d
from kerasgan3d.cli.group import CommandGroup

# name: (module, help). The help stands here so that ``kerasgan3d --help`` imports no command.
COMMANDS = {
    "list": ("kerasgan3d.cli.list", "List the generators that come with kerasgan3d, or those on the Hub."),
    "info": ("kerasgan3d.cli.info", "Show the facts of a generator: phases, training data, measured fidelity."),
    "sample": ("kerasgan3d.cli.sample", "Generate a volume."),
    "interpolate": ("kerasgan3d.cli.interpolate", "Generate volumes on the way from one seed to the next."),
    "search": ("kerasgan3d.cli.search", "Search the endless structure for windows with wanted properties."),
    "tune": ("kerasgan3d.cli.tune", "Tune a generator, so that its volumes have wanted properties on average."),
    "extend": ("kerasgan3d.cli.extend", "Continue a scan: keep it exactly, and generate the rest so that it goes on."),
    "measure": (
        "kerasgan3d.cli.measure",
        "Measure volumes and slices: fractions, surfaces, triple-phase boundaries, connectivity, transport.",
    ),
    "rev": ("kerasgan3d.cli.rev", "Tell how measures scatter with the size of a volume, and how large it must be."),
    "convert": ("kerasgan3d.cli.convert", "Convert a volume to another format; crop, resample and name it."),
    "export": ("kerasgan3d.cli.export", "Export a volume to what solvers and cell models read."),
    "compare": ("kerasgan3d.cli.compare", "Compare generated microstructures with a real one, in numbers and a page."),
    "render": ("kerasgan3d.cli.render", "Draw a volume: solid body, three slices, phase fractions."),
    "view": (
        "kerasgan3d.cli.view",
        "Write a page in which a volume turns: phases to hide, cuts, slices along three axes.",
    ),
    "train": ("kerasgan3d.cli.train", "Train a generator on a segmented image."),
    "finetune": ("kerasgan3d.cli.finetune", "Train a pretrained generator on another material."),
    "pull": ("kerasgan3d.cli.pull", "Pull a generator from the Hugging Face Hub into its cache."),
    "app": (
        "kerasgan3d.cli.webapp",
        "Serve a web app: choose a generator, look at what it makes, measure it, take it along.",
    ),
    "publish": ("kerasgan3d.cli.publish", "Publish a generator on the Hugging Face Hub."),
    "doctor": ("kerasgan3d.cli.doctor", "Show what is installed, what this machine has, and what is missing."),
}


@click.group(
    cls=CommandGroup,
    table=COMMANDS,
    name="kerasgan3d",
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
    no_args_is_help=True,
)
@click.version_option(kerasgan3d.__version__, prog_name="kerasgan3d", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show where an error arose, and all that TensorFlow says.")
def main(debug):
    """Generate periodic 3D images of multi-phase microstructures.

    Axes are in the order z, y, x; lengths are in µm.
    """
