"""Ask a conditional generator for volume fractions, and measure what it makes.

    python tests/benchmarks/steering.py PRESET --count 100 --json docs/benchmarks/steering.json

Volumes of 128^3 are asked for fractions of one phase across the range that the generator covers, the others in the
ratio that they have in the data; a volume of 256 x 128 x 128 is asked for a profile along z, with ten seeds, and each
slab of 32 voxels is compared with what was asked for there.
"""

import argparse
import json
from pathlib import Path

import numpy as np


def main(arguments=None):
    """Print what was found, and write it as JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("preset", help="name or folder of a conditional generator")
    parser.add_argument("--phase", help="the phase that is asked for; the first if none is named")
    parser.add_argument("--count", type=int, default=100, help="volumes")
    parser.add_argument("--seeds", type=int, default=10, help="volumes with a profile")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result to this file as well")
    options = parser.parse_args(arguments)
    from kerasgan3d import load_generator

    generator = load_generator(options.preset)
    if generator.conditions is None:
        parser.error(f"{options.preset} is not told volume fractions")
    phase = options.phase or generator.phases[0]
    found = {"preset": Path(options.preset).name, "phase": phase, **numbers(generator, phase, options.count)}
    found["profile"] = profile(generator, phase, options.seeds)
    for name, row in found["phases"].items():
        print(
            f"{name:>8}: slope {row['slope']:.3f}, R^2 {row['r_squared']:.3f}, "
            f"root mean square error {row['rms_error']:.4f}"
        )
    print(f"profile: slabs off by at most {found['profile']['largest_error']:.4f}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def numbers(generator, phase, count):
    """Slope, R^2 and error of what was got against what was asked for: dict by phase."""
    index = generator.phases.index(phase)
    low, high = generator.conditions.lowest[index], generator.conditions.highest[index]
    asked, got = [], []
    for i, value in enumerate(np.linspace(low, high, count)):
        wish = {phase: float(value)}
        asked.append(generator.conditions.asked(wish, generator.phases, (1, 1, 1), beyond=True)[0, 0, 0])
        got.append(generator.sample(128, periodic=True, seed=i, fractions=wish, beyond=True).fractions)
    asked, got, rows = np.array(asked), np.array(got), {}
    for i, name in enumerate(generator.phases):
        x, y = asked[:, i], got[:, i]
        rows[name] = {
            "slope": float(np.polyfit(x, y, 1)[0]),
            "r_squared": float(np.corrcoef(x, y)[0, 1] ** 2),
            "rms_error": float(np.sqrt(np.mean((y - x) ** 2))),
        }
    return {"count": count, "asked": asked.round(4).tolist(), "got": got.round(4).tolist(), "phases": rows}


def profile(generator, phase, seeds, low=0.30, high=0.50, length=256, slab=32):
    """Mean fractions of slabs over seeds, beside what was asked for in them."""
    index, found = generator.phases.index(phase), []
    for seed in range(seeds):
        size, wish = (length, 128, 128), {phase: [low, high]}
        labels = generator.sample(size, periodic="yx", seed=seed, fractions=wish, beyond=True).labels
        found.append((labels == index).reshape(length // slab, -1).mean(1))
    middles = low + (high - low) * (np.arange(length // slab) + 0.5) * slab / length
    got = np.mean(found, axis=0)
    return {
        "seeds": seeds,
        "asked": middles.round(4).tolist(),
        "got": got.round(4).tolist(),
        "largest_error": float(np.abs(got - middles).max()),
    }


if __name__ == "__main__":
    main()
