"""One batch of image-text pairs, as the training task takes it."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Images and their captions."""

    images: Float[Tensor, "b 3 h w"]
    """ImageNet-normalised RGB."""
    tokens: Int[Tensor, "b t"]
    """Byte-pair ids, padded with 0; one caption an image."""
    noun_tokens: Int[Tensor, "b m t"] | None = None
    """Prompts about nouns of the captions, for the multi-label loss; None when it is off."""

    def split(self, parts: int) -> list["Batch"]:
        """Cut the batch into micro-batches of equal size.

        Args:
            parts: How many; divides the batch.
        """
        nouns = self.noun_tokens
        pieces = [None] * parts if nouns is None else nouns.chunk(parts)
        cut = zip(self.images.chunk(parts), self.tokens.chunk(parts), pieces, strict=True)
        return [Batch(images, tokens, noun) for images, tokens, noun in cut]

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on another device (asynchronous from pinned memory)."""
        nouns = self.noun_tokens
        return Batch(
            images=self.images.to(device, non_blocking=True),
            tokens=self.tokens.to(device, non_blocking=True),
            noun_tokens=None if nouns is None else nouns.to(device, non_blocking=True),
        )

    def pin_memory(self) -> "Batch":
        """Return the batch in page-locked memory; a `DataLoader` asks for it by this name."""
        nouns = self.noun_tokens
        return Batch(
            images=self.images.pin_memory(),
            tokens=self.tokens.pin_memory(),
            noun_tokens=None if nouns is None else nouns.pin_memory(),
        )
