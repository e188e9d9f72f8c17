"""The random numbers of one rank, cut out of those that one process would draw for the whole batch.

The model draws noise per image (Gumbel noise, stochastic depth) with the batch as first axis. Under
`RankNoise` every rank draws the global batch's numbers from the same seed and keeps its own rows,
so that a step is the same on any number of ranks. A step of 4096 images with 64 groups and 196
patches draws 205 MB; the rest is dropped at once.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_MAKE = {torch.rand, torch.randn}
_FILL = {Tensor.exponential_, Tensor.uniform_, Tensor.normal_, Tensor.bernoulli_}


# Older torch does not type the base.
class RankNoise(TorchFunctionMode):  # type: ignore[misc, unused-ignore]
    """While active, `torch.rand`, `torch.randn` and the filling methods draw for all ranks.

    Args:
        rank: Whose rows are kept.
        world_size: How many times more rows are drawn.
    """

    def __init__(self, rank: int, world_size: int) -> None:
        super().__init__()
        self.rank = rank
        self.world_size = world_size

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Replace the random functions, and pass on everything else."""
        options = dict(kwargs or {})
        if self.world_size == 1 or (func not in _MAKE and func not in _FILL):
            return func(*args, **options)
        if func in _MAKE:
            size = tuple(args[0]) if isinstance(args[0], Sequence) else tuple(args)
            whole = func(self.world_size * size[0], *size[1:], **options)
            return self._own(whole, size[0])
        tensor, rest = args[0], args[1:]
        whole = tensor.new_empty((self.world_size * len(tensor), *tensor.shape[1:]))
        func(whole, *rest, **options)
        return tensor.copy_(self._own(whole, len(tensor)))

    def _own(self, whole: Tensor, length: int) -> Tensor:
        return whole[self.rank * length :][:length]
