"""What stands for a caption."""

from dataclasses import replace

import pytest
import torch

from pgseg_core.model.text_encoder import SMALLEST_PART, TextEncoder, end_of_text
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


@pytest.mark.parametrize("pool", ["end", "mean"])
def test_a_batch_in_parts_is_each_caption_alone(pool):
    tokens = tiny_batch(size=2 * SMALLEST_PART + 3).tokens
    model = encoder(pool=pool)
    together = model(tokens)
    for row, end in enumerate(end_of_text(tokens).tolist()):
        alone = model(tokens[row : row + 1])
        torch.testing.assert_close(together.pooled[row], alone.pooled[0])
        torch.testing.assert_close(together.words[row, : end + 1], alone.words[0])
