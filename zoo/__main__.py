"""``python -m kerasgan3d.zoo FOLDER``: measure a preset's fidelity again and make its card and picture again."""

import sys

from kerasgan3d.zoo.card import complete
from kerasgan3d.zoo.fidelity import measure_fidelity


def main(arguments):
    """Run on the folder that is named."""
    if len(arguments) != 1:
        raise SystemExit("usage: python -m kerasgan3d.zoo FOLDER")
    (folder,) = arguments
    measure_fidelity(folder)
    print(complete(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
