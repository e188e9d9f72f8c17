"""Two reports of the same images, side by side: is B really better than A?"""

from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from pgseg_core.errors import DataError
from pgseg_core.evaluation.metrics.intervals import Counts, PairedTest, class_ious, paired_test
from pgseg_core.evaluation.metrics.threshold_curve import Sweep
from pgseg_core.evaluation.report.report import NO_PROTOCOL, ImageCounts


@checked_dataclass(frozen=True, config=ConfigDict(extra="ignore"))
class MeasuredReport:
    """What a comparison needs of a report.json."""

    protocol: str
    dataset: str
    class_names: tuple[str, ...]
    class_hash: str
    threshold: float | None
    templates: str
    weights: str
    images: tuple[ImageCounts, ...]
    refine: str = "none"
    background_words: tuple[str, ...] = ()
    background_words_from: str = "none"
    sweep: Sweep | None = None


@dataclass(frozen=True)
class Comparison:
    """Two systems on the same images."""

    a: MeasuredReport
    b: MeasuredReport
    miou: tuple[float, float]
    """Of A and B."""
    iou: tuple[tuple[float, float], ...]
    """Of each class, of A and B; nan for a class that one of them does not meet."""
    test: PairedTest
    differences: tuple[str, ...]
    """In what, besides weights, the two were measured differently."""


def read_report(path: Path) -> MeasuredReport:
    """Read a report.json, or the one in a report folder.

    Raises:
        DataError: It cannot be read, or holds no counts of images.
    """
    file = path / "report.json" if path.is_dir() else path
    try:
        return TypeAdapter(MeasuredReport).validate_json(file.read_bytes())
    except OSError as error:
        raise DataError(
            f"{file} cannot be read ({error.strerror})",
            hint="Write a report first: pgseg eval --out report/",
        ) from error
    except ValidationError as error:
        raise DataError(
            f"{file} is not a report of pgseg eval with counts for each image",
            hint="Write it anew: pgseg eval --out report/",
        ) from error


def compare_reports(
    a: MeasuredReport, b: MeasuredReport, *, across_protocols: bool = False
) -> Comparison:
    """Compare two reports of the same images and classes.

    Args:
        a: One.
        b: The other.
        across_protocols: Whether they may follow different protocols.

    Raises:
        DataError: Their classes, images, ground truth or protocols differ; says where.
    """
    if a.class_names != b.class_names:
        raise DataError(
            f"the reports are about different classes ({len(a.class_names)} of {a.dataset}, "
            f"{len(b.class_names)} of {b.dataset})",
            hint="Measure both on the same --dataset.",
        )
    names = [[image.name for image in report.images] for report in (a, b)]
    if names[0] != names[1]:
        strangers = set(names[0]) ^ set(names[1])
        example = f", such as {min(strangers)}" if strangers else " or their order"
        raise DataError(
            f"the reports are about different images ({len(names[0])} and {len(names[1])})"
            + example,
            hint="Measure both on the same images, with the same --limit.",
        )
    protocols = [report.protocol.partition(" (")[0] for report in (a, b)]
    if protocols[0] != protocols[1] and NO_PROTOCOL not in protocols and not across_protocols:
        raise DataError(
            f"the reports follow different protocols ({protocols[0]} and {protocols[1]}): a "
            "difference between them would not be the models' alone",
            hint="Measure both with the same --protocol, or compare protocols: --across-protocols",
        )
    counts = [dense_counts(report) for report in (a, b)]
    for image, first, second in zip(names[0], counts[0][:, 1], counts[1][:, 1], strict=True):
        if not first.equal(second):
            raise DataError(
                f"the ground truth of {image} differs between the reports",
                hint="Measure both on the same masks, with the same --unlabelled.",
            )
    ious = [class_ious(part.sum(dim=0)) for part in counts]
    return Comparison(
        a=a,
        b=b,
        miou=(ious[0].nanmean().item(), ious[1].nanmean().item()),
        iou=tuple(zip(ious[0].tolist(), ious[1].tolist(), strict=True)),
        test=paired_test(counts[0], counts[1]),
        differences=_differences(a, b),
    )


def dense_counts(report: MeasuredReport) -> Counts:
    """Return the counts of each image for all classes."""
    counts = torch.zeros(len(report.images), 3, len(report.class_names), dtype=torch.int64)
    for place, image in enumerate(report.images):
        rows = torch.tensor([image.hits, image.target, image.predicted], dtype=torch.int64)
        counts[place][:, list(image.classes)] = rows
    return counts


def _shown(value: str | float | tuple[str, ...] | None) -> str:
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    return "none" if value is None else str(value)


def _differences(a: MeasuredReport, b: MeasuredReport) -> tuple[str, ...]:
    """Say in what two reports differ that is not the models'; trivial answers ask no question."""
    if NO_PROTOCOL in (a.protocol, b.protocol):
        return () if a.protocol == b.protocol else (f"protocol: {a.protocol} and {b.protocol}",)
    pairs = {
        "protocol": (a.protocol, b.protocol),
        "class list and wordings": (a.class_hash, b.class_hash),
        "templates": (a.templates, b.templates),
        "refinement": (a.refine, b.refine),
        "threshold": (a.threshold, b.threshold),
        "background words": (a.background_words, b.background_words),
    }
    return tuple(
        f"{name}: {_shown(first)} and {_shown(second)}"
        for name, (first, second) in pairs.items()
        if first != second
    )
