"""``python -m kerasgan3d.cli``: the command line without the installed script."""

from kerasgan3d.cli import main

if __name__ == "__main__":
    main()
