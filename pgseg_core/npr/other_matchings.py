"""The pairings that Algorithm 1's (`matching.py`) is compared with: greedy, and none."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


@torch.no_grad()
def match_greedily(
    similarity: Float[Tensor, "b g k"], *, maximise: bool = True
) -> Int[Tensor, "b g"]:
    """Pair the best free group and prototype, then the best of what is left, and so on.

    One to one, but the total need not be extremal: an early pair can take what another group needed
    more. Stays on the device.

    Args:
        similarity: Of groups and prototypes; k >= g.
        maximise: Whether best is most similar, or least (the released code).

    Returns:
        The index of each group's prototype.

    Raises:
        ValueError: There are fewer prototypes than groups.
    """
    images, num_groups, num_prototypes = similarity.shape
    if num_prototypes < num_groups:
        raise ValueError(f"{num_groups} groups cannot each have one of {num_prototypes} prototypes")
    free = similarity.detach().float().nan_to_num(nan=-1.0).clone()
    free = free if maximise else -free
    every = torch.arange(images, device=similarity.device)
    matched = torch.zeros(images, num_groups, dtype=torch.int64, device=similarity.device)
    for _ in range(num_groups):
        best = free.flatten(1).argmax(dim=1)
        group, prototype = best // num_prototypes, best % num_prototypes
        matched[every, group] = prototype
        free[every, group, :] = -torch.inf
        free[every, :, prototype] = -torch.inf
    return matched


def match_in_order(similarity: Float[Tensor, "b g k"]) -> Int[Tensor, "b g"]:
    """Leave every group the prototype of its own number: no matching."""
    images, num_groups, _ = similarity.shape
    return torch.arange(num_groups, device=similarity.device).expand(images, -1)
