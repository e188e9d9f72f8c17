"""Run a segmenter over this rank's share of a set and add up what all ranks counted."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Int, Integer
from torch import Tensor

from pgseg_core.comm import Collectives
from pgseg_core.data.segmentation import SegmentationSample, SegmentationSet
from pgseg_core.errors import DataError
from pgseg_core.evaluation.metrics.intervals import compact_counts
from pgseg_core.evaluation.metrics.segmentation import SegmentationScores, confusion, scores

Predict = Callable[[SegmentationSample], Integer[Tensor, "t h w"]]
"""An image in (its mask is for baselines that may look), one or more answers (t) for its pixels."""


@dataclass(frozen=True)
class SegmentationResult:
    """A whole set's counts and scores, equal on every rank."""

    confusions: Int[Tensor, "t c c"]
    """Pixel counts of each answer on the CPU: rows target classes, columns predicted ones."""
    scores: SegmentationScores
    """Of the first answer."""
    image_names: tuple[str, ...]
    """The images that were counted (n of them)."""
    image_counts: Int[Tensor, "n 3 c"]
    """For each of them and each class: right, target and predicted pixels of the first answer."""
    images_skipped: int
    """Images that could not be read, over all ranks."""

    @property
    def images_seen(self) -> int:
        """Images that were segmented and counted, over all ranks."""
        return len(self.image_names)


def evaluate_segmentation(
    dataset: SegmentationSet,
    predict: Predict,
    comm: Collectives,
    on_progress: Callable[[int, int], None] | None = None,
    *,
    answers: int = 1,
    limit: int | None = None,
    on_damaged: Callable[[DataError], None] | None = None,
    on_answer: Callable[[int, SegmentationSample, Integer[Tensor, "h w"]], None] | None = None,
) -> SegmentationResult:
    """Segment every image of a set once, over all ranks, and score the whole set.

    Rank r takes the images r, r + world size, r + 2 world sizes, ...: no image is repeated to fill
    a last batch, so the result does not depend on the number of ranks.

    Args:
        dataset: Images with masks.
        predict: A class index from 0 to c - 1 for each pixel, `answers` times.
        comm: The ranks that share the work.
        on_progress: Called after each image with this rank's count so far and its total.
        answers: How many label maps `predict` returns (t); scores are of the first.
        limit: Only the first so many images of the set; None takes all.
        on_damaged: Called with the error of an image that cannot be read; the image is then skipped
            and counted as skipped. None raises the error.
        on_answer: Told the place in the set, the sample and the first answer of each image.

    Raises:
        DataError: The set is empty; or an image or mask is damaged, they differ in size, or the
            mask holds an unknown label, and `on_damaged` is None.
    """
    if len(dataset) == 0:
        raise DataError(f"{dataset.name}: the set has no images")
    num_classes = len(dataset.class_names)
    count = len(dataset) if limit is None else min(limit, len(dataset))
    totals = torch.zeros(answers, num_classes, num_classes, dtype=torch.int64)
    per_image = torch.zeros(count, 3, num_classes, dtype=torch.int64)
    seen = torch.zeros(count, dtype=torch.int64)
    share = range(comm.rank, count, comm.world_size)
    for done, index in enumerate(share, start=1):
        try:
            sample = _checked(dataset, index)
            labels = predict(sample)
            counts = _confusions(dataset, sample, labels)
        except DataError as error:
            if on_damaged is None:
                raise
            on_damaged(error)
        else:
            totals += counts
            per_image[index] = compact_counts(counts[0])
            seen[index] = 1
            if on_answer is not None:
                on_answer(index, sample, labels[0])
        if on_progress is not None:
            on_progress(done, len(share))
    totals, per_image, seen = (comm.sum(part) for part in (totals, per_image, seen))
    kept = seen.bool()
    return SegmentationResult(
        confusions=totals,
        scores=scores(totals[0], background=dataset.has_background),
        image_names=tuple(
            name for name, keep in zip(dataset.image_names, kept.tolist(), strict=False) if keep
        ),
        image_counts=per_image[kept],
        images_skipped=count - int(kept.sum()),
    )


def _checked(dataset: SegmentationSet, index: int) -> SegmentationSample:
    sample = dataset[index]
    (width, height), (rows, columns) = sample.image.size, sample.mask.shape
    if (rows, columns) != (height, width):
        raise DataError(
            f"{sample.name}: the image has {width} x {height} pixels, its mask {columns} x {rows}",
            hint="Masks are compared at the original size: give the mask of this very image.",
        )
    return sample


def _confusions(
    dataset: SegmentationSet, sample: SegmentationSample, labels: Integer[Tensor, "t h w"]
) -> Int[Tensor, "t c c"]:
    num_classes, ignore = len(dataset.class_names), dataset.ignore_label
    try:
        return torch.stack(
            [confusion(answer, sample.mask, num_classes, ignore=ignore) for answer in labels]
        )
    except DataError as error:
        raise DataError(f"{sample.name}: {error.message}", hint=error.hint) from None
