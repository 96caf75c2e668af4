"""Measurement of a generator's fidelity to the statistics of its material."""

from pathlib import Path

import numpy as np

from kerasgan3d.folder import CARD, REFERENCE, checked_card, read_statistics, write_json, written_again
from kerasgan3d.seeds import FIDELITY as SEED


def measure_fidelity(folder, *, count=100, size=None, large=128, large_count=20, progress=None):
    """Measure a preset's generator against its ``reference.json`` and write the result into ``kerasgan3d.json``.

    Args:
        folder: Path of the preset folder.
        count: Number of volumes that are compared with the reference's sub-volumes.
        size: Their edge length in voxels; the reference's if None.
        large: Edge length in voxels of larger volumes, of which only the volume fractions are measured.
        large_count: Number of these; 0 for none.
        progress: A function (volumes done, total volumes).

    Returns:
        dict: the entries written: "fidelity" (measure to "real" and "generated" means and standard deviations),
        "two_point_correlation", "samples" and "large_volumes".

    Raises:
        ValueError, FileNotFoundError: if the folder is incomplete.
    """
    from kerasgan3d.material.statistics import fidelity_facts, summarise
    from kerasgan3d.models.preset import load_preset

    folder = Path(folder)
    reference, generator = read_statistics(folder / REFERENCE), load_preset(folder)
    size = size or reference["sub_volumes"]["size"]
    total = count + large_count

    def sample(i, edge):
        if progress is not None:
            progress(i, total)
        return generator.sample(edge, seed=SEED + i).labels

    samples, dimensions = [sample(i, size) for i in range(count)], reference["sub_volumes"]["dimensions"]
    measured = summarise(samples, len(generator.phases), generator.voxel_size, dimensions)
    result = {
        **fidelity_facts(reference, measured),
        "samples": {"count": count, "size": size, "seed": SEED, "compared_in": dimensions},
    }
    if large_count:
        n = len(generator.phases)
        shares = [
            np.bincount(sample(i, large).ravel(), minlength=n) / large**3 for i in range(count, count + large_count)
        ]
        result["large_volumes"] = {
            "count": large_count,
            "size": large,
            "seed": SEED + count,
            "real": reference["bulk"]["volume_fraction"],
            "generated": np.mean(shares, 0).tolist(),
            "std": np.std(shares, 0, ddof=1).tolist(),
        }
    card = checked_card(folder / CARD)
    write_json({**card, **result, "format": written_again(card)}, folder / CARD)
    return result
