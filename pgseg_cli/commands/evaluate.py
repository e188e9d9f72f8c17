"""`pgseg eval`: numbers that can be compared."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgseg_cli.console import print_json, print_table, progress_bar, say
from pgseg_cli.options import Device, Json, Weights

if TYPE_CHECKING:
    from pgseg_core.inference.segmenter import Segmenter


def evaluate(
    weights: Weights = None,
    dataset: Annotated[
        str,
        typer.Option(
            "--dataset",
            help="voc12, scenes, folder (images/, masks/, classes.txt), or retrieval.",
        ),
    ] = "scenes",
    data_root: Annotated[
        Path | None,
        typer.Option(
            "--data-root",
            help="The set's folder. For scenes and retrieval the default is the newest prepared "
            "folder here.",
        ),
    ] = None,
    protocol: Annotated[
        str, typer.Option("--protocol", help="The protocol that is followed: groupvit.")
    ] = "groupvit",
    system: Annotated[
        str,
        typer.Option("--system", help="Whose thresholds of the protocol: pgseg or groupvit."),
    ] = "pgseg",
    threshold: Annotated[
        float | None,
        typer.Option("--threshold", min=0.0, max=1.0, help="Instead of the protocol's."),
    ] = None,
    templates: Annotated[
        str | None, typer.Option("--templates", help="Instead of the protocol's.")
    ] = None,
    own_size: Annotated[
        bool,
        typer.Option(
            "--own-size/--protocol-size",
            help="Read images at the size the model was made for, or at the protocol's (448).",
        ),
    ] = True,
    split: Annotated[
        str, typer.Option("--split", help="The split that retrieval searches.")
    ] = "test",
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Only the first so many images.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="A folder for report.json and classes.csv.")
    ] = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Measure weights: mIoU on a set with masks, or image-text retrieval."""
    from pgseg_core.inference.segmenter import Segmenter

    if dataset == "retrieval":
        _retrieval(Segmenter.load(weights, device=device), data_root, split, json=json)
        return
    import json as json_text

    from pgseg_core.comm import LocalCollectives
    from pgseg_core.data.segmentation import open_segmentation_set
    from pgseg_core.evaluation.protocols import load_protocol
    from pgseg_core.evaluation.report import TABLE_COLUMNS, write_report
    from pgseg_core.evaluation.zero_shot import evaluate_zero_shot

    rules = load_protocol(protocol)
    images = open_segmentation_set(dataset, _root(dataset, data_root))
    segmenter = Segmenter.load(weights, device=device)
    with progress_bar(f"evaluating {dataset}") as bar:
        report = evaluate_zero_shot(
            segmenter,
            images,
            rules,
            LocalCollectives(),
            system=system,
            threshold=threshold,
            templates=templates,
            own_size=own_size,
            limit=limit,
            on_progress=lambda done, total: bar(done, total, ""),
        )
    print_table(dataset, TABLE_COLUMNS, report.table_rows())
    print_table("", ("", ""), report.summary_rows())
    if json:
        print_json(json_text.loads(report.to_json()))
    if out is not None:
        say(f"report: {write_report(report, out)}")


def _retrieval(segmenter: "Segmenter", data: Path | None, split: str, *, json: bool) -> None:
    from dataclasses import asdict

    from pgseg_core.data.manifest import newest_prepared
    from pgseg_core.evaluation.zero_shot import evaluate_retrieval

    shards = data or newest_prepared(Path())
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
    if json:
        print_json({"shards": str(shards), "split": split, **asdict(scores)})


def _root(dataset: str, data_root: Path | None) -> Path:
    from pgseg_core.data.manifest import newest_prepared
    from pgseg_core.data.prepare.synthetic import EVALUATION_FOLDER
    from pgseg_core.errors import DataError

    if data_root is not None:
        return data_root
    if dataset != "scenes":
        raise DataError(f"where is {dataset}?", hint="Name its folder: --data-root DIR")
    return newest_prepared(Path()) / EVALUATION_FOLDER
