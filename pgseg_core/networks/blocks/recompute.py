"""Linear maps that do not keep their input for the backward pass where it is cheap to have again.

A transformer block keeps sixteen tensors of the width of its tokens, and four of them are GELU's
output, a function of what GELU keeps itself.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn


def linear_of(
    linear: nn.Linear, cheap: Callable[[Tensor], Tensor], x: Float[Tensor, "... w"]
) -> Float[Tensor, "... o"]:
    """Return `linear(cheap(x))`; the backward pass finds x alone and computes `cheap(x)` again.

    Args:
        linear: The map.
        cheap: An elementwise function or a norm: without state, without noise, and keeping its own
            input for its gradient, so that x costs nothing more.
        x: Its input.
    """
    kind = x.device.type
    half = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None

    def between() -> Tensor:
        found = cheap(x)
        return found if half is None else found.to(half)

    inside = between()
    if not inside.requires_grad or torch.compiler.is_compiling():  # which plans this by itself
        return linear(inside)
    storage = inside.untyped_storage().data_ptr()

    def keep(tensor: Tensor) -> Tensor | torch.Size:
        return tensor.shape if tensor.untyped_storage().data_ptr() == storage else tensor

    def find(kept: Tensor | torch.Size) -> Tensor:
        if isinstance(kept, Tensor):
            return kept
        with torch.no_grad(), torch.autocast(kind, dtype=half, enabled=half is not None):
            return between().reshape(kept)

    with torch.autograd.graph.saved_tensors_hooks(keep, find):
        return linear(inside)
