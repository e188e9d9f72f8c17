"""BatchNorm's statistics of a batch that passes through the encoders in parts.

The statistics of the whole batch are wanted, but no part has seen it. So they are found layer by
layer: the parts run up to the first layer, which adds up their moments; with those known they run
up to the second; and so on. Going back, the known statistics are leaves that collect gradients,
which are then carried into the parts, layer by layer from the last to the first.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from pgseg_core.comm import Collectives


@dataclass
class Moments:
    """Mean and biased variance of one BatchNorm call, over the whole batch of all ranks."""

    mean: Float[Tensor, " d"]
    variance: Float[Tensor, " d"]
    count: int
    """Rows over which they were taken."""
    remember: Callable[..., None]
    """The layer's own way to move its running statistics."""


class EnoughError(Exception):
    """Ends a forward pass whose rest would be thrown away."""


@dataclass
class StatisticsTape:
    """What the BatchNorm layers of one pass are given, and what they are asked.

    Layers are told apart by the order of their calls, which is the same for every part.

    Attributes:
        comm: Ranks over which moments are averaged.
        stop_early: End a pass at the layer that was asked, with `EnoughError`.
        known: Moments of the first calls, whose tensors collect gradients.
    """

    comm: Collectives
    stop_early: bool = True
    known: list[Moments] = field(default_factory=list)
    _call: int = 0
    _asked: int = -1
    _parts: list[Moments] = field(default_factory=list)
    _carry: Float[Tensor, ""] | None = None

    def start_step(self) -> None:
        """Forget the last step's batch."""
        self.known, self._parts = [], []

    def start_pass(self, asked: int) -> None:
        """Begin the pass of a part that asks the layer of call `asked`; -1 asks none."""
        self._call, self._asked, self._carry = 0, asked, None

    def moments(
        self, rows: Float[Tensor, "n d"], remember: Callable[..., None]
    ) -> tuple[Tensor, Tensor]:
        """Return mean and variance for a layer's input, or end the pass there.

        Args:
            rows: This part's input.
            remember: Told mean, variance and `count` of the whole batch, once a step.
        """
        call, self._call = self._call, self._call + 1
        if call == self._asked:
            if call < len(self.known):
                self._carry = self._gradient_through(rows, self.known[call])
            else:
                mean = rows.mean(dim=0)
                variance = (rows - mean).square().mean(dim=0)
                self._parts.append(Moments(mean.detach(), variance.detach(), len(rows), remember))
            if self.stop_early:
                raise EnoughError
        if call < len(self.known):
            return self.known[call].mean, self.known[call].variance
        mean = rows.mean(dim=0)  # beyond what is known: thrown away
        return mean, (rows - mean).square().mean(dim=0)

    def learn(self) -> bool:
        """Join the moments of all parts and ranks; False if no layer was there to be asked."""
        if not self._parts:
            return False
        means = torch.stack([part.mean for part in self._parts])
        mean = self.comm.mean(means.mean(dim=0))
        within = torch.stack([part.variance for part in self._parts])
        variance = self.comm.mean((within + (means - mean).square()).mean(dim=0))
        count = sum(part.count for part in self._parts) * self.comm.world_size
        remember = self._parts[0].remember
        remember(mean, variance, count=count)
        leaves = mean.clone().requires_grad_(), variance.clone().requires_grad_()
        self.known.append(Moments(*leaves, count, remember))
        self._parts = []
        return True

    def average_gradient(self, call: int) -> None:
        """Average over ranks what the loss wants of a call's moments, before it is carried on."""
        moments = self.known[call]
        for tensor in (moments.mean, moments.variance):
            wanted = torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
            tensor.grad = self.comm.mean(wanted)

    def take_carry(self) -> Float[Tensor, ""]:
        """Return the scalar whose gradient is this part's share in the asked moments' gradient."""
        assert self._carry is not None
        return self._carry

    def _gradient_through(self, rows: Tensor, moments: Moments) -> Tensor:
        """Product of the moments' gradients with this part's moments.

        The variance depends on the mean too, but not to first order: deviations sum to zero.
        """
        assert moments.mean.grad is not None
        assert moments.variance.grad is not None
        squares = (rows - moments.mean.detach()).square().mean(dim=0)
        return (moments.mean.grad * rows.mean(dim=0)).sum() + (
            moments.variance.grad * squares
        ).sum()
