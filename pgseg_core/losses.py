"""Image-text contrast over the global batch: InfoNCE, with one or with several texts an image."""

import math

import torch
import torch.nn.functional as F
from einops import einsum, rearrange
from jaxtyping import Float
from torch import Tensor

from pgseg_core.comm import Collectives


def info_nce(
    image: Float[Tensor, "b e"],
    text: Float[Tensor, "b e"],
    scale: Float[Tensor, ""],
    comm: Collectives,
) -> Float[Tensor, ""]:
    """Symmetric InfoNCE: each image against all captions of all ranks, and each caption back.

    Args:
        image: Image vectors, any length; compared by cosine.
        text: The matching captions' vectors.
        scale: 1 / temperature.
        comm: Gathers the other ranks' vectors, with gradients.

    Returns:
        This rank's loss; its mean over ranks is the global batch's, in value and gradient.
    """
    image, text = F.normalize(image, dim=-1), F.normalize(text, dim=-1)
    target = torch.arange(len(image), device=image.device) + comm.rank * len(image)
    to_text = F.cross_entropy(scale * image @ comm.all_gather(text).mT, target)
    to_image = F.cross_entropy(scale * text @ comm.all_gather(image).mT, target)
    return (to_text + to_image) / 2


def group_nce(
    groups: Float[Tensor, "b g e"],
    text: Float[Tensor, "b e"],
    scale: Float[Tensor, ""],
    comm: Collectives,
) -> Float[Tensor, ""]:
    """InfoNCE of images whose groups are compared one by one.

    logit(image, text) = log mean_g exp(scale cos(group_g, text)): one group that fits is enough,
    so that groups are told apart by the words they answer to.

    Args:
        groups: Vectors of an image's groups in the joint space, any length.
        text: The matching captions' vectors.
        scale: 1 / temperature.
        comm: Gathers the other ranks' vectors, with gradients.

    Returns:
        This rank's loss; its mean over ranks is the loss of the global batch.
    """
    groups, text = F.normalize(groups, dim=-1), F.normalize(text, dim=-1)
    target = torch.arange(len(text), device=text.device) + comm.rank * len(text)

    def logits(groups: Float[Tensor, "i g e"], text: Float[Tensor, "j e"]) -> Float[Tensor, "i j"]:
        affinity = scale * einsum(groups, text, "i g e, j e -> g i j")
        return affinity.logsumexp(dim=0) - math.log(groups.shape[1])

    to_text = F.cross_entropy(logits(groups, comm.all_gather(text)), target)
    to_image = F.cross_entropy(logits(comm.all_gather(groups), text).mT, target)
    return (to_text + to_image) / 2


def multi_label_nce(
    image: Float[Tensor, "b e"],
    prompts: Float[Tensor, "b m e"],
    scale: Float[Tensor, ""],
    comm: Collectives,
) -> Float[Tensor, ""]:
    """Multi-label InfoNCE: an image has m matching prompts (GroupViT, section 3.2).

    An image's m prompts together are its positive, against all prompts of all images; each prompt
    in turn has one image among all.

    Args:
        image: Image vectors, any length; compared by cosine.
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

    logits = scale * image @ comm.all_gather(flat).mT  # (b, B * m)
    own = torch.arange(num_images, device=image.device) + first
    columns = own[:, None] * num_prompts + torch.arange(num_prompts, device=image.device)
    to_text = (logits.logsumexp(dim=-1) - logits.gather(1, columns).logsumexp(dim=-1)).mean()

    target = own.repeat_interleave(num_prompts)
    to_image = F.cross_entropy(scale * flat @ comm.all_gather(image).mT, target)
    return (to_text + to_image) / 2
