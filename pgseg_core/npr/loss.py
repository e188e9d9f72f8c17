"""Hard rejection and the group-prototype contrastive loss: Algorithm 1, steps 4 and 5."""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pgseg_core.comm import Collectives
from pgseg_core.npr.em import EPSILON

Variant = Literal["paper", "released"]


def reliable_pairs(
    similarity: Float[Tensor, "b g g"], *, threshold: float, variant: Variant = "paper"
) -> tuple[Bool[Tensor, "b g"], Bool[Tensor, "b g"]]:
    """Choose the matched pairs that take part in the loss ("hard rejecting", step 4).

    Args:
        similarity: Cosine of group i and matched prototype j; the pairs are on the diagonal.
        threshold: phi; a pair stays when its scaled similarity is strictly above it.
        variant: `paper` min-max scales each row and reads the pair's own entry. `released` repeats
            the published code, which scales over the other axis and reads column 0.

    Returns:
        Which rows stay, for the groups' rows and for the prototypes' rows.
    """
    own, other = similarity.detach(), similarity.detach().mT
    if variant == "paper":
        kept = [_min_max(rows, dim=2).diagonal(dim1=1, dim2=2) > threshold for rows in (own, other)]
    else:
        kept = [_min_max(rows, dim=1)[:, :, 0] > threshold for rows in (other, own)]
    return kept[0], kept[1]


def group_prototype_loss(
    similarity: Float[Tensor, "b g g"],
    scale: Float[Tensor, ""],
    kept: tuple[Bool[Tensor, "b g"], Bool[Tensor, "b g"]],
    comm: Collectives,
) -> Float[Tensor, ""]:
    """Contrast each group with its prototype, and back (L_PG, step 5).

    Every row's positive is its matched partner, its negatives the image's other ones. The two
    directions are means over their own kept rows of the global batch; a direction that keeps
    nothing contributes zero.

    Args:
        similarity: Cosine of group i and matched prototype j, (b, g, g).
        scale: 1 / tau.
        kept: From `reliable_pairs`: rows of the groups, rows of the prototypes.
        comm: Supplies the number of kept rows over all ranks.

    Returns:
        This rank's share of the loss; its mean over ranks is the loss of the global batch.
    """
    logits = scale * similarity
    directions = []
    for rows, stays in ((logits, kept[0]), (logits.mT, kept[1])):
        negative_log = -rows.log_softmax(dim=2).diagonal(dim1=1, dim2=2)  # (b, g)
        count = comm.mean(stays.sum().to(rows.dtype))
        total = torch.where(stays, negative_log, 0.0).sum()
        directions.append(total / count.clamp(min=1.0 / comm.world_size))
    return directions[0] + directions[1]


def _min_max(similarity: Tensor, *, dim: int) -> Tensor:
    low = similarity.amin(dim=dim, keepdim=True)
    high = similarity.amax(dim=dim, keepdim=True)
    return (similarity - low) / (high - low + EPSILON)
