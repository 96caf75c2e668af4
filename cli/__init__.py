"""The command line, ``kerasgan3d``: one small module per command, imported when the command is called."""

from kerasgan3d.cli.app import main

__all__ = ["main"]
