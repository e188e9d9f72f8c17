"""The only place where a model is assembled."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from pgseg_core.comm import Collectives, LocalCollectives
from pgseg_core.config import ModelConfig
from pgseg_core.networks.blocks.batch_norm import BatchNorm
from pgseg_core.networks.blocks.text_encoder import TextEncoder
from pgseg_core.networks.grouping.network import PGSeg


def build_model(
    config: ModelConfig, *, comm: Collectives | None = None, seed: int | None = 0
) -> PGSeg:
    """Make a freshly initialised model.

    Args:
        config: Its shape.
        comm: Ranks over which BatchNorm takes its statistics; alone by default.
        seed: Decides the initial weights and prototype banks; torch's global generator is left
            as it was. None puts zeros where numbers would be drawn, for whoever reads weights:
            drawing takes longer than reading.
    """
    with torch.random.fork_rng(devices=[]), _Undrawn() if seed is None else nullcontext():
        torch.manual_seed(seed or 0)
        model = PGSeg(config)
        if seed is not None:
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


class _Undrawn(TorchFunctionMode):
    """Inside, what would be drawn at random is zero.

    (On the meta device nothing would be drawn either, after two seconds of imports.)
    """

    _DRAWING = frozenset({"normal_", "uniform_", "trunc_normal_", "kaiming_uniform_"})

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        if func.__name__ not in self._DRAWING:
            return func(*args, **given)
        tensor = args[0] if args else given["tensor"]  # a method, or a function of torch.nn.init
        return tensor.detach().zero_()
