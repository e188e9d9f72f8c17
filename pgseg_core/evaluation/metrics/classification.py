"""Zero-shot classification in numbers: how many classes stand before an image's own."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pgseg_core.evaluation.metrics.intervals import Interval, mean_interval


@dataclass(frozen=True)
class ClassificationScores:
    """Shares of images, from 0 to 1; nan where a share has no denominator."""

    top1: float
    """Images whose own class fits best."""
    top5: float
    """Images whose own class is among the five that fit best."""
    mean_top1: float
    """Mean of the classes' own top-1 shares, over the classes that have images."""
    top1_interval: Interval | None
    top5_interval: Interval | None
    class_top1: tuple[float, ...]
    """Top-1 share of each class's images; nan for a class without."""
    class_images: tuple[int, ...]
    """Images of each class."""


def classes_ahead(
    image: Float[Tensor, "n e"], classes: Float[Tensor, "c e"], label: Int[Tensor, " n"]
) -> Int[Tensor, " n"]:
    """Count for each image the other classes that fit it as well as its own, or better.

    A tie counts against the model, and so does nan: constant embeddings are never right.

    Args:
        image: Unit vectors.
        classes: Unit vectors.
        label: The own class of each image.
    """
    similarity = image @ classes.mT
    own = similarity.gather(1, label[:, None])
    return (~(similarity < own)).sum(dim=1) - 1


def classification_scores(
    ahead: Int[Tensor, " n"], label: Int[Tensor, " n"], num_classes: int
) -> ClassificationScores:
    """Turn ranks into shares.

    Args:
        ahead: From `classes_ahead`.
        label: The own class of each image.
        num_classes: How many classes there are (c).
    """
    right, near = (ahead < 1).double(), (ahead < 5).double()
    images = torch.bincount(label, minlength=num_classes)
    hits = torch.bincount(label, weights=right, minlength=num_classes)
    share = hits / images
    ones = torch.ones_like(right)
    return ClassificationScores(
        top1=right.mean().item(),
        top5=near.mean().item(),
        mean_top1=share.nanmean().item(),
        top1_interval=mean_interval(right, ones),
        top5_interval=mean_interval(near, ones),
        class_top1=tuple(share.tolist()),
        class_images=tuple(images.tolist()),
    )
