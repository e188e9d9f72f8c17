"""Weights to give away: matrices in half precision, and no rows for words that say nothing.

Of CLIP's 49,408 byte pairs a few thousand occur in a small training set. Where the others began at
zero (`train.start_names`) they still are, and their rows are most of the file.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

_TABLE = "text_encoder.token.weight"
_ROWS, _SIZE = "text_encoder.token.rows", "text_encoder.token.size"


def compact(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Make a model's tensors small; vectors (norms, biases, statistics) keep their precision.

    Returns:
        The same names, but for the table of words: its rows that are not zero, with their numbers
        and the table's length beside them, if some are zero.
    """
    small = {
        name: tensor.half() if tensor.dim() > 1 else tensor for name, tensor in weights.items()
    }
    table = small[_TABLE]
    known = table.ne(0).any(dim=1)
    if not known.all():
        small[_TABLE] = table[known]
        small[_ROWS] = known.nonzero()[:, 0].to(torch.int32)
        small[_SIZE] = torch.tensor([len(table)], dtype=torch.int32)
    return small


def expand(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Put zero rows back, if any were left out; everything else stays as it is."""
    full = dict(weights)
    if _ROWS in full:
        rows, size = full.pop(_ROWS), int(full.pop(_SIZE))
        table = full[_TABLE].new_zeros(size, full[_TABLE].shape[1])
        table[rows.long()] = full[_TABLE]
        full[_TABLE] = table
    return full
