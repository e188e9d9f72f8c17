"""Segment quality of a whole set: every image measured once, over all ranks, and averaged."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Integer
from torch import Tensor

from pgseg_core.comm import Collectives
from pgseg_core.data.segmentation import SegmentationSample, SegmentationSet
from pgseg_core.errors import DataError
from pgseg_core.evaluation.metrics.intervals import Interval, mean_interval
from pgseg_core.evaluation.metrics.quality import (
    adjusted_rand,
    best_masks,
    compactness,
    find_objects,
    groups_used,
)
from pgseg_core.evaluation.regions import Regions
from pgseg_core.viz.regions import resize_labels

FindRegions = Callable[[SegmentationSample], Regions]
"""An image in (only baselines look at its mask), its class-free masks out."""

GRID = 32
"""Side of the grid on which the maps of different images are compared."""
PARTNERS = 20
"""Most images that each image's map is compared with."""


@dataclass(frozen=True)
class Measure:
    """A mean over a set, with its bootstrap interval over images."""

    value: float
    """nan where nothing could be measured."""
    interval: Interval | None
    count: int
    """How many objects, images or pairs of images the mean is over."""


@dataclass(frozen=True)
class Quality:
    """How well a system's class-free masks fit a set. Equations: docs/protocols.md."""

    source: str
    """Whose masks."""
    images: int
    compactness: Measure
    """Share of the patches' variance that lies between groups, corrected for their number."""
    richness: Measure
    """Share of an object that its best mask covers."""
    best_iou: Measure
    """IoU of an object with its best mask."""
    over_segmented: Measure
    """Share of objects whose best mask holds less than half of them."""
    under_segmented: Measure
    """Share of objects that are less than half of their best mask."""
    found: Measure
    """Share of objects with a mask of IoU 0.5 or more: class-free object recall."""
    groups_used: Measure
    """Masks an image that have at least 1 % of its pixels."""
    same_as_truth: Measure
    """Adjusted Rand index of an image's map with its ground truth."""
    same_as_others: Measure
    """Adjusted Rand index of the maps of different images: 1 is the same map everywhere."""

    def rows(self) -> tuple[tuple[str, str, str, str], ...]:
        """Return (measure, value, interval, over what) for a table; shares in percent."""
        found = []
        for name, title, percent, over in _ROWS:
            measure: Measure = getattr(self, name)
            value, interval = _texts(measure, percent=percent)
            found.append((title, value, interval, f"{measure.count:,} {over}"))
        return tuple(found)


QUALITY_COLUMNS = ("segments, whatever their class", "mean", "95 % interval", "over")
"""Headings of `Quality.rows`."""

_ROWS = (
    ("compactness", "compactness %", True, "images"),
    ("richness", "richness %", True, "objects"),
    ("best_iou", "IoU % of an object's best mask", True, "objects"),
    ("over_segmented", "over-segmented %", True, "objects"),
    ("under_segmented", "under-segmented %", True, "objects"),
    ("found", "objects found % (IoU 0.5)", True, "objects"),
    ("groups_used", "groups used an image", False, "images"),
    ("same_as_truth", "map and ground truth alike (ARI)", False, "images"),
    ("same_as_others", "maps of different images alike (ARI)", False, "pairs"),
)
_OF_ONE_IMAGE = [name for name, *_ in _ROWS if name != "same_as_others"]


def evaluate_quality(
    dataset: SegmentationSet,
    find_regions: FindRegions,
    comm: Collectives,
    *,
    source: str,
    limit: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Quality:
    """Measure the masks of every image of a set, over all ranks; equal on every rank.

    Args:
        dataset: Images with masks.
        find_regions: The system.
        comm: The ranks that share the images.
        source: Whose masks, for the report.
        limit: Only the first so many images; None takes all.
        on_progress: Called after each image with this rank's count so far and its total.

    Raises:
        DataError: The set is empty, or an image, its ground truth or its masks are damaged.
    """
    if len(dataset) == 0:
        raise DataError(f"{dataset.name}: the set has no images")
    count = len(dataset) if limit is None else min(limit, len(dataset))
    table = torch.zeros(count, len(_OF_ONE_IMAGE), 2, dtype=torch.float64)
    maps = torch.zeros(count, GRID, GRID, dtype=torch.int64)
    share = range(comm.rank, count, comm.world_size)
    for done, index in enumerate(share, start=1):
        sample = dataset[index]
        regions = find_regions(sample)
        table[index] = image_table(dataset, sample, regions)
        maps[index] = torch.from_numpy(resize_labels(regions.groups, (GRID, GRID)))
        if on_progress is not None:
            on_progress(done, len(share))
    table, maps = (comm.sum(part) for part in (table, maps))
    measures = {
        name: _measure(sums, counts)
        for name, (sums, counts) in zip(_OF_ONE_IMAGE, table.permute(1, 2, 0), strict=True)
    }
    alike = _alike(maps.numpy())
    return Quality(source=source, images=count, same_as_others=_measure(*alike), **measures)


def image_table(
    dataset: SegmentationSet, sample: SegmentationSample, regions: Regions
) -> Float[Tensor, "measures 2"]:
    """Return sum and count of each measure that one image decides (all but the last)."""
    target, ignore = sample.mask, dataset.ignore_label
    counted = target != ignore
    objects = find_objects(target, background=dataset.has_background, ignore=ignore)
    best = best_masks(objects, regions.each(), counted)
    compact = (
        float("nan")
        if regions.features is None or regions.patches is None
        else compactness(regions.features, regions.patches)
    )
    alike = (
        adjusted_rand(regions.groups[counted], target[counted])
        if len(np.unique(target[counted])) > 1
        else float("nan")
    )
    parts = {
        "compactness": [compact],
        "richness": best.richness,
        "best_iou": best.iou,
        "over_segmented": best.over_segmented,
        "under_segmented": best.under_segmented,
        "found": best.found,
        "groups_used": [groups_used(regions.groups)],
        "same_as_truth": [alike],
    }
    values = [np.asarray(parts[name], dtype=np.float64) for name in _OF_ONE_IMAGE]
    return torch.tensor(
        [[float(np.nansum(part)), float((~np.isnan(part)).sum())] for part in values],
        dtype=torch.float64,
    )


def _alike(
    maps: Integer[np.ndarray, "n y x"],
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Compare each map with up to `PARTNERS` others, spread evenly over the set."""
    number = len(maps)
    flat = maps.reshape(number, -1)
    steps = sorted({round(step) for step in np.linspace(1, number - 1, min(PARTNERS, number - 1))})
    sums = [
        sum(adjusted_rand(flat[place], flat[(place + step) % number]) for step in steps)
        for place in range(number)
    ]
    return torch.tensor(sums, dtype=torch.float64), torch.full((number,), float(len(steps)))


def _measure(sums: Float[Tensor, " n"], counts: Float[Tensor, " n"]) -> Measure:
    number = int(counts.sum())
    value = float(sums.sum()) / number if number else float("nan")
    return Measure(value, mean_interval(sums, counts), number)


def _texts(measure: Measure, *, percent: bool) -> tuple[str, str]:
    def text(value: float) -> str:
        if np.isnan(value):
            return "-"
        return f"{100 * value:.1f}" if percent else f"{value:.2f}"

    interval = measure.interval
    beside = "" if interval is None else f"{text(interval.low)} to {text(interval.high)}"
    return text(measure.value), beside
