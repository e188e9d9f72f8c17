"""Training steps: forward, backward, clipping, AdamW."""

from collections.abc import Callable

import torch

from pgseg_core.comm import LocalCollectives
from pgseg_core.memory import keep_freed_memory
from pgseg_core.networks.grouping import build_model
from pgseg_core.train.optim import make_optimizer
from pgseg_core.train.task import TrainTask
from tests.benchmarks import yardstick
from tests.benchmarks.work import paper, training_batch

CLIP = 5.0
Step = Callable[[], object]


def ours(*, preset: str, size: int, recompute: bool = False) -> Step:
    """One step as the engine takes it."""
    keep_freed_memory()
    config = paper(preset)
    model = build_model(config.model).train()
    model.set_blocks(recompute=recompute)
    task, batch = TrainTask(model, LocalCollectives()), training_batch(size)
    optimizer = make_optimizer(model, config.train)
    parameters = list(model.parameters())

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        output = task(batch)
        output.loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.step()
        model.move_banks(output.bank_means)

    return step


def plain(*, preset: str, size: int) -> Step:
    """The yardstick's step, with torch's AdamW as it comes."""
    model = build_model(paper(preset).model).train()
    batch = training_batch(size)
    return _step(model, lambda: yardstick.loss(model, batch))


def transformers(*, size: int, trimmed: bool = False) -> Step:
    """transformers' GroupViT: the same network without prototypes, its default configuration.

    Args:
        size: Images in the batch.
        trimmed: Whether captions end with the longest one, or are padded to 77 as CLIP's are.
    """
    from transformers import GroupViTConfig, GroupViTModel

    model = GroupViTModel(GroupViTConfig()).train()
    batch = training_batch(size)
    tokens = batch.tokens[:, : int(batch.tokens.argmax(1).max()) + 1] if trimmed else batch.tokens
    mask = (tokens > 0).long()
    return _step(
        model,
        lambda: (
            model(
                input_ids=tokens, attention_mask=mask, pixel_values=batch.images, return_loss=True
            ).loss
        ),
    )


def _step(model: torch.nn.Module, loss: Callable[[], torch.Tensor]) -> Step:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    parameters = list(model.parameters())

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss().backward()
        torch.nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.step()

    return step
