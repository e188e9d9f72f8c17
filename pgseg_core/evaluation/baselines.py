"""What one gets without looking at the photo: trivial answers, scored from the masks alone.

A number means something beside these: a set that is mostly background rewards saying "background".
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int, Integer
from torch import Tensor

from pgseg_core.errors import DataError
from pgseg_core.evaluation.metrics import SegmentationScores, class_pixels, scores


@dataclass(frozen=True)
class Baseline:
    """One trivial answer and its scores."""

    name: str
    answer: str
    """What it says, in words for a table."""
    scores: SegmentationScores


def mask_baselines(
    masks: Iterable[Integer[np.ndarray, "h w"]],
    class_names: tuple[str, ...],
    *,
    background: bool,
    ignore: int | None = 255,
) -> tuple[Baseline, ...]:
    """Score the trivial answers on a set's masks, read once.

    The random answer is scored on its expected confusion matrix: the IoU of the expectation, which
    is what a draw approaches on many images.

    Args:
        masks: Ground truth, one label map an image.
        class_names: Names in the order of the labels (c of them).
        background: Whether class 0 is the background; without it that answer is left out.
        ignore: Pixels with this label are not counted; None counts all.

    Raises:
        DataError: There are no masks, or one holds an unknown label.
    """
    num_classes = len(class_names)
    pixels = [class_pixels(mask, num_classes, ignore) for mask in masks]
    if not pixels:
        raise DataError("there are no masks to take baselines from")
    per_image = torch.stack(pixels)  # (images, c)
    total = per_image.sum(dim=0)
    everywhere = int(total.argmax())
    per_image_best = per_image.argmax(dim=1)
    answers = {
        "most frequent": (
            f"'{class_names[everywhere]}' everywhere",
            _constant(total, everywhere),
        ),
        "random": (
            "one class drawn for each image (expected)",
            (total[:, None] / num_classes).expand(-1, num_classes),
        ),
        "oracle per image": (
            "each image's own most frequent class",
            torch.zeros(num_classes, num_classes, dtype=total.dtype)
            .index_add_(0, per_image_best, per_image)
            .mT,
        ),
    }
    if background:
        answers = {"background": ("background everywhere", _constant(total, 0)), **answers}
    return tuple(
        Baseline(name=name, answer=answer, scores=scores(counts, background=background))
        for name, (answer, counts) in answers.items()
    )


def _constant(total: Int[Tensor, " c"], answer: int) -> Int[Tensor, "c c"]:
    """Confusion of one class said everywhere: the answer's column holds all pixels."""
    counts = torch.zeros(len(total), len(total), dtype=total.dtype)
    counts[:, answer] = total
    return counts
