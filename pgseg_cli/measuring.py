"""What `pgseg eval` does once its options are read: opens sets, measures, shows, writes.

Imports torch, so the command imports it when it runs. It stands apart from the command because
that is a page of options already.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, get_args

from pgseg_cli.console import print_json, print_table, progress_bar, say
from pgseg_core.comm import Collectives
from pgseg_core.data.manifest import newest_prepared
from pgseg_core.data.prepare.synthetic import EVALUATION_FOLDER
from pgseg_core.data.segmentation import SegmentationSet, Unlabelled, open_segmentation_set
from pgseg_core.errors import ConfigError, DataError
from pgseg_core.evaluation.gallery import Gallery
from pgseg_core.evaluation.page import write_page
from pgseg_core.evaluation.protocols import Protocol, load_protocol
from pgseg_core.evaluation.quality_runner import QUALITY_COLUMNS, Quality
from pgseg_core.evaluation.question import Overrides, ask
from pgseg_core.evaluation.report import (
    TABLE_COLUMNS,
    MasksReport,
    Report,
    json_text,
    write_masks_report,
    write_report,
)
from pgseg_core.evaluation.zero_shot import (
    evaluate_baseline,
    evaluate_baseline_quality,
    evaluate_group_quality,
    evaluate_masks,
    evaluate_retrieval,
    evaluate_zero_shot,
    refuse_sweep,
)
from pgseg_core.inference.segmenter import Segmenter


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The options of `pgseg eval`, which explains them."""

    weights: Path | None
    datasets: Sequence[str]
    data_roots: Sequence[Path]
    protocol: str
    overrides: Overrides
    unlabelled: str | None
    own_size: bool
    sweep: bool
    quality: bool
    masks: Path | None
    baseline: str | None
    split: str
    limit: int | None
    out: Path | None
    device: str
    json: bool


def measure(wanted: Wanted, comm: Collectives) -> None:
    """Measure what is wanted, print it, and write it where `out` says.

    Raises:
        PgsegError: The options contradict each other, or something is missing or damaged.
    """
    names = _names(wanted.datasets)
    roots = _roots(names, wanted.data_roots)
    if names == ["retrieval"]:
        values = [_retrieval(wanted, roots[0])]
    else:
        protocol = load_protocol(wanted.protocol)
        sets = [
            _open(name, root, wanted.unlabelled, alone="coco-object" not in names)
            for name, root in zip(names, roots, strict=True)
        ]
        if wanted.masks is not None:
            values = _masks(wanted, wanted.masks, sets, comm)
        else:
            values = _segmentation(wanted, protocol, sets, comm)
    if wanted.json:
        print_json(values[0] if len(values) == 1 else values)


def _segmentation(
    wanted: Wanted, protocol: Protocol, sets: Sequence[SegmentationSet], comm: Collectives
) -> list[Any]:
    """Measure weights, or a trivial answer, on sets with masks."""
    if wanted.baseline is None:
        for images in sets:  # what is wrong with any of them is said before the work
            ask(images, protocol, wanted.overrides)
            if wanted.sweep:
                refuse_sweep(images)
    segmenter = None if wanted.baseline else Segmenter.load(wanted.weights, device=wanted.device)
    reports = []
    for images in sets:
        gallery = None if wanted.out is None else Gallery()
        report = _report(wanted, protocol, segmenter, images, gallery, comm)
        if wanted.quality:
            report = replace(report, quality=_quality(wanted, protocol, segmenter, images, comm))
        print_table(report.dataset, TABLE_COLUMNS, report.table_rows())
        print_table("", ("", ""), report.summary_rows())
        if report.quality is not None:
            print_table("", QUALITY_COLUMNS, report.quality.rows())
        if wanted.out is not None and gallery is not None:
            folder = _own_folder(wanted.out, images, sets)
            say(f"report: {write_page(report, gallery, folder)}, {write_report(report, folder)}")
        reports.append(_plain(report))
    return reports


def _report(
    wanted: Wanted,
    protocol: Protocol,
    segmenter: Segmenter | None,
    images: SegmentationSet,
    gallery: Gallery | None,
    comm: Collectives,
) -> Report:
    on_answer = None if gallery is None else gallery.keep
    with progress_bar(f"evaluating {images.name}") as bar:
        if segmenter is None:
            return evaluate_baseline(
                wanted.baseline or "",
                images,
                comm,
                limit=wanted.limit,
                on_answer=on_answer,
                on_progress=lambda done, total: bar(done, total, ""),
            )
        return evaluate_zero_shot(
            segmenter,
            images,
            protocol,
            comm,
            overrides=wanted.overrides,
            own_size=wanted.own_size,
            sweep=wanted.sweep,
            limit=wanted.limit,
            on_answer=on_answer,
            on_progress=lambda done, total: bar(done, total, ""),
        )


def _quality(
    wanted: Wanted,
    protocol: Protocol,
    segmenter: Segmenter | None,
    images: SegmentationSet,
    comm: Collectives,
) -> Quality:
    with progress_bar(f"measuring groups on {images.name}") as bar:
        if segmenter is None:
            return evaluate_baseline_quality(
                wanted.baseline or "",
                images,
                comm,
                limit=wanted.limit,
                on_progress=lambda done, total: bar(done, total, ""),
            )
        return evaluate_group_quality(
            segmenter,
            images,
            protocol,
            comm,
            own_size=wanted.own_size,
            limit=wanted.limit,
            on_progress=lambda done, total: bar(done, total, ""),
        )


def _masks(
    wanted: Wanted, folder: Path, sets: Sequence[SegmentationSet], comm: Collectives
) -> list[Any]:
    """Measure another system's class-free masks."""
    if wanted.baseline or wanted.weights or wanted.sweep:
        raise ConfigError(
            "--masks are measured by themselves: they have no classes",
            hint="Drop --weights, --baseline and --sweep-background.",
        )
    reports = []
    for images in sets:
        with progress_bar(f"measuring masks on {images.name}") as bar:
            found = evaluate_masks(
                _own_folder(folder, images, sets),
                images,
                comm,
                limit=wanted.limit,
                on_progress=lambda done, total: bar(done, total, ""),
            )
        report = MasksReport(dataset=images.name, quality=found)
        print_table(f"{images.name}, {found.source}", QUALITY_COLUMNS, found.rows())
        if wanted.out is not None:
            place = _own_folder(wanted.out, images, sets)
            say(f"report: {write_masks_report(report, place)}")
        reports.append(_plain(report))
    return reports


def _retrieval(wanted: Wanted, shards: Path) -> Any:
    segmenter = Segmenter.load(wanted.weights, device=wanted.device)
    split = wanted.split
    with progress_bar("evaluating retrieval") as bar:
        scores = evaluate_retrieval(
            segmenter, shards, split, on_progress=lambda done, total: bar(done, total, "")
        )
    rows = [
        ("image to text", *(f"{share:.1%}" for share in scores.image_to_text)),
        ("text to image", *(f"{share:.1%}" for share in scores.text_to_image)),
    ]
    title = f"{shards}, split {split}: {scores.num_images} images, {scores.num_texts} captions"
    print_table(title, ("recall at", *map(str, scores.ks)), rows)
    return {"shards": str(shards), "split": split, **asdict(scores)}


def _names(given: Sequence[str]) -> list[str]:
    """Take `--dataset a,b` and `--dataset a --dataset b` for the same."""
    names = [name.strip() for part in given or ["scenes"] for name in part.split(",")]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ConfigError(f"--dataset: {twice[0]} is named twice", hint="Keep one of them.")
    if "retrieval" in names and len(names) > 1:
        raise ConfigError(
            "--dataset: retrieval is measured by itself", hint="Measure it in a call of its own."
        )
    return names


def _roots(names: list[str], given: Sequence[Path]) -> Sequence[Path]:
    if given:
        if len(given) != len(names):
            raise DataError(
                f"--data-root: {len(given)} for {len(names)} sets ({', '.join(names)})",
                hint="Name one folder for each set, in their order: --data-root A --data-root B",
            )
        return given
    unknown = [name for name in names if name not in {"scenes", "retrieval"}]
    if unknown:
        raise DataError(f"where is {unknown[0]}?", hint="Name its folder: --data-root DIR")
    prepared = newest_prepared(Path())
    return [prepared if name == "retrieval" else prepared / EVALUATION_FOLDER for name in names]


def _open(name: str, root: Path, unlabelled: str | None, *, alone: bool) -> SegmentationSet:
    choices: dict[str, Unlabelled] = {choice: choice for choice in get_args(Unlabelled)}
    if unlabelled is not None and unlabelled not in choices:
        raise ConfigError(f"--unlabelled {unlabelled}", hint=f"Known: {', '.join(choices)}")
    concerned = alone or name == "coco-object"
    choice = choices[unlabelled] if unlabelled is not None and concerned else None
    return open_segmentation_set(name, root, unlabelled=choice)


def _own_folder(folder: Path, images: SegmentationSet, sets: Sequence[SegmentationSet]) -> Path:
    """Return the folder itself for one set, and a set's own folder below it for several."""
    return folder if len(sets) == 1 else folder / images.name


def _plain(report: Report | MasksReport) -> Any:
    return json.loads(json_text(report))
