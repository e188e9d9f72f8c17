"""The stem's own classifier as a teacher: what it would call each group (`model.stem_names`).

Captions of a few thousand photos never say "cat"; the network that reads the pixels was taught what
a cat is. Its names are held against the groups' in training alone: weights that were taught so
carry no classifier.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import einsum, rearrange
from jaxtyping import Float
from torch import Tensor, nn

from pgseg_core.checkpoint import Classifier
from pgseg_core.text.imagenet import imagenet_names
from pgseg_core.text.tokenizer import Tokenizer

PROMPT = "a photo of a {}."


@dataclass(frozen=True)
class TaughtNames:
    """What the teacher says of the groups of a batch; without gradient."""

    share: Float[Tensor, "b g k"]
    """Probability of each of its classes."""
    weight: Float[Tensor, "b g"]
    """How much a group counts: its share of the image."""


class NameTeacher(nn.Module):
    """ImageNet's classifier over groups instead of images."""

    weight: Tensor
    bias: Tensor
    prompts: Tensor
    """(k, t) byte-pair ids of a prompt for each class."""

    def __init__(self, classifier: Classifier, context_length: int) -> None:
        super().__init__()
        prompts = Tokenizer(context_length)([PROMPT.format(name) for name in imagenet_names()])
        self.register_buffer("weight", classifier.weight, persistent=False)
        self.register_buffer("bias", classifier.bias, persistent=False)
        self.register_buffer("prompts", prompts, persistent=False)

    @torch.no_grad()
    def forward(
        self,
        features: Float[Tensor, "b c v u"],
        hard: Float[Tensor, "b g n"],
        grid: tuple[int, int],
    ) -> TaughtNames:
        """Name each group by the mean of what the stem saw in its patches.

        Args:
            features: The stem's last map.
            hard: One-hot assignment of the n patches.
            grid: Their rows and columns; each cell of `features` covers an equal part of them.
        """
        features = features.float()
        maps = rearrange(hard.float(), "b g (h w) -> b g h w", h=grid[0])
        area = maps.mean(dim=(2, 3))  # (b, g), sums to 1
        cells = F.adaptive_avg_pool2d(maps, (features.shape[2], features.shape[3]))
        mean = einsum(cells, features, "b g v u, b c v u -> b g c")
        mean = mean / cells.sum(dim=(2, 3)).clamp(min=0.01)[..., None]
        share = F.linear(mean, self.weight, self.bias).softmax(dim=-1)
        return TaughtNames(share=share, weight=area)


def taught_names_loss(
    groups: Float[Tensor, "b g e"],
    names: Float[Tensor, "k e"],
    taught: TaughtNames,
    scale: Float[Tensor, ""],
) -> Float[Tensor, ""]:
    """Kullback-Leibler divergence of what groups are called from what the teacher calls them.

    Args:
        groups: Groups in the joint space, any length; compared by cosine.
        names: The classes' prompts there.
        taught: The teacher's word.
        scale: 1 / temperature.

    Returns:
        The mean over images of the groups' divergences, each by its weight.
    """
    logits = scale * F.normalize(groups, dim=-1) @ F.normalize(names, dim=-1).mT
    divergence = F.kl_div(logits.log_softmax(dim=-1), taught.share, reduction="none").sum(dim=-1)
    return (taught.weight * divergence).sum(dim=1).mean()
