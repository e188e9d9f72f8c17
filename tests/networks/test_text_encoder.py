"""What stands for a caption."""

from dataclasses import replace

import pytest
import torch

from pgseg_core.networks.blocks.packing import SMALLEST_PART
from pgseg_core.networks.blocks.text_encoder import TextEncoder, end_of_text
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
@pytest.mark.parametrize("size", [5, 2 * SMALLEST_PART + 3])
def test_a_packed_batch_is_each_caption_alone(pool, size):
    tokens = tiny_batch(size=size).tokens
    model = encoder(pool=pool)
    together = model(tokens)
    for row, end in enumerate(end_of_text(tokens).tolist()):
        alone = model(tokens[row : row + 1])
        torch.testing.assert_close(together.pooled[row], alone.pooled[0])
        torch.testing.assert_close(together.words[row, : end + 1], alone.words[0])
        assert together.words[row, end + 1 :].count_nonzero() == 0


def test_gradients_do_not_depend_on_which_thread_is_first():
    """With an index in place of an embedding, nearly every pass gave other last digits."""
    tokens, threads = tiny_batch(size=256).tokens, torch.get_num_threads()
    model, found = encoder(pool="mean", width=128), []
    torch.set_num_threads(2)
    try:
        for _ in range(12):
            model.zero_grad(set_to_none=True)
            model(tokens).pooled.square().sum().backward()
            found.append([p.grad for p in model.parameters() if p.grad is not None])
    finally:
        torch.set_num_threads(threads)
    assert all(
        one.equal(first) for more in found for one, first in zip(more, found[0], strict=True)
    )


def test_gradients_of_a_packed_batch_are_those_of_each_caption():
    tokens = tiny_batch(size=2 * SMALLEST_PART + 3).tokens
    model = encoder().double()
    model(tokens).pooled.square().sum().backward()
    packed = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad(set_to_none=True)
    for row in tokens.split(1):
        model(row).pooled.square().sum().backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(packed[name], parameter.grad, msg=name)
