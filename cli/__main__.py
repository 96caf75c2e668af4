"""Run the command line without the installed script: ``python -m kerasgan3d.cli``."""

from kerasgan3d.cli import main

if __name__ == "__main__":
    main()
