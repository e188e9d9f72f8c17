"""The transformer's parts, shared by the image and the text encoder.

Attention goes through `scaled_dot_product_attention`: maps of ordinary blocks are never
materialised.
"""

from collections.abc import Callable
from functools import cache, partial

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from pgseg_core.networks.blocks.batch_norm import BatchNorm
from pgseg_core.networks.blocks.packing import Packing
from pgseg_core.networks.blocks.recompute import linear_of

Activation = Callable[[Tensor], Tensor]


def quick_gelu(x: Tensor) -> Tensor:
    """CLIP's approximation of GELU: x * sigmoid(1.702 x), as the SiLU that it is."""
    return F.silu(1.702 * x) / 1.702


def add_branch(
    x: Float[Tensor, "b ..."], branch: Float[Tensor, "b ..."], drop_rate: float, *, training: bool
) -> Float[Tensor, "b ..."]:
    """Add a residual branch; in training drop it for whole samples (stochastic depth).

    Args:
        x: The trunk.
        branch: What is added to it, divided by the probability that it is.
        drop_rate: Probability of dropping, in [0, 1].
        training: At test time the branch is always added, as it is.
    """
    if drop_rate == 0.0 or not training:
        return x + branch
    keep = 1.0 - drop_rate
    kept = torch.rand(len(x), *[1] * (x.dim() - 1), device=x.device) < keep
    return torch.addcmul(x, branch, kept.to(x.dtype) / max(keep, torch.finfo(x.dtype).tiny))


def attend(
    query: Float[Tensor, "b m q d"],
    key: Float[Tensor, "b m n d"],
    value: Float[Tensor, "b m n d"],
    *,
    causal: bool = False,
) -> Float[Tensor, "b m q d"]:
    """Scaled dot-product attention, m heads at once.

    Fused, so that the (q, n) maps never exist; except in half-precision training on a CPU, where
    the fused kernel's backward pass makes a whole step 1.5 to 2 times slower (docs/benchmarks.md).
    """
    on_cpu = query.device.type == "cpu" and query.dtype == torch.bfloat16
    if not (on_cpu and torch.is_grad_enabled()):
        return F.scaled_dot_product_attention(query, key, value, is_causal=causal)
    logits = (query * query.shape[-1] ** -0.5) @ key.mT
    if causal:
        hidden = torch.full(logits.shape[-2:], -torch.inf, dtype=logits.dtype).triu(1)
        logits = logits + hidden
    return logits.softmax(dim=-1).to(value.dtype) @ value


class Mlp(nn.Module):
    """Two linear maps with a nonlinearity between, over the last axis."""

    def __init__(
        self, width: int, hidden: int, *, out: int | None = None, activation: Activation = F.gelu
    ) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width if out is None else out)
        self.activation = activation

    def forward(self, x: Float[Tensor, "... w"]) -> Float[Tensor, "... o"]:
        """Map the last axis."""
        return linear_of(self.fc2, self.activation, self.fc1(x))


class SelfAttention(nn.Module):
    """Multi-head attention of tokens to each other, optionally causal."""

    def __init__(self, width: int, num_heads: int, *, causal: bool = False) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.causal = causal
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(
        self, x: Float[Tensor, "... d"], packing: Packing | None = None
    ) -> Float[Tensor, "... d"]:
        """Attend.

        Args:
            x: (b, t, d), or (n, d) where sequences of unequal length are packed.
            packing: How they are packed; attention is causal then.
        """
        qkv = self.qkv(x)
        if packing is None:
            return self.proj(self._mix(qkv))
        mixed = [part.pack(self._mix(part.pad(own))) for part, own in packing.split(qkv)]
        return self.proj(torch.cat(mixed))

    def _mix(self, qkv: Float[Tensor, "b t c"]) -> Float[Tensor, "b t d"]:
        # Cut where the gradient is put together again: it then has the order that qkv has.
        parts = rearrange(qkv, "b t (three m d) -> b t three m d", three=3, m=self.num_heads)
        query, key, value = (part.transpose(1, 2) for part in parts.unbind(2))
        mixed = attend(query, key, value, causal=self.causal)
        return rearrange(mixed, "b m t d -> b t (m d)")


class CrossAttention(nn.Module):
    """Multi-head attention of queries to other tokens."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.proj = nn.Linear(width, width)

    def forward(
        self, query: Float[Tensor, "b g d"], tokens: Float[Tensor, "b n d"]
    ) -> Float[Tensor, "b g d"]:
        """Let every query gather from the tokens."""
        heads = [
            rearrange(part, "b t (m d) -> b m t d", m=self.num_heads)
            for part in (self.q_proj(query), self.k_proj(tokens), self.v_proj(tokens))
        ]
        mixed = attend(*heads)
        return self.proj(rearrange(mixed, "b m t d -> b t (m d)"))


class Block(nn.Module):
    """A pre-norm transformer block.

    With `recompute`, the backward pass computes the branches a second time instead of finding what
    the forward pass has kept of them: a third more work for a fraction of the memory. With
    `compiled`, torch.compile fuses what is no matrix product in them; packed attention stays as it
    is, because its parts have other sizes in every batch.
    """

    recompute = False
    compiled = False

    def __init__(
        self,
        width: int,
        num_heads: int,
        *,
        mlp_ratio: float = 4.0,
        drop_path_rate: float = 0.0,
        causal: bool = False,
        activation: Activation = F.gelu,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = SelfAttention(width, num_heads, causal=causal)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width, int(width * mlp_ratio), activation=activation)
        self.drop_path_rate = drop_path_rate

    def forward(
        self, x: Float[Tensor, "... d"], packing: Packing | None = None
    ) -> Float[Tensor, "... d"]:
        """Attend, then transform each token; see `SelfAttention` for packed sequences."""
        rate, training = self.drop_path_rate, self.training
        attend = Block._attend if packing is None else partial(Block._attend, packing=packing)
        mixed = self._run(attend, x, compiled=self.compiled and packing is None)
        x = add_branch(x, mixed, rate, training=training)
        changed = self._run(Block._transform, x, compiled=self.compiled)
        return add_branch(x, changed, rate, training=training)

    def _attend(
        self, x: Float[Tensor, "... d"], packing: Packing | None = None
    ) -> Float[Tensor, "... d"]:
        return self.attn(self.norm1(x), packing)

    def _transform(self, x: Float[Tensor, "... d"]) -> Float[Tensor, "... d"]:
        return self.mlp(self.norm2(x))

    def _run(
        self, branch: Callable[..., Tensor], x: Float[Tensor, "... d"], *, compiled: bool
    ) -> Float[Tensor, "... d"]:
        # No noise is drawn in a branch: compiled it would be another, and the second time must be
        # the first one again on any rank.
        branch = _compiled(branch) if compiled else branch
        if not (self.recompute and torch.is_grad_enabled()):
            return branch(self, x)
        return checkpoint(branch, self, x, use_reentrant=False, preserve_rng_state=False)


@cache
def _compiled(branch: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Compile a branch once for all blocks, whose weights are its inputs."""
    return torch.compile(branch)


class LinearProjector(nn.Linear):
    """One linear map into the joint space."""

    def as_at_test(self, x: Float[Tensor, "... w"]) -> Float[Tensor, "... o"]:
        """Project: the same in training and at test."""
        return self(x)


class ResidualProjector(nn.Module):
    """The identity, and beside it a map with one hidden layer."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.mlp = Mlp(width, hidden)

    def forward(self, x: Float[Tensor, "... w"]) -> Float[Tensor, "... w"]:
        """Project."""
        return x + self.mlp(x)

    def as_at_test(self, x: Float[Tensor, "... w"]) -> Float[Tensor, "... w"]:
        """Project: the same in training and at test."""
        return self(x)


class Projector(nn.Module):
    """Linear, BatchNorm, ReLU, linear: into the joint space, or back to the width of the tokens."""

    def __init__(self, width: int, hidden: int, out: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.norm = BatchNorm(hidden)
        self.fc2 = nn.Linear(hidden, out)

    def forward(self, x: Float[Tensor, "... w"]) -> Float[Tensor, "... o"]:
        """Project; in training the batch's own statistics normalise, and are remembered."""
        return self._from_hidden(self.fc1(x))

    def of_mixture(
        self, weight: Float[Tensor, "b n k"], basis: Float[Tensor, "b k w"]
    ) -> Float[Tensor, "b n o"]:
        """Project n mixtures of k vectors, k < n: the first map acts on the k.

        The same as projecting `weight @ basis`, for k / n of the first map's cost.
        """
        # What a mixture lacks to a sum of 1 is the zero vector's share: the bias counts once. The
        # map is called as a module, because in ZeRO 3 only then its weights are there.
        rest = 1 - weight.sum(dim=-1, keepdim=True)
        return self._from_hidden(
            torch.cat([weight, rest], dim=-1) @ self.fc1(F.pad(basis, (0, 0, 0, 1)))
        )

    def _from_hidden(self, hidden: Float[Tensor, "... h"]) -> Float[Tensor, "... o"]:
        # What is changed in place is no view: its gradient would be copied whole, five times.
        rows = self.norm(hidden.reshape(-1, hidden.shape[-1]))
        return self.fc2(F.relu(rows, inplace=True)).reshape(*hidden.shape[:-1], -1)

    def as_at_test(self, x: Float[Tensor, "... w"]) -> Float[Tensor, "... o"]:
        """Project with the remembered statistics, without touching them, with gradients.

        For what is projected beside the batch itself (groups, words): they are compared at test
        time through the same statistics, and must not pull them away from the images' and
        captions' own.
        """
        norm = self.norm
        hidden = self.fc1(x)
        normal = F.batch_norm(
            hidden.reshape(-1, hidden.shape[-1]),
            norm.running_mean,
            norm.running_var,
            norm.weight,
            norm.bias,
            training=False,
            eps=norm.eps,
        ).reshape(hidden.shape)
        return self.fc2(F.relu(normal))
