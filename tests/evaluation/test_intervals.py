"""The bootstrap against loops, and what a paired test must and must not find."""

import math

import pytest
import torch

from pgseg_core.errors import DataError
from pgseg_core.evaluation.metrics import intervals
from pgseg_core.evaluation.metrics.intervals import (
    class_ious,
    compact_counts,
    miou_interval,
    paired_test,
)
from pgseg_core.evaluation.metrics.segmentation import scores


def confusions(number: int, seed: int, quality: int = 0) -> torch.Tensor:
    """Confusion matrices of images, all of the same 40 target pixels in each of 3 classes."""
    generator = torch.Generator().manual_seed(seed)
    found = torch.zeros(number, 3, 3, dtype=torch.int64)
    for image in found:
        for target in range(3):
            picks = torch.randint(3, (40,), generator=generator)
            picks[:quality] = target
            image[target] = torch.bincount(picks, minlength=3)
    return found


def counts_of(found: torch.Tensor) -> torch.Tensor:
    return torch.stack([compact_counts(image) for image in found])


def test_compact_counts_give_the_iou_of_the_whole_matrix():
    found = confusions(5, 0)
    whole = scores(found.sum(0))
    assert class_ious(counts_of(found).sum(0)).tolist() == pytest.approx(whole.iou)
    absent = torch.zeros(3, 2, dtype=torch.int64)
    assert math.isnan(class_ious(absent)[0])


def test_the_interval_is_that_of_resampled_sets_taken_one_by_one(monkeypatch):
    monkeypatch.setattr(intervals, "DRAWS", 100)
    counts = counts_of(confusions(7, 1))
    generator = torch.Generator().manual_seed(intervals.SEED)
    drawn = []
    for picks in torch.randint(7, (100, 7), generator=generator):
        total = sum(counts[index] for index in picks.tolist())
        drawn.append(float(class_ious(total).nanmean()))
    interval = miou_interval(counts)
    quantiles = torch.tensor(drawn, dtype=torch.float64).quantile(
        torch.tensor([0.025, 0.975], dtype=torch.float64)
    )
    assert [interval.low, interval.high] == pytest.approx(quantiles.tolist())


def test_equal_images_leave_no_doubt_and_few_images_more_than_many():
    same = counts_of(confusions(1, 2)).repeat(9, 1, 1)
    interval = miou_interval(same)
    assert interval.low == pytest.approx(interval.high)
    few, many = (miou_interval(counts_of(confusions(number, 3))) for number in (10, 640))
    assert few.high - few.low > 3 * (many.high - many.low)
    assert miou_interval(same[:1]) is None


def test_a_better_system_is_found_and_an_equal_one_is_not():
    a, b, better = (counts_of(confusions(60, *how)) for how in ((4,), (5,), (6, 8)))
    found = paired_test(a, better)
    assert found.verdict == "B is better"
    assert found.p_value < 0.01
    assert found.interval.low < found.difference < found.interval.high
    assert paired_test(better, a).verdict == "A is better"
    assert paired_test(better, a).difference == pytest.approx(-found.difference)
    equal = paired_test(a, b)
    assert equal.verdict == "no difference can be told"
    assert equal.p_value > 0.05
    assert paired_test(a, a).p_value == 1


def test_one_image_is_no_test():
    counts = counts_of(confusions(1, 0))
    with pytest.raises(DataError, match="two images or more"):
        paired_test(counts, counts)
