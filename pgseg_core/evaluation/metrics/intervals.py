"""How far a number would move on other images: the bootstrap over images.

Images are drawn with replacement, as many as there are, and the whole set's mIoU is taken anew from
the summed counts (Efron and Tibshirani 1993, chapters 6 and 13). Three counts for each image and
class are all that is needed: right pixels, target pixels, predicted pixels.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pgseg_core.errors import DataError

DRAWS = 1000
"""Resampled sets."""
LEVEL = 0.95
"""Share of the resampled numbers inside an interval."""
SEED = 0
"""Of the draws: the same set gives the same interval."""

_AT_ONCE = 100

Counts = Int[Tensor, "n 3 c"]
"""For each image (n) and class (c): right, target and predicted pixels."""


@dataclass(frozen=True)
class Interval:
    """Where a number lies in most resampled sets; the middle 95 % of them."""

    low: float
    high: float
    level: float = LEVEL
    draws: int = DRAWS


@dataclass(frozen=True)
class PairedTest:
    """Two systems on the same images: how sure the difference is."""

    difference: float
    """mIoU of B less mIoU of A, from -1 to 1."""
    interval: Interval
    """Of the difference."""
    p_value: float
    """Two-sided: how often a difference of zero or of the other sign is drawn, times two."""

    @property
    def verdict(self) -> str:
        """Say in words whether one is better."""
        if self.interval.low > 0:
            return "B is better"
        if self.interval.high < 0:
            return "A is better"
        return "no difference can be told"


def compact_counts(confusion: Int[Tensor, "c c"]) -> Int[Tensor, "3 c"]:
    """Keep what IoU needs of an image's confusion matrix (rows target, columns predicted)."""
    return torch.stack([confusion.diagonal(), confusion.sum(dim=1), confusion.sum(dim=0)])


def class_ious(counts: Int[Tensor, "*b 3 c"] | Float[Tensor, "*b 3 c"]) -> Float[Tensor, "*b c"]:
    """Return IoU of each class from summed counts; nan for a class that does not occur."""
    hits, target, predicted = counts.double().unbind(dim=-2)
    return hits / (target + predicted - hits)


def miou_interval(counts: Counts) -> Interval | None:
    """Return the bootstrap interval of mIoU over images; None for fewer than two images."""
    if len(counts) < 2:
        return None
    drawn = class_ious(_resampled(counts)).nanmean(dim=-1)
    return _middle(drawn)


def mean_interval(
    sums: Float[Tensor, " n"], counts: Float[Tensor, " n"] | Int[Tensor, " n"]
) -> Interval | None:
    """Return the bootstrap interval over images of a mean over what the images hold.

    Args:
        sums: Sum of the values in each image.
        counts: How many values each image has; images without any are left out.

    Returns:
        None for fewer than two images with values.
    """
    table = torch.stack([sums.double(), counts.double()], dim=1)[counts > 0]
    if len(table) < 2:
        return None
    total, number = _resampled(table).unbind(dim=1)
    return _middle(total / number)


def paired_test(a: Counts, b: Counts) -> PairedTest:
    """Compare two systems on the same images, drawn together.

    Args:
        a: Counts of one.
        b: Counts of the other, image by image and class by class the same set.

    Raises:
        DataError: Fewer than two images.
    """
    assert a.shape == b.shape, "the two were not measured on the same images and classes"
    if len(a) < 2:
        raise DataError("a paired test needs two images or more", hint="Measure on more images.")
    drawn = class_ious(_resampled(torch.stack([a, b], dim=1))).nanmean(dim=-1)  # (draws, 2)
    moved = drawn[:, 1] - drawn[:, 0]
    whole = class_ious(torch.stack([a.sum(dim=0), b.sum(dim=0)])).nanmean(dim=-1)
    beyond = min(int((moved <= 0).sum()), int((moved >= 0).sum()))
    return PairedTest(
        difference=(whole[1] - whole[0]).item(),
        interval=_middle(moved),
        p_value=min(1.0, 2 * (beyond + 1) / (len(moved) + 1)),
    )


def _resampled(counts: Int[Tensor, "n ..."] | Float[Tensor, "n ..."]) -> Float[Tensor, "draws ..."]:
    """Sum the counts of `DRAWS` sets of n images drawn with replacement."""
    generator = torch.Generator().manual_seed(SEED)
    number = len(counts)
    flat = counts.flatten(1).double()
    sums = []
    for _ in range(DRAWS // _AT_ONCE):
        picked = torch.randint(number, (_AT_ONCE, number), generator=generator)
        times = torch.zeros(_AT_ONCE, number, dtype=torch.float64)
        times.scatter_add_(1, picked, torch.ones_like(picked, dtype=torch.float64))
        sums.append(times @ flat)
    return torch.cat(sums).unflatten(1, counts.shape[1:])


def _middle(drawn: Float[Tensor, " draws"]) -> Interval:
    tail = (1 - LEVEL) / 2
    low, high = torch.nanquantile(drawn, torch.tensor([tail, 1 - tail], dtype=torch.float64))
    return Interval(low=low.item(), high=high.item())
