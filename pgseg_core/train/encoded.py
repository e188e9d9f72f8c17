"""What the encoders made of a batch, before anything looks at more than one image.

It is the seam of training: everything up to here is image by image and caption by caption, all
that follows compares them. So a large batch can be encoded in parts (`backends/grad_cache.py`), and
the terms of the loss can be weighed by their gradients at one place.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from pgseg_core.train.teacher import TaughtNames


@dataclass(frozen=True)
class ImageTokens:
    """Images as the losses see them."""

    groups: Float[Tensor, "b g d"]
    """Final group tokens."""
    queries: tuple[Float[Tensor, "b _ d"], ...]
    """Group tokens of each stage as L_PG compares them."""
    prototypes: tuple[Float[Tensor, "b _ d"] | None, ...]
    """Image prototypes of each stage, without gradient; None without NPR."""
    patches: Float[Tensor, "b n d"] | None = field(default=None, kw_only=True)
    """Patches as the first stage groups them; None unless `model.patch_contrast` asks for them."""
    taught: TaughtNames | None = field(default=None, kw_only=True)
    """What the stem's classifier calls the groups; None unless `model.stem_names` asks for it, and
    never in a batch that is encoded in parts."""


@dataclass(frozen=True)
class Encoded(ImageTokens):
    """A batch as the losses see it."""

    caption: Float[Tensor, "b w"]
    """Captions before the projector."""
    words: Float[Tensor, "b _ w"]
    """Features of the captions' tokens up to the longest one's end, without gradient."""
    tokens: Int[Tensor, "b t"]
    """The captions' byte-pair ids."""
    nouns: Float[Tensor, "b m w"] | None = None
    """Prompts of nouns before the projector; None when they are off or still to be encoded."""
    noun_ids: Int[Tensor, "b m"] | None = None
    image_nouns: Int[Tensor, "b p"] | None = None
    """As in `Batch`."""

    def differentiable(self) -> list[Tensor]:
        """Return the tensors through which gradients reach the encoders, in a fixed order."""
        optional = [tensor for tensor in (self.patches, self.nouns) if tensor is not None]
        return [self.groups, *self.queries, self.caption, *optional]

    def as_leaves(self) -> "Encoded":
        """Cut the graph: the same values as leaves that collect gradients."""

        def leaf(tensor: Tensor) -> Tensor:
            return tensor.detach().requires_grad_()

        return replace(
            self,
            groups=leaf(self.groups),
            queries=tuple(map(leaf, self.queries)),
            patches=None if self.patches is None else leaf(self.patches),
            caption=leaf(self.caption),
            nouns=None if self.nouns is None else leaf(self.nouns),
        )


def join(parts: Sequence[Encoded]) -> Encoded:
    """Put the parts of a batch together again; words are padded to the longest part's."""
    return Encoded(
        groups=torch.cat([part.groups for part in parts]),
        queries=tuple(map(torch.cat, zip(*(part.queries for part in parts), strict=True))),
        prototypes=tuple(map(_cat_known, zip(*(part.prototypes for part in parts), strict=True))),
        patches=_cat_known([part.patches for part in parts]),
        caption=torch.cat([part.caption for part in parts]),
        words=_cat_padded([part.words for part in parts]),
        tokens=_cat_padded([part.tokens for part in parts]),
        nouns=_cat_known([part.nouns for part in parts]),
        noun_ids=_cat_known([part.noun_ids for part in parts]),
        image_nouns=_cat_known([part.image_nouns for part in parts]),
    )


def _cat_known(parts: Sequence[Tensor | None]) -> Tensor | None:
    """Concatenate what all parts have, or none has."""
    known = [part for part in parts if part is not None]
    return torch.cat(known) if known else None


def _cat_padded(parts: Sequence[Tensor]) -> Tensor:
    """Concatenate, after padding the second axis with zeros to the longest."""
    length = max(part.shape[1] for part in parts)
    behind = [(0, 0) * (part.dim() - 2) + (0, length - part.shape[1]) for part in parts]
    return torch.cat([F.pad(part, pad) for part, pad in zip(parts, behind, strict=True)])
