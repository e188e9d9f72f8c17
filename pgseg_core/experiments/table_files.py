"""A table as text: Markdown to read, CSV to compute with, JSON with everything."""

import csv
import io
import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pgseg_core.atomic import whole_file
from pgseg_core.evaluation.report.report import installed_versions, without_nan
from pgseg_core.experiments.plan import Plan
from pgseg_core.experiments.results import Measure
from pgseg_core.experiments.table import Entry, Row, SetTable, Table

COMPARED = ("miou", "image_to_text", "text_to_image")
"""Measures whose differences are written out."""


def write_table(table: Table, out: Path, *, command: str) -> None:
    """Write `table.md`, `table.csv` and `table.json`, each whole or not at all.

    Args:
        table: What was measured.
        out: The sweep's folder.
        command: What makes this table again.
    """
    texts = {
        "table.md": markdown(table, command=command),
        "table.csv": as_csv(table),
        "table.json": as_json(table, command=command),
    }
    for name, text in texts.items():
        with whole_file(out / name) as file:
            file.write_text(text, "utf-8")


def markdown(table: Table, *, command: str) -> str:
    """Return the table with its setting, for a page."""
    plan = table.plan
    parts = [f"# {plan.title}", *([plan.note] if plan.note else [])]
    if not table.whole:
        parts.append(
            f"**Unfinished: {table.finished} of {len(plan.cells)} runs.** The same command goes on."
        )
    parts += [_set_markdown(part, plan) for part in table.sets]
    parts += [_reading(plan), _setting(plan, command)]
    return "\n\n".join(parts) + "\n"


def _set_markdown(part: SetTable, plan: Plan) -> str:
    measurement = part.measurement
    what = f"protocol {measurement.protocol}" if measurement.segments else f"{measurement.split}"
    lines = [f"## {measurement.dataset}: {part.images:,} images, {what}", ""]
    lines += _rows(*summary_rows(part, part.measures))
    for measure in part.measures:
        if measure.key in COMPARED:
            lines += ["", *_differences(part.rows, measure, plan.reference)]
    return "\n".join(lines)


def _differences(rows: Sequence[Row], measure: Measure, reference: str) -> list[str]:
    """Return the intervals of one measure, and how each row differs from the reference."""
    body = []
    for row in rows:
        entry = row.entries.get(measure.key)
        if entry is None:
            continue
        moved = entry.difference
        body.append(
            [
                row.name,
                _between(entry.over_seeds.interval, measure),
                _between(entry.over_images, measure),
                "" if moved is None else _signed(moved.seeds.mean, measure),
                "" if moved is None else _between(moved.seeds.interval, measure, signed=True),
                "" if moved is None else _between(moved.images, measure, signed=True),
                "" if moved is None else moved.verdict,
            ]
        )
    heads = [
        measure.title, "95 % over seeds", "95 % over images", f"less {reference}",
        "95 % over seeds", "95 % over images", "verdict",
    ]  # fmt: skip
    return _rows(heads, body)


def _reading(plan: Plan) -> str:
    return (
        "Means over seeds ± standard deviation (n - 1). Over seeds: Student's 95 % interval of the "
        "mean; over images: 95 % bootstrap. Differences are taken seed by seed from "
        f"'{plan.reference}', and called higher or lower only where both intervals leave out 0."
    )


def _setting(plan: Plan, command: str) -> str:
    given = ", ".join(f"{key}={_short(value)}" for key, value in plan.settings.items()) or "none"
    lines = [
        "## Setting",
        "",
        f"- Base `{plan.base}`; settings of all rows: {given}.",
        f"- Seeds {', '.join(map(str, plan.seeds))}; data {_data(plan)}.",
        *(
            f"- {name}: "
            + (", ".join(f"{key}={_short(value)}" for key, value in changes.items()) or "as it is")
            + "."
            for name, changes in plan.rows.items()
        ),
        f"- Versions: {', '.join(f'{k} {v}' for k, v in installed_versions().items())}.",
        "",
        "```sh",
        command,
        *(f"{command} --only {shlex.quote(name)}" for name in plan.rows),
        "```",
    ]
    return "\n".join(lines)


def _data(plan: Plan) -> str:
    if plan.scenes is None:
        return f"{plan.data}"
    scenes = plan.scenes
    return f"{scenes.train:,} scenes of {scenes.size} pixels (seed {scenes.seed})"


def summary_rows(
    part: SetTable, measures: Sequence[Measure]
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return headings and rows of one set's measures: means over seeds ± standard deviation."""
    heads = ("row", "seeds", *(measure.title for measure in measures))
    return heads, [
        (
            row.name,
            str(len(row.seeds)),
            *(_mean(row.entries.get(measure.key), measure) for measure in measures),
        )
        for row in part.rows
    ]


def as_csv(table: Table) -> str:
    """Return one line a set, row, measure and seed."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(("dataset", "row", "measure", "seed", "value"))
    for part in table.sets:
        for row in part.rows:
            for key, entry in row.entries.items():
                for seed, value in zip(row.seeds, entry.over_seeds.values, strict=False):
                    lines.writerow((part.measurement.dataset, row.name, key, seed, f"{value:.6f}"))
    return text.getvalue()


def as_json(table: Table, *, command: str) -> str:
    """Return everything: the plan, each seed's value, means, intervals and differences."""
    plan = table.plan
    values: dict[str, Any] = {
        "title": plan.title,
        "command": command,
        "full": plan.full,
        "base": plan.base,
        "settings": dict(plan.settings),
        "rows": {name: dict(changes) for name, changes in plan.rows.items()},
        "reference": plan.reference,
        "seeds": plan.seeds,
        "data": str(plan.data),
        "scenes": None if plan.scenes is None else asdict(plan.scenes),
        "finished": table.finished,
        "cells": len(plan.cells),
        "versions": installed_versions(),
        "sets": [
            {
                "measurement": asdict(part.measurement),
                "images": part.images,
                "rows": {row.name: _row_values(row) for row in part.rows},
            }
            for part in table.sets
        ],
    }
    return json.dumps(without_nan(values), indent=2, ensure_ascii=False) + "\n"


def _row_values(row: Row) -> dict[str, Any]:
    measures = {}
    for key, entry in row.entries.items():
        measures[key] = asdict(entry)
        if entry.difference is not None:
            measures[key]["difference"]["verdict"] = entry.difference.verdict
    return {"seeds": row.seeds, "measures": measures}


def _rows(heads: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---", *("--:" for _ in heads[1:])]
    return [f"| {' | '.join(cells)} |" for cells in (heads, rule, *body)]


def _mean(entry: Entry | None, measure: Measure) -> str:
    if entry is None:
        return "-"
    seeds = entry.over_seeds
    deviation = "" if seeds.deviation is None else f" ± {measure.text(seeds.deviation)}"
    return f"{measure.text(seeds.mean)}{deviation}"


def _between(
    interval: tuple[float, float] | None, measure: Measure, *, signed: bool = False
) -> str:
    if interval is None:
        return "-"
    low, high = (_signed(end, measure) if signed else measure.text(end) for end in interval)
    return f"{low} to {high}"


def _signed(value: float, measure: Measure) -> str:
    text = measure.text(value)
    return text if text.startswith("-") else f"+{text}"


def _short(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
