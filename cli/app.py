"""The table of commands."""

import click

import kerasgan3d
from kerasgan3d.cli.group import CommandGroup

# name: (module, help). The help is given here so that ``kerasgan3d --help`` imports no command.
COMMANDS = {
    "list": ("kerasgan3d.cli.list", "List the generators that come with kerasgan3d, or those on the Hub."),
    "info": ("kerasgan3d.cli.info", "Show the facts of a generator: phases, training data, measured fidelity."),
    "sample": ("kerasgan3d.cli.sample", "Generate a volume."),
    "reproduce": ("kerasgan3d.cli.reproduce", "Make a generated volume again, and compare it with the file."),
    "interpolate": ("kerasgan3d.cli.interpolate", "Generate a sequence of volumes from one seed to the next."),
    "search": ("kerasgan3d.cli.search", "Search an endless structure for windows with target properties."),
    "tune": ("kerasgan3d.cli.tune", "Tune a generator so that its volumes have target properties on average."),
    "extend": ("kerasgan3d.cli.extend", "Continue a scan: keep it exactly, and generate a structure that fits it."),
    "measure": (
        "kerasgan3d.cli.measure",
        "Measure volumes and slices: fractions, surfaces, triple-phase boundaries, connectivity, transport.",
    ),
    "rev": ("kerasgan3d.cli.rev", "Find a representative volume: how measures scatter with volume size."),
    "convert": ("kerasgan3d.cli.convert", "Convert a volume to another format; crop it, resample it, name its phases."),
    "export": ("kerasgan3d.cli.export", "Export a volume as a mesh for solvers or as parameters for cell models."),
    "compare": (
        "kerasgan3d.cli.compare",
        "Compare generated microstructures with a real one, in a table and a report.",
    ),
    "render": ("kerasgan3d.cli.render", "Draw a volume: 3D view, three slices, volume fractions."),
    "view": (
        "kerasgan3d.cli.view",
        "Write a page in which a volume turns: phases to hide, cuts, slices along three axes.",
    ),
    "train": ("kerasgan3d.cli.train", "Train a generator on a segmented image."),
    "finetune": ("kerasgan3d.cli.finetune", "Train a pretrained generator on another material."),
    "pull": ("kerasgan3d.cli.pull", "Download a generator from the Hugging Face Hub into its cache."),
    "app": (
        "kerasgan3d.cli.webapp",
        "Serve a web app: choose a generator, look at what it makes, measure it, take it along.",
    ),
    "publish": ("kerasgan3d.cli.publish", "Publish a generator on the Hugging Face Hub."),
    "publish-all": (
        "kerasgan3d.cli.publish_all",
        "Publish all pretrained generators on the Hugging Face Hub, with a dataset of volumes that they make.",
    ),
    "doctor": ("kerasgan3d.cli.doctor", "Show installed versions, the machine's hardware, and missing libraries."),
}


@click.group(
    cls=CommandGroup,
    table=COMMANDS,
    name="kerasgan3d",
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
    no_args_is_help=True,
)
@click.version_option(kerasgan3d.__version__, prog_name="kerasgan3d", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show tracebacks of errors and all messages of TensorFlow.")
def main(debug):
    """Generate periodic 3D images of multi-phase microstructures.

    Axes are in the order z, y, x; lengths are in µm.
    """
