"""What the encoders return: frozen values, the same fields in training and at test."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pgseg_core.npr import PrototypeEstimate


@dataclass(frozen=True)
class StemOutput:
    """An image as tokens."""

    tokens: Float[Tensor, "b n d"]
    """One for each patch, row by row."""
    grid: tuple[int, int]
    """Rows and columns of patches; n = rows * columns."""
    features: Float[Tensor, "b c v u"] | None = None
    """The last feature map of a network that was taught classes, as its classifier reads it."""


@dataclass(frozen=True)
class GroupingOutput:
    """One grouping stage."""

    patches: Float[Tensor, "b n d"]
    """What was grouped, after its LayerNorm: patches, or the previous stage's groups."""
    groups: Float[Tensor, "b g d"]
    """Tokens the stage hands on, one for each group."""
    queries: Float[Tensor, "b g d"]
    """Group tokens after the pre-assign cross-attention: what L_PG compares with prototypes."""
    soft: Float[Tensor, "b g n"]
    """Assignment probabilities without Gumbel noise; sums to 1 over g."""
    hard: Float[Tensor, "b g n"]
    """One-hot assignment (with Gumbel noise in training); straight-through gradient."""
    estimate: PrototypeEstimate | None
    """Image prototypes of this stage; None without NPR."""


@dataclass(frozen=True)
class ImageOutput:
    """Everything the image encoder and its projector know about a batch."""

    feature: Float[Tensor, "b e"]
    """Image vectors in the joint space, not normalised."""
    tokens: Float[Tensor, "b g d"]
    """Final group tokens; `PGSeg.project_groups` takes them into the joint space."""
    stages: tuple[GroupingOutput, ...]
    grid: tuple[int, int]
    """Rows and columns of the patch grid; n = rows * columns at the first stage."""

    def group_maps(self) -> Float[Tensor, "b g n"]:
        """Multiply the stages' soft maps: the share of each patch in each final group."""
        maps = self.stages[0].soft
        for stage in self.stages[1:]:
            maps = torch.einsum("bhg,bgn->bhn", stage.soft, maps)
        return maps


@dataclass(frozen=True)
class TextOutput:
    """Everything the text encoder and its projector know about a batch of captions."""

    feature: Float[Tensor, "b e"]
    """Caption vectors in the joint space, not normalised."""
    pooled: Float[Tensor, "b w"]
    """Feature at the end-of-text token, before the projector."""
    words: Float[Tensor, "b t w"]
    """Features of all tokens, trimmed to the batch's longest caption."""
