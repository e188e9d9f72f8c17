"""From a photo to the pixels that a method sees (protocol `groupvit`, step 1).

Several times where `scales` say so. In numpy, so that every method sees the same pixels.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from pgseg_core.arrays import cells_beside
from pgseg_core.inference.options import SegmentOptions
from pgseg_core.methods.method import Reading


@dataclass(frozen=True)
class SizedPhoto:
    """A photo at a size at which it is read."""

    photo: UInt8[np.ndarray, "h w 3"]
    """RGB."""
    pixels: Float[np.ndarray, "3 h w"]
    """The same in the colours that the network expects."""
    mirrored: bool = False
    """Whether left and right are flipped, in `pixels` alone."""


def read_at_sizes(
    photo: Image.Image, reading: Reading, options: SegmentOptions
) -> list[SizedPhoto]:
    """Resize and normalise a photo for every scale; the first is the one of scale 1 or next.

    Args:
        photo: RGB.
        reading: How the method reads.
        options: At which sizes, and whether the mirror image too.
    """
    found = []
    for short, long in sides_to_read(reading, options):
        found.append(size_photo(photo, replace(reading, short_side=short, long_side=long)))
        if options.flip:
            found.append(replace(found[-1], pixels=found[-1].pixels[:, :, ::-1], mirrored=True))
    return found


def size_photo(photo: Image.Image, reading: Reading) -> SizedPhoto:
    """Resize and normalise a photo as a method reads it."""
    sized = resize_photo(photo, reading)
    return SizedPhoto(sized, normalise(sized, reading))


def to_window(reading: Reading) -> Reading:
    """Return the reading of a photo whose short side is that of one window: for a single pass.

    The same for methods whose windows are as high as the photo (the protocol).
    """
    side = min(reading.short_side, reading.window or reading.short_side)
    return replace(reading, short_side=side)


def resized_size(height: int, width: int, reading: Reading) -> tuple[int, int]:
    """Return (height, width) after resizing by min(long_side / longest, short_side / shortest)."""
    scale = min(reading.long_side / max(height, width), reading.short_side / min(height, width))
    return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))


def sides_to_read(reading: Reading, options: SegmentOptions) -> list[tuple[int, int]]:
    """Return the short and long side of each reading; the first is of scale 1, or next to it."""
    found = []
    base = options.size or reading.short_side
    for scale in sorted(options.scales, key=lambda scale: abs(scale - 1)):
        short = max(1, round(base * scale))
        found.append((short, max(1, round(reading.long_side * short / reading.short_side))))
    return found


def resize_photo(image: Image.Image, reading: Reading) -> UInt8[np.ndarray, "h w 3"]:
    """Resize a photo, keeping its ratio, bilinearly.

    Enlarging interpolates between the nearest pixels, as the protocol's published code does.
    Shrinking does the same under `antialias: false`; otherwise every pixel of the photo counts,
    without which the shrunk photo of a modern camera is mostly noise.

    Args:
        image: RGB.
        reading: The sizes to reach.
    """
    height, width = resized_size(image.height, image.width, reading)
    if reading.antialias or (height, width) == (image.height, image.width):
        return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
    pixels = np.asarray(image, dtype=np.float32)
    above, below, down = cells_beside(image.height, height)
    left, right, across = cells_beside(image.width, width)
    rows = pixels[:, left] * (1 - across)[:, None] + pixels[:, right] * across[:, None]
    planes = rows[above] * (1 - down)[:, None, None] + rows[below] * down[:, None, None]
    return planes.round().astype(np.uint8)


def normalise(photo: UInt8[np.ndarray, "h w 3"], reading: Reading) -> Float[np.ndarray, "3 h w"]:
    """Scale pixels to [0, 1] and standardise each colour by the network's mean and deviation."""
    mean, deviation = (
        np.array(values, dtype=np.float32) for values in (reading.mean, reading.deviation)
    )
    planes = (photo.astype(np.float32) / np.float32(255) - mean) / deviation
    return np.ascontiguousarray(np.moveaxis(planes, 2, 0))
