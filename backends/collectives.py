"""`Collectives` over a torch process group, with gradients: gloo on CPUs, NCCL on CUDA."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

Watch = Callable[[str], AbstractContextManager[None]]


class ProcessGroupCollectives:
    """The collective operations of the default process group.

    Every rank must call the same operations in the same order with tensors of the same shape, in
    the forward pass; the backward pass then does too. Tensors elsewhere, such as counts on the CPU
    beside a model on a GPU, travel through the group's device and come back.

    Args:
        device: Where the group works.
        watched: Opened around every operation, to say in words when it fails.
    """

    def __init__(self, device: torch.device, watched: Watch) -> None:
        self._device = device
        self._watched = watched

    @property
    def rank(self) -> int:
        """This process's number, from 0."""
        return dist.get_rank()

    @property
    def world_size(self) -> int:
        """How many processes take part."""
        return dist.get_world_size()

    def all_gather(self, tensor: Tensor) -> Tensor:
        """Concatenate every rank's (b, ...) in the order of ranks: (world_size * b, ...)."""
        with self._watched("gathering"):
            gathered: Tensor = _Gather.apply(tensor.to(self._device))
        return gathered.to(tensor.device)

    def sum(self, tensor: Tensor) -> Tensor:
        """Sum over ranks, element by element."""
        with self._watched("summing over ranks"):
            total: Tensor = _Sum.apply(tensor.to(self._device))
        return total.to(tensor.device)

    def mean(self, tensor: Tensor) -> Tensor:
        """Average over ranks, element by element."""
        return self.sum(tensor) / self.world_size

    def barrier(self) -> None:
        """Wait until every rank is here."""
        with self._watched("waiting for all ranks"):
            dist.all_reduce(torch.zeros(1, device=self._device))


class _Gather(torch.autograd.Function):
    """Gather slices; going back, each rank gets the sum of what all ranks want of its slice."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        """Concatenate along the first axis."""
        ctx.length = len(tensor)
        parts = [torch.empty_like(tensor) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, tensor.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *wanted: Tensor) -> Tensor:
        """Return this rank's slice of the summed gradient."""
        total = wanted[0].contiguous().clone()
        dist.all_reduce(total)
        length: int = ctx.length
        return total[dist.get_rank() * length :][:length]


class _Sum(torch.autograd.Function):
    """All-reduce in both directions."""

    @staticmethod
    def forward(_: Any, tensor: Tensor) -> Tensor:
        """Sum over ranks."""
        total = tensor.contiguous().clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_: Any, *wanted: Tensor) -> Tensor:
        """Sum the gradients over ranks."""
        total = wanted[0].contiguous().clone()
        dist.all_reduce(total)
        return total
