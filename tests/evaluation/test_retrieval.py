import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import normalize

from pgseg_core.evaluation.metrics.retrieval import retrieval_recalls


def by_loops(image: Tensor, text: Tensor, owner: Tensor, k: int) -> tuple[float, float]:
    """Sort every ranking, foreign candidates first among equals, and look at its first k."""
    similarity = image @ text.T
    owners = owner.tolist()
    image_hits = []
    for i in range(len(image)):
        if i not in owners:
            continue
        order = sorted(
            range(len(text)), key=lambda t: (-similarity[i, t].item(), owners[t] == i, t)
        )
        image_hits.append(any(owners[t] == i for t in order[:k]))
    text_hits = []
    for t in range(len(text)):
        order = sorted(
            range(len(image)), key=lambda i: (-similarity[i, t].item(), owners[t] == i, i)
        )
        text_hits.append(owners[t] in order[:k])
    return sum(image_hits) / len(image_hits), sum(text_hits) / len(text_hits)


@given(
    seed=st.integers(0, 10_000),
    images=st.integers(1, 8),
    texts=st.integers(1, 20),
    block=st.sampled_from([1, 17, 2**20]),
    coarse=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_agrees_with_sorted_rankings(
    seed: int, images: int, texts: int, block: int, coarse: bool
) -> None:
    generator = torch.Generator().manual_seed(seed)
    if coarse:  # small integers: exact products, many ties
        image = torch.randint(-1, 2, (images, 3), generator=generator).double()
        text = torch.randint(-1, 2, (texts, 3), generator=generator).double()
    else:
        image = normalize(torch.randn(images, 4, generator=generator).double(), dim=1)
        text = normalize(torch.randn(texts, 4, generator=generator).double(), dim=1)
    owner = torch.randint(0, images, (texts,), generator=generator)
    result = retrieval_recalls(image, text, owner, ks=(1, 2, 5), block=block)
    for at, k in enumerate(result.ks):
        expected = by_loops(image, text, owner, k)
        assert (result.image_to_text[at], result.text_to_image[at]) == pytest.approx(expected)


def test_made_by_hand() -> None:
    # Image 0's second caption is right on it; its first lies nearer to image 1.
    image = normalize(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), dim=1)
    text = normalize(torch.tensor([[1.0, 2.0], [1.0, 0.0], [0.1, 1.0], [1.0, 0.2]]), dim=1)
    owner = torch.tensor([0, 0, 1, 1])
    result = retrieval_recalls(image, text, owner, ks=(1, 2))
    assert result.image_to_text == (1.0, 1.0)
    assert result.text_to_image == (0.5, 1.0)
    assert (result.num_images, result.num_texts) == (2, 4)


def test_perfect_embeddings_find_everything() -> None:
    image = torch.eye(6)
    owner = torch.arange(6).repeat_interleave(5)
    result = retrieval_recalls(image, image[owner], owner)
    assert result.image_to_text == result.text_to_image == (1.0, 1.0, 1.0)


def test_ties_count_against_the_model() -> None:
    image = torch.ones(10, 1)
    owner = torch.arange(10).repeat_interleave(2)
    result = retrieval_recalls(image, torch.ones(20, 1), owner, ks=(1, 9, 10, 18, 19))
    assert result.text_to_image == (0.0, 0.0, 1.0, 1.0, 1.0)
    assert result.image_to_text == (0.0, 0.0, 0.0, 0.0, 1.0)


def test_nan_finds_nothing() -> None:
    image, owner = torch.eye(4), torch.arange(4)
    result = retrieval_recalls(image * torch.nan, image, owner, ks=(1,))
    assert result.image_to_text == result.text_to_image == (0.0,)


def test_images_without_captions_are_distractors() -> None:
    image = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    text = torch.tensor([[0.9, 0.435889894]])
    result = retrieval_recalls(image, text, torch.tensor([0]), ks=(1, 2))
    assert result.image_to_text == (1.0, 1.0)
    assert result.text_to_image == (0.0, 1.0)


def test_order_does_not_matter() -> None:
    generator = torch.Generator().manual_seed(1)
    image = normalize(torch.randn(12, 8, generator=generator), dim=1)
    owner = torch.arange(12).repeat_interleave(3)
    text = normalize(image[owner] + torch.randn(36, 8, generator=generator), dim=1)
    order = torch.randperm(36, generator=generator)
    there = retrieval_recalls(image, text, owner)
    back = retrieval_recalls(image, text[order], owner[order])
    assert there == back


def test_half_precision_is_compared_in_single() -> None:
    image = normalize(torch.randn(5, 16, generator=torch.Generator().manual_seed(0)), dim=1)
    owner = torch.arange(5)
    assert retrieval_recalls(image.half(), image.half(), owner).text_to_image == (1.0, 1.0, 1.0)


def test_no_queries_is_nan() -> None:
    result = retrieval_recalls(torch.eye(2), torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64))
    assert all(math.isnan(value) for value in (*result.image_to_text, *result.text_to_image))
