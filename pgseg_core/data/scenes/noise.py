"""Tables of natural-looking noise, made once, and the reading of them at any place and scale.

The arrays see only operations whose rounding IEEE 754 fixes (+ - * / sqrt and comparisons), so a
texture is the same to the last bit on every processor.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pgseg_core.data.scenes.dice import Dice

Field = NDArray[np.float32]

SIDE = 256
"""Height and width of a table, texels; the tables repeat without a seam."""

_KINDS: dict[str, tuple[int, int, int, float]] = {
    # cells down and across at the coarsest octave, octaves, share each octave keeps
    "cloud": (4, 4, 6, 0.55),
    "patch": (8, 8, 4, 0.5),
    "leaf": (24, 24, 3, 0.75),
    "grain": (96, 96, 2, 1.0),
    "wave": (48, 8, 3, 0.6),
    "streak": (6, 64, 3, 0.7),
    "blade": (20, 110, 2, 0.8),
    "ridge": (5, 5, 6, 0.5),
}


def pixel_centres(start: int, stop: int) -> Field:
    """Centres of the pixels from start to before stop: (stop - start,)."""
    return np.arange(start, stop, dtype=np.float32) + np.float32(0.5)


@lru_cache(maxsize=len(_KINDS))
def table(kind: str) -> Field:
    """One table of (SIDE, SIDE) values, mean about 0.5, in [0, 1]."""
    down, across, octaves, keep = _KINDS[kind]
    dice = Dice(20231, list(_KINDS).index(kind))
    total = np.zeros((SIDE, SIDE), dtype=np.float32)
    weight = np.float32(1.0)
    for _ in range(octaves):
        knots = dice.field(min(down, SIDE), min(across, SIDE))
        total += weight * _stretch(_stretch(knots, SIDE).T, SIDE).T
        weight *= np.float32(keep)
        down, across = down * 2, across * 2
    total -= total.min()
    total /= total.max()
    return np.ascontiguousarray(total)


def _stretch(knots: Field, length: int) -> Field:
    """Smooth, seamless interpolation of the first axis to a new length."""
    place = np.arange(length, dtype=np.float32) * np.float32(len(knots) / length)
    low = place.astype(np.int64)
    part = place - low
    part = (part * part * (3 - 2 * part))[:, None].astype(np.float32)
    result: Field = knots[low] * (1 - part) + knots[(low + 1) % len(knots)] * part
    return result


def sample(kind: str, across: Field, down: Field) -> Field:
    """Read a table between its texels.

    Args:
        kind: Name of the table.
        across: (1, w) or (h, w), texels.
        down: (h, 1), texels.

    Returns:
        (h, w) values in [0, 1].
    """
    values = table(kind)
    row = np.floor(down)
    part = down - row
    index = row.astype(np.int32)[:, 0] & (SIDE - 1)
    rows = values[index] * (1 - part) + values[(index + 1) & (SIDE - 1)] * part  # (h, SIDE)
    column = np.floor(across)
    part = across - column
    index = column.astype(np.int32) & (SIDE - 1)
    after = (index + 1) & (SIDE - 1)
    left: Field
    right: Field
    if len(across) == 1:
        left, right = rows.take(index[0], axis=1), rows.take(after[0], axis=1)
    else:
        flat = rows.ravel()
        start = (np.arange(len(rows), dtype=np.int32) * SIDE)[:, None]
        left, right = flat.take(start + index), flat.take(start + after)
    right -= left  # in place: these arrays are large, and a fresh one costs more than the sum
    right *= part
    right += left
    return right


def profile(kind: str, across: Field, row: int) -> Field:
    """Read one row of a table: (w,) values in [0, 1] at (w,) places, texels."""
    result: Field = sample(kind, across[None], np.full((1, 1), row, dtype=np.float32))[0]
    return result


def cells(kind: str, across: Field, down: Field | np.float32) -> Field:
    """Read whole cells without smoothing, one value a unit square; arguments broadcast."""
    columns = np.floor(across).astype(np.int32) * 7 & (SIDE - 1)
    rows = np.floor(down).astype(np.int32) * 11 & (SIDE - 1)
    result: Field = table(kind)[rows, columns]
    return result
