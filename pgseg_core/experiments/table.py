"""A table from the reports of a sweep's runs: rows, means over seeds, differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from pgseg_core.evaluation.metrics.intervals import miou_interval, paired_test
from pgseg_core.experiments.plan import Measurement, Plan
from pgseg_core.experiments.results import MEASURES, Measure, Result, read_result
from pgseg_core.experiments.runs import REPORT, CellFolder
from pgseg_core.experiments.statistics import Difference, Spread, spread


@dataclass(frozen=True)
class Entry:
    """One measure of one row."""

    over_seeds: Spread
    over_images: tuple[float, float] | None
    """95 % bootstrap interval over images: of the mean over seeds for mIoU, else the mean of the
    seeds' intervals; None where there is none."""
    difference: Difference | None
    """From the reference row; None for that row itself, or without a seed in common."""


@dataclass(frozen=True)
class Row:
    """One row of a set's table."""

    name: str
    seeds: tuple[int, ...]
    """That have been measured."""
    entries: Mapping[str, Entry]
    """By a measure's key."""


@dataclass(frozen=True)
class SetTable:
    """All rows on one evaluation set."""

    measurement: Measurement
    images: int
    measures: tuple[Measure, ...]
    """Columns: what at least one row has."""
    rows: tuple[Row, ...]
    """Rows without any result are left out."""


@dataclass(frozen=True)
class Table:
    """Everything that was measured so far."""

    plan: Plan
    sets: tuple[SetTable, ...]
    finished: int
    """Cells with all of their measurements."""

    @property
    def whole(self) -> bool:
        """Whether no cell is missing."""
        return self.finished == len(self.plan.cells)


def collect(plan: Plan, out: Path) -> Table:
    """Read the reports of all finished cells of a sweep's folder.

    Raises:
        DataError: A report is damaged, or two are about different images or classes.
    """
    folders = [CellFolder.of(out, cell) for cell in plan.cells]
    return Table(
        plan=plan,
        sets=tuple(
            table for m in plan.measurements if (table := _set_table(plan, folders, m)) is not None
        ),
        finished=sum(f.progress(plan.measurements) == "finished" for f in folders),
    )


def _set_table(
    plan: Plan, folders: Sequence[CellFolder], measurement: Measurement
) -> SetTable | None:
    results: dict[str, dict[int, Result]] = {row: {} for row in plan.rows}
    for folder in folders:
        report = folder.measured(measurement) / REPORT
        if report.is_file():
            results[folder.cell.row][folder.cell.seed] = read_result(report, measurement)
    reference = results[plan.reference]
    rows = tuple(
        Row(name, tuple(sorted(own)), _entries(own, {} if name == plan.reference else reference))
        for name, own in results.items()
        if own
    )
    if not rows:
        return None
    return SetTable(
        measurement=measurement,
        images=next(r.images for own in results.values() for r in own.values()),
        measures=tuple(m for m in MEASURES if any(m.key in row.entries for row in rows)),
        rows=rows,
    )


def _entries(own: Mapping[int, Result], reference: Mapping[int, Result]) -> dict[str, Entry]:
    entries = {}
    for key in (measure.key for measure in MEASURES):
        seeds = [seed for seed in sorted(own) if key in own[seed].values]
        if not seeds:
            continue
        both = [seed for seed in seeds if seed in reference and key in reference[seed].values]
        entries[key] = Entry(
            over_seeds=spread([own[seed].values[key] for seed in seeds]),
            over_images=_over_images(key, [own[seed] for seed in seeds]),
            difference=_difference(key, own, reference, both) if both else None,
        )
    return entries


def _over_images(key: str, results: Sequence[Result]) -> tuple[float, float] | None:
    if key == "miou":
        counts = _beside(results)
        interval = None if counts is None else miou_interval(counts)
        return None if interval is None else (interval.low, interval.high)
    known = [result.intervals[key] for result in results if key in result.intervals]
    if not known:
        return None
    return sum(low for low, _ in known) / len(known), sum(high for _, high in known) / len(known)


def _difference(
    key: str, own: Mapping[int, Result], reference: Mapping[int, Result], seeds: Sequence[int]
) -> Difference:
    moved = spread([own[seed].values[key] - reference[seed].values[key] for seed in seeds])
    images = None
    if key == "miou":
        a = _beside([reference[seed] for seed in seeds])
        b = _beside([own[seed] for seed in seeds])
        if a is not None and b is not None and a.shape == b.shape and len(a) > 1:
            interval = paired_test(a, b).interval
            images = (interval.low, interval.high)
    return Difference(moved, images)


def _beside(results: Sequence[Result]) -> torch.Tensor | None:
    """Put the seeds' classes beside each other: the mean IoU over them is the mean over seeds."""
    counts = [result.counts for result in results if result.counts is not None]
    if len(counts) < len(results) or len({part.shape for part in counts}) != 1:
        return None
    return torch.cat(counts, dim=-1)
