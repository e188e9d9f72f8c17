"""Image-text contrast over the global batch: InfoNCE, with one or with several texts an image.

An image is one vector, or its groups' vectors. Groups are compared one by one, and the image fits a
text as well as its best groups do: log mean_g exp(scale cos(group_g, text)). One group that fits is
enough, so that groups are told apart by the words they answer to.
"""

import math

import torch
import torch.nn.functional as F
from einops import einsum, rearrange
from jaxtyping import Float
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
    to_text = F.cross_entropy(_fit(image, comm.all_gather(text), scale), target)
    to_image = F.cross_entropy(_fit(comm.all_gather(image), text, scale).mT, target)
    return (to_text + to_image) / 2


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

    logits = _fit(image, comm.all_gather(flat), scale)  # (b, B * m)
    own = torch.arange(num_images, device=image.device) + first
    columns = own[:, None] * num_prompts + torch.arange(num_prompts, device=image.device)
    to_text = (logits.logsumexp(dim=-1) - logits.gather(1, columns).logsumexp(dim=-1)).mean()

    target = own.repeat_interleave(num_prompts)
    to_image = F.cross_entropy(_fit(comm.all_gather(image), flat, scale).mT, target)
    return (to_text + to_image) / 2


def _fit(
    image: Float[Tensor, "i *g e"], text: Float[Tensor, "t e"], scale: Float[Tensor, ""]
) -> Float[Tensor, "i t"]:
    """Logits of texts for images; all vectors have length 1."""
    if image.dim() == 2:
        return scale * image @ text.mT
    affinity = scale * einsum(image, text, "i g e, t e -> i t g")
    return affinity.logsumexp(dim=-1) - math.log(image.shape[1])
