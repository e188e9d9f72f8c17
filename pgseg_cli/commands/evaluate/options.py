"""What `pgseg eval` was asked for, where it runs, and how any of its reports is written."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pgseg_cli.console import say
from pgseg_core.comm import Collectives
from pgseg_core.evaluation.report.report import json_text, write_files
from pgseg_core.evaluation.resolve import Overrides
from pgseg_core.inference.segmenter import Segmenter


@dataclass(frozen=True)
class Place:
    """This process's device, and its place among those that share the work."""

    comm: Collectives
    device: torch.device

    def load(self, weights: Path | None) -> Segmenter:
        """Load weights onto this process's device."""
        return Segmenter.load(weights, device=self.device)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The options of `pgseg eval`, which explains them."""

    task: str
    weights: Path | None
    datasets: Sequence[str]
    data_roots: Sequence[Path]
    protocol: str
    overrides: Overrides
    regroup: Path | None
    unlabelled: str | None
    own_size: bool
    sweep: bool
    quality: bool
    masks: Path | None
    baseline: str | None
    split: str | None
    limit: int | None
    out: Path | None
    json: bool


def write_beside(report: Any, folder: Path, beside: Mapping[str, str] | None = None) -> None:
    """Write a report as `report.json`, with other files beside it, and say where."""
    write_files(folder, {**(beside or {}), "report.json": json_text(report)})
    say(f"report: {folder / 'report.json'}")


def plain(report: Any) -> Any:
    """Return a report as the plain values of its JSON."""
    return json.loads(json_text(report))
