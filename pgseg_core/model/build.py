"""The only place where a model is assembled."""

import torch
from torch import nn

from pgseg_core.comm import Collectives, LocalCollectives
from pgseg_core.config import ModelConfig
from pgseg_core.model.layers import BatchNorm
from pgseg_core.model.pgseg import PGSeg
from pgseg_core.model.text_encoder import TextEncoder


def build_model(config: ModelConfig, *, comm: Collectives | None = None, seed: int = 0) -> PGSeg:
    """Make a freshly initialised model.

    Args:
        config: Its shape.
        comm: Ranks over which BatchNorm takes its statistics; alone by default.
        seed: Decides the initial weights and prototype banks; torch's global generator is left
            as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = PGSeg(config)
        model.apply(_initialise)
        _initialise_text(model.text_encoder)
    for module in model.modules():
        if isinstance(module, BatchNorm):
            module.comm = comm or LocalCollectives()
    return model


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)


def _initialise_text(encoder: TextEncoder) -> None:
    """CLIP's scheme: residual branches shrink with depth."""
    width, depth = encoder.position.shape[1], len(encoder.blocks)
    for module in encoder.modules():
        if isinstance(module, nn.Linear):
            out, into = module.weight.shape
            if out == width:  # writes into the residual stream
                nn.init.normal_(module.weight, std=width**-0.5 * (2 * depth) ** -0.5)
            else:
                nn.init.normal_(
                    module.weight, std=into**-0.5 if out == 3 * into else (2 * into) ** -0.5
                )
