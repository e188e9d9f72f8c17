"""One batch of image-text pairs, as the training task takes it."""

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from jaxtyping import Int, Shaped
from torch import Tensor

NO_NOUN = -1
"""Fills `Batch.image_nouns` up."""


@dataclass(frozen=True)
class Batch:
    """Images and their captions."""

    images: Shaped[Tensor, "b 3 h w"]
    """RGB. Bytes from 0 to 255, a quarter of the memory and of the way to the device; the task
    normalises them there. Floating-point images are taken as normalised."""
    tokens: Int[Tensor, "b t"]
    """Byte-pair ids, padded with 0; one caption an image."""
    noun_tokens: Int[Tensor, "b m t"] | None = None
    """Prompts about nouns of the captions, for the multi-label loss; None when it is off."""
    noun_ids: Int[Tensor, "b m"] | None = None
    """Which noun each prompt is about: equal numbers for equal words, in any image and rank."""
    image_nouns: Int[Tensor, "b p"] | None = None
    """Numbers of all nouns of each image's captions, filled up with `NO_NOUN`."""

    def split(self, parts: int) -> list["Batch"]:
        """Cut the batch into micro-batches of equal size.

        Args:
            parts: How many; divides the batch.
        """
        chunks = {name: tensor.chunk(parts) for name, tensor in self._tensors().items()}
        return [
            Batch(**{name: chunk[part] for name, chunk in chunks.items()}) for part in range(parts)
        ]

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on another device (asynchronous from pinned memory)."""
        return self._with_each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> "Batch":
        """Return the batch in page-locked memory; a `DataLoader` asks for it by this name."""
        return self._with_each(Tensor.pin_memory)

    def _with_each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        return Batch(**{name: change(tensor) for name, tensor in self._tensors().items()})

    def _tensors(self) -> dict[str, Tensor]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: tensor for name, tensor in values.items() if tensor is not None}
