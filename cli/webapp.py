"""``kerasgan3d app``."""

import click

from kerasgan3d.cli.hub import pulled
from kerasgan3d.cli.options import WholeNumber, complete_generators


@click.command(
    "app",
    epilog="""\b
Examples:
  kerasgan3d app
  kerasgan3d app run/best nmc-cathode --largest 128
""",
)
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=complete_generators)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address; the default is for this machine alone.")
@click.option("--port", type=WholeNumber(1, 65535), metavar="N", help="Port; default: the first free one from 7860.")
@click.option(
    "--largest",
    type=WholeNumber(16, 1024),
    metavar="N",
    default=256,
    show_default=True,
    help="Most voxels along an edge that may be asked for.",
)
@click.option("--browser/--no-browser", default=True, show_default=True, help="Whether to open it in a browser.")
def command(names, host, port, largest, browser):
    """Serve a web app: choose a generator, look at what it makes, measure it, take it along.

    It offers the generators that ship, or those named, until it is interrupted. It needs gradio:
    pip install "kerasgan3d[app]".
    """
    from kerasgan3d.zoo.app import serve

    names = [pulled(name) for name in names] or None
    serve(names, largest=largest, server_name=host, server_port=port, inbrowser=browser)
