"""Reports of what is no segmentation: foreign masks, retrieval, classification.

Each carries what its numbers depend on, as a segmentation's `Report` does.
"""

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from pgseg_core.evaluation.metrics.classification import ClassificationScores
from pgseg_core.evaluation.metrics.intervals import Interval
from pgseg_core.evaluation.metrics.retrieval import RetrievalScores
from pgseg_core.evaluation.quality_runner import Quality
from pgseg_core.evaluation.report.report import installed_versions, interval_text, percent


@dataclass(frozen=True, kw_only=True)
class MasksReport:
    """Class-free masks of any system, measured on one set."""

    dataset: str
    """Name of the set, its part included."""
    quality: Quality
    versions: Mapping[str, str] = field(default_factory=installed_versions)
    """Versions of pgseg, torch and python."""


@dataclass(frozen=True, kw_only=True)
class RetrievalReport:
    """Image-text retrieval on one split."""

    task: str = "retrieval"
    shards: str
    split: str
    weights: str
    weights_hash: str
    scores: RetrievalScores
    versions: Mapping[str, str] = field(default_factory=installed_versions)

    def rows(self) -> list[tuple[str, ...]]:
        """Return recalls in percent, one direction a row."""
        return [
            ("image to text", *map(percent, self.scores.image_to_text)),
            ("text to image", *map(percent, self.scores.text_to_image)),
        ]


@dataclass(frozen=True, kw_only=True)
class ClassificationReport:
    """Zero-shot classification of one set."""

    task: str = "classification"
    dataset: str
    class_names: tuple[str, ...]
    """All that an image could be called (c of them)."""
    class_hash: str
    """`class_list_hash` of the names and wordings."""
    templates: str
    weights: str
    weights_hash: str
    images_seen: int
    scores: ClassificationScores
    versions: Mapping[str, str] = field(default_factory=installed_versions)

    def rows(self) -> list[tuple[str, str]]:
        """Return (name, value) rows for a table."""
        scores = self.scores
        return [
            ("top-1 %", percent(scores.top1)),
            ("  95 % interval", _interval(scores.top1_interval)),
            ("top-5 %", percent(scores.top5)),
            ("  95 % interval", _interval(scores.top5_interval)),
            ("mean of the classes' top-1 %", percent(scores.mean_top1)),
            ("set", f"{self.dataset} ({self.images_seen} images)"),
            ("classes", f"{len(self.class_names)} ({self.class_hash})"),
            ("templates", self.templates),
            ("weights", f"{self.weights} ({self.weights_hash})"),
        ]

    def to_csv(self) -> str:
        """Return one line a class: index, name, images, top-1; nan becomes empty."""
        text = io.StringIO()
        lines = csv.writer(text, lineterminator="\n")
        lines.writerow(("index", "class", "images", "top1"))
        scores = self.scores
        for index, (name, images, share) in enumerate(
            zip(self.class_names, scores.class_images, scores.class_top1, strict=True)
        ):
            lines.writerow((index, name, images, "" if math.isnan(share) else f"{share:.6f}"))
        return text.getvalue()


def _interval(interval: Interval | None) -> str:
    return "-" if interval is None else interval_text(interval)
