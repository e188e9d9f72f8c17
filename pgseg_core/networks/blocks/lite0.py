"""EfficientNet-Lite0 (Tan and Le 2019), a small network that has seen ImageNet.

It stands alone because it is somebody else's network: the stem `lite0` reads two of its layers. It
is timm's `tf_efficientnet_lite0`, written out because importing timm, which imports torchvision,
takes longer than segmenting a photo. BatchNorm is folded into the convolutions: its statistics are
ImageNet's for good, so that no batch, rank or step changes them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pgseg_core.errors import CheckpointError

STRIDES = (16, 32)
"""Pixels a side of a cell of the two maps that `Lite0.forward` returns."""
CHANNELS = (112, 1280)
"""Their channels."""
NORM_EPS = 1e-3
"""What the network's BatchNorm adds to a variance."""


@dataclass(frozen=True)
class Row:
    """Blocks of one shape, one after another; the first of them strides."""

    blocks: int
    kernel: int
    stride: int
    widen: int
    """Channels inside a block over those that enter it."""
    channels: int
    """Channels that leave."""


ROWS = (
    Row(blocks=1, kernel=3, stride=1, widen=1, channels=16),
    Row(blocks=2, kernel=3, stride=2, widen=6, channels=24),
    Row(blocks=2, kernel=5, stride=2, widen=6, channels=40),
    Row(blocks=3, kernel=3, stride=2, widen=6, channels=80),
    Row(blocks=3, kernel=5, stride=1, widen=6, channels=112),
    Row(blocks=4, kernel=5, stride=2, widen=6, channels=192),
    Row(blocks=1, kernel=3, stride=1, widen=6, channels=320),
)
STEM_CHANNELS = 32
_MIDDLE = 4  # the last row at stride 16
_IN_CACHE = 4  # images at a time, frozen and on a CPU: their maps stay in its cache (1.6 x)


class SameConv(nn.Conv2d):
    """A convolution that covers its input as TensorFlow does: more filling after than before."""

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d y x"]:
        """Return ceil(side / stride) cells a side."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        if stride == 1:  # alike on all sides: no copy
            return F.conv2d(x, self.weight, self.bias, 1, kernel // 2, 1, self.groups)
        # Upwards without a negative dividend: ONNX's division cuts towards zero.
        cells = ((side + stride - 1) // stride for side in x.shape[2:])
        bottom, right = (
            (count - 1) * stride + kernel - side
            for count, side in zip(cells, x.shape[2:], strict=True)
        )
        filled = F.pad(x, (right // 2, right - right // 2, bottom // 2, bottom - bottom // 2))
        return F.conv2d(filled, self.weight, self.bias, stride, 0, 1, self.groups)


class InvertedResidual(nn.Module):
    """Widen, convolve every channel by itself, narrow; added to the input where shapes agree."""

    def __init__(self, before: int, row: Row, stride: int) -> None:
        super().__init__()
        inside = before * row.widen
        self.expand = SameConv(before, inside, 1) if row.widen > 1 else None
        self.depthwise = SameConv(inside, inside, row.kernel, stride=stride, groups=inside)
        self.project = SameConv(inside, row.channels, 1)
        self.residual = stride == 1 and before == row.channels

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d y x"]:
        """Return the next feature map."""
        inside = x if self.expand is None else F.relu6(self.expand(x), inplace=True)
        out: Tensor = self.project(F.relu6(self.depthwise(inside), inplace=True))
        return x + out if self.residual else out


class Lite0(nn.Module):
    """The network up to its last feature map, without pooling and classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.first = SameConv(3, STEM_CHANNELS, 3, stride=2)
        before, rows = STEM_CHANNELS, []
        for row in ROWS:
            blocks = []
            for index in range(row.blocks):
                blocks.append(InvertedResidual(before, row, row.stride if index == 0 else 1))
                before = row.channels
            rows.append(nn.Sequential(*blocks))
        self.rows = nn.ModuleList(rows)
        self.last = SameConv(before, CHANNELS[1], 1)

    def forward(
        self, images: Float[Tensor, "b 3 h w"]
    ) -> tuple[Float[Tensor, "b 112 y x"], Float[Tensor, "b 1280 v u"]]:
        """Return the feature maps at strides 16 and 32.

        Args:
            images: RGB in [-1, 1].
        """
        if self.first.weight.requires_grad or images.device.type != "cpu":
            return self._maps(images)
        parts = [self._maps(part) for part in images.split(_IN_CACHE)]
        return torch.cat([fine for fine, _ in parts]), torch.cat([coarse for _, coarse in parts])

    def _maps(self, x: Float[Tensor, "b 3 h w"]) -> tuple[Tensor, Tensor]:
        x = F.relu6(self.first(x.contiguous(memory_format=torch.channels_last)), inplace=True)
        for row in self.rows[: _MIDDLE + 1]:
            x = row(x)
        middle = x
        for row in self.rows[_MIDDLE + 1 :]:
            x = row(x)
        return middle, F.relu6(self.last(x), inplace=True)


def fold_weights(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn the published tensors into `Lite0`'s, BatchNorm folded into the convolutions.

    Args:
        published: In the order of timm's `tf_efficientnet_lite0`: each convolution's weight, then
            its BatchNorm's weight, bias, running mean and running variance. Names do not matter.

    Raises:
        CheckpointError: They are not this network's.
    """
    tensors = [t for name, t in published.items() if not name.endswith("num_batches_tracked")]
    folded: dict[str, Tensor] = {}
    names = [name.removesuffix(".weight") for name in Lite0().state_dict() if "weight" in name]
    shapes = {name: tensor.shape for name, tensor in Lite0().state_dict().items()}
    if len(tensors) < 5 * len(names):
        raise CheckpointError(f"not EfficientNet-Lite0: {len(tensors)} tensors are too few")
    for index, name in enumerate(names):
        weight, gain, bias, mean, variance = tensors[5 * index : 5 * index + 5]
        if weight.shape != shapes[f"{name}.weight"]:
            raise CheckpointError(
                f"not EfficientNet-Lite0: {name} has shape {tuple(weight.shape)}, not "
                f"{tuple(shapes[f'{name}.weight'])}"
            )
        scale = gain / (variance + NORM_EPS).sqrt()
        folded[f"{name}.weight"] = weight * scale[:, None, None, None]
        folded[f"{name}.bias"] = bias - mean * scale
    return folded
