"""From a photo to the pixels that the network sees (protocol `groupvit`, step 1)."""

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from pgseg_core.config import InferenceConfig
from pgseg_core.data.transforms import normalise, to_tensor
from pgseg_core.inference.options import SegmentOptions
from pgseg_core.inference.preprocess import resized_size, sides_to_read


@dataclass(frozen=True)
class Reading:
    """A photo as the network is given it, once or more often."""

    pixels: Float[Tensor, "3 h w"]
    mirrored: bool


def read_at_sizes(
    photo: Image.Image, config: InferenceConfig, options: SegmentOptions
) -> list[Reading]:
    """Resize and normalise a photo for every scale; the first is the one of scale 1 or next.

    Args:
        photo: RGB.
        config: How the model reads.
        options: At which sizes, and whether the mirror image too.
    """
    readings = []
    for short, long in sides_to_read(config, options):
        sized = replace(config, short_side=short, long_side=long)
        pixels = normalise(resize_photo(photo, sized))
        readings.append(Reading(pixels, mirrored=False))
        if options.flip:
            readings.append(Reading(pixels.flip(-1), mirrored=True))
    return readings


def resize_photo(image: Image.Image, config: InferenceConfig) -> UInt8[Tensor, "h w 3"]:
    """Resize a photo, keeping its ratio, bilinearly.

    Enlarging interpolates between the nearest pixels, as the protocol's published code does.
    Shrinking does the same under `antialias: false`; otherwise every pixel of the photo counts,
    without which the shrunk photo of a modern camera is mostly noise.

    Args:
        image: RGB.
        config: The sizes to reach.
    """
    height, width = resized_size(image.height, image.width, config)
    if (height, width) == (image.height, image.width):
        return to_tensor(image)
    if config.antialias:
        return to_tensor(image.resize((width, height), Image.Resampling.BILINEAR))
    planes = torch.from_numpy(np.asarray(image, dtype=np.float32)).permute(2, 0, 1)[None]
    resized = F.interpolate(planes, size=(height, width), mode="bilinear", align_corners=False)
    return resized[0].round().to(torch.uint8).permute(1, 2, 0).contiguous()


def resize_to_window(image: Image.Image, config: InferenceConfig) -> UInt8[Tensor, "h w 3"]:
    """Resize a photo until its short side is that of one window: what a single pass should see.

    The same as `resize_photo` for models whose windows are as high as the photo (the protocol).

    Args:
        image: RGB.
        config: How the model reads.
    """
    return resize_photo(image, replace(config, short_side=min(config.short_side, config.window)))
