from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from pgseg_core.comm import LocalCollectives
from pgseg_core.errors import DataError
from pgseg_core.evaluation.metrics import confusion, scores
from pgseg_core.evaluation.runner import evaluate_segmentation
from tests.evaluation.sets import MemorySet, index_of, random_set


def predict(image: Image.Image) -> np.ndarray:
    """Answer pseudo-randomly, but always the same for the same image."""
    width, height = image.size
    return np.random.default_rng(index_of(image)).integers(0, 3, size=(height, width))


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
        expected += confusion(predict(sample.image), sample.mask, 3)
    assert result.confusion.equal(expected)
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
    counts, images = zip(*(rank.summands for rank in ranks), strict=True)
    assert torch.stack(counts).sum(0).equal(whole.confusion)
    assert torch.stack(images).sum(0).tolist() == [6, 1]


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
