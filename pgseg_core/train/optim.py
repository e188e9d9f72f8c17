"""AdamW, with decay only where it belongs."""

import torch
from torch import nn

from pgseg_core.config import TrainConfig

_NO_DECAY = ("group_tokens", "position", "text_encoder.token", "logit_scale")


def decays(name: str, parameter: nn.Parameter) -> bool:
    """Tell whether weight decay applies: not to norms, biases, tokens, positions, temperatures."""
    return parameter.dim() > 1 and not any(part in name for part in _NO_DECAY)


def make_optimizer(module: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """Make AdamW over a module's parameters, in two groups."""
    named = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
    groups = [
        {"params": [p for n, p in named if decays(n, p)], "weight_decay": config.weight_decay},
        {"params": [p for n, p in named if not decays(n, p)], "weight_decay": 0.0},
    ]
    fused = all(p.device.type in ("cpu", "cuda") for _, p in named)
    return torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, fused=fused)
