"""Batch normalisation whose batch is spread over ranks, or over parts."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pgseg_core.comm import Collectives, LocalCollectives
from pgseg_core.networks.blocks.batch_norm_parts import StatisticsTape


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation over all ranks, of vectors or of token sequences.

    The world of one is torch's own. With more ranks the moments are averaged by the collectives,
    on any device (torch's SyncBatchNorm refuses CPUs).
    """

    comm: Collectives = LocalCollectives()
    tape: StatisticsTape | None = None
    """Supplies the statistics of a batch that is encoded in parts."""
    tracks: bool = True
    """Whether a pass is remembered in the running statistics; off where it is a repetition."""

    def forward(self, x: Float[Tensor, "... d"]) -> Float[Tensor, "... d"]:
        """Normalise each channel over all leading axes of all ranks' inputs.

        What comes back of rows (n, d) is no view, so that it may be changed in place for nothing.
        """
        rows = x.reshape(-1, x.shape[-1])
        whole = self.comm.world_size == 1 and self.tape is None and self.tracks
        if not self.training or whole:
            normal = super().forward(rows)
        elif self.tape is None:
            normal = self._over_ranks(rows)
        else:
            normal = self._by_tape(rows, self.tape)
        return normal if x.dim() == 2 else normal.reshape(x.shape)

    def _over_ranks(self, rows: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        normal, mean, variance = _NormaliseOverRanks.apply(rows, self.weight, self.bias, self)
        if self.tracks:
            self.track(mean, variance, count=len(rows) * self.comm.world_size)
        found: Tensor = normal
        return found

    def _by_tape(self, rows: Float[Tensor, "n d"], tape: StatisticsTape) -> Float[Tensor, "n d"]:
        rows = _exact(rows)
        mean, variance = tape.moments(rows, self.track)
        normal = (rows - mean) * torch.rsqrt(variance + self.eps)
        return normal * self.weight + self.bias

    @torch.no_grad()
    def track(self, mean: Tensor, variance: Tensor, *, count: int) -> None:
        """Move the running statistics towards a batch's, taken over `count` rows."""
        if self.running_mean is None or self.running_var is None:
            return
        momentum = 0.1 if self.momentum is None else self.momentum
        unbiased = variance * count / max(count - 1, 1)
        self.running_mean.lerp_(mean.to(self.running_mean), momentum)
        self.running_var.lerp_(unbiased.to(self.running_var), momentum)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked += 1


def _exact(rows: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Return rows in a type in which their moments can be taken."""
    return rows if rows.dtype == torch.float64 else rows.float()


class _NormaliseOverRanks(torch.autograd.Function):
    """Normalise rows by the moments of all ranks' rows, of which every rank has as many.

    Made of torch's own kernels for known moments, with the two terms by which the moments depend
    on the rows added: rows are all that is kept. Written out in operations, autograd would keep
    them four times.
    """

    @staticmethod
    def forward(
        ctx: Any,
        rows: Float[Tensor, "n d"],
        weight: Float[Tensor, " d"],
        bias: Float[Tensor, " d"],
        norm: BatchNorm,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the normalised rows, and the mean and the biased variance over all ranks."""
        own_variance, own_mean = torch.var_mean(_exact(rows), dim=0, correction=0)
        mean = norm.comm.mean(own_mean)
        variance = norm.comm.mean(own_variance + (own_mean - mean).square())
        weight, bias = weight.to(mean.dtype), bias.to(mean.dtype)
        ctx.save_for_backward(rows, weight, mean, variance)
        ctx.eps, ctx.comm = norm.eps, norm.comm
        ctx.mark_non_differentiable(mean, variance)
        normal = F.batch_norm(rows, mean, variance, weight, bias, training=False, eps=norm.eps)
        return normal, mean, variance

    @staticmethod
    def backward(ctx: Any, *wanted: Tensor) -> tuple[Tensor | None, ...]:
        """Return what the loss wants of the rows, the weight and the bias."""
        rows, weight, mean, variance = ctx.saved_tensors
        for_rows, for_weight, for_bias = torch.ops.aten.native_batch_norm_backward(
            wanted[0].contiguous(),
            rows,
            weight,
            mean,
            variance,
            None,
            None,
            False,
            ctx.eps,
            [True] * 3,
        )
        through = ctx.comm.mean(torch.stack([for_bias, for_weight])) / len(rows)
        inverse = torch.rsqrt(variance + ctx.eps)
        scale, slope = weight * inverse, through[1] * inverse
        line = torch.addcmul(scale * (through[0] - slope * mean), rows, scale * slope)
        return for_rows.sub_(line), for_weight, for_bias, None
