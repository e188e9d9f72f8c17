"""Hard rejection and L_PG: loops, properties, the released numbers and their gradients."""

import pytest
import torch

from pgseg_core.comm import LocalCollectives
from pgseg_core.npr import (
    cosine_similarity,
    group_prototype_loss,
    reliable_pairs,
    take_matched,
)
from tests.npr.test_em import draw
from tests.reference import loops
from tests.reference.released import assert_equal, golden, tensor

ALONE = LocalCollectives()
CASES = ["typical", "paper_stage0", "paper_stage1", "wide", "m_lt_q", "large"]


def similarity_of(seed: int, b: int = 3, g: int = 5, d: int = 8) -> torch.Tensor:
    return cosine_similarity(draw(seed, b, g, d), draw(seed + 1, b, g, d))


@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.5, 0.9])
def test_kept_rows_equal_loops(threshold):
    similarity = similarity_of(1)
    rows, columns = reliable_pairs(similarity, threshold=threshold)
    for image in range(len(similarity)):
        table = similarity[image].numpy()
        assert rows[image].tolist() == loops.reliable(table, threshold)
        assert columns[image].tolist() == loops.reliable(table.T, threshold)


def test_the_pair_itself_decides():
    similarity = torch.tensor([[[0.9, 0.1], [0.8, 0.2]]])
    rows, columns = reliable_pairs(similarity, threshold=0.5)
    assert rows.tolist() == [[True, False]]  # 0.9 is its row's best, 0.2 its row's worst
    assert columns.tolist() == [[True, True]]


def test_raising_the_threshold_never_keeps_more():
    similarity = similarity_of(2, b=8)
    counts = [
        sum(int(side.sum()) for side in reliable_pairs(similarity, threshold=phi))
        for phi in (0.0, 0.1, 0.3, 0.5, 0.8, 1.0)
    ]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == 0


@pytest.mark.parametrize("variant", ["paper", "released"])
def test_loss_equals_loops(variant):
    similarity, scale = similarity_of(3), torch.tensor(10.0, dtype=torch.float64)
    kept = reliable_pairs(similarity, threshold=0.3, variant=variant)
    loss = group_prototype_loss(similarity, scale, kept, ALONE)
    expected = loops.group_prototype_loss(similarity.numpy(), 10.0, kept[0], kept[1])
    assert loss.item() == pytest.approx(expected, rel=1e-9)


def test_nothing_kept_is_zero_with_zero_gradient():
    similarity = similarity_of(4).requires_grad_()
    nothing = torch.zeros(similarity.shape[:2], dtype=torch.bool)
    loss = group_prototype_loss(similarity, torch.tensor(10.0), (nothing, nothing), ALONE)
    loss.backward()
    assert loss.item() == 0
    assert similarity.grad.eq(0).all()


def test_gradient_pulls_a_pair_together():
    groups = draw(5, 1, 4, 6).requires_grad_()
    prototypes = draw(6, 1, 4, 6)
    everything = torch.ones(1, 4, dtype=torch.bool)

    def loss(tokens):
        similarity = cosine_similarity(tokens, prototypes)
        return group_prototype_loss(similarity, torch.tensor(10.0), (everything, everything), ALONE)

    before = loss(groups)
    before.backward()
    assert loss(groups.detach() - 0.1 * groups.grad) < before


@golden
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("threshold", ["0.0", "0.1", "0.5"])
def test_released_variant_equals_released(case, threshold):
    def number(key):
        return tensor("npr_standalone.npz", f"npr/{case}/{key}")

    groups = number("group").requires_grad_()
    similarity = take_matched(cosine_similarity(groups, number("mu")), number("match"))
    kept = reliable_pairs(similarity, threshold=float(threshold), variant="released")
    # The released names of the two masks are swapped: "pg" is the one on the groups' rows.
    assert kept[0].equal(number(f"hrs_pg_{threshold}"))
    assert kept[1].equal(number(f"hrs_gp_{threshold}"))
    loss = group_prototype_loss(similarity, torch.tensor(10.0), kept, ALONE)
    loss.backward()
    assert_equal(loss.detach(), number(f"closs_{threshold}"))
    assert_equal(groups.grad, number(f"closs_grad_{threshold}"))
