"""CLIP's byte-pair tokenizer: captions to the ids that every CLIP-style text encoder was made for.

The vocabulary and the merging are open_clip's own file, so the ids are its ids. Importing the whole
of open_clip costs seconds (it brings torchvision and timm), and nothing here needs the rest of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from pgseg_core.errors import ConfigError
from pgseg_core.text.open_clip_parts import open_clip_part

START_TOKEN = 49406
"""Id in front of every caption."""
END_TOKEN = 49407
"""Id behind every caption; the text encoder reads the caption's feature there."""
PAD_TOKEN = 0
"""Id of the empty places behind the end token."""

# Web captions hold millions of different words; past this many, all are forgotten.
_MAX_REMEMBERED_WORDS = 100_000


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
        """Turn captions into ids, exactly as open_clip does.

        Args:
            texts: b captions in any language and of any length, empty ones included.

        Returns:
            int64 ids in [0, 49407]: start, words, end, then 0. A caption that is too long is cut
            and keeps its end token.
        """
        rows = [self._row(_ids(text)) for text in texts]
        return torch.tensor(rows, dtype=torch.long).reshape(len(rows), self.context_length)

    def _row(self, ids: Sequence[int]) -> list[int]:
        row = [START_TOKEN, *ids[: self.context_length - 2], END_TOKEN]
        return row + [PAD_TOKEN] * (self.context_length - len(row))


def _ids(text: str) -> Sequence[int]:
    """Return the ids of a caption's words, as open_clip's `encode` does, but sooner.

    Most captions are plain ASCII, which open_clip's repair of mangled Unicode leaves alone, and
    none of its tokens crosses a space: the ids of such a caption are those of its words in turn.
    """
    encoder = _byte_pair_encoder()
    words = _remembered_words()
    ids: list[int] = []
    if text.isascii() and text.isprintable() and "&" not in text:  # & may begin an HTML entity
        for word in text.lower().split():
            if word not in words:
                words[word] = encoder.encode(word)
            ids += words[word]
    else:
        ids = encoder.encode(text)
    if max(len(words), len(encoder.cache)) > _MAX_REMEMBERED_WORDS:
        words.clear()
        special = {encoder.decoder[token] for token in encoder.all_special_ids}
        encoder.cache = {word: word for word in special}
    return ids


@cache
def _byte_pair_encoder() -> Any:
    return open_clip_part("tokenizer").SimpleTokenizer()


@cache
def _remembered_words() -> dict[str, list[int]]:
    """Words met so far, as they stand between spaces, and their ids."""
    return {}
