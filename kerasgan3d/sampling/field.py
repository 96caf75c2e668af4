"""The latent field: an infinite lattice of normal numbers, each a pure function of the seed and its position."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from functools import cache

import numpy as np

from kerasgan3d.checks import check_count, check_seed
from kerasgan3d.seeds import CHOSEN

_WORDS = np.uint64(0xFFFFFFFF)
_MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL = 0x9E3779B9, 0xBB67AE85


class LatentField:
    """Standard normal latents on an infinite lattice.

    The value at (i, j, k) depends only on (seed, i, j, k, channel): any window of the field can be computed anywhere,
    in any order, and repeatedly. Along a periodic axis the index is taken modulo the period.

    The numbers come from Philox4x32-10 (Salmon et al., SC11, doi 10.1145/2063384.2063405), a counter-based generator:
    the counter is (i, j, k, block of channels), the key is the seed. A table turns every 16 bits into one of 65,536
    equally probable values of the normal distribution; no transcendental function is called, so that machines agree.

    Args:
        seed: int, 0 <= seed < 2**64.
        channels: Number of channels of a latent.

    Raises:
        ValueError: if the seed is out of range or ``channels`` is not positive.
    """

    REACH = 2**31  # latents on either side of the origin

    def __init__(self, seed: int, channels: int):
        self.seed = check_seed(seed)
        self.channels = check_count(channels, "channels")

    def window(
        self, start: Sequence[int], shape: Sequence[int], period: Sequence[int | None] = (None, None, None)
    ) -> np.ndarray:
        """Compute the latents of a window of the lattice.

        Args:
            start: First index (z, y, x); may be negative, within 32 bits.
            shape: Number of latents (z, y, x).
            period: Period per axis in latents, or None where the field is open.

        Returns:
            float32 array (z, y, x, channels).

        Raises:
            ValueError: if the window extends beyond 32 bits, where the field would repeat itself.
        """
        axes = []
        for first, count, modulus in zip(start, shape, period, strict=True):
            first = first if modulus is None else first % modulus
            if not -self.REACH <= first <= self.REACH - count:
                raise ValueError(f"the latent field has indices from -2**31 to 2**31 - 1. Received: {first} and on.")
            index = np.arange(first, first + count, dtype=np.int64)
            axes.append((index if modulus is None else index % modulus).astype(np.uint64) & _WORDS)
        blocks = -(-self.channels // 8)
        counter = np.broadcast_arrays(
            *np.meshgrid(*axes, np.arange(blocks, dtype=np.uint64), indexing="ij", sparse=True)
        )
        words = np.stack(_philox(counter, self.seed), axis=-1).astype("<u4")
        halves = words.view("<u2").reshape(*shape, blocks * 8)[..., : self.channels]
        return _normal_table()[halves]


def draw_seed() -> int:
    """Draw a random seed below 2**32."""
    return secrets.randbelow(CHOSEN)


def _philox(counter: Sequence[np.ndarray], key: int) -> tuple[np.ndarray, ...]:
    """Encipher a counter by a 64-bit key with Philox4x32-10: four arrays of 32-bit words (in uint64)."""
    c0, c1, c2, c3 = counter
    k0, k1 = key & 0xFFFFFFFF, key >> 32
    for _ in range(10):
        p0, p1 = _MULTIPLIERS[0] * c0, _MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (
            (p1 >> np.uint64(32)) ^ c1 ^ np.uint64(k0),
            p1 & _WORDS,
            (p0 >> np.uint64(32)) ^ c3 ^ np.uint64(k1),
            p0 & _WORDS,
        )
        k0, k1 = (k0 + _WEYL[0]) & 0xFFFFFFFF, (k1 + _WEYL[1]) & 0xFFFFFFFF
    return c0, c1, c2, c3


@cache
def _normal_table() -> np.ndarray:
    """Return the normal quantiles at the midpoints of 65,536 equal intervals of probability, float32."""
    from scipy.special import ndtri

    table = ndtri((np.arange(65536) + 0.5) / 65536).astype("float32")
    table.setflags(write=False)
    return table
