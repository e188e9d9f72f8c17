"""Recall at k of image-to-text and text-to-image search, with several captions an image.

The convention of the Flickr8k, Flickr30k and COCO tables: an image query is a hit when any of its
captions is among the first k; every caption is a query of its own for its one image.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class RetrievalScores:
    """Shares of queries, from 0 to 1, in the order of `ks`; nan when there are no queries."""

    ks: tuple[int, ...]
    image_to_text: tuple[float, ...]
    """Recall at each k, images as queries."""
    text_to_image: tuple[float, ...]
    """Recall at each k, captions as queries."""
    num_images: int
    """Images searched (i)."""
    num_texts: int
    """Captions searched (t)."""


def retrieval_recalls(
    image: Float[Tensor, "i e"],
    text: Float[Tensor, "t e"],
    owner: Int[Tensor, " t"],
    ks: Sequence[int] = (1, 5, 10),
    *,
    block: int = 2**24,
) -> RetrievalScores:
    """Search captions with images and images with captions, by cosine similarity.

    Ties are counted against the model: a wrong candidate that scores the same as the right one
    stands before it, so constant embeddings have recall 0. So does every candidate of a comparison
    with nan. Images without a caption are distractors: they are searched but ask nothing.

    Args:
        image: L2-normalised image embeddings.
        text: L2-normalised caption embeddings.
        owner: For each caption, the index of its image, from 0 to i - 1.
        ks: How far down the ranking a hit counts. More than there are candidates is always a hit.
        block: Largest number of similarities held at once (64 MiB of float32 by default, and about
            as much again for comparisons).
    """
    assert len(owner) == len(text), "one owner for each caption"
    assert not len(owner) or 0 <= owner.min() <= owner.max() < len(image), "an owner is no image"
    image, text = _full_precision(image), _full_precision(text)
    has_caption = torch.bincount(owner, minlength=len(image)) > 0
    image_ahead = _ahead_of_captions(image, text, owner, block)[has_caption]
    text_ahead = _ahead_of_images(image, text, owner, block)
    return RetrievalScores(
        ks=tuple(ks),
        image_to_text=tuple((image_ahead < k).double().mean().item() for k in ks),
        text_to_image=tuple((text_ahead < k).double().mean().item() for k in ks),
        num_images=len(image),
        num_texts=len(text),
    )


def _ahead_of_captions(
    image: Float[Tensor, "i e"], text: Float[Tensor, "t e"], owner: Int[Tensor, " t"], block: int
) -> Int[Tensor, " i"]:
    """Count, for each image, the foreign captions before the best of its own."""
    ahead = torch.zeros(len(image), dtype=torch.int64, device=image.device)
    for rows in _blocks(len(image), len(text), block):
        similarity = image[rows] @ text.mT  # (rows, t)
        own = owner == torch.arange(rows.start, rows.stop, device=owner.device)[:, None]
        best = similarity.masked_fill(~own, -torch.inf).amax(dim=1, keepdim=True)
        ahead[rows] = (~(similarity < best) & ~own).sum(dim=1)  # not `>=`: nan counts as ahead
    return ahead


def _ahead_of_images(
    image: Float[Tensor, "i e"], text: Float[Tensor, "t e"], owner: Int[Tensor, " t"], block: int
) -> Int[Tensor, " t"]:
    """Count, for each caption, the foreign images before its own."""
    ahead = torch.zeros(len(text), dtype=torch.int64, device=text.device)
    for rows in _blocks(len(text), len(image), block):
        similarity = text[rows] @ image.mT  # (rows, i)
        own = similarity.gather(1, owner[rows, None])
        ahead[rows] = (~(similarity < own)).sum(dim=1) - 1  # its own image is not ahead of itself
    return ahead


def _full_precision(embedding: Float[Tensor, "n e"]) -> Float[Tensor, "n e"]:
    """Widen half precision, whose coarse similarities would tie."""
    return embedding.float() if embedding.dtype.itemsize < 4 else embedding


def _blocks(num_queries: int, num_candidates: int, block: int) -> Iterator[slice]:
    """Split queries so that a block of similarities stays within `block` numbers."""
    if num_queries and num_candidates:
        step = max(1, block // num_candidates)
        for start in range(0, num_queries, step):
            yield slice(start, min(start + step, num_queries))
