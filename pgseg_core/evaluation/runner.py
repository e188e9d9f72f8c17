"""Run a segmenter over this rank's share of a set and add up what all ranks counted."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int, Integer
from PIL import Image
from torch import Tensor

from pgseg_core.comm import Collectives
from pgseg_core.data.segmentation import SegmentationSet
from pgseg_core.errors import DataError
from pgseg_core.evaluation.metrics import SegmentationScores, confusion, scores


@dataclass(frozen=True)
class SegmentationResult:
    """A whole set's counts and scores, equal on every rank."""

    confusion: Int[Tensor, "c c"]
    """Pixel counts on the CPU: rows target classes, columns predicted ones."""
    scores: SegmentationScores
    images_seen: int
    """Images that were segmented and counted, over all ranks."""
    images_skipped: int
    """Images that could not be read, over all ranks."""


def evaluate_segmentation(
    dataset: SegmentationSet,
    predict: Callable[[Image.Image], Integer[np.ndarray, "h w"]],
    comm: Collectives,
    on_progress: Callable[[int, int], None] | None = None,
    *,
    limit: int | None = None,
    on_damaged: Callable[[DataError], None] | None = None,
    device: torch.device | str = "cpu",
) -> SegmentationResult:
    """Segment every image of a set once, over all ranks, and score the whole set.

    Rank r takes the images r, r + world size, r + 2 world sizes, ...: no image is repeated to fill
    a last batch, so the result does not depend on the number of ranks.

    Args:
        dataset: Images with masks.
        predict: RGB image in, a class index from 0 to c - 1 for each of its pixels out.
        comm: The ranks that share the work.
        on_progress: Called after each image with this rank's count so far and its total.
        limit: Only the first so many images of the set; None takes all.
        on_damaged: Called with the error of an image that cannot be read; the image is then skipped
            and counted as skipped. None raises the error.
        device: Where counts lie while ranks are summed; a GPU's process group needs that GPU.

    Raises:
        DataError: The set is empty; or an image or mask is damaged, they differ in size, or the
            mask holds an unknown label, and `on_damaged` is None.
    """
    if len(dataset) == 0:
        raise DataError(f"{dataset.name}: the set has no images")
    num_classes = len(dataset.class_names)
    total = torch.zeros(num_classes, num_classes, dtype=torch.int64)
    seen = skipped = 0
    count = len(dataset) if limit is None else min(limit, len(dataset))
    share = range(comm.rank, count, comm.world_size)
    for done, counts in enumerate(_confusions(dataset, share, predict, on_damaged), start=1):
        if counts is None:
            skipped += 1
        else:
            total += counts
            seen += 1
        if on_progress is not None:
            on_progress(done, len(share))
    total = comm.sum(total.to(device)).cpu()
    seen, skipped = comm.sum(torch.tensor([seen, skipped], device=device)).tolist()
    return SegmentationResult(
        confusion=total,
        scores=scores(total, background=dataset.has_background),
        images_seen=seen,
        images_skipped=skipped,
    )


def _confusions(
    dataset: SegmentationSet,
    indices: range,
    predict: Callable[[Image.Image], Integer[np.ndarray, "h w"]],
    on_damaged: Callable[[DataError], None] | None,
) -> Iterator[Int[Tensor, "c c"] | None]:
    """Yield each image's confusion matrix, or None for an image that could not be read."""
    for index in indices:
        try:
            yield _image_confusion(dataset, index, predict)
        except DataError as error:
            if on_damaged is None:
                raise
            on_damaged(error)
            yield None


def _image_confusion(
    dataset: SegmentationSet,
    index: int,
    predict: Callable[[Image.Image], Integer[np.ndarray, "h w"]],
) -> Int[Tensor, "c c"]:
    sample = dataset[index]
    image, mask = sample.image, sample.mask
    (width, height), (rows, columns) = image.size, mask.shape
    if (rows, columns) != (height, width):
        raise DataError(
            f"{sample.name}: the image has {width} x {height} pixels, its mask {columns} x {rows}",
            hint="Masks are compared at the original size: give the mask of this very image.",
        )
    prediction = predict(image)
    try:
        return confusion(prediction, mask, len(dataset.class_names), ignore=dataset.ignore_label)
    except DataError as error:
        raise DataError(f"{sample.name}: {error.message}", hint=error.hint) from None
