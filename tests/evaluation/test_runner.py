from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from pgseg_core.comm import LocalCollectives
from pgseg_core.data.segmentation import SegmentationSample
from pgseg_core.errors import DataError
from pgseg_core.evaluation.metrics.segmentation import confusion, scores
from pgseg_core.evaluation.runner import evaluate_segmentation
from tests.evaluation.sets import MemorySet, index_of, random_set


def predict(sample: SegmentationSample) -> Tensor:
    """Answer pseudo-randomly, but always the same for the same image."""
    width, height = sample.image.size
    generator = np.random.default_rng(index_of(sample.image))
    return torch.from_numpy(generator.integers(0, 3, size=(1, height, width)))


@dataclass
class RecordingRank(LocalCollectives):
    """One rank of several, run in turn: keeps what it was asked to sum."""

    rank: int = 0
    world_size: int = 1
    summands: list[Tensor] = field(default_factory=list)

    def sum(self, tensor: Tensor) -> Tensor:
        self.summands.append(tensor)
        return tensor


def test_the_whole_set_is_one_confusion_matrix() -> None:
    dataset = random_set()
    result = evaluate_segmentation(dataset, predict, LocalCollectives())
    expected = torch.zeros(3, 3, dtype=torch.int64)
    for index in range(len(dataset)):
        sample = dataset[index]
        expected += confusion(predict(sample)[0], sample.mask, 3)
    assert result.confusions[0].equal(expected)
    assert result.scores == scores(expected, background=True)
    assert (result.images_seen, result.images_skipped) == (7, 0)


@pytest.mark.parametrize("world_size", [2, 3, 9])
def test_ranks_share_the_images_without_repeats(world_size: int) -> None:
    dataset = random_set(damaged=frozenset({4}))
    whole = evaluate_segmentation(
        dataset, predict, LocalCollectives(), on_damaged=lambda error: None
    )
    ranks = [RecordingRank(rank=rank, world_size=world_size) for rank in range(world_size)]
    for rank in ranks:
        evaluate_segmentation(dataset, predict, rank, on_damaged=lambda error: None)
    totals, images, seen = zip(*(rank.summands for rank in ranks), strict=True)
    assert torch.stack(totals).sum(0).equal(whole.confusions)
    assert torch.stack(seen).sum(0).tolist() == [1, 1, 1, 1, 0, 1, 1]
    kept = [0, 1, 2, 3, 5, 6]
    assert torch.stack(images).sum(0)[kept].equal(whole.image_counts)
    assert whole.image_names == tuple(f"{index}.jpg" for index in kept)


def test_counts_of_images_add_up_and_each_answer_has_its_matrix() -> None:
    dataset = random_set()

    def twice(sample: SegmentationSample) -> Tensor:
        return torch.cat([predict(sample), torch.zeros_like(predict(sample))])

    told: list[int] = []
    result = evaluate_segmentation(
        dataset,
        twice,
        LocalCollectives(),
        answers=2,
        on_answer=lambda index, sample, labels: told.append(index),
    )
    first, background = result.confusions
    assert first.equal(evaluate_segmentation(dataset, predict, LocalCollectives()).confusions[0])
    assert background[:, 1:].sum() == 0
    assert background.sum() == first.sum()
    hits, target, predicted = result.image_counts.sum(0)
    assert hits.equal(first.diagonal())
    assert target.equal(first.sum(1))
    assert predicted.equal(first.sum(0))
    assert told == list(range(7))


def test_progress_counts_this_ranks_images() -> None:
    seen: list[tuple[int, int]] = []
    evaluate_segmentation(
        random_set(5), predict, RecordingRank(rank=1, world_size=2), lambda *at: seen.append(at)
    )
    assert seen == [(1, 2), (2, 2)]


def test_a_damaged_image_stops_the_run_unless_it_may_be_skipped() -> None:
    dataset = random_set(damaged=frozenset({2}))
    with pytest.raises(DataError, match=r"2\.jpg"):
        evaluate_segmentation(dataset, predict, LocalCollectives())
    complaints: list[DataError] = []
    result = evaluate_segmentation(
        dataset, predict, LocalCollectives(), on_damaged=complaints.append
    )
    assert (result.images_seen, result.images_skipped) == (6, 1)
    assert [error.message for error in complaints] == ["2.jpg: cannot be decoded"]


def test_errors_name_the_image() -> None:
    dataset = random_set(2)
    strange = replace(dataset, masks=(dataset.masks[0], np.full((2, 2), 9)))
    with pytest.raises(DataError, match=r"^1\.jpg: the mask holds label 9"):
        evaluate_segmentation(strange, predict, LocalCollectives())


def test_a_mask_of_another_size_is_refused() -> None:
    class Mismatched(MemorySet):
        def __getitem__(self, index: int):
            return replace(super().__getitem__(index), image=Image.new("RGB", (4, 3)))

    dataset = Mismatched((np.zeros((4, 3), dtype=np.uint8),))
    with pytest.raises(DataError, match=r"0\.jpg: the image has 4 x 3 pixels, its mask 3 x 4"):
        evaluate_segmentation(dataset, predict, LocalCollectives())


def test_an_empty_set_is_refused() -> None:
    with pytest.raises(DataError, match="memory: the set has no images"):
        evaluate_segmentation(MemorySet(()), predict, LocalCollectives())
