"""NPR alone: EM, matching and the loss, of the paper's first stage."""

from collections.abc import Callable

import torch
import torch.nn.functional as F

from pgseg_core.comm import LocalCollectives
from pgseg_core.memory import keep_freed_memory
from pgseg_core.npr import (
    cosine_similarity,
    estimate_prototypes,
    group_prototype_loss,
    match,
    reliable_pairs,
    take_matched,
)
from tests.benchmarks import yardstick

BATCH, GROUPS, TOKENS, WIDTH, ITERATIONS, PHI = 256, 64, 196, 384, 10, 0.1
SCALE = torch.tensor(10.0)


def _features() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Tokens around a dozen centres an image, a bank, and group tokens."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(BATCH, 12, WIDTH, generator=generator)
    chosen = centres[:, torch.randint(12, (TOKENS,), generator=generator)]
    noise = torch.randn(BATCH, TOKENS, WIDTH, generator=generator)
    tokens = F.layer_norm(chosen + 0.7 * noise, (WIDTH,))
    bank = F.normalize(torch.randn(GROUPS, WIDTH, generator=generator), dim=-1)
    return tokens, bank, torch.randn(BATCH, GROUPS, WIDTH, generator=generator)


def ours() -> Callable[[], object]:
    """EM, matching, rejection and loss."""
    keep_freed_memory()
    tokens, bank, groups = _features()

    def run() -> torch.Tensor:
        found = estimate_prototypes(tokens, bank, iterations=ITERATIONS).prototypes
        similarity = cosine_similarity(groups, found)
        similarity = take_matched(similarity, match(similarity))
        kept = reliable_pairs(similarity, threshold=PHI)
        return group_prototype_loss(similarity, SCALE, kept, LocalCollectives())

    return run


def plain() -> Callable[[], object]:
    """The yardstick's."""
    tokens, bank, groups = _features()

    def run() -> torch.Tensor:
        found, _ = yardstick.prototypes(tokens, bank, ITERATIONS)
        return yardstick.prototype_loss(groups, found, SCALE, PHI)

    return run


def our_matching() -> Callable[[], object]:
    """Matching alone, 256 images of 64 groups and 64 prototypes."""
    tokens, _, groups = _features()
    prototypes = F.normalize(tokens[:, :GROUPS], dim=-1)

    def run() -> torch.Tensor:
        similarity = cosine_similarity(groups, prototypes)
        return take_matched(similarity, match(similarity))

    return run


def plain_matching() -> Callable[[], object]:
    """The yardstick's."""
    tokens, _, groups = _features()
    prototypes = F.normalize(tokens[:, :GROUPS], dim=-1)

    def run() -> torch.Tensor:
        partner = yardstick.matched(groups, prototypes)
        return F.normalize(groups, dim=2) @ F.normalize(partner, dim=2).mT

    return run
