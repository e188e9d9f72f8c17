"""Prototypes by expectation-maximisation: Algorithm 1, steps 1 and 2.

Nothing here is learned and nothing keeps a gradient. Arithmetic is float32 or better whatever the
autocast, because ten iterations of normalised means lose too much in half precision.
"""

from dataclasses import dataclass

import torch
from einops import einsum
from jaxtyping import Bool, Float
from torch import Tensor

EPSILON = 1e-6


@dataclass(frozen=True)
class PrototypeEstimate:
    """The prototypes that EM found for each image. No gradient."""

    prototypes: Float[Tensor, "b k d"]
    """Unit vectors (zero where there is nothing to explain)."""
    responsibility: Float[Tensor, "b k n"]
    """Last E-step: the share of each feature that each prototype explains; sums to 1 over k."""

    def reconstruct(self) -> Float[Tensor, "b n d"]:
        """Re-express every feature by the prototypes (Z P); a prototype's weights sum to 1."""
        weight = normalise_over_features(self.responsibility)
        return einsum(weight, self.prototypes, "b k n, b k d -> b n d")


def e_step(
    source: Float[Tensor, "b n d"],
    prototypes: Float[Tensor, "b k d"],
    *,
    mask: Bool[Tensor, "b n"] | None = None,
) -> Float[Tensor, "b k n"]:
    """Share every feature among the prototypes by a softmax of their products (Eq. 1).

    Args:
        source: Features to explain.
        prototypes: Current prototypes.
        mask: True where a feature counts; the others get responsibility 0.
    """
    responsibility = einsum(prototypes, source, "b k d, b n d -> b k n").softmax(dim=1)
    return responsibility if mask is None else responsibility * mask[:, None, :]


def m_step(
    source: Float[Tensor, "b n d"],
    responsibility: Float[Tensor, "b k n"],
    *,
    unit_norm: bool = True,
    norm_dim: int = 2,
) -> Float[Tensor, "b k d"]:
    """Move each prototype to the mean of the features, weighted by its responsibility (Eq. 2).

    Args:
        source: Features to explain.
        responsibility: From `e_step`.
        unit_norm: Divide by the norm afterwards; Algorithm 1 itself does not.
        norm_dim: Axis of that norm: 2 for each prototype's own (1 is the released text bank's).
    """
    weight = normalise_over_features(responsibility)
    prototypes = einsum(weight, source, "b k n, b n d -> b k d")
    if unit_norm:
        prototypes = prototypes / (prototypes.norm(dim=norm_dim, keepdim=True) + EPSILON)
    return prototypes


def normalise_over_features(responsibility: Float[Tensor, "b k n"]) -> Float[Tensor, "b k n"]:
    """Divide each prototype's responsibilities by their sum over the features."""
    return responsibility / (responsibility.sum(dim=2, keepdim=True) + EPSILON)


@torch.no_grad()
def estimate_prototypes(
    source: Float[Tensor, "b n d"],
    start: Float[Tensor, "k d"],
    *,
    iterations: int,
    mask: Bool[Tensor, "b n"] | None = None,
    unit_norm: bool = True,
    norm_dim: int = 2,
) -> PrototypeEstimate:
    """Run EM from the bank (Algorithm 1, lines 1 to 2, repeated T times).

    Args:
        source: Features of each image (or caption).
        start: The prototype bank, from which every image starts.
        iterations: T, at least 1.
        mask: True where a feature counts.
        unit_norm: See `m_step`.
        norm_dim: See `m_step`.
    """
    with torch.autocast(source.device.type, enabled=False):
        source = _at_least_float32(source)
        prototypes = start.to(source).expand(len(source), -1, -1)  # (b, k, d)
        for _ in range(iterations):
            responsibility = e_step(source, prototypes, mask=mask)
            prototypes = m_step(source, responsibility, unit_norm=unit_norm, norm_dim=norm_dim)
    return PrototypeEstimate(prototypes=prototypes, responsibility=responsibility)


@torch.no_grad()
def update_bank(
    bank: Float[Tensor, "k d"], batch_mean: Float[Tensor, "k d"], *, momentum: float
) -> Float[Tensor, "k d"]:
    """Return the bank moved towards the batch's mean prototypes.

    Args:
        bank: The bank before the step.
        batch_mean: Estimated prototypes averaged over the batch of all ranks.
        momentum: Share of the old bank that stays, in [0, 1].
    """
    return momentum * bank + (1 - momentum) * batch_mean.to(bank)


def _at_least_float32(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype == torch.float64 else tensor.float()
