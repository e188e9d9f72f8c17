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

    def mixture(self) -> Float[Tensor, "b n k"]:
        """Return how much of each prototype every feature is given (Z); sums to 1 over n."""
        return normalise_over_features(self.responsibility).mT

    def reconstruct(self) -> Float[Tensor, "b n d"]:
        """Re-express every feature by the prototypes (Z P)."""
        return self.mixture() @ self.prototypes


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
        prototypes = start.to(source).expand(source.shape[0], -1, -1)  # (b, k, d)
        plain_norm = unit_norm and norm_dim == 2
        if plain_norm and _products_pay(len(start), source.shape[1], source.shape[2], iterations):
            responsibility = _last_e_step(source, prototypes, iterations=iterations, mask=mask)
            prototypes = m_step(source, responsibility)
        else:
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


def _last_e_step(
    source: Float[Tensor, "b n d"],
    prototypes: Float[Tensor, "b k d"],
    *,
    iterations: int,
    mask: Bool[Tensor, "b n"] | None,
) -> Float[Tensor, "b k n"]:
    """Run all but the last M-step on the products of the features among each other.

    A prototype is a mean of features, so its product with a feature is the same mean of the
    features' products: (Z V) V^T = Z (V V^T), and its squared length is z (V V^T) z^T. The
    prototypes themselves are not needed until the end.
    """
    products = source @ source.mT  # (b, n, n)
    logits = source @ prototypes.mT  # (b, n, k): a softmax over neighbours in memory is faster
    for remaining in reversed(range(iterations)):
        share = logits.softmax(dim=2)
        if mask is not None:
            share = share * mask[:, :, None]
        if remaining == 0:
            break
        per_total = 1 / (share.sum(dim=1, keepdim=True) + EPSILON)
        moved = products @ share
        squared = torch.linalg.vecdot(moved, share, dim=1).clamp(min=0)[:, None]
        logits = moved.mul_(per_total / (squared.sqrt() * per_total + EPSILON))
    return share.mT


def _products_pay(num_prototypes: int, num_features: int, width: int, iterations: int) -> bool:
    """Tell whether EM takes fewer multiplications on the features' products."""
    n, k, d = num_features, num_prototypes, width
    return n * n * (d + k * (iterations - 1)) + 2 * k * n * d < 2 * iterations * k * n * d


def _at_least_float32(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype == torch.float64 else tensor.float()
