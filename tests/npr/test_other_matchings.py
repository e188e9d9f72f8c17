"""Greedy pairing against loops in float64, and no pairing at all."""

import numpy as np
import pytest
import torch

from pgseg_core.npr import match, match_greedily, match_in_order
from tests.npr.test_em import draw


def greedy_by_loops(table: np.ndarray, *, maximise: bool) -> list[int]:
    free_groups, free_prototypes = set(range(table.shape[0])), set(range(table.shape[1]))
    matched = [-1] * table.shape[0]
    sign = 1 if maximise else -1
    while free_groups:
        group, prototype = max(
            ((i, j) for i in free_groups for j in free_prototypes), key=lambda at: sign * table[at]
        )
        matched[group] = prototype
        free_groups.remove(group)
        free_prototypes.remove(prototype)
    return matched


@pytest.mark.parametrize("maximise", [True, False])
@pytest.mark.parametrize("shape", [(5, 1, 1), (6, 4, 4), (4, 3, 6)])
def test_greedy_equals_loops(shape, maximise):
    similarity = draw(sum(shape), *shape)
    found = match_greedily(similarity, maximise=maximise)
    wanted = [greedy_by_loops(image, maximise=maximise) for image in similarity.numpy()]
    assert found.tolist() == wanted


def test_greedy_can_miss_the_largest_total():
    """The best pair first leaves the other group nothing: 9 + 0 against 8 + 8."""
    similarity = torch.tensor([[[9.0, 8.0], [8.0, 0.0]]])
    assert match_greedily(similarity).tolist() == [[0, 1]]
    assert match(similarity).tolist() == [[1, 0]]


def test_greedy_takes_not_a_number_somehow_and_refuses_too_few():
    assert sorted(match_greedily(torch.full((1, 2, 2), torch.nan))[0].tolist()) == [0, 1]
    with pytest.raises(ValueError, match="4 groups cannot each have one of 3"):
        match_greedily(draw(1, 1, 4, 3))


def test_no_matching_keeps_numbers():
    assert match_in_order(draw(1, 2, 3, 5)).tolist() == [[0, 1, 2]] * 2
