"""Volume fractions."""

import numpy as np
from numpy.typing import ArrayLike

from kerasgan3d.deprecation import renamed
from kerasgan3d.metrics._check import check_volume
from kerasgan3d.metrics._count import count_voxels
from kerasgan3d.metrics._measure import PER_PHASE, Measure, OnBlocks
from kerasgan3d.volume import Volume


@renamed("phases", "n_phases")
def volume_fractions(volume: Volume | ArrayLike, *, n_phases: int | None = None) -> np.ndarray:
    """Return the volume fraction of each phase.

    Args:
        volume: Volume, or integer array (z, y, x) of labels 0..n-1.
        n_phases: Number of phases n; default: the volume's, or the highest label + 1 of an array.

    Returns:
        float64 array (n,), dimensionless, summing to 1; 0 for a phase that is absent.

    Raises:
        ValueError: If the labels are no integers 0..254, not 3D or empty, or if `n_phases` does not cover them.

    Example:
        >>> import numpy as np
        >>> volume_fractions(np.array([[[0, 1], [1, 2]]]))
        array([0.25, 0.5 , 0.25])
    """
    labels, n, _, _ = check_volume(volume, phases=n_phases)
    return fractions_of(labels, n)


def fractions_of(labels: np.ndarray, phases: int) -> np.ndarray:
    """Return the fraction of each phase in checked labels of any dimension: (phases,) float64."""
    return fractions_from(count_voxels(labels, phases))


def fractions_from(voxels: np.ndarray) -> np.ndarray:
    """Return the fraction of each phase from its number of voxels: (phases,) float64."""
    return voxels / voxels.sum()


VOLUME_FRACTION = Measure(
    key="volume_fraction",
    name="volume fraction",
    unit="1",
    shape=PER_PHASE,
    method="The share of voxels in the phase.",
    of_volume=lambda subject: fractions_of(subject.labels, subject.n_phases),
    of_slice=lambda subject: fractions_of(subject.labels, subject.n_phases),
    stereology=True,
    on_blocks=OnBlocks(
        count=lambda part: count_voxels(part.labels, part.n_phases), value=lambda voxels, whole: fractions_from(voxels)
    ),
    within=lambda values, inside: values["volume_fraction"][: inside.n] / inside.share,
    decimals=3,
    whole=True,
    bar=0.02,
    spread=(0.8, 1.25),
    monitored=True,
    section="structure",
    figure="Volume fractions",
)
