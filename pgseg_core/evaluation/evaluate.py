"""A segmenter's numbers on a set with masks: its labels under a protocol, its groups alone."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypedDict

from jaxtyping import Integer
from torch import Tensor

from pgseg_core.comm import Collectives
from pgseg_core.data.segmentation import SegmentationSample, SegmentationSet
from pgseg_core.errors import ConfigError, DataError
from pgseg_core.evaluation.baselines import trivial_baseline
from pgseg_core.evaluation.metrics.intervals import Interval, miou_interval
from pgseg_core.evaluation.metrics.segmentation import SegmentationScores
from pgseg_core.evaluation.metrics.threshold_curve import GRID, threshold_curve
from pgseg_core.evaluation.protocol_segmenter import ProtocolSegmenter, protocol_reading
from pgseg_core.evaluation.protocols import Protocol, class_list_hash
from pgseg_core.evaluation.quality_runner import Quality, evaluate_quality
from pgseg_core.evaluation.regions import (
    baseline_regions,
    find_mask_file,
    model_regions,
    read_regions,
)
from pgseg_core.evaluation.report.report import NO_PROTOCOL, ImageCounts, Report, sparse_counts
from pgseg_core.evaluation.resolve import Overrides, ask
from pgseg_core.evaluation.runner import SegmentationResult, evaluate_segmentation
from pgseg_core.inference.segmenter import Segmenter
from pgseg_core.weights import weights_hash

OnProgress = Callable[[int, int], None]
OnAnswer = Callable[[int, SegmentationSample, Integer[Tensor, "h w"]], None]


def evaluate_zero_shot(
    segmenter: Segmenter,
    dataset: SegmentationSet,
    protocol: Protocol,
    comm: Collectives,
    *,
    overrides: Overrides | None = None,
    own_size: bool = False,
    sweep: bool = False,
    limit: int | None = None,
    on_progress: OnProgress | None = None,
    on_answer: OnAnswer | None = None,
) -> Report:
    """Segment a set and score it.

    Args:
        segmenter: The model.
        dataset: Images with masks.
        protocol: Everything else the number depends on.
        comm: The ranks that share the images.
        overrides: What is wanted otherwise than the protocol has it.
        own_size: Read images at the model's own size; the report then says so beside the
            protocol's name.
        sweep: Also take mIoU at every threshold of `sweep.GRID`, in the same pass.
        limit: Only the first so many images.
        on_progress: Told after every image.
        on_answer: Told every image of this rank with its labels.

    Raises:
        DataError: The set is empty, or an image or mask is damaged.
        ConfigError: An unknown system, or a background threshold that the set has not.
    """
    question = ask(dataset, protocol, overrides or Overrides())
    if sweep:
        refuse_sweep(dataset)
    reader = ProtocolSegmenter(segmenter, protocol, question, own_size=own_size)
    thresholds = (question.threshold, *(GRID if sweep else ()))
    result = evaluate_segmentation(
        dataset,
        lambda sample: reader.read(sample.image, thresholds),
        comm,
        on_progress,
        answers=len(thresholds),
        limit=limit,
        on_answer=on_answer,
    )
    curve = None
    if sweep:
        images = f"{dataset.name}, {result.images_seen} images"
        curve = threshold_curve(result.confusions[1:], GRID, tuned_on=images)
    return Report(
        protocol=reader.name,
        class_hash=question.class_hash,
        threshold=question.threshold,
        threshold_from=question.threshold_from,
        background_words=question.background_words.words,
        background_words_from=question.background_words.source,
        background_words_hash=question.background_words.hash,
        templates=question.templates,
        templates_hash=question.templates_hash,
        wordings=question.wordings,
        refine=question.refine,
        weights=segmenter.origin,
        weights_hash=weights_hash(segmenter.origin),
        sweep=curve,
        **_measured(dataset, result),
    )


def refuse_sweep(dataset: SegmentationSet) -> None:
    """Raise a ConfigError where there is no background threshold to sweep."""
    if not dataset.has_background:
        raise ConfigError(
            f"--sweep-background: {dataset.name} has no background class", hint="Leave it out."
        )


def evaluate_baseline(
    name: str,
    dataset: SegmentationSet,
    comm: Collectives,
    *,
    limit: int | None = None,
    on_progress: OnProgress | None = None,
    on_answer: OnAnswer | None = None,
) -> Report:
    """Score a trivial answer (`BASELINES`) on a set, as a model is scored.

    Raises:
        DataError: The set is empty, or an image or mask is damaged.
        ConfigError: No such answer, or background in a set without.
    """
    baseline = trivial_baseline(name, dataset, limit=limit, on_progress=on_progress)
    result = evaluate_segmentation(
        dataset, baseline.predict, comm, on_progress, limit=limit, on_answer=on_answer
    )
    return Report(
        protocol=NO_PROTOCOL,
        class_hash=class_list_hash(dataset.class_names, [()] * len(dataset.class_names)),
        threshold=None,
        templates="none",
        weights=f"baseline {name}: {baseline.answer}",
        weights_hash="",
        **_measured(dataset, result),
    )


def evaluate_group_quality(
    segmenter: Segmenter,
    dataset: SegmentationSet,
    protocol: Protocol,
    comm: Collectives,
    *,
    own_size: bool = False,
    limit: int | None = None,
    on_progress: OnProgress | None = None,
) -> Quality:
    """Measure a model's groups as class-free masks: each image in one window, at its short side.

    Args:
        segmenter: The model.
        dataset: Images with masks.
        protocol: Says to what size images are brought.
        comm: The ranks that share the images.
        own_size: Bring images to the model's own size instead.
        limit: Only the first so many images.
        on_progress: Told after every image.

    Raises:
        DataError: The set is empty, or an image or mask is damaged.
    """
    own = segmenter.reading
    whole = segmenter.read_as(
        replace(own if own_size else protocol_reading(protocol, own), antialias=False)
    )
    return evaluate_quality(
        dataset,
        lambda sample: model_regions(whole, sample.image),
        comm,
        source=f"groups of {segmenter.origin}",
        limit=limit,
        on_progress=on_progress,
    )


def evaluate_baseline_quality(
    name: str,
    dataset: SegmentationSet,
    comm: Collectives,
    *,
    limit: int | None = None,
    on_progress: OnProgress | None = None,
) -> Quality:
    """Measure the regions of a trivial answer (`BASELINES`) as class-free masks.

    Raises:
        DataError: The set is empty, or an image or mask is damaged.
    """
    return evaluate_quality(
        dataset,
        lambda sample: baseline_regions(name, sample),
        comm,
        source=f"baseline {name}",
        limit=limit,
        on_progress=on_progress,
    )


def evaluate_masks(
    folder: Path,
    dataset: SegmentationSet,
    comm: Collectives,
    *,
    limit: int | None = None,
    on_progress: OnProgress | None = None,
) -> Quality:
    """Measure another system's class-free masks, a file or folder for each image of the set.

    Raises:
        DataError: The set is empty, an image has no masks, or something is damaged or misshapen.
    """
    if not folder.is_dir():
        raise DataError(f"--masks: the folder {folder} does not exist", hint="Check the path.")
    wanted = dataset.image_names if limit is None else dataset.image_names[:limit]
    files = {name: find_mask_file(folder, name) for name in wanted}
    return evaluate_quality(
        dataset,
        lambda sample: read_regions(files[sample.name], *sample.mask.shape),
        comm,
        source=f"masks in {folder}",
        limit=limit,
        on_progress=on_progress,
    )


class _Measured(TypedDict):
    dataset: str
    class_names: tuple[str, ...]
    images_seen: int
    images_skipped: int
    scores: SegmentationScores
    interval: Interval | None
    confusion: tuple[tuple[int, ...], ...]
    images: tuple[ImageCounts, ...]


def _measured(dataset: SegmentationSet, result: SegmentationResult) -> _Measured:
    """Everything in a report that was counted."""
    return _Measured(
        dataset=dataset.name,
        class_names=dataset.class_names,
        images_seen=result.images_seen,
        images_skipped=result.images_skipped,
        scores=result.scores,
        interval=miou_interval(result.image_counts),
        confusion=tuple(tuple(row) for row in result.confusions[0].tolist()),
        images=sparse_counts(result.image_names, result.image_counts),
    )
