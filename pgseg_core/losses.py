"""Image-text contrast over the global batch: InfoNCE, with one or with several texts an image.

An image is one vector, or its groups' vectors. Groups are compared one by one, and the image fits a
text as well as its best groups do: log mean_g exp(scale cos(group_g, text)). One group that fits is
enough, so that groups are told apart by the words they answer to.
"""

import math

import torch
import torch.nn.functional as F
from einops import einsum, rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pgseg_core.comm import Collectives


def info_nce(
    image: Float[Tensor, "b *g e"],
    text: Float[Tensor, "b e"],
    scale: Float[Tensor, ""],
    comm: Collectives,
) -> Float[Tensor, ""]:
    """Symmetric InfoNCE: each image against all captions of all ranks, and each caption back.

    Args:
        image: Vectors of images, or of their groups, any length; compared by cosine.
        text: The matching captions' vectors.
        scale: 1 / temperature.
        comm: Gathers the other ranks' vectors, with gradients.

    Returns:
        This rank's loss; its mean over ranks is the global batch's, in value and gradient.
    """
    image, text = F.normalize(image, dim=-1), F.normalize(text, dim=-1)
    target = torch.arange(len(image), device=image.device) + comm.rank * len(image)
    logits, back = _fit_both_ways(image, text, scale, comm)
    return (F.cross_entropy(logits, target) + F.cross_entropy(back.mT, target)) / 2


def multi_label_nce(
    image: Float[Tensor, "b *g e"],
    prompts: Float[Tensor, "b m e"],
    scale: Float[Tensor, ""],
    comm: Collectives,
) -> Float[Tensor, ""]:
    """Multi-label InfoNCE: an image has m matching prompts (GroupViT, section 3.2).

    An image's m prompts together are its positive, against all prompts of all images; each prompt
    in turn has one image among all.

    Args:
        image: Vectors of images, or of their groups, any length; compared by cosine.
        prompts: Vectors of m prompts an image.
        scale: 1 / temperature.
        comm: Gathers the other ranks' vectors, with gradients.

    Returns:
        This rank's loss; its mean over ranks is the loss of the global batch.
    """
    num_images, num_prompts = prompts.shape[:2]
    image = F.normalize(image, dim=-1)
    flat = F.normalize(rearrange(prompts, "b m e -> (b m) e"), dim=-1)
    first = comm.rank * num_images

    logits, back = _fit_both_ways(image, flat, scale, comm)  # (b, B * m), (B, b * m)
    own = torch.arange(num_images, device=image.device) + first
    columns = own[:, None] * num_prompts + torch.arange(num_prompts, device=image.device)
    to_text = (logits.logsumexp(dim=-1) - logits.gather(1, columns).logsumexp(dim=-1)).mean()

    target = own.repeat_interleave(num_prompts)
    to_image = F.cross_entropy(back.mT, target)
    return (to_text + to_image) / 2


def shared_noun_nce(
    image: Float[Tensor, "b *g e"],
    prompts: Float[Tensor, "b m e"],
    *,
    noun_ids: Int[Tensor, "b m"],
    image_nouns: Int[Tensor, "b p"],
    scale: Float[Tensor, ""],
    comm: Collectives,
) -> Float[Tensor, ""]:
    """Multi-label InfoNCE in which a prompt matches every image whose captions name its noun.

    In `multi_label_nce` a dog beside another image's prompt "a dog" counts as wrong, which with few
    nouns in many images is most of what there is to learn from. Here each prompt's target is spread
    evenly over the images that have its noun, and each image's over the nouns that it has. A noun
    that several images drew counts once, however often it was drawn.

    Args:
        image: Vectors of images, or of their groups, any length; compared by cosine.
        prompts: Vectors of m prompts an image.
        noun_ids: What each prompt is about; equal numbers for equal nouns.
        image_nouns: All nouns of each image, those of its prompts among them; filled up with
            numbers that no prompt has.
        scale: 1 / temperature.
        comm: Gathers the other ranks' vectors, with gradients.

    Returns:
        This rank's loss; its mean over ranks is the loss of the global batch.
    """
    image = F.normalize(image, dim=-1)
    flat, ids = F.normalize(rearrange(prompts, "b m e -> (b m) e"), dim=-1), noun_ids.flatten()
    all_ids, all_nouns = comm.all_gather(ids), comm.all_gather(image_nouns)
    drawn = (all_ids[:, None] == all_ids).sum(dim=0).to(image.dtype)  # (B * m), how often

    # an image against the nouns: a noun's prompts together weigh one
    own = _has(image_nouns, all_ids).to(image.dtype) / drawn  # (b, B * m)
    logits, back = _fit_both_ways(image, flat, scale, comm)
    log_share = (logits - drawn.log()).log_softmax(dim=-1) + drawn.log()
    to_text = -(log_share * own).sum(-1) / own.sum(-1)

    # a noun against the images
    theirs = _has(all_nouns, ids).to(image.dtype)  # (B, b * m)
    to_image = -(back.log_softmax(dim=0) * theirs).sum(0) / theirs.sum(0)
    weight = 1 / (ids[:, None] == all_ids).sum(dim=1).to(image.dtype)
    weight = weight * comm.world_size / comm.sum(weight.sum())
    return (to_text.mean() + (weight * to_image).sum()) / 2


def _has(nouns: Int[Tensor, "i p"], ids: Int[Tensor, " j"]) -> Bool[Tensor, "i j"]:
    """Tell which images have which nouns, without an (i, p, j) table."""
    found = torch.zeros(len(nouns), len(ids), dtype=torch.bool, device=ids.device)
    for column in nouns.unbind(dim=1):
        found |= column[:, None] == ids
    return found


def _fit_both_ways(
    image: Float[Tensor, "b *g e"],
    text: Float[Tensor, "t e"],
    scale: Float[Tensor, ""],
    comm: Collectives,
) -> tuple[Float[Tensor, "b all_t"], Float[Tensor, "all_b t"]]:
    """Logits of this rank's images for all texts, and of all images for this rank's texts."""
    logits = _fit(image, comm.all_gather(text), scale)
    back = logits if comm.world_size == 1 else _fit(comm.all_gather(image), text, scale)
    return logits, back


def _fit(
    image: Float[Tensor, "i *g e"], text: Float[Tensor, "t e"], scale: Float[Tensor, ""]
) -> Float[Tensor, "i t"]:
    """Logits of texts for images; all vectors have length 1."""
    if image.dim() == 2:
        return scale * image @ text.mT
    affinity = scale * einsum(image, text, "i g e, t e -> i t g")
    return affinity.logsumexp(dim=-1) - math.log(image.shape[1])
