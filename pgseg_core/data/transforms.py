"""From an RGB image to what the network takes: the random crop of training, and normalisation.

Randomness comes from a generator made of (seed, epoch, sample key) alone, so that a sample's
augmentation does not depend on who decodes it, in which order, or after how many restarts.
"""

import hashlib
import math
import random
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from pgseg_core.colours import IMAGENET_MEAN, IMAGENET_STD

CROP_RATIO = (3 / 4, 4 / 3)
"""Narrowest and widest crop, width over height, before it is squeezed into a square."""

_CROP_TRIES = 10


@dataclass(frozen=True)
class Box:
    """A rectangle of whole pixels inside an image."""

    left: int
    top: int
    width: int
    height: int


def sample_generator(seed: int, epoch: int, key: str) -> random.Random:
    """Return the generator of everything random about one sample in one epoch."""
    digest = hashlib.blake2b(f"{seed}/{epoch}/{key}".encode(), digest_size=8).digest()
    return random.Random(int.from_bytes(digest, "big"))


def random_box(
    width: int, height: int, scale: tuple[float, float], generator: random.Random
) -> Box:
    """Choose a crop: a share of the image's area and a ratio, both at random (Inception's way).

    Args:
        width: Width of the image in pixels.
        height: Height of the image in pixels.
        scale: Smallest and largest share of the area, each in (0, 1].
        generator: Where the randomness comes from.

    Returns:
        A box inside the image. If ten tries do not fit (a very long image), the largest centred box
        whose ratio is allowed.
    """
    low, high = (math.log(ratio) for ratio in CROP_RATIO)
    for _ in range(_CROP_TRIES):
        area = width * height * generator.uniform(*scale)
        ratio = math.exp(generator.uniform(low, high))
        box_width, box_height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < box_width <= width and 0 < box_height <= height:
            left = generator.randint(0, width - box_width)
            top = generator.randint(0, height - box_height)
            return Box(left, top, box_width, box_height)
    box_width = min(width, max(1, round(height * CROP_RATIO[1])))
    box_height = min(height, max(1, round(width / CROP_RATIO[0])))
    return Box((width - box_width) // 2, (height - box_height) // 2, box_width, box_height)


def to_square(pixels: UInt8[np.ndarray, "h w 3"], size: int) -> UInt8[Tensor, "3 s s"]:
    """Squeeze pixels into a square (bicubic, antialiased): Pillow's result within rounding.

    Args:
        pixels: RGB, of any size from 1 x 1.
        size: Side of the result in pixels (s).
    """
    # This way round torch sees a batch with colours last, which it has vector code for.
    image = torch.from_numpy(pixels)[None].permute(0, 3, 1, 2)  # (1, 3, h, w)
    square = F.interpolate(image, (size, size), mode="bicubic", antialias=True)
    return square[0]


def to_tensor(image: Image.Image) -> UInt8[Tensor, "h w 3"]:
    """Return the pixels of an RGB image, 0 to 255."""
    return torch.from_numpy(np.array(image.convert("RGB"), dtype=np.uint8))


def normalise(image: UInt8[Tensor, "h w 3"]) -> Float[Tensor, "3 h w"]:
    """Scale pixels to [0, 1] and standardise each colour by ImageNet's mean and deviation.

    Args:
        image: RGB, 0 to 255, colours last.

    Returns:
        float32, colours first; the values lie within about [-2.2, 2.7].
    """
    return normalise_batch(image.permute(2, 0, 1)[None].contiguous())[0]


def normalise_batch(images: UInt8[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """Normalise images with colours first, on the device they are on; see `normalise`."""
    mean, deviation = (
        torch.tensor(values, device=images.device)[:, None, None]
        for values in (IMAGENET_MEAN, IMAGENET_STD)
    )
    planes = images.to(torch.float32, memory_format=torch.contiguous_format)
    return planes.mul_(1 / (255 * deviation)).sub_(mean / deviation)
