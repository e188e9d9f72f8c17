"""Where regions of a label map end, and where in a region a name fits."""

import numpy as np
from jaxtyping import Bool, Integer

from pgseg_core.viz.cells import count_around, depth_inside, largest_part

_WORKING_SIDE = 256  # places are searched on a map reduced to this many cells a side


def region_edges(labels: Integer[np.ndarray, "h w"], width: int = 1) -> Bool[np.ndarray, "h w"]:
    """Mark the pixels on a border between two labels.

    Args:
        labels: A label for every pixel.
        width: Thickness of the line, in pixels.
    """
    edges = np.zeros(labels.shape, dtype=bool)
    edges[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    edges[1:] |= labels[1:] != labels[:-1]
    if width > 1:
        edges = count_around(edges, (width, width)) > 0
    return edges


def resize_labels(
    labels: Integer[np.ndarray, "h w"], size: tuple[int, int]
) -> Integer[np.ndarray, "H W"]:
    """Resize a label map by taking the label at the centre of each new cell.

    Args:
        labels: A label for every pixel.
        size: New height and width.
    """
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(np.int64)
        for new, old in zip(size, labels.shape, strict=True)
    )
    resized: np.ndarray = labels[rows[:, None], columns]
    return resized


def label_counts(labels: Integer[np.ndarray, "h w"], count: int) -> Integer[np.ndarray, " c"]:
    """Count the pixels of labels 0 to `count` - 1; other labels are not counted."""
    total = np.zeros(count, dtype=np.int64)
    for rows in np.array_split(labels, max(1, labels.size >> 22)):  # 4 Mpx of copies at a time
        known = rows[(rows >= 0) & (rows < count)].astype(np.int64)
        total += np.bincount(known, minlength=count)
    return total


def place_box(mask: Bool[np.ndarray, "h w"], box: tuple[float, float]) -> tuple[int, int] | None:
    """Find where a box, such as a name's, lies deepest inside the largest part of a region.

    Args:
        mask: The region.
        box: Height and width to fit, in pixels.

    Returns:
        Row and column of the box's centre, or None where it does not fit.
    """
    height, width = mask.shape
    size = (min(height, _WORKING_SIDE), min(width, _WORKING_SIDE))
    small = resize_labels(mask.astype(np.uint8), size) > 0
    cell = (height / size[0], width / size[1])
    part = largest_part(small)
    if not part.any():
        return None
    down, across = (max(1, round(side / step)) for side, step in zip(box, cell, strict=True))
    depth = depth_inside(part, cell)
    # A ragged corner of the box may stick out.
    depth[count_around(part, (down, across)) < 0.97 * down * across] = 0
    if not depth.any():
        return None
    rows, columns = np.nonzero(depth >= 0.9 * depth.max())
    middle = [places.mean() for places in np.nonzero(part)]  # among equally deep, the most central
    nearest = np.hypot((rows - middle[0]) * cell[0], (columns - middle[1]) * cell[1]).argmin()
    return int((rows[nearest] + 0.5) * cell[0]), int((columns[nearest] + 0.5) * cell[1])
