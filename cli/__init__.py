"""The command line, ``kerasgan3d``: one small module per command, imported when that command runs."""

from kerasgan3d.cli.app import main

__all__ = ["main"]
