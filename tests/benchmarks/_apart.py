"""What benchmarks share that time each part in a process of its own."""

import subprocess
import sys


def run(script, *arguments):
    """Return what a script prints in a new process."""
    return subprocess.run([sys.executable, script, *arguments], check=True, capture_output=True, text=True).stdout


def generated(size):
    """Return a periodic volume of the generator that ships as nmc-cathode."""
    import kerasgan3d

    return kerasgan3d.load_generator("nmc-cathode").sample(size, periodic=True, seed=0)
