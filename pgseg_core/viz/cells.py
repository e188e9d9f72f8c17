"""Parts, depths and surroundings of a region of cells, in numpy alone.

scipy.ndimage does the same, and to import it takes a third of the time from typing `pgseg segment`
to its files; what is asked here is small. Tests hold the two together.
"""

import numpy as np
from jaxtyping import Bool, Float, Int


def largest_part(region: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Return the largest part of a region whose cells touch along their sides.

    The runs of each row are numbered. Where two touch, both take the larger number, and then the
    number of the run that they are called after, so that numbers travel in ever longer leaps.
    """
    runs = np.cumsum(_begins(region)).reshape(region.shape) * region  # 0 outside
    meets = _begins(region[1:] & region[:-1])
    above, below = runs[:-1][meets], runs[1:][meets]
    names = np.arange(int(runs.max(initial=0)) + 1)
    while True:
        larger = np.maximum(names[above], names[below])
        joined = names.copy()
        np.maximum.at(joined, above, larger)
        np.maximum.at(joined, below, larger)
        joined = joined[joined]
        if np.array_equal(joined, names):
            break
        names = joined
    parts = names[runs]
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    largest: np.ndarray = region & (parts == sizes.argmax())
    return largest


def _begins(cells: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Mark the first cell of every run of a row."""
    first = cells.copy()
    first[:, 1:] &= ~cells[:, :-1]
    return first


def depth_inside(
    region: Bool[np.ndarray, "h w"], cell: tuple[float, float]
) -> Float[np.ndarray, "h w"]:
    """Return how far each cell's centre lies from the nearest one outside; the border is outside.

    Exact: first along columns, then over all columns at a distance that can still be nearer.

    Args:
        region: The cells inside.
        cell: Height and width of a cell.
    """
    wide = np.pad(region, 1)
    rows = np.arange(len(wide))[:, None]
    above = np.maximum.accumulate(np.where(wide, 0, rows), axis=0)
    below = np.minimum.accumulate(np.where(wide, len(wide), rows)[::-1], axis=0)[::-1]
    squared = (np.minimum(rows - above, below - rows) * cell[0]) ** 2.0
    nearest = squared.copy()
    for step in range(1, wide.shape[1]):
        far = (step * cell[1]) ** 2
        if far >= nearest.max():
            break
        np.minimum(nearest[:, step:], squared[:, :-step] + far, out=nearest[:, step:])
        np.minimum(nearest[:, :-step], squared[:, step:] + far, out=nearest[:, :-step])
    depth: np.ndarray = np.sqrt(nearest[1:-1, 1:-1])
    return depth


def count_around(region: Bool[np.ndarray, "h w"], box: tuple[int, int]) -> Int[np.ndarray, "h w"]:
    """Count the cells of a region in a box around every cell.

    Args:
        region: The cells that count.
        box: The box's height and width in cells; of an even side one more lies before the cell.
    """
    counts = region.astype(np.int32)
    for axis, side in enumerate(box):
        room = [(0, 0), (0, 0)]
        room[axis] = (side // 2 + 1, side - side // 2 - 1)
        sums = np.moveaxis(np.pad(counts, room).cumsum(axis=axis, dtype=np.int32), axis, 0)
        counts = np.moveaxis(sums[side:] - sums[:-side], 0, axis)
    return counts
