"""One-to-one pairing of group tokens and prototypes: Algorithm 1, step 3."""

import numpy as np
import torch
import torch.nn.functional as F
from einops import einsum
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment
from torch import Tensor


def cosine_similarity(
    left: Float[Tensor, "b g d"], right: Float[Tensor, "b k d"]
) -> Float[Tensor, "b g k"]:
    """Cosine between every pair, in [-1, 1]; 0 where a vector is zero."""
    return einsum(F.normalize(left, dim=-1), F.normalize(right, dim=-1), "b g d, b k d -> b g k")


@torch.no_grad()
def match(similarity: Float[Tensor, "b g k"], *, maximise: bool = True) -> Int[Tensor, "b g"]:
    """Pair every group with its own prototype so that the total similarity is extremal.

    Exact (Hungarian method), image by image, after one transfer of the whole batch to the host.
    Similarities that are not numbers are matched somehow: the loss made of them is not a number
    either, and is stopped where losses are checked.

    Args:
        similarity: Of groups and prototypes; k >= g.
        maximise: True pairs the most similar (the paper); False the least (the released code).

    Returns:
        The index of each group's prototype, on the device of `similarity`.

    Raises:
        ValueError: There are fewer prototypes than groups.
    """
    num_groups, num_prototypes = similarity.shape[1:]
    if num_prototypes < num_groups:
        raise ValueError(f"{num_groups} groups cannot each have one of {num_prototypes} prototypes")
    table = similarity.float().nan_to_num(nan=-1.0).cpu().numpy()
    columns = [linear_sum_assignment(image, maximize=maximise)[1] for image in table]
    return torch.from_numpy(np.stack(columns)).to(similarity.device)


def take_matched(
    prototypes: Float[Tensor, "b k d"], matched: Int[Tensor, "b g"]
) -> Float[Tensor, "b g d"]:
    """Reorder the prototypes so that row i belongs to group i (P^h)."""
    return prototypes.gather(1, matched[..., None].expand(-1, -1, prototypes.shape[-1]))
