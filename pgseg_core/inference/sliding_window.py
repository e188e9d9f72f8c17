"""Where the windows lie in which an image is read, and what each counts (protocol `groupvit`).

It stands alone, in numpy, because every engine lays the same windows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64


@dataclass(frozen=True)
class Box:
    """A window: rows top to bottom and columns left to right, ends excluded, in pixels."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def place(self) -> tuple[slice, slice]:
        """Its rows and columns, to index (h, w) with."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


def window_boxes(height: int, width: int, *, window: int, stride: int) -> list[Box]:
    """Lay windows over an image, the last ones shifted back inside (protocol `groupvit`, step 2).

    A side shorter than the window is covered by one window of that side's length.
    """
    return [
        Box(top, left, min(top + window, height), min(left + window, width))
        for top in _starts(height, window, stride)
        for left in _starts(width, window, stride)
    ]


def window_weights(
    size: tuple[int, int], boxes: Sequence[Box], *, fade: bool
) -> list[Float32[np.ndarray, "y x"]]:
    """Return how much each window counts at its pixels (step 2); over a pixel they sum to 1.

    Args:
        size: Height and width of the image.
        boxes: Windows of one shape (y, x) that leave nothing out.
        fade: Whether a window counts less and less from its middle to its borders, linearly in
            rows and in columns. Otherwise all windows over a pixel count the same.
    """
    box = boxes[0]
    shape = (box.bottom - box.top, box.right - box.left)
    own = np.outer(*map(_tent, shape)) if fade else np.ones(shape)
    total = np.zeros(size)
    for box in boxes:
        total[box.place] += own
    return [(own / total[box.place]).astype(np.float32) for box in boxes]


def _tent(length: int) -> Float64[np.ndarray, " length"]:
    """Rise from the borders to the middle; nowhere 0."""
    at = np.arange(length) + 0.5
    return np.minimum(at, length - at)


def _starts(length: int, window: int, stride: int) -> list[int]:
    steps = max(0, -(-(length - window) // stride))
    return [max(0, min(i * stride, length - window)) for i in range(steps + 1)]
