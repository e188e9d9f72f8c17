"""Stems: from pixels to tokens."""

from dataclasses import replace

import pytest
import torch

from pgseg_core.networks.blocks.stem import build_stem
from tests.tiny import tiny_model_config


@pytest.mark.parametrize(
    ("stem", "patch"),
    [*((stem, patch) for stem in ("patch", "conv") for patch in (4, 8, 16)), ("lite0", 16)],
)
def test_one_token_for_each_patch(stem, patch):
    config = replace(tiny_model_config().image, stem=stem, patch_size=patch)
    output = build_stem(config).eval()(torch.randn(2, 3, 32, 48))
    rows, columns = output.grid
    assert (rows, columns) == (32 // patch, 48 // patch)
    assert output.tokens.shape == (2, rows * columns, config.width)


def test_convolutions_look_beyond_the_patch_and_keep_places():
    config = replace(tiny_model_config().image, stem="conv", patch_size=8)
    stem = build_stem(config).eval()
    images = torch.randn(1, 3, 64, 64)
    changed = images.clone()
    changed[:, :, 24:32, 24:32] += 1.0  # the patch in row 3, column 3
    moved = (stem(images).tokens - stem(changed).tokens).abs().sum(-1).reshape(8, 8)
    assert moved[3, 3] > 0
    assert moved[3, 4] > 0
    assert moved[0].sum() == 0
    assert moved[:, 7].sum() == 0


def test_conv_needs_a_power_of_two():
    with pytest.raises(ValueError, match="patch_size 12 is no power of 2"):
        replace(tiny_model_config().image, stem="conv", patch_size=12, image_size=24)


def test_lite0_has_patches_of_16_pixels():
    with pytest.raises(ValueError, match="patches of 16 pixels, not 8"):
        replace(tiny_model_config().image, stem="lite0", patch_size=8)


def test_the_gradient_of_a_1_x_1_convolution_has_its_weights_layout():
    """Autograd itself puts right that of larger ones; `DistributedDataParallel` warns of these."""
    stem = build_stem(replace(tiny_model_config().image, stem="conv", patch_size=8))
    tokens = stem(torch.randn(2, 3, 32, 48)).tokens
    weight = stem.proj.weight
    (gradient,) = torch.autograd.grad((tokens * torch.randn_like(tokens)).sum(), weight)
    assert gradient.stride() == weight.stride()
