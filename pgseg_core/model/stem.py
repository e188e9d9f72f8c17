"""From pixels to tokens. Other stems join here, chosen by `model.image.stem`."""

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from pgseg_core.config import ImageEncoderConfig


class PatchStem(nn.Module):
    """One strided convolution, then LayerNorm (ViT)."""

    def __init__(self, config: ImageEncoderConfig) -> None:
        super().__init__()
        self.patch_size = config.patch_size
        self.proj = nn.Conv2d(3, config.width, config.patch_size, stride=config.patch_size)
        self.norm = nn.LayerNorm(config.width)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> tuple[Tensor, tuple[int, int]]:
        """Return the tokens (b, n, d) and their grid (rows, columns)."""
        patches = self.proj(images)
        grid = (patches.shape[2], patches.shape[3])
        return self.norm(rearrange(patches, "b d h w -> b (h w) d")), grid


class PositionEmbedding(nn.Module):
    """A learned vector for each cell of the training grid, resampled for other grids."""

    def __init__(self, config: ImageEncoderConfig) -> None:
        super().__init__()
        self.side = config.image_size // config.patch_size
        self.weight = nn.Parameter(torch.zeros(1, self.side**2, config.width))
        nn.init.trunc_normal_(self.weight, std=0.02)

    def forward(self, grid: tuple[int, int]) -> Float[Tensor, "1 n d"]:
        """Return the embedding of a grid; bicubic unless it is the training grid."""
        if grid == (self.side, self.side):
            return self.weight
        square = rearrange(self.weight, "1 (h w) d -> 1 d h w", h=self.side)
        resampled = F.interpolate(square, size=grid, mode="bicubic", align_corners=False)
        return rearrange(resampled, "1 d h w -> 1 (h w) d")


def build_stem(config: ImageEncoderConfig) -> PatchStem:
    """Make the stem that the configuration names."""
    return {"patch": PatchStem}[config.stem](config)
