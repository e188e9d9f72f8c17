"""From pixels to tokens. Other stems join here, chosen by `model.image.stem`."""

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from pgseg_core.colours import IMAGENET_MEAN, IMAGENET_STD
from pgseg_core.config import ImageEncoderConfig
from pgseg_core.networks.blocks.batch_norm import BatchNorm
from pgseg_core.networks.blocks.lite0 import CHANNELS, Lite0
from pgseg_core.networks.grouping.outputs import StemOutput


class PatchStem(nn.Module):
    """One strided convolution, then LayerNorm (ViT)."""

    def __init__(self, config: ImageEncoderConfig) -> None:
        super().__init__()
        self.patch_size = config.patch_size
        self.proj = nn.Conv2d(3, config.width, config.patch_size, stride=config.patch_size)
        self.norm = nn.LayerNorm(config.width)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> StemOutput:
        """Return the tokens and their grid."""
        patches = self.proj(images)
        grid = (patches.shape[2], patches.shape[3])
        return StemOutput(self.norm(rearrange(patches, "b d h w -> b (h w) d")), grid)


class Halving(nn.Module):
    """A strided convolution and a residual one, each 3 x 3 with BatchNorm."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False)
        self.norm_down = BatchNorm(after)
        self.conv = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.norm_conv = BatchNorm(after)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d y x"]:
        """Halve the sides, rounding up."""
        x = F.relu(_channels(self.norm_down, self.down(x)))
        return F.relu(x + _channels(self.norm_conv, self.conv(x)))


class Pointwise(nn.Conv2d):
    """A 1 x 1 convolution from maps to tokens, as the matrix product that it is.

    Its gradient has the weight's own layout. That of oneDNN's convolution has not, and
    `DistributedDataParallel` would copy it, and say so.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__(before, after, 1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b n d"]:
        """Map every place by itself, row by row."""
        return F.linear(rearrange(x, "b c h w -> b (h w) c"), self.weight.flatten(1), self.bias)


class ConvStem(nn.Module):
    """Halve the image until a patch is one token (Xiao et al. 2021), then LayerNorm.

    Convolutions see edges and texture from the first steps, which a ViT's patches have to learn.
    """

    def __init__(self, config: ImageEncoderConfig) -> None:
        super().__init__()
        halvings = config.patch_size.bit_length() - 1
        widths = [max(config.width >> (halvings - 1 - i), 16) for i in range(halvings)]
        pairs = zip([3, *widths], widths, strict=False)
        self.layers = nn.Sequential(*(Halving(before, after) for before, after in pairs))
        self.proj = Pointwise(widths[-1], config.width)
        self.norm = nn.LayerNorm(config.width)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> StemOutput:
        """Return the tokens and their grid."""
        maps = self.layers(images.contiguous(memory_format=torch.channels_last))
        return StemOutput(self.norm(self.proj(maps)), (maps.shape[2], maps.shape[3]))


class Lite0Stem(nn.Module):
    """EfficientNet-Lite0's maps at strides 16 and 32, added up, then LayerNorm.

    The coarse map says what is there (it is what ImageNet's classifier reads), the fine one where.
    The network computes in float32 on a CPU, whose half-precision convolutions are slower.
    """

    gain: Tensor
    shift: Tensor

    def __init__(self, config: ImageEncoderConfig) -> None:
        super().__init__()
        fine, coarse = CHANNELS
        self.network = Lite0()
        self.proj_fine = nn.Linear(fine, config.width)
        self.proj_coarse = nn.Linear(coarse, config.width)
        self.norm = nn.LayerNorm(config.width)
        low, high = _lite0_range()
        self.register_buffer("gain", (2 / (high - low))[:, None, None], persistent=False)
        self.register_buffer(
            "shift", (-(high + low) / (high - low))[:, None, None], persistent=False
        )

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> StemOutput:
        """Return a token for 16 x 16 pixels, and the coarse map beside them."""
        with torch.autocast("cpu", enabled=False):
            fine, coarse = self.network(images * self.gain + self.shift)
        grid = (fine.shape[2], fine.shape[3])
        where = self.proj_fine(rearrange(fine, "b c h w -> b h w c"))
        what = self.proj_coarse(rearrange(coarse, "b c h w -> b h w c"))
        what = F.interpolate(
            rearrange(what, "b h w d -> b d h w"), size=grid, mode="bilinear", align_corners=False
        )
        tokens = rearrange(where, "b h w d -> b (h w) d") + rearrange(what, "b d h w -> b (h w) d")
        return StemOutput(self.norm(tokens), grid, features=coarse)


def _lite0_range() -> tuple[Float[Tensor, " 3"], Float[Tensor, " 3"]]:
    """Black and white after ImageNet's normalisation: what the network wants at -1 and 1."""
    mean, deviation = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
    return (0 - mean) / deviation, (1 - mean) / deviation


def _channels(norm: nn.Module, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """Normalise the channels of an image."""
    return norm(x.movedim(1, -1)).movedim(-1, 1)


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


STEMS = {"patch": PatchStem, "conv": ConvStem, "lite0": Lite0Stem}


def build_stem(config: ImageEncoderConfig) -> nn.Module:
    """Make the stem that the configuration names."""
    return STEMS[config.stem](config)
