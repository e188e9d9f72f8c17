"""What `pgseg eval` does once its options are read: opens sets, measures, shows, writes.

Imports torch, so the command imports it when it runs. It stands apart from the command because
that is a page of options already.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pgseg_cli.commands.evaluate.image_tasks import measure_classification, measure_retrieval
from pgseg_cli.commands.evaluate.options import Place, Wanted, plain, write_beside
from pgseg_cli.console import print_json, print_table, progress_bar, say
from pgseg_core.comm import Collectives
from pgseg_core.data.manifest import newest_prepared
from pgseg_core.data.prepare.synthetic import EVALUATION_FOLDER
from pgseg_core.data.segmentation import (
    WITH_UNLABELLED,
    SegmentationSet,
    open_segmentation_set,
    parse_unlabelled,
    regrouped,
    without_root,
)
from pgseg_core.errors import ConfigError, DataError, did_you_mean
from pgseg_core.evaluation.evaluate import (
    evaluate_baseline,
    evaluate_baseline_quality,
    evaluate_group_quality,
    evaluate_masks,
    evaluate_zero_shot,
    refuse_sweep,
)
from pgseg_core.evaluation.protocols import Protocol, load_protocol
from pgseg_core.evaluation.quality_runner import QUALITY_COLUMNS, Quality
from pgseg_core.evaluation.report.examples import Gallery
from pgseg_core.evaluation.report.html_page import write_page
from pgseg_core.evaluation.report.report import TABLE_COLUMNS, Report, write_report
from pgseg_core.evaluation.report.task_reports import MasksReport
from pgseg_core.evaluation.resolve import Overrides, ask
from pgseg_core.evaluation.thresholds import (
    RECOMMENDED,
    admit_tuning,
    as_recommended,
    as_tuned,
    background_file,
)
from pgseg_core.inference.segmenter import Segmenter
from pgseg_core.weights import find_weights, recommended_inference


def measure(wanted: Wanted, place: Place) -> None:
    """Measure what is wanted, print it, and write it where `out` says.

    Raises:
        PgsegError: The options contradict each other, or something is missing or damaged.
    """
    if wanted.task not in TASKS:
        raise ConfigError(f"no task called '{wanted.task}'", hint=did_you_mean(wanted.task, TASKS))
    values = TASKS[wanted.task](wanted, place)
    if wanted.json and place.comm.rank == 0:
        print_json(values[0] if len(values) == 1 else values)


def _segmentation(wanted: Wanted, place: Place) -> list[Any]:
    names = _names(wanted.datasets)
    roots = _roots(names, wanted.data_roots)
    protocol = load_protocol(wanted.protocol)
    unlabelled = parse_unlabelled(wanted.unlabelled)
    concerned = [name for name in names if name in WITH_UNLABELLED] or names
    opened = [
        open_segmentation_set(name, root, unlabelled=unlabelled if name in concerned else None)
        for name, root in zip(names, roots, strict=True)
    ]
    file = wanted.regroup
    sets = opened if file is None else [regrouped(images, file) for images in opened]
    if wanted.masks is not None:
        return _masks(wanted, wanted.masks, sets, place)
    return _labels(wanted, protocol, sets, place)


def _labels(
    wanted: Wanted, protocol: Protocol, sets: Sequence[SegmentationSet], place: Place
) -> list[Any]:
    """Measure weights, or a trivial answer, on sets with masks."""
    tuned = None if wanted.baseline else background_file(wanted.overrides.background)
    if wanted.baseline is None:
        wanted = replace(wanted, overrides=_settled(wanted, tuned))
        for images in sets:  # what is wrong with any of them is said before the work
            left_out = ask(images, protocol, wanted.overrides).left_out
            if left_out:
                say(f"no background words on {images.name}, which has them: {', '.join(left_out)}")
            if wanted.sweep:
                refuse_sweep(images)
    segmenter = None if wanted.baseline else place.load(wanted.weights)
    reports = []
    for images in sets:
        gallery = None if wanted.out is None else Gallery()
        report = _report(wanted, protocol, segmenter, images, gallery, place.comm)
        if tuned is not None:
            report = admit_tuning(report, tuned)
        if wanted.quality:
            report = replace(
                report, quality=_quality(wanted, protocol, segmenter, images, place.comm)
            )
        print_table(report.dataset, TABLE_COLUMNS, report.table_rows())
        print_table("", ("", ""), report.summary_rows())
        if report.quality is not None:
            print_table("", QUALITY_COLUMNS, report.quality.rows())
        if wanted.out is not None and gallery is not None:
            examples = gallery.examples(report, place.comm)
            folder = _own_folder(wanted.out, images, sets)
            if place.comm.rank == 0:
                page = write_page(report, examples, folder)
                say(f"report: {page}, {write_report(report, folder)}")
        reports.append(plain(report))
    return reports


def _settled(wanted: Wanted, tuned: Path | None) -> Overrides:
    """Look a background setting up where it lies: on the weights' card, or in a sweep's report."""
    overrides = wanted.overrides
    if overrides.background == RECOMMENDED:
        return as_recommended(overrides, recommended_inference(find_weights(wanted.weights)))
    return overrides if tuned is None else as_tuned(overrides, tuned)


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
    wanted: Wanted, folder: Path, sets: Sequence[SegmentationSet], place: Place
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
                place.comm,
                limit=wanted.limit,
                on_progress=lambda done, total: bar(done, total, ""),
            )
        report = MasksReport(dataset=images.name, quality=found)
        print_table(f"{images.name}, {found.source}", QUALITY_COLUMNS, found.rows())
        if wanted.out is not None and place.comm.rank == 0:
            write_beside(report, _own_folder(wanted.out, images, sets))
        reports.append(plain(report))
    return reports


def _names(given: Sequence[str]) -> list[str]:
    """Take `--dataset a,b` and `--dataset a --dataset b` for the same."""
    names = [name.strip() for part in given or ["scenes"] for name in part.split(",")]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ConfigError(f"--dataset: {twice[0]} is named twice", hint="Keep one of them.")
    return names


def _roots(names: list[str], given: Sequence[Path]) -> Sequence[Path]:
    if given:
        if len(given) != len(names):
            raise DataError(
                f"--data-root: {len(given)} for {len(names)} sets ({', '.join(names)})",
                hint="Name one folder for each set, in their order: --data-root A --data-root B",
            )
        return given
    unknown = [name for name in names if name != "scenes"]
    if unknown:
        raise without_root(unknown[0])
    return [newest_prepared(Path()) / EVALUATION_FOLDER]


def _own_folder(folder: Path, images: SegmentationSet, sets: Sequence[SegmentationSet]) -> Path:
    """Return the folder itself for one set, and a set's own folder below it for several."""
    return folder if len(sets) == 1 else folder / images.name


TASKS: Mapping[str, Callable[[Wanted, Place], list[Any]]] = {
    "segmentation": _segmentation,
    "retrieval": measure_retrieval,
    "classification": measure_classification,
}
