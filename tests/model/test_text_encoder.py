"""What stands for a caption."""

from dataclasses import replace

import pytest
import torch

from pgseg_core.model.text_encoder import TextEncoder, end_of_text
from tests.tiny import tiny_batch, tiny_model_config


def encoder(**options: object) -> TextEncoder:
    torch.manual_seed(0)
    return TextEncoder(replace(tiny_model_config().text, **options)).eval()


def test_mean_is_over_the_words_alone():
    tokens = tiny_batch().tokens
    encoded = encoder(pool="mean")(tokens)
    for row, end in enumerate(end_of_text(tokens).tolist()):
        expected = encoded.words[row, 1:end].mean(dim=0)
        torch.testing.assert_close(encoded.pooled[row], expected)


def test_a_caption_without_words_is_zero_and_not_nan():
    tokens = torch.tensor([[49406, 49407, 0], [49406, 320, 49407]])
    pooled = encoder(pool="mean")(tokens).pooled
    assert pooled[0].abs().sum() == 0
    assert pooled.isfinite().all()


def test_a_bag_of_words_does_not_mind_their_order():
    bag = encoder(pool="mean", depth=0)
    torch.nn.init.zeros_(bag.position)
    one = torch.tensor([[49406, 5, 6, 7, 49407]])
    other = torch.tensor([[49406, 7, 5, 6, 49407]])
    torch.testing.assert_close(bag(one).pooled, bag(other).pooled)


def test_no_blocks_need_the_mean():
    with pytest.raises(ValueError, match="pool: mean"):
        encoder(depth=0)
