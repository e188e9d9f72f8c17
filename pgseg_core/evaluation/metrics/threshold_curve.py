"""mIoU against the background threshold, and what a threshold chosen from it may claim."""

from dataclasses import dataclass

from jaxtyping import Int
from torch import Tensor

from pgseg_core.evaluation.metrics.segmentation import scores

GRID = (*(round(0.05 * step, 2) for step in range(20)), 0.99)
"""Thresholds of a sweep."""


@dataclass(frozen=True)
class Sweep:
    """One pass over a set, answered for many thresholds."""

    thresholds: tuple[float, ...]
    miou: tuple[float, ...]
    """mIoU at each threshold, from 0 to 1."""
    best_threshold: float
    """Where mIoU is largest; the lowest of equals."""
    best_miou: float
    tuned_on: str
    """The images that the best threshold was chosen on. Its mIoU on the same images is no test."""

    @property
    def sentence(self) -> str:
        """Say what was chosen on what."""
        return (
            f"best threshold {self.best_threshold:g}, tuned on {self.tuned_on} "
            f"(mIoU {100 * self.best_miou:.1f} there): use it on other images only"
        )


def threshold_curve(
    confusions: Int[Tensor, "t c c"], thresholds: tuple[float, ...], *, tuned_on: str
) -> Sweep:
    """Turn one confusion matrix a threshold into a curve.

    Args:
        confusions: Pixel counts, rows target classes, columns predicted ones.
        thresholds: The threshold of each.
        tuned_on: Name and number of the images.
    """
    miou = tuple(scores(counts, background=True).miou for counts in confusions)
    best = max(range(len(miou)), key=lambda place: miou[place])
    return Sweep(thresholds, miou, thresholds[best], miou[best], tuned_on)
