"""Where windows lie, and how their group maps become a label for every pixel.

A window's class scores are the same for all pixels of one group. So the scores of a whole image are
a few maps (one for each window and group) times a small table (window and group by class), and the
map of every class at full size never exists: resizing is linear and is done to the few maps, the
product with the table is taken band by band.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

BAND_BYTES = 128 * 2**20
"""Largest piece of (pixels x classes) scores held at a time."""


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


def coverage(height: int, width: int, boxes: list[Box]) -> Float[Tensor, "h w"]:
    """Count the windows over each pixel."""
    count = torch.zeros(height, width)
    for box in boxes:
        count[box.top : box.bottom, box.left : box.right] += 1
    return count


def one_hot_groups(
    maps: Float[Tensor, "b g h w"], *, size: tuple[int, int]
) -> Float[Tensor, "b g y x"]:
    """Enlarge soft group maps to the window's pixels and give each pixel to its largest group.

    (Step 3.) Bilinear; the first group wins a tie.
    """
    enlarged = F.interpolate(maps, size=size, mode="bilinear", align_corners=False)
    return torch.zeros_like(enlarged).scatter_(1, enlarged.argmax(dim=1, keepdim=True), 1.0)


@dataclass(frozen=True)
class GroupField:
    """What the encoder saw in an image's windows (n of them, g groups each; m = n g)."""

    maps: Float[Tensor, "m h w"]
    """Weight of each (window, group) at each pixel of the resized image; sums to 1 over m."""
    groups: Float[Tensor, "n g e"]
    """Vector of each group of each window (n of them)."""
    images: Float[Tensor, "n e"]
    """Vector of each window as a whole."""


@dataclass(frozen=True)
class ScoreField:
    """The class scores of every pixel, in factored form: maps times table."""

    maps: Float[Tensor, "m h w"]
    """Weight of each (window, group) at each pixel of the resized image; sums to 1 over m."""
    table: Float[Tensor, "m c"]
    """Score of each class for each (window, group)."""

    def scores(self, *, size: tuple[int, int]) -> Float[Tensor, "c y x"]:
        """Return all scores at a size, bilinearly enlarged. As large as it sounds."""
        bands = [scores for _, scores in self.bands(size=size)]
        return torch.cat(bands, dim=1)

    def labels(self, *, size: tuple[int, int]) -> tuple[Int[Tensor, "y x"], Float[Tensor, "y x"]]:
        """Return the best class of each pixel at a size, and its score."""
        labels = torch.empty(size, dtype=torch.int16)
        best = torch.empty(size)
        for top, scores in self.bands(size=size):
            value, index = scores.max(dim=0)
            labels[top : top + len(value)] = index
            best[top : top + len(value)] = value
        return labels, best

    def bands(self, *, size: tuple[int, int]) -> Iterator[tuple[int, Float[Tensor, "c y x"]]]:
        """Yield the scores at a size in bands of rows, each with the number of its first row."""
        height, width = size
        num_maps, num_classes = self.table.shape
        rows = max(1, BAND_BYTES // (4 * width * (num_classes + num_maps)))
        for top in range(0, height, rows):
            bottom = min(top + rows, height)
            piece = _enlarge_rows(self.maps, top, bottom, size)  # (m, rows, width)
            scores = self.table.mT @ piece.flatten(1)
            yield top, scores.reshape(num_classes, bottom - top, width)


def _starts(length: int, window: int, stride: int) -> list[int]:
    steps = max(0, -(-(length - window) // stride))
    return [max(0, min(i * stride, length - window)) for i in range(steps + 1)]


def _enlarge_rows(
    maps: Float[Tensor, "m h w"], top: int, bottom: int, size: tuple[int, int]
) -> Float[Tensor, "m y x"]:
    """Return rows top to bottom of the maps resized bilinearly (align_corners=False) to a size."""
    height = maps.shape[1]
    position = (torch.arange(top, bottom) + 0.5) * (height / size[0]) - 0.5
    position = position.clamp(min=0)
    above = position.floor().long().clamp(max=height - 1)
    below = (above + 1).clamp(max=height - 1)
    weight = (position - above).to(maps.dtype).to(maps.device)[:, None]
    rows = maps[:, above] * (1 - weight) + maps[:, below] * weight
    return F.interpolate(
        rows[None], size=(bottom - top, size[1]), mode="bilinear", align_corners=False
    )[0]
