"""Tortuosity factors next to TauFactor's, converged to far below what they may differ by."""

import numpy as np
import pytest
from scipy import ndimage

from kerasgan3d.metrics import effective_conductivity, relative_diffusivity, tortuosity_factor

pytestmark = pytest.mark.peer
taufactor = pytest.importorskip("taufactor", reason="TauFactor is not installed")
pytest.importorskip("torch", reason="TauFactor solves with PyTorch, which is not installed")


def blobs(shape, share, seed, mode):
    noise = np.random.default_rng(seed).standard_normal(shape)
    smooth = ndimage.gaussian_filter(noise, 3, mode=mode)
    return (smooth > np.quantile(smooth, 1 - share)).astype(np.uint8)


@pytest.mark.parametrize(("boundary", "solver"), [("mirror", taufactor.Solver), ("periodic", taufactor.PeriodicSolver)])
@pytest.mark.parametrize(
    ("shape", "share", "seed", "axis"),
    [
        pytest.param((48, 48, 48), 0.5, 0, 0, id="half of 48^3, along z"),
        pytest.param((48, 48, 48), 0.3, 1, 1, id="30 % of 48^3, along y"),
        pytest.param((64, 64, 64), 0.4, 2, 2, id="40 % of 64^3, along x"),
        pytest.param((64, 48, 56), 0.6, 3, 1, id="60 % of 64 x 48 x 56, along y"),
    ],
)
def test_tortuosity_factor(boundary, solver, shape, share, seed, axis):
    labels = blobs(shape, share, seed, "wrap" if boundary == "periodic" else "reflect")
    peer = solver(np.ascontiguousarray(np.moveaxis(labels, axis, 0)), device="cpu")
    theirs = float(np.squeeze(peer.solve(verbose=False, conv_crit=2e-4)))
    assert peer.converged
    assert tortuosity_factor(labels, 1, axis, boundary) == pytest.approx(theirs, rel=5e-3)
    assert relative_diffusivity(labels, 1, axis, boundary) == pytest.approx(float(peer.D_rel[0]), rel=5e-3)


@pytest.mark.parametrize("table", [{1: 1.0, 2: 10.0}, {1: 1.0, 2: 0.02}, {1: 0.3, 2: 1.0, 3: 0.05}], ids=str)
def test_several_phases(table):
    """Both take harmonic means at faces.

    TauFactor's solver for several phases has its ends a whole voxel beyond the first and the last layer, where its
    others, and ours, have them half a voxel beyond: in a volume of 32 voxels that is up to 1 %, in one of 96 a third.
    """
    noise = np.random.default_rng(4).standard_normal((96, 20, 20))
    smooth = ndimage.gaussian_filter(noise, 2, mode="reflect")
    labels = np.searchsorted(np.quantile(smooth, np.arange(1, len(table) + 1) / (len(table) + 1)), smooth)
    peer = taufactor.MultiPhaseSolver(labels, cond=table, device="cpu")
    peer.solve(verbose=False, conv_crit=1e-3)
    assert peer.converged
    assert effective_conductivity(labels, table, "z") == pytest.approx(float(np.squeeze(peer.D_eff)), rel=5e-3)
