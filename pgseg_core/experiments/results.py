"""What one run's reports say, as numbers by name."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgseg_core.errors import DataError
from pgseg_core.evaluation.metrics.intervals import Counts
from pgseg_core.evaluation.report.compare import dense_counts, read_report
from pgseg_core.experiments.plan import Measurement

RECALL_AT = 10


@dataclass(frozen=True)
class Measure:
    """One column of a table."""

    key: str
    """Its name in files."""
    title: str
    percent: bool = True
    """Whether values are shares, shown in percent."""

    def text(self, value: float | None, digits: int | None = None) -> str:
        """Write a value; a dash for none."""
        if value is None:
            return "-"
        places = (1 if self.percent else 2) if digits is None else digits
        return f"{100 * value if self.percent else value:.{places}f}"


MEASURES = (
    Measure("miou", "mIoU %"),
    Measure("aacc", "pixel accuracy %"),
    Measure("compactness", "compactness %"),
    Measure("richness", "richness %"),
    Measure("best_iou", "IoU % of best mask"),
    Measure("over_segmented", "over-segmented %"),
    Measure("under_segmented", "under-segmented %"),
    Measure("found", "objects found %"),
    Measure("groups_used", "groups used", percent=False),
    Measure("same_as_truth", "ARI with truth", percent=False),
    Measure("same_as_others", "ARI between images", percent=False),
    Measure("image_to_text", f"R@{RECALL_AT} image to text %"),
    Measure("text_to_image", f"R@{RECALL_AT} text to image %"),
)
"""Every column that a table can have, in order; docs/protocols.md defines them."""

_QUALITY = [measure.key for measure in MEASURES[2:11]]


@dataclass(frozen=True)
class Result:
    """One run on one set."""

    values: Mapping[str, float]
    """By a measure's key; what could not be measured is missing."""
    intervals: Mapping[str, tuple[float, float]]
    """95 % bootstrap intervals over images, where the report has them."""
    counts: Counts | None
    """Of each image and class, for comparisons; None for retrieval."""
    images: int


def read_result(report: Path, measurement: Measurement) -> Result:
    """Read a report of `pgseg eval`.

    Raises:
        DataError: It is damaged.
    """
    try:
        values = json.loads(report.read_text("utf-8"))
        return _segmentation(values, report) if measurement.segments else _retrieval(values)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{report} is not a report of pgseg eval ({error})",
            hint="Remove it and run the sweep again: it is measured anew.",
        ) from None


def _segmentation(values: dict[str, Any], report: Path) -> Result:
    scores, quality = values["scores"], values["quality"]
    found = {"miou": scores["miou"], "aacc": scores["aacc"]}
    intervals = {"miou": values["interval"]}
    for key in _QUALITY:
        found[key] = quality[key]["value"]
        intervals[key] = quality[key]["interval"]
    return Result(
        values={key: value for key, value in found.items() if value is not None},
        intervals={key: (i["low"], i["high"]) for key, i in intervals.items() if i is not None},
        counts=dense_counts(read_report(report)),
        images=values["images_seen"],
    )


def _retrieval(values: dict[str, Any]) -> Result:
    scores = values["scores"]
    place = scores["ks"].index(RECALL_AT)
    return Result(
        values={key: scores[key][place] for key in ("image_to_text", "text_to_image")},
        intervals={},
        counts=None,
        images=scores["num_images"],
    )
