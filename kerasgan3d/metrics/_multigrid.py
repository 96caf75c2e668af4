"""A multigrid preconditioner for the flow through a network of voxels.

Each level joins the nodes that share a block of 2 x 2 x 2 places and are connected inside it, so that two channels that
pass through one block stay two. The conductance between two joined nodes is the sum of what ran between their parts:
the Galerkin matrix for functions that are constant on each. It is cheap to make, but twice too stiff for smooth
functions. That is mended by the K-cycle (Notay and Vassilevski, Numer. Linear Algebra Appl. 15, 2008, 473-487): each
coarse problem is solved by up to two steps of conjugate gradients, which find the right scale by themselves.
"""

from functools import cache

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

try:
    from pyamg.relaxation.relaxation import gauss_seidel
except TypeError as error:  # it adds to its docstrings
    raise ImportError("pyamg, which kerasgan3d measures with, does not load under python -OO: use python.") from error

_SMALL = 1000  # nodes: a direct solve of fewer takes less time than another level
_STRONG = 0.1
_ENOUGH = 0.25  # a coarse residual that one step reduces to this gets no second step (Notay and Vassilevski)


class Multigrid:
    """The hierarchy of ever coarser networks for the voxels of a mask, and one K-cycle through it.

    Args:
        matrix: CSR (n, n), the equations of the n voxels of the mask in C order.
        ends: array (n,), the conductance from each voxel to what lies outside.
        mask: bool (z, y, x).
        wraps: three bools: along which axes the last voxel is a neighbour of the first.
        conductivity: array (z, y, x), positive in the mask; None: the same everywhere.
    """

    def __init__(self, matrix, ends, mask, wraps, conductivity=None):
        self._levels = []
        nodes, places = join_voxels(mask) if conductivity is None else _join_alike(mask, conductivity)
        between = _faces_between(nodes, wraps, conductivity)
        parts = nodes[mask]
        while matrix.shape[0] > _SMALL and matrix.nnz > matrix.shape[0]:
            if self._levels:
                parts, places, between = _join_nodes(matrix, places, 0 if conductivity is None else _STRONG)
            ends = np.bincount(parts, ends)
            self._levels.append((matrix, _spreading(parts, len(ends))))
            matrix = network(*between, ends)
        self._direct = splu(matrix.tocsc())

    def __call__(self, residual):
        """Return an approximate solution for a right-hand side (n,)."""
        return self._cycle(0, residual)

    def _cycle(self, depth, rhs):
        if depth == len(self._levels):
            return self._direct.solve(rhs)
        matrix, spreading = self._levels[depth]
        solution = np.zeros_like(rhs)
        gauss_seidel(matrix, solution, rhs, sweep="forward")
        solution += spreading @ self._coarse(depth + 1, spreading.T @ (rhs - matrix @ solution))
        gauss_seidel(matrix, solution, rhs, sweep="backward")
        return solution

    def _coarse(self, depth, rhs):
        """Solve a coarse problem by one or two steps of conjugate gradients, preconditioned by the cycle below."""
        first = self._cycle(depth, rhs)
        if depth == len(self._levels) or not rhs.any():
            return first
        matrix = self._levels[depth][0]
        flow = matrix @ first
        energy = first @ flow
        step = (first @ rhs) / energy
        rest = rhs - step * flow
        if rest @ rest < _ENOUGH**2 * (rhs @ rhs):
            return step * first
        second = self._cycle(depth, rest)
        second -= (second @ flow) / energy * first
        return step * first + (second @ rest) / (second @ (matrix @ second)) * second


def harmonic_mean(one, other):
    """Return 2ab / (a + b) of positive numbers, without forming their product."""
    return 2 / (1 / one + 1 / other)


def network(before, after, conductances, ends):
    """Return the equations of a network: CSR (n, n), symmetric, in float64.

    Args:
        before, after: int arrays, the nodes that each link joins; links between the same nodes add up.
        conductances: array of the links' conductances.
        ends: array (n,), the conductance from each node to what lies outside.
    """
    size = len(ends)
    links = sparse.coo_array((conductances, (before, after)), shape=(size, size), dtype=np.float64).tocsr()
    links = links + links.T
    return (sparse.diags_array(ends + links.sum(axis=1)) - links).tocsr()


def join_voxels(mask):
    """Number the connected parts of a mask inside each block of 2 x 2 x 2 voxels.

    Returns:
        int32 (z, y, x), the number of each voxel's part, -1 outside the mask; and (3, parts), the places of the blocks.
    """
    table, counts = _block_parts()
    corners = list(np.ndindex(2, 2, 2))
    blocks = tuple(-(-size // 2) for size in mask.shape)
    patterns = np.zeros(blocks, np.uint8)
    for bit, (z, y, x) in enumerate(corners):
        corner = mask[z::2, y::2, x::2]
        patterns[tuple(map(slice, corner.shape))] |= corner.astype(np.uint8) << np.uint8(bit)
    count = counts[patterns]
    first = (np.cumsum(count, dtype=np.int32) - count.ravel()).reshape(blocks)
    numbers = np.full(mask.shape, -1, np.int32)
    for bit, (z, y, x) in enumerate(corners):
        corner = mask[z::2, y::2, x::2]
        window = tuple(map(slice, corner.shape))
        numbers[z::2, y::2, x::2] = np.where(corner, first[window] + table[bit][patterns[window]], -1)
    places = np.repeat(np.flatnonzero(count), count[count > 0])
    return numbers, np.stack(np.unravel_index(places, blocks))


@cache
def _block_parts():
    """Return for each of the 256 patterns of a block the part of each of its 8 voxels, and the number of parts."""
    table, counts = np.zeros((8, 256), np.uint8), np.zeros(256, np.uint8)
    for pattern in range(256):
        bits = pattern >> np.arange(8).reshape(2, 2, 2) & 1
        parts, counts[pattern] = ndimage.label(bits)
        table[:, pattern] = np.maximum(parts.ravel(), 1) - 1
    return table, counts


def _join_alike(mask, conductivity):
    """Number the parts of a mask as `join_voxels` does, where only voxels of one conductivity are joined."""
    numbers, places, count = np.full(mask.shape, -1, np.int32), [], 0
    for value in np.unique(conductivity[mask]):
        alike = mask & (conductivity == value)
        found, where = join_voxels(alike)
        numbers[alike] = found[alike] + count
        places.append(where)
        count += where.shape[1]
    return numbers, np.concatenate(places, axis=1)


def _faces_between(nodes, wraps, conductivity):
    """List the voxel faces between nodes as links: (before, after, conductances)."""
    before, after, through = [], [], []
    for axis in range(3):
        lines = np.moveaxis(nodes, axis, 0)
        # Inside blocks there are links only between what differs in conductivity.
        step = 2 if conductivity is None else 1
        sides = [(slice(step - 1, -1, step), slice(step, None, step))]
        if wraps[axis]:
            sides.append((slice(-1, None), slice(0, 1)))
        for low, high in sides:
            linked = (lines[low] >= 0) & (lines[high] >= 0) & (lines[low] != lines[high])
            before.append(lines[low][linked])
            after.append(lines[high][linked])
            if conductivity is not None:
                values = np.moveaxis(conductivity, axis, 0)
                through.append(harmonic_mean(values[low][linked], values[high][linked]))
    before, after = np.concatenate(before), np.concatenate(after)
    return before, after, np.concatenate(through) if through else np.ones(len(before))


def _join_nodes(matrix, places, strong):
    """Join the nodes of a network that share a block of 2 x 2 x 2 places and are connected inside it.

    Args:
        matrix: CSR (n, n), the equations of the nodes.
        places: int array (3, n), where they are.
        strong: which links join: those of at least this share of the geometric mean of the strongest links of their two
            nodes. A node without such links goes with the neighbour to which it has the strongest.

    Returns:
        The number of each node's part (n,), the places of the parts (3, parts), and the links between different parts.
    """
    places = places >> 1
    blocks = np.ravel_multi_index(places, places.max(axis=1) + 1)
    links = sparse.triu(matrix, 1, format="coo")
    before, after = links.coords
    inside = blocks[before] == blocks[after]
    if strong:
        inside &= _joins(before, after, -links.data, inside, strong, len(blocks))
    joined = sparse.coo_array((np.ones(inside.sum()), (before[inside], after[inside])), shape=matrix.shape)
    count, parts = connected_components(joined, directed=False)
    outside = ~inside
    between = (parts[before[outside]], parts[after[outside]], -links.data[outside])
    places_of_parts = np.empty((3, count), places.dtype)
    places_of_parts[:, parts] = places
    return parts, places_of_parts, between


def _joins(before, after, conductances, inside, strong, count):
    """Tell which links join their nodes: the strong ones, and the strongest of each node that has none of these."""
    most = np.zeros(count)
    for ends in (before, after):
        np.maximum.at(most, ends, conductances)
    joins = inside & (conductances >= strong * np.sqrt(most[before] * most[after]))
    alone = np.ones(count, bool)
    alone[before[joins]] = alone[after[joins]] = False
    for ends in (before, after):
        weak = inside & alone[ends] & (conductances == most[ends])
        joins[np.flatnonzero(weak)[np.unique(ends[weak], return_index=True)[1]]] = True
    return joins


def _spreading(parts, count):
    """Return the CSR matrix (n, count) that gives each node the value of its part; its transpose adds up a part."""
    size = len(parts)
    return sparse.csr_array((np.ones(size), parts, np.arange(size + 1, dtype=np.int32)), shape=(size, count))
