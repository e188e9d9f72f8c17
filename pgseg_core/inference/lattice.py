"""Gaussian sums over many points in a few dimensions, in linear time: the permutohedral lattice.

Adams, Baek and Davis, *Fast High-Dimensional Filtering Using the Permutohedral Lattice*,
Eurographics 2010. Points are spread over the corners of the simplex around them (splat), corners
are blurred along each of the lattice's directions, and every point reads its corners back (slice).
"""

import numpy as np
from jaxtyping import Float, Integer
from scipy import sparse


class PermutohedralLattice:
    """The lattice around n points; made once for points and used for any values.

    Args:
        points: Places of the points, in deviations of the Gaussian.
    """

    def __init__(self, points: Float[np.ndarray, "n d"]) -> None:
        number, dimensions = points.shape
        keys, weights, strides = _corners(points)
        corners, places = np.unique(keys, return_inverse=True)
        rows = np.tile(np.arange(number), dimensions + 1)
        self._slice = sparse.csr_matrix(
            (weights.astype(np.float32).ravel(), (rows, places.ravel())),
            shape=(number, len(corners)),
        )
        self._splat = self._slice.T.tocsr()
        self._blurs = [_blur(corners, int(step)) for step in _directions(strides)]
        self._gain = np.float32(1 / (1 + 2.0**-dimensions))

    def sums(self, values: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k"]:
        """Return sum over j of exp(-|x_i - x_j|^2 / 2) v_j for every point i.

        Approximate: up to a constant factor that dividing by sums of ones takes out (0.9 in two
        dimensions, 0.6 in five), and a few percent of noise around it.
        """
        spread = self._splat @ values
        for blur in self._blurs:
            spread = blur @ spread
        summed: np.ndarray = self._gain * (self._slice @ spread)
        return summed


def _corners(
    points: Float[np.ndarray, "n d"],
) -> tuple[
    Integer[np.ndarray, "d_plus_1 n"], Float[np.ndarray, "d_plus_1 n"], Integer[np.ndarray, " d"]
]:
    """Find for each point the d + 1 corners of the simplex around it.

    Corners are integer vectors of d + 1 coordinates that sum to zero. The last one is left out, and
    the others are written as one number, with so much room on every side that a step of the lattice
    is an addition.

    Returns:
        The corners (those of remainder 0, 1, ... d); the point's barycentric weights; and what a
        step of 1 along each coordinate adds.
    """
    size = points.shape[1] + 1
    lifted = _lifted(points)
    nearest = np.rint(lifted / size).astype(np.int64) * size  # the corner of remainder 0
    rank = _ranks(lifted - nearest) + nearest.sum(axis=0) // size
    moved = size * ((rank < 0).astype(np.int64) - (rank >= size).astype(np.int64))
    nearest, rank = nearest + moved, rank + moved

    ordered = np.empty_like(lifted)  # places inside the simplex, the smallest first
    np.put_along_axis(ordered, size - 1 - rank, (lifted - nearest) / size, axis=0)
    weights = np.diff(ordered, axis=0, prepend=ordered[-1:] - 1)

    lowest = nearest[:-1].min(axis=1) - 2 * size
    room = nearest[:-1].max(axis=1) - lowest + 2 * size + 1
    strides = np.concatenate([[1], np.cumprod(room[:-1])]).astype(np.int64)
    assert np.prod(room.astype(np.float64)) < 2**62, "the points lie too far apart"
    base = strides @ (nearest[:-1] - lowest[:, None])
    keys = np.stack(
        [
            base + strides @ (remainder - size * (rank[:-1] >= size - remainder))
            for remainder in range(size)
        ]
    )
    return keys, weights, strides


def _ranks(excess: Float[np.ndarray, "d n"]) -> Integer[np.ndarray, "d n"]:
    """Return each coordinate's place when the largest is 0; the earlier of equals comes first."""
    rank = np.zeros(excess.shape, dtype=np.int64)
    for later in range(1, len(excess)):
        for earlier in range(later):
            above = excess[later] > excess[earlier]
            rank[earlier] += above
            rank[later] += ~above
    return rank


def _lifted(points: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "d_plus_1 n"]:
    """Bring points onto the plane of the lattice, scaled so that its blur has deviation 1."""
    dimensions = points.shape[1]
    place = np.arange(1, dimensions + 1)
    scale = (dimensions + 1) * np.sqrt(2 / 3) / np.sqrt(place * (place + 1))
    scaled = np.ascontiguousarray(points.T) * scale[:, None]
    lifted = np.zeros((dimensions + 1, len(points)))
    lifted[:-1] = np.cumsum(scaled[::-1], axis=0)[::-1]  # of this and the later coordinates
    lifted[1:] -= place[:, None] * scaled
    return lifted


def _directions(strides: Integer[np.ndarray, " d"]) -> list[int]:
    """Return the packed step along each of the d + 1 directions: d there, -1 elsewhere."""
    size = len(strides) + 1
    back = -int(strides.sum())
    return [*(back + size * int(stride) for stride in strides), back]


def _blur(corners: Integer[np.ndarray, " m"], step: int) -> sparse.csr_matrix:
    """Return the matrix that adds half of both neighbours along a direction."""
    number = len(corners)
    rows, columns = [np.arange(number)], [np.arange(number)]
    for wanted in (corners + step, corners - step):
        places = np.searchsorted(corners, wanted).clip(max=number - 1)
        there = corners[places] == wanted
        rows.append(np.flatnonzero(there))
        columns.append(places[there])
    weights = [1.0, 0.5, 0.5]
    values = np.concatenate(
        [np.full(len(part), weight) for part, weight in zip(rows, weights, strict=True)]
    )
    at = (np.concatenate(rows), np.concatenate(columns))
    return sparse.csr_matrix((values.astype(np.float32), at), shape=(number, number))
