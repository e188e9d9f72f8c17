"""A report as one HTML file that needs nothing else: no script, no font, no network."""

import math
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import jinja2

from pgseg_core.evaluation.metrics.threshold_curve import Sweep
from pgseg_core.evaluation.quality_runner import QUALITY_COLUMNS
from pgseg_core.evaluation.report.examples import ClassExamples
from pgseg_core.evaluation.report.report import Report, percent, write_files

_LEAST_SHOWN = 0.005
"""Smallest share of a class's pixels that the confusion matrix draws."""


@dataclass(frozen=True)
class Cell:
    """One drawn cell of the confusion matrix; places in pixels of the drawing."""

    x: float
    y: float
    share: float
    text: str
    dark: bool
    title: str


@dataclass(frozen=True)
class Matrix:
    """The confusion matrix as a drawing: each row sums to one."""

    side: int
    """Of a cell, in pixels."""
    cells: tuple[Cell, ...]
    names: tuple[str, ...]
    extent: int
    """Of all cells together."""


@dataclass(frozen=True)
class Curve:
    """The threshold curve as a drawing of 560 x 240 pixels."""

    points: str
    """Of the polyline."""
    dots: tuple[tuple[float, float, str], ...]
    """(x, y, what it says)."""
    ticks: tuple[tuple[float, str], ...]
    """(y, percent)."""
    best: tuple[float, float]
    used: float | None
    """x of the report's own threshold."""
    sentence: str


def draw_matrix(report: Report) -> Matrix:
    """Lay out the confusion matrix: row by row, shares of the target's pixels."""
    number = len(report.class_names)
    side = 34 if number <= 24 else 16 if number <= 60 else 8
    cells = []
    for row, counts in enumerate(report.confusion):
        total = sum(counts)
        for column, count in enumerate(counts):
            share = count / total if total else 0.0
            if share < _LEAST_SHOWN:
                continue
            cells.append(
                Cell(
                    x=column * side,
                    y=row * side,
                    share=share,
                    text=f"{100 * share:.0f}" if side > 30 else "",
                    dark=share > 0.55,
                    title=f"{report.class_names[row]}: {100 * share:.1f} % called "
                    f"{report.class_names[column]}",
                )
            )
    return Matrix(side, tuple(cells), report.class_names, number * side)


def draw_curve(sweep: Sweep, used: float | None) -> Curve:
    """Lay out mIoU against the threshold."""
    left, top, width, height = 44.0, 12.0, 500.0, 190.0
    highest = math.ceil(max(*sweep.miou, 0.01) * 1.05 * 25) / 25  # its quarters are whole per cents

    def place(threshold: float, miou: float) -> tuple[float, float]:
        return round(left + width * threshold, 1), round(top + height * (1 - miou / highest), 1)

    pairs = list(zip(sweep.thresholds, sweep.miou, strict=True))
    places = [place(*pair) for pair in pairs]
    return Curve(
        points=" ".join(f"{x},{y}" for x, y in places),
        dots=tuple(
            (*at, f"threshold {threshold:g}: mIoU {percent(miou)} %")
            for at, (threshold, miou) in zip(places, pairs, strict=True)
        ),
        ticks=tuple(
            (place(0, highest * step / 4)[1], percent(highest * step / 4)) for step in range(5)
        ),
        best=place(sweep.best_threshold, sweep.best_miou),
        used=None if used is None else place(used, 0)[0],
        sentence=sweep.sentence,
    )


def render_page(report: Report, examples: tuple[ClassExamples, ...]) -> str:
    """Return the whole page."""
    template = resources.files("pgseg_core.evaluation.report") / "page.html"
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    scores = report.scores
    total = max(1, sum(scores.pixels))
    return environment.from_string(template.read_text("utf-8")).render(
        report=report,
        summary=report.summary_rows(),
        classes=[
            (
                name,
                percent(iou),
                0.0 if math.isnan(iou) else 100 * iou,
                percent(accuracy),
                percent(share),
            )
            for name, iou, accuracy, share in zip(
                report.class_names,
                scores.iou,
                scores.accuracy,
                [pixels / total for pixels in scores.pixels],
                strict=True,
            )
        ],
        matrix=draw_matrix(report),
        curve=None if report.sweep is None else draw_curve(report.sweep, report.threshold),
        examples=examples,
        percent=percent,
        quality_columns=QUALITY_COLUMNS,
    )


def write_page(report: Report, examples: tuple[ClassExamples, ...], folder: Path) -> Path:
    """Write `report.html` into a report's folder, whole or not at all.

    Returns:
        Its path.

    Raises:
        DataError: The folder cannot be written.
    """
    write_files(folder, {"report.html": render_page(report, examples)})
    return folder / "report.html"
