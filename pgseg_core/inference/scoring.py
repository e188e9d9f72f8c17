"""From group and class vectors to each group's class scores (protocol `groupvit`, steps 4 to 6)."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from pgseg_core.config import Candidates


def class_embedding(
    prompts: Float[Tensor, "p e"], *, unit_first: bool = False
) -> Float[Tensor, " e"]:
    """Average the vectors of a class's prompts, then scale the mean to length 1 (step 4).

    Args:
        prompts: Vectors of any length.
        unit_first: Scale each of them to length 1 before the mean (protocol `sclip`).
    """
    if unit_first:
        prompts = F.normalize(prompts, dim=-1)
    return F.normalize(prompts.mean(dim=0), dim=-1)


def patch_vectors(
    groups: Float[Tensor, "b g e"],
    patches: Float[Tensor, "b n e"],
    maps: Float[Tensor, "b g n"],
    share: float,
) -> Float[Tensor, "b n e"]:
    """Mix each patch's own vector with its group's, so that cosines to classes are mixed alike.

    Args:
        groups: Group vectors, any length.
        patches: Vectors of patches as groups by themselves, any length.
        maps: Share of each patch in each group; the largest is its group.
        share: Weight of the patch's own, in [0, 1].
    """
    own = F.normalize(patches, dim=-1)
    place = maps.argmax(dim=1)[..., None].expand(-1, -1, groups.shape[-1])  # (b, n, e)
    groups_own = F.normalize(groups, dim=-1).gather(1, place)
    return torch.lerp(groups_own, own, share)


def shared_by_alike(
    vectors: Float[Tensor, "b n e"], looks: Float[Tensor, "b n d"], temperature: float
) -> Float[Tensor, "b n e"]:
    """Let patches that look alike share what they say: sum_j softmax_j(cos_ij / temperature) v_j.

    Cosines are taken after the mean look of the window is taken away, which all its patches share.

    Args:
        vectors: What each patch says.
        looks: How each patch looks.
        temperature: Small: a patch listens to those most like it; large: to all.
    """
    looks = F.normalize(looks - looks.mean(dim=1, keepdim=True), dim=-1)
    weight = (looks @ looks.mT / temperature).softmax(dim=-1)  # (b, n, n)
    return weight @ vectors


def window_fit(
    cosines: Float[Tensor, "b g c"],
    image: Float[Tensor, "b e"],
    classes: Float[Tensor, "c e"],
    candidates: Candidates = "image",
) -> Float[Tensor, "b c"]:
    """Return the cosines that say which classes a window may show (step 5; docs/method.md).

    Args:
        cosines: Of groups and classes.
        image: Image vectors, any length.
        classes: Class vectors, any length.
        candidates: `image` for those of the window's own vector, `groups` for its best group's.
    """
    if candidates == "groups":
        return cosines.amax(dim=1)
    return F.normalize(image, dim=-1) @ F.normalize(classes, dim=-1).mT


def class_scores(
    groups: Float[Tensor, "b g e"],
    image: Float[Tensor, "b e"],
    classes: Float[Tensor, "c e"],
    scale: Float[Tensor, ""],
    *,
    top_k: int = 5,
    candidates: Candidates = "image",
) -> Float[Tensor, "b g c"]:
    """Score every class for every group (step 5).

    The product of two softmaxes over the classes: one over all of them, one over the `top_k` that
    fit the whole image best, or its best group.

    Args:
        groups: Group vectors, any length.
        image: Image vectors, any length.
        classes: Class vectors, any length.
        scale: 1 / temperature of the contrastive loss.
        top_k: How many classes an image may show; all of them when there are fewer.
        candidates: What says which (see `window_fit`).

    Returns:
        Scores in [0, 1]; 0 for classes outside those.
    """
    cosines = F.normalize(groups, dim=-1) @ F.normalize(classes, dim=-1).mT  # (b, g, c)
    affinity = scale * cosines
    fit = window_fit(cosines, image, classes, candidates)  # (b, c)
    best = fit.topk(min(top_k, len(classes)), dim=-1).indices
    outside = torch.ones_like(fit, dtype=torch.bool).scatter_(1, best, value=False)
    among_best = affinity.masked_fill(outside[:, None, :], -torch.inf).softmax(dim=-1)
    return affinity.softmax(dim=-1) * among_best


def with_background(
    scores: Float[Tensor, "b g c"], threshold: float
) -> Float[Tensor, "b g c_plus_1"]:
    """Put a background class in front (step 6).

    Its score is 1 for a group whose best class stays below min(threshold, the image's best score of
    all), and 0 otherwise: the surest group is never background by the threshold alone.
    """
    best = scores.amax(dim=-1, keepdim=True)  # (b, g, 1)
    bar = best.amax(dim=1, keepdim=True).clamp(max=threshold)
    return torch.cat([(best < bar).to(scores.dtype), scores], dim=-1)
