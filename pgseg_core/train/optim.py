"""AdamW, with decay only where it belongs, and a learning rate of its own for a pretrained stem."""

import torch
from torch import nn

from pgseg_core.config import TrainConfig

_NO_DECAY = ("group_tokens", "position", "text_encoder.token", "logit_scale")
_STEM = "image_encoder.stem.network."


def decays(name: str, parameter: nn.Parameter) -> bool:
    """Tell whether weight decay applies: not to norms, biases, tokens, positions, temperatures."""
    return parameter.dim() > 1 and not any(part in name for part in _NO_DECAY)


def make_optimizer(module: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """Make AdamW over a module's parameters, in groups of one decay and one `lr_factor` each.

    With `stem_lr` 0 the stem's network is frozen: it is in no group and gets no gradient.
    """
    groups: dict[tuple[bool, float], list[nn.Parameter]] = {(True, 1.0): [], (False, 1.0): []}
    for name, parameter in module.named_parameters():
        factor = config.stem_lr if _STEM in name else 1.0
        if factor == 0:
            parameter.requires_grad_(False)
        if parameter.requires_grad:
            groups.setdefault((decays(name, parameter), factor), []).append(parameter)
    parts = [
        {
            "params": parameters,
            "weight_decay": config.weight_decay if decayed else 0.0,
            "lr_factor": factor,
        }
        for (decayed, factor), parameters in groups.items()
    ]
    fused = all(p.device.type in ("cpu", "cuda") for p in module.parameters())
    return torch.optim.AdamW(parts, lr=config.lr, betas=config.betas, fused=fused)


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set a step's learning rate in all groups, each by its factor."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_factor"]
