"""InfoNCE, single and multi-label: loops, and ranks that together are the whole batch."""

import pytest
import torch

from pgseg_core.comm import LocalCollectives
from pgseg_core.losses import info_nce, multi_label_nce, shared_noun_nce
from tests.npr.test_em import draw
from tests.reference import loops

SCALE = torch.tensor(5.0, dtype=torch.float64)


class SimulatedRank(LocalCollectives):
    """One of several ranks whose tensors are all at hand: rows of the whole batch."""

    def __init__(self, rank: int, world_size: int, *whole: torch.Tensor) -> None:
        self.rank, self.world_size = rank, world_size
        self.whole = whole

    def all_gather(self, tensor):
        found = [w for w in self.whole if w.chunk(self.world_size)[self.rank].shape == tensor.shape]
        same = [w for w in found if torch.equal(w.chunk(self.world_size)[self.rank], tensor)]
        assert len(same) == 1
        return same[0]


def test_info_nce_equals_loops():
    image, text = draw(1, 6, 4), draw(2, 6, 4)
    loss = info_nce(image, text, SCALE, LocalCollectives())
    assert loss.item() == pytest.approx(loops.info_nce(image.numpy(), text.numpy(), 5.0), rel=1e-10)


def test_group_nce_equals_loops():
    groups, text = draw(9, 5, 3, 4), draw(10, 5, 4)
    loss = info_nce(groups, text, SCALE, LocalCollectives())
    expected = loops.group_nce(groups.numpy(), text.numpy(), 5.0)
    assert loss.item() == pytest.approx(expected, rel=1e-10)


def test_one_group_is_plain_info_nce():
    image, text = draw(5, 6, 4), draw(6, 6, 4)
    alone = LocalCollectives()
    torch.testing.assert_close(
        info_nce(image[:, None], text, SCALE, alone), info_nce(image, text, SCALE, alone)
    )


@pytest.mark.parametrize("world_size", [2, 3])
def test_group_nce_of_ranks_is_the_whole_batch(world_size):
    groups, text = _unit(draw(11, 6, 3, 4)).requires_grad_(), _unit(draw(12, 6, 4))
    whole = info_nce(groups, text, SCALE, LocalCollectives())
    mean = torch.stack(
        [
            info_nce(
                groups.chunk(world_size)[rank],
                text.chunk(world_size)[rank],
                SCALE,
                SimulatedRank(rank, world_size, _unit(groups), _unit(text)),
            )
            for rank in range(world_size)
        ]
    ).mean()
    torch.testing.assert_close(mean, whole)
    torch.testing.assert_close(
        torch.autograd.grad(mean, groups)[0], torch.autograd.grad(whole, groups)[0]
    )


def test_multi_label_equals_loops():
    image, prompts = draw(3, 4, 5), draw(4, 4, 3, 5)
    loss = multi_label_nce(image, prompts, SCALE, LocalCollectives())
    expected = loops.multi_label_nce(image.numpy(), prompts.numpy(), 5.0)
    assert loss.item() == pytest.approx(expected, rel=1e-10)


def test_multi_label_of_one_prompt_compares_groups_too():
    groups, text = draw(13, 5, 3, 4), draw(14, 5, 4)
    alone = LocalCollectives()
    torch.testing.assert_close(
        multi_label_nce(groups, text[:, None], SCALE, alone), info_nce(groups, text, SCALE, alone)
    )


def test_one_prompt_is_plain_info_nce():
    image, text = draw(5, 6, 4), draw(6, 6, 4)
    alone = LocalCollectives()
    torch.testing.assert_close(
        multi_label_nce(image, text[:, None], SCALE, alone), info_nce(image, text, SCALE, alone)
    )


@pytest.mark.parametrize("world_size", [2, 4])
def test_mean_over_ranks_is_the_whole_batch(world_size):
    image = torch.nn.functional.normalize(draw(7, 8, 4), dim=-1).requires_grad_()
    text = torch.nn.functional.normalize(draw(8, 8, 4), dim=-1).requires_grad_()
    whole = info_nce(image, text, SCALE, LocalCollectives())
    gradient = torch.autograd.grad(whole, image)[0]
    losses = [
        info_nce(
            image.chunk(world_size)[rank],
            text.chunk(world_size)[rank],
            SCALE,
            SimulatedRank(rank, world_size, *map(_unit, (image, text))),
        )
        for rank in range(world_size)
    ]
    mean = torch.stack(losses).mean()
    torch.testing.assert_close(mean, whole)
    torch.testing.assert_close(torch.autograd.grad(mean, image)[0], gradient)


# Six images with two prompts each; noun 1 is asked of four of them and is in a fifth.
NOUN_IDS = torch.tensor([[1, 2], [1, 3], [4, 1], [5, 2], [1, 6], [7, 8]])
IMAGE_NOUNS = torch.tensor(
    [[1, 2, -1], [1, 3, 9], [4, 1, -1], [5, 2, 1], [1, 6, 2], [7, 8, -1]], dtype=torch.long
)


def shared(image, prompts, noun_ids, image_nouns, comm=None):
    return shared_noun_nce(
        image,
        prompts,
        noun_ids=noun_ids,
        image_nouns=image_nouns,
        scale=SCALE,
        comm=comm or LocalCollectives(),
    )


def test_shared_nouns_equal_loops():
    groups, prompts = draw(15, 6, 4), draw(16, 6, 2, 4)
    loss = shared(groups, prompts, NOUN_IDS, IMAGE_NOUNS)
    present = [set(row.tolist()) - {-1} for row in IMAGE_NOUNS]
    expected = loops.shared_noun_nce(
        groups.numpy(), prompts.numpy(), NOUN_IDS.numpy(), present, SCALE.item()
    )
    assert loss.item() == pytest.approx(expected, rel=1e-10)


def test_nouns_that_nobody_shares_are_contrasted_one_by_one():
    groups, prompts = draw(17, 6, 3, 4), draw(18, 6, 1, 4)
    ids = torch.arange(6)[:, None]
    alone = LocalCollectives()
    torch.testing.assert_close(
        shared(groups, prompts, ids, ids),
        multi_label_nce(groups, prompts, SCALE, alone),
    )


def test_a_noun_weighs_the_same_however_many_images_draw_it():
    image, prompt = draw(19, 3, 4), draw(20, 2, 4)
    present = torch.tensor([[1, 2], [1, 2], [2, -1]])

    def loss(asked):
        vectors = prompt[torch.tensor(asked) - 1]
        return shared(image, vectors, torch.tensor(asked), present)

    torch.testing.assert_close(loss([[1], [1], [2]]), loss([[1], [2], [2]]))


@pytest.mark.parametrize("world_size", [2, 3])
def test_shared_nouns_of_ranks_are_the_whole_batch(world_size):
    groups, prompts = _unit(draw(21, 6, 3, 4)).requires_grad_(), _unit(draw(22, 6, 2, 4))
    whole = shared(groups, prompts, NOUN_IDS, IMAGE_NOUNS)
    ids = NOUN_IDS.flatten()
    total = torch.tensor(float(len(ids.unique())))  # every noun weighs one

    class Rank(SimulatedRank):
        def sum(self, tensor):
            return total.to(tensor)

    parts = [
        shared(
            *(t.chunk(world_size)[rank] for t in (groups, prompts, NOUN_IDS, IMAGE_NOUNS)),
            Rank(rank, world_size, _unit(groups), _unit(prompts).flatten(0, 1), ids, IMAGE_NOUNS),
        )
        for rank in range(world_size)
    ]
    mean = torch.stack(parts).mean()
    torch.testing.assert_close(mean, whole)
    torch.testing.assert_close(
        torch.autograd.grad(mean, groups)[0], torch.autograd.grad(whole, groups)[0]
    )


def _unit(tensor: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(tensor, dim=-1)
