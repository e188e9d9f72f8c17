"""The text encoder: a causal transformer over byte pairs, read at the end-of-text token (CLIP)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import einsum
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from pgseg_core.config import TextEncoderConfig
from pgseg_core.networks.blocks.layers import Block, quick_gelu
from pgseg_core.networks.blocks.packing import Packing, pack_lengths


@dataclass(frozen=True)
class EncodedText:
    """What the encoder hands to the projector."""

    pooled: Float[Tensor, "b w"]
    """The caption: at the end-of-text token, or the mean of its words, before or after their
    norm."""
    words: Float[Tensor, "b t w"]
    """Features of all tokens up to the longest caption's end; zeros behind a caption's own."""


@dataclass(frozen=True)
class Layout:
    """What the host must know of captions before they can be encoded."""

    longest: int
    """Tokens of the longest caption."""
    packing: Packing | None
    """None where all end together."""


def end_of_text(tokens: Int[Tensor, "b t"]) -> Int[Tensor, " b"]:
    """Position of the end-of-text token: the largest id of each caption, its first occurrence."""
    return tokens.argmax(dim=1)


def word_mask(tokens: Int[Tensor, "b t"]) -> Bool[Tensor, "b t"]:
    """True at the words: after the start token, before the end-of-text token, no padding."""
    position = torch.arange(tokens.shape[1], device=tokens.device)
    return (position > 0) & (position < end_of_text(tokens)[:, None])


class TextEncoder(nn.Module):
    """Captions to one vector each, and one for each word."""

    position: Tensor

    def __init__(self, config: TextEncoderConfig) -> None:
        super().__init__()
        width = config.width
        self.pool = config.pool
        self.token = nn.Embedding(config.vocab_size, width)
        position = torch.zeros(config.context_length, width)
        if config.pool == "bag":  # it has no order
            self.register_buffer("position", position, persistent=False)
        else:
            self.position = nn.Parameter(position)
        self.blocks = nn.ModuleList(
            Block(width, config.num_heads, causal=True, activation=quick_gelu)
            for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(width)
        nn.init.normal_(self.token.weight, std=0.02)
        if config.pool != "bag":
            nn.init.normal_(self.position, std=0.01)

    def layout(self, tokens: Int[Tensor, "b t"]) -> Layout:
        """Read where captions end: the one time that a GPU is waited for.

        Training asks for it before images are encoded, when there is nothing to wait for.
        """
        length = end_of_text(tokens).cpu() + 1
        longest = int(length.max())
        alike = int(length.min()) == longest
        return Layout(longest, None if alike else pack_lengths(length, tokens.device))

    def forward(self, tokens: Int[Tensor, "b t"], layout: Layout | None = None) -> EncodedText:
        """Encode captions of at most `context_length` tokens, padded with 0.

        What comes after a caption's end is left out: attention is causal and the reading position
        lies before it, so nothing that is read depends on it.

        Args:
            tokens: The captions.
            layout: Theirs, where it is known already.
        """
        layout = layout or self.layout(tokens)
        tokens = tokens[:, : layout.longest]
        if layout.packing is None:
            words = self.features(tokens)
        else:
            words = self._packed(tokens, layout.packing)
        return EncodedText(pooled=self.pooled(words, tokens), words=words)

    def features(self, tokens: Int[Tensor, "b t"]) -> Float[Tensor, "b t w"]:
        """Encode every token of captions that end together."""
        x = self.token(tokens) + self.position[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def _packed(self, tokens: Int[Tensor, "b t"], packing: Packing) -> Float[Tensor, "b t w"]:
        place = packing.whole.place
        # Not `self.position[...]`: threads add up an index's gradient in any order.
        position = F.embedding(place % tokens.shape[1], self.position)
        x = self.token(tokens.flatten()[place]) + position
        for block in self.blocks:
            x = block(x, packing)
        return packing.whole.pad(self.norm(x))

    def pooled(
        self, words: Float[Tensor, "b t w"], tokens: Int[Tensor, "b t"]
    ) -> Float[Tensor, "b w"]:
        """Return each caption's vector (see `EncodedText.pooled`)."""
        if self.pool == "end":
            rows = torch.arange(words.shape[0], device=words.device)
            return words[rows, end_of_text(tokens)]
        if self.pool == "mean":
            return _mean(words, tokens)
        return self.norm(_mean(self.token(tokens), tokens))


def _mean(words: Float[Tensor, "b t w"], tokens: Int[Tensor, "b t"]) -> Float[Tensor, "b w"]:
    """Average over each caption's words."""
    weight = word_mask(tokens).to(words.dtype)
    weight = weight / weight.sum(dim=1, keepdim=True).clamp(min=1)
    return einsum(weight, words, "b t, b t w -> b w")
