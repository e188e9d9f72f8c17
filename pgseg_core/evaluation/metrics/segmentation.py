"""From label maps to a confusion matrix, and from that to IoU and accuracies.

Definitions are mmsegmentation's, which every system we compare with reports: one confusion matrix
over all pixels of the whole set, IoU per class from it, then the mean over the classes that occur.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, Integer
from torch import Tensor

from pgseg_core.errors import DataError

LabelMap = Integer[np.ndarray, "h w"] | Integer[Tensor, "h w"]
"""A class index for every pixel, in any integer type."""


@dataclass(frozen=True)
class SegmentationScores:
    """What a confusion matrix says. Shares from 0 to 1; nan where a share has no denominator."""

    iou: tuple[float, ...]
    """Intersection over union of each class; nan for a class in neither prediction nor target."""
    accuracy: tuple[float, ...]
    """Share of each class's target pixels that were found; nan for a class not in the target."""
    pixels: tuple[int, ...]
    """Target pixels of each class, ignored ones left out."""
    miou: float
    """Mean IoU over the classes that are not nan."""
    foreground_miou: float | None
    """The same without class 0; None when the set has no background class."""
    aacc: float
    """Share of all counted pixels that are right (pixel accuracy)."""
    macc: float
    """Mean accuracy over the classes that are not nan."""


def confusion(
    prediction: LabelMap, target: LabelMap, num_classes: int, ignore: int | None = 255
) -> Int[Tensor, "c c"]:
    """Count the pixels of each (target, prediction) pair.

    Args:
        prediction: Class indices from 0 to `num_classes` - 1.
        target: Ground truth of the same shape.
        num_classes: Number of classes (c).
        ignore: Target pixels with this label are not counted; None counts every pixel.

    Returns:
        int64 counts on the target's device: rows are target classes, columns predicted ones.

    Raises:
        DataError: The target holds a label that is neither a class nor `ignore`.
    """
    assert tuple(prediction.shape) == tuple(target.shape), "prediction and target differ in size"
    truth = _flat(target)
    guess = _flat(prediction).to(truth.device)
    assert not _outside(guess, num_classes).any(), f"a prediction is outside 0..{num_classes - 1}"
    counted = _counted(truth, num_classes, ignore)
    pairs = truth[counted] * num_classes + guess[counted]
    return torch.bincount(pairs, minlength=num_classes**2).view(num_classes, num_classes)


def class_pixels(target: LabelMap, num_classes: int, ignore: int | None = 255) -> Int[Tensor, " c"]:
    """Count the pixels of each class in a mask, ignored ones left out.

    Raises:
        DataError: The mask holds a label that is neither a class nor `ignore`.
    """
    truth = _flat(target)
    return torch.bincount(truth[_counted(truth, num_classes, ignore)], minlength=num_classes)


def scores(
    confusion: Int[Tensor, "c c"] | Float[Tensor, "c c"], *, background: bool = False
) -> SegmentationScores:
    """Turn a confusion matrix into IoU and accuracies.

    Args:
        confusion: Pixel counts, rows target classes, columns predicted ones; expected counts may be
            fractions.
        background: Whether class 0 is the background, so that a mean without it makes sense.
    """
    counts = confusion.to("cpu", torch.float64)
    hits = counts.diagonal()
    in_target, in_prediction = counts.sum(dim=1), counts.sum(dim=0)
    iou = hits / (in_target + in_prediction - hits)  # 0 / 0 is nan: the class does not occur
    accuracy = hits / in_target
    return SegmentationScores(
        iou=tuple(iou.tolist()),
        accuracy=tuple(accuracy.tolist()),
        pixels=tuple(round(count) for count in in_target.tolist()),
        miou=iou.nanmean().item(),
        foreground_miou=iou[1:].nanmean().item() if background else None,
        aacc=(hits.sum() / counts.sum()).item(),
        macc=accuracy.nanmean().item(),
    )


def _flat(labels: LabelMap) -> Int[Tensor, " n"]:
    if isinstance(labels, np.ndarray):  # copied: masks decoded by Pillow are read-only
        labels = torch.from_numpy(labels.astype(np.int64))
    return labels.detach().to(torch.int64).flatten()


def _outside(labels: Int[Tensor, " n"], num_classes: int) -> Tensor:
    return (labels < 0) | (labels >= num_classes)


def _counted(truth: Int[Tensor, " n"], num_classes: int, ignore: int | None) -> Tensor:
    """Mark the pixels that count, after checking that each of them names a class."""
    counted = torch.ones_like(truth, dtype=torch.bool) if ignore is None else truth != ignore
    strangers = truth[counted & _outside(truth, num_classes)]
    if len(strangers):
        found = ", ".join(str(label) for label in np.unique(strangers.cpu().numpy())[:5])
        raise DataError(
            f"the mask holds label {found}, but the set's classes are 0 to {num_classes - 1}"
            + ("" if ignore is None else f" and {ignore} is ignored"),
            hint="Give one class name for each label, in the order of the labels.",
        )
    return counted
