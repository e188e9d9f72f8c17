"""Sequences of unequal length as one row of tokens: padding exists inside attention alone.

Captions of a batch have 8 to 77 tokens, 13 on average. Linear maps and norms, which are nearly all
of a text encoder's work, see each token by itself and so need no table with a row for each caption.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor

SMALLEST_PART, MOST_PARTS = 64, 8
"""Sequences that attend together, at least; and into how many parts they fall, at most."""


@dataclass(frozen=True)
class Part:
    """Sequences of similar length, neighbours in the row, padded to the longest of them."""

    shape: tuple[int, int]
    """Sequences, and tokens of the longest."""
    place: Int[Tensor, " n"]
    """Where each of their tokens is in the padded table, row by row."""

    def pad(self, row: Float[Tensor, "n d"]) -> Float[Tensor, "s t d"]:
        """Put tokens into the table, zeros where there are none."""
        count, longest = self.shape
        table = row.new_zeros(count * longest, row.shape[1]).index_copy(0, self.place, row)
        return table.unflatten(0, self.shape)

    def pack(self, table: Float[Tensor, "s t d"]) -> Float[Tensor, "n d"]:
        """Take the tokens out of the table."""
        return table.flatten(0, 1).index_select(0, self.place)


@dataclass(frozen=True)
class Packing:
    """The order of the row: short sequences first."""

    whole: Part
    """All sequences, in the order in which they were given."""
    parts: tuple[Part, ...]
    """Those that attend together, since one long sequence would make all of them long."""

    def split(self, row: Float[Tensor, "n d"]) -> list[tuple[Part, Float[Tensor, "_ d"]]]:
        """Cut the row into its parts."""
        pieces = row.split([len(part.place) for part in self.parts])
        return list(zip(self.parts, pieces, strict=True))


def pack_lengths(length: Int[Tensor, " s"], device: torch.device) -> Packing:
    """Plan the row.

    Args:
        length: Tokens of each sequence, on the host.
        device: Where the sequences are.
    """
    order = length.argsort(stable=True)
    ordered, longest = length[order], int(length.max())
    row, column = (torch.arange(longest) < ordered[:, None]).nonzero(as_tuple=True)
    size = max(SMALLEST_PART, -(-len(length) // MOST_PARTS))
    count = max(len(length) // size, 1)
    borders = [len(length) * part // count for part in range(count + 1)]
    parts = []
    for first, end in pairwise(borders):
        own, most = (row >= first) & (row < end), int(ordered[end - 1])
        place = (row[own] - first) * most + column[own]
        parts.append(Part((end - first, most), place.to(device, non_blocking=True)))
    place = order[row] * longest + column
    return Packing(Part((len(length), longest), place.to(device, non_blocking=True)), tuple(parts))
