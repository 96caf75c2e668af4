"""``python -m kerasgan3d.zoo FOLDER [REAL]``: measure a preset again and make its card and picture again.

With the segmented image that it was trained on, the preset is compared with it in full; without, its volumes are
measured against the statistics in the folder.
"""

import argparse

from kerasgan3d.zoo.card import complete
from kerasgan3d.zoo.comparison import compare_preset
from kerasgan3d.zoo.fidelity import measure_fidelity


def main(arguments=None):
    """Run on the folder that is named."""
    parser = argparse.ArgumentParser(prog="python -m kerasgan3d.zoo", description=(__doc__ or "").partition("\n\n")[2])
    parser.add_argument("folder", help="the preset folder")
    parser.add_argument("real", nargs="?", help="the image that it was trained on")
    parser.add_argument("--count", type=int, default=400, help="sub-volumes of either side (default: %(default)s)")
    parser.add_argument(
        "--peer",
        action="append",
        default=[],
        metavar="TITLE=PATH",
        help="volumes that others made of the same material, to be compared with the image too",
    )
    options = parser.parse_args(arguments)
    if options.real is None:
        measure_fidelity(options.folder)
    else:
        peers = dict(peer.split("=", 1) for peer in options.peer)
        compare_preset(options.folder, options.real, peers=peers, count=options.count)
    print(complete(options.folder))


if __name__ == "__main__":
    main()
