"""One-to-one matching: extremal by exhaustive search, and as released."""

import numpy as np
import pytest
import torch

from pgseg_core.npr import cosine_similarity, match, take_matched
from tests.npr.test_em import draw
from tests.reference import loops
from tests.reference.released import golden, tensor


@pytest.mark.parametrize("maximise", [True, False])
@pytest.mark.parametrize("shape", [(5, 1, 1), (6, 4, 4), (4, 3, 6)])
def test_total_is_extremal(shape, maximise):
    similarity = draw(sum(shape), *shape)
    matched = match(similarity, maximise=maximise)
    for image, columns in zip(similarity.numpy(), matched.numpy(), strict=True):
        assert len(set(columns)) == len(columns)
        total = image[np.arange(len(columns)), columns].sum()
        np.testing.assert_allclose(
            total, loops.best_assignment(image, maximise=maximise), rtol=1e-6
        )


def test_permuted_prototypes_are_found_again():
    groups = draw(1, 3, 5, 8)
    order = torch.stack([torch.randperm(5) for _ in range(3)])
    prototypes = torch.stack([rows[own] for rows, own in zip(groups, order, strict=True)])
    similarity = cosine_similarity(groups, prototypes)
    matched = match(similarity)
    own = take_matched(similarity, matched)
    torch.testing.assert_close(own, cosine_similarity(groups, groups))
    torch.testing.assert_close(own.diagonal(dim1=1, dim2=2), torch.ones(3, 5).double())


def test_fewer_prototypes_than_groups_is_refused():
    with pytest.raises(ValueError, match="4 groups cannot each have one of 3"):
        match(draw(1, 1, 4, 3))


def test_cosine_of_a_zero_vector_is_zero():
    assert cosine_similarity(torch.zeros(1, 2, 3), draw(1, 1, 2, 3).float()).eq(0).all()


def test_not_a_number_is_left_to_the_loss():
    matched = match(torch.full((1, 2, 2), torch.nan))
    assert sorted(matched[0].tolist()) == [0, 1]


@golden
@pytest.mark.parametrize("case", ["typical", "paper_stage0", "paper_stage1", "wide", "large"])
def test_matching_equals_released(case):
    def number(key):
        return tensor("npr_standalone.npz", f"npr/{case}/{key}")

    similarity = cosine_similarity(number("group"), number("mu"))
    assert match(similarity, maximise=False).equal(number("match"))
    assert match(similarity, maximise=True).equal(number("match_max"))
