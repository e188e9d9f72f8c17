"""From a photo to what the image network takes, in numpy: resized, then standardised."""

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from pgseg_core.colours import IMAGENET_MEAN, IMAGENET_STD


def resize_photo(
    image: Image.Image, size: tuple[int, int], *, antialias: bool
) -> UInt8[np.ndarray, "h w 3"]:
    """Resize an RGB photo bilinearly (see `inference.resize`).

    Args:
        image: RGB.
        size: Height and width to reach.
        antialias: Whether shrinking averages over the pixels that it removes.
    """
    height, width = size
    if antialias or size == (image.height, image.width):
        return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
    pixels = np.asarray(image, dtype=np.float32)
    above, below, down = neighbours(image.height, height)
    left, right, across = neighbours(image.width, width)
    rows = pixels[above] + (pixels[below] - pixels[above]) * down[:, None, None]
    planes = rows[:, left] + (rows[:, right] - rows[:, left]) * across[:, None]
    return planes.round().astype(np.uint8)


def normalise(image: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "3 h w"]:
    """Scale pixels to [0, 1] and standardise each colour by ImageNet's mean and deviation."""
    mean = np.array(IMAGENET_MEAN, dtype=np.float32)
    deviation = np.array(IMAGENET_STD, dtype=np.float32)
    planes = image * (1 / (255 * deviation)) - mean / deviation
    return np.ascontiguousarray(np.moveaxis(planes, 2, 0))


def neighbours(
    old: int, new: int, *, first: int = 0, last: int | None = None
) -> tuple[np.ndarray, np.ndarray, Float[np.ndarray, " n"]]:
    """Return, for new cells along an axis, the old cells before and after, and the second's weight.

    Bilinear, cells meet at their centres (torch's align_corners=False).

    Args:
        old: Cells there are.
        new: Cells wanted.
        first: Of the new cells, where to begin.
        last: Where to end, itself excluded; at `new` by default.
    """
    at = np.arange(first, new if last is None else last, dtype=np.float32)
    place = ((at + np.float32(0.5)) * np.float32(old / new) - np.float32(0.5)).clip(min=0)
    before = np.minimum(place.astype(np.int64), old - 1)
    return before, np.minimum(before + 1, old - 1), place - before.astype(np.float32)
