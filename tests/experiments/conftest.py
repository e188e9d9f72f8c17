"""A sweep file to spoil, and reports of made-up runs."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from pgseg_core.evaluation.metrics.intervals import Interval, miou_interval
from pgseg_core.evaluation.metrics.segmentation import scores
from pgseg_core.evaluation.quality_runner import Measure, Quality
from pgseg_core.evaluation.report.report import Report, sparse_counts, write_report

FILE: dict[str, Any] = {
    "title": "A and B",
    "base": "pgseg-tiny",
    "seeds": [0, 1, 2],
    "scenes": {"size": 32, "train": 8, "val": 0, "test": 2},
    "evaluation": [{"dataset": "scenes", "limit": 2}, {"dataset": "retrieval"}],
    "rows": {"A": {"model.npr.enabled": False}, "B, louder": {"train.lr": 1.0e-3}},
    "full": {"base": "pgseg-vits16", "data": "cc12m", "evaluation": [{"dataset": "voc12"}]},
}
NAMES = ("sky", "road")


@pytest.fixture
def sweep_file(tmp_path) -> Path:
    return write_sweep(tmp_path / "ab.yaml")


def write_sweep(path: Path, **changes: Any) -> Path:
    path.write_text(yaml.safe_dump({**FILE, **changes}, sort_keys=False), "utf-8")
    return path


def draw_counts(seed: int, images: int = 12) -> torch.Tensor:
    """Right, target and predicted pixels of two classes."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(50, 60, (images, 2), generator=torch.Generator().manual_seed(99))
    hits = torch.randint(20, 50, (images, 2), generator=generator)
    return torch.stack([hits, target, hits + (target - hits).flip(1)], dim=1)


def write_segmentation(folder: Path, counts: torch.Tensor, *, used: float) -> float:
    """Write a report with these counts; returns its mIoU."""
    hits, target, _ = counts.sum(dim=0)
    confusion = torch.diag(hits)
    confusion[0, 1], confusion[1, 0] = target[0] - hits[0], target[1] - hits[1]
    measure = Measure(used, Interval(used - 0.25, used + 0.25), len(counts))
    others = Measure(float("nan"), None, 0)
    names = [name for name in Quality.__dataclass_fields__ if name not in ("source", "images")]
    report = Report(
        protocol="groupvit", dataset="scenes", class_names=NAMES, class_hash="h", threshold=None,
        templates="simple", weights="w", weights_hash="", images_seen=len(counts),
        images_skipped=0, scores=scores(confusion), interval=miou_interval(counts),
        images=sparse_counts(tuple(map(str, range(len(counts)))), counts),
        quality=Quality(
            source="groups", images=len(counts),
            **{name: measure if name == "groups_used" else others for name in names},
        ),
    )  # fmt: skip
    write_report(report, folder)
    values = json.loads((folder / "report.json").read_text("utf-8"))
    return values["scores"]["miou"]


def write_retrieval(folder: Path, recall: float) -> None:
    folder.mkdir(parents=True)
    scores = {
        "ks": [1, 5, 10],
        "image_to_text": [0, 0, recall],
        "text_to_image": [0, 0, recall / 2],
        "num_images": 7,
    }
    (folder / "report.json").write_text(json.dumps({"scores": scores}), "utf-8")
