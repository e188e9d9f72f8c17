"""A number together with everything it depends on, as JSON, CSV and rows for a terminal."""

import csv
import io
import json
import math
import platform
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from pgseg_core.atomic import whole_file
from pgseg_core.errors import DataError
from pgseg_core.evaluation.metrics.intervals import Interval
from pgseg_core.evaluation.metrics.segmentation import SegmentationScores
from pgseg_core.evaluation.metrics.threshold_curve import Sweep
from pgseg_core.evaluation.quality_runner import Quality
from pgseg_core.version import VERSION

TABLE_COLUMNS = ("class", "IoU %", "accuracy %", "pixels %")
"""Headings of `Report.table_rows`."""
NO_PROTOCOL = "none"
"""What trivial answers follow: no protocol changes them."""


def installed_versions() -> dict[str, str]:
    """Return the versions of pgseg, torch and python that are running."""
    return {
        "pgseg": VERSION,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
    }


@dataclass(frozen=True)
class ImageCounts:
    """One image's counts, for the classes that occur in its target or prediction."""

    name: str
    classes: tuple[int, ...]
    hits: tuple[int, ...]
    """Right pixels of each of these classes."""
    target: tuple[int, ...]
    predicted: tuple[int, ...]


def sparse_counts(names: tuple[str, ...], counts: Int[Tensor, "n 3 c"]) -> tuple[ImageCounts, ...]:
    """Keep the classes of each image that have pixels."""
    found = []
    for name, image in zip(names, counts, strict=True):
        classes = image.sum(dim=0).nonzero()[:, 0]
        hits, target, predicted = (tuple(row.tolist()) for row in image[:, classes])
        found.append(ImageCounts(name, tuple(classes.tolist()), hits, target, predicted))
    return tuple(found)


@dataclass(frozen=True, kw_only=True)
class Report:
    """One segmentation result of one set under one protocol."""

    protocol: str
    """Id of the protocol."""
    dataset: str
    """Name of the set, its part included."""
    class_names: tuple[str, ...]
    """Names in the order of the mask's labels (c of them)."""
    class_hash: str
    """`class_list_hash` of the names and prompts."""
    threshold: float | None
    """Background threshold; None when no pixel is called background by one."""
    threshold_from: str = ""
    """Who chose the threshold, in words."""
    background_words: tuple[str, ...] = ()
    """Words that competed like classes and answered as background."""
    background_words_from: str = "none"
    """Name of their list or file."""
    background_words_hash: str = ""
    """Name of the words, equal for equal ones."""
    templates: str
    """Name of the prompt template set."""
    templates_hash: str = ""
    """Hash of the templates' text."""
    refine: str = "none"
    """What was done to masks before they were compared."""
    wordings: tuple[tuple[str, ...], ...] = ()
    """What stood in the prompts of each class; nothing for a background without prompt."""
    weights: str
    """Where the weights came from."""
    weights_hash: str
    """Hash of the weights' file."""
    images_seen: int
    """Images that were segmented and counted."""
    images_skipped: int
    """Images that could not be read; their pixels are missing from the scores."""
    scores: SegmentationScores
    interval: Interval | None = None
    """Bootstrap interval of mIoU over images; None for fewer than two images."""
    sweep: Sweep | None = None
    """mIoU against the background threshold, where it was asked for."""
    quality: Quality | None = None
    """How well the groups fit objects, whatever their class, where it was asked for."""
    confusion: tuple[tuple[int, ...], ...] = ()
    """Pixel counts: rows target classes, columns predicted ones."""
    images: tuple[ImageCounts, ...] = ()
    """Counts of each image, from which two reports are compared."""
    versions: Mapping[str, str] = field(default_factory=installed_versions)
    """Versions of pgseg, torch and python."""

    @property
    def has_background(self) -> bool:
        """Whether class 0 is the background."""
        return self.scores.foreground_miou is not None

    def to_csv(self) -> str:
        """Return one line a class: index, name, IoU, accuracy, pixels; nan becomes empty."""
        text = io.StringIO()
        lines = csv.writer(text, lineterminator="\n")
        lines.writerow(("index", "class", "iou", "accuracy", "pixels"))
        for index, name in enumerate(self.class_names):
            shares = (self.scores.iou[index], self.scores.accuracy[index])
            cells = ("" if math.isnan(share) else f"{share:.6f}" for share in shares)
            lines.writerow((index, name, *cells, self.scores.pixels[index]))
        return text.getvalue()

    def table_rows(self) -> tuple[tuple[str, ...], ...]:
        """Return one row a class under `TABLE_COLUMNS`, in percent with one digit."""
        total = sum(self.scores.pixels)
        return tuple(
            (name, percent(iou), percent(accuracy), percent(pixels / total if total else math.nan))
            for name, iou, accuracy, pixels in zip(
                self.class_names,
                self.scores.iou,
                self.scores.accuracy,
                self.scores.pixels,
                strict=True,
            )
        )

    def summary_rows(self) -> tuple[tuple[str, str], ...]:
        """Return the means and what they depend on as (name, value) rows."""
        scores = self.scores
        foreground = scores.foreground_miou
        skipped = f", {self.images_skipped} skipped" if self.images_skipped else ""
        return (
            ("mIoU %", percent(scores.miou)),
            *(
                ()
                if self.interval is None
                else (("  95 % interval over images", interval_text(self.interval)),)
            ),
            *(() if foreground is None else (("mIoU % without background", percent(foreground)),)),
            ("pixel accuracy % (aAcc)", percent(scores.aacc)),
            ("mean class accuracy % (mAcc)", percent(scores.macc)),
            ("set", f"{self.dataset} ({self.images_seen} images{skipped})"),
            ("protocol", self.protocol),
            ("classes", f"{len(self.class_names)} ({self.class_hash})"),
            ("templates", self.templates),
            ("threshold", "none" if self.threshold is None else f"{self.threshold:g}"),
            *((("  chosen by", self.threshold_from),) if self.threshold_from else ()),
            *((("background words", self._words_text()),) if self.background_words else ()),
            *((("masks refined by", self.refine),) if self.refine != "none" else ()),
            (
                "weights",
                f"{self.weights} ({self.weights_hash})" if self.weights_hash else self.weights,
            ),
            *(() if self.sweep is None else (("sweep", self.sweep.sentence),)),
        )

    def _words_text(self) -> str:
        number, source = len(self.background_words), self.background_words_from
        return f"{source}: {number} ({self.background_words_hash})"


def json_text(report: Any) -> str:
    """Return any report, a dataclass, as JSON text, one field a line; nan becomes null."""
    lines = [
        f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}"
        for key, value in without_nan(asdict(report)).items()
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def percent(share: float) -> str:
    """Write a share from 0 to 1 in percent with one digit; nan as a dash."""
    return "-" if math.isnan(share) else f"{100 * share:.1f}"


def interval_text(interval: Interval) -> str:
    """Write an interval of shares in percent."""
    return f"{percent(interval.low)} to {percent(interval.high)}"


def write_report(report: Report, folder: Path) -> Path:
    """Write `report.json` and `classes.csv` into a folder; returns the first's path.

    Raises:
        DataError: The folder cannot be written.
    """
    write_files(folder, {"classes.csv": report.to_csv(), "report.json": json_text(report)})
    return folder / "report.json"


def write_files(folder: Path, texts: Mapping[str, str]) -> None:
    """Write text files into a folder, which is made if need be.

    All are first written beside their places and then renamed over what was there, the last one
    first: a reader never meets half a file.

    Raises:
        DataError: The folder cannot be written.
    """
    try:
        with ExitStack() as stack:
            for name, text in texts.items():
                stack.enter_context(whole_file(folder / name)).write_text(text, "utf-8")
    except OSError as error:
        raise DataError(
            f"{folder}: the report cannot be written ({error.strerror})",
            hint="Give another folder with --out.",
        ) from None


def without_nan(value: Any) -> Any:
    """Replace nan, which JSON does not know, by None."""
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, dict):
        return {key: without_nan(below) for key, below in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(below) for below in value]
    return value
