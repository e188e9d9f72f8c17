"""Where the windows lie in which an image is read (protocol `groupvit`, step 2).

It stands alone because every engine lays the same windows, and needs no arithmetic of its own to.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Box:
    """A window: rows top to bottom and columns left to right, ends excluded, in pixels."""

    top: int
    left: int
    bottom: int
    right: int


def window_boxes(height: int, width: int, *, window: int, stride: int) -> list[Box]:
    """Lay windows over an image, the last ones shifted back inside (protocol `groupvit`, step 2).

    A side shorter than the window is covered by one window of that side's length.
    """
    return [
        Box(top, left, min(top + window, height), min(left + window, width))
        for top in _starts(height, window, stride)
        for left in _starts(width, window, stride)
    ]


def _starts(length: int, window: int, stride: int) -> list[int]:
    steps = max(0, -(-(length - window) // stride))
    return [max(0, min(i * stride, length - window)) for i in range(steps + 1)]
