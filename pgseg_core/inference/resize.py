"""From a photo to the pixels that the network sees (protocol `groupvit`, step 1)."""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from pgseg_core.config import InferenceConfig
from pgseg_core.data.transforms import to_tensor
from pgseg_core.inference.sizes import resized_size


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
