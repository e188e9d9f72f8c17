"""The tasks of `pgseg eval` that look at whole images: retrieval and classification."""

from pathlib import Path
from typing import Any

from pgseg_cli.commands.evaluate.options import Place, Wanted, plain, write_beside
from pgseg_cli.console import print_table, progress_bar
from pgseg_core.data.labelled import open_labelled_images
from pgseg_core.data.manifest import newest_prepared
from pgseg_core.errors import ConfigError, DataError
from pgseg_core.evaluation.image_tasks import (
    class_vocabulary,
    evaluate_classification,
    evaluate_retrieval,
)
from pgseg_core.evaluation.protocols import class_list_hash
from pgseg_core.evaluation.report.task_reports import ClassificationReport, RetrievalReport
from pgseg_core.weights import weights_hash


def measure_retrieval(wanted: Wanted, place: Place) -> list[Any]:
    """Search captions with images and back."""
    shards, split = _alone(wanted), wanted.split or "test"
    segmenter = place.load(wanted.weights)
    with progress_bar("evaluating retrieval") as bar:
        scores = evaluate_retrieval(
            segmenter,
            shards,
            split,
            place.comm,
            on_progress=lambda done, total: bar(done, total, ""),
        )
    report = RetrievalReport(
        shards=str(shards),
        split=split,
        weights=segmenter.origin,
        weights_hash=weights_hash(segmenter.origin),
        scores=scores,
    )
    title = f"{shards}, split {split}: {scores.num_images} images, {scores.num_texts} captions"
    print_table(title, ("recall % at", *map(str, scores.ks)), report.rows())
    if wanted.out is not None and place.comm.rank == 0:
        write_beside(report, wanted.out)
    return [plain(report)]


def measure_classification(wanted: Wanted, place: Place) -> list[Any]:
    """Give every image the class whose name fits best."""
    images = open_labelled_images(_alone(wanted), wanted.split or "val")
    vocabulary = class_vocabulary(images, wanted.overrides.classes)
    segmenter = place.load(wanted.weights)
    templates = wanted.overrides.templates or "simple"
    with progress_bar(f"classifying {images.name}") as bar:
        scores = evaluate_classification(
            segmenter,
            images,
            vocabulary,
            place.comm,
            templates=templates,
            limit=wanted.limit,
            on_progress=lambda done, total: bar(done, total, ""),
        )
    report = ClassificationReport(
        dataset=images.name,
        class_names=vocabulary.names,
        class_hash=class_list_hash(vocabulary.names, vocabulary.prompts),
        templates=templates,
        weights=segmenter.origin,
        weights_hash=weights_hash(segmenter.origin),
        images_seen=sum(scores.class_images),
        scores=scores,
    )
    print_table(images.name, ("", ""), report.rows())
    if wanted.out is not None and place.comm.rank == 0:
        write_beside(report, wanted.out, {"classes.csv": report.to_csv()})
    return [plain(report)]


def _alone(wanted: Wanted) -> Path:
    """Return the one folder of a task that is no segmentation, and refuse what it cannot use."""
    unused = {
        "--dataset": wanted.datasets,
        "--masks": wanted.masks,
        "--regroup": wanted.regroup,
        "--baseline": wanted.baseline,
        "--sweep-background": wanted.sweep,
        "--quality": wanted.quality,
    }
    given = [option for option, value in unused.items() if value]
    if given or len(wanted.data_roots) > 1:
        option = given[0] if given else "a second --data-root"
        raise ConfigError(
            f"--task {wanted.task} has no use for {option}", hint="Its data is --data-root DIR."
        )
    if wanted.data_roots:
        return wanted.data_roots[0]
    if wanted.task == "classification":
        raise DataError(
            "where are the images?",
            hint="Name their folder: --data-root DIR with CLASS/*.jpg, or with shards.",
        )
    return newest_prepared(Path())
