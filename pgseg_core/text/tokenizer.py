"""Captions to the tensors of byte-pair ids that a text encoder in torch reads."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from pgseg_core.errors import ConfigError
from pgseg_core.text.byte_pairs import caption_rows


@dataclass(frozen=True)
class Tokenizer:
    """Captions to byte-pair ids; small to pickle, so that reader processes can have their own.

    Attributes:
        context_length: Tokens a caption may have (t), start and end tokens included; at least 3.
    """

    context_length: int = 77

    def __post_init__(self) -> None:
        if self.context_length < 3:
            raise ConfigError(
                f"model.text.context_length is {self.context_length}: there is no room for a word",
                hint="Use 3 or more; CLIP uses 77.",
            )

    def __call__(self, texts: Sequence[str]) -> Int[Tensor, "b t"]:
        """Turn b captions into int64 ids (see `caption_rows`)."""
        rows = caption_rows(texts, self.context_length)
        return torch.tensor(rows, dtype=torch.long).reshape(len(rows), self.context_length)
