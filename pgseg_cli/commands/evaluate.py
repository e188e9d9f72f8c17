"""`pgseg eval`: numbers that can be compared, and their comparison."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from pgseg_cli.console import print_json, print_table, progress_bar, say
from pgseg_cli.options import Device, Json, Weights

if TYPE_CHECKING:
    from pgseg_core.data.segmentation import SegmentationSet
    from pgseg_core.evaluation.report import Report
    from pgseg_core.inference.segmenter import Segmenter

app = typer.Typer(help="Measure weights, and compare two measurements.")


@app.callback(invoke_without_command=True)
def evaluate(
    context: typer.Context,
    weights: Weights = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option(
            "--dataset",
            help="voc12, voc20, context59, context60, coco-object, coco-stuff, ade20k, cityscapes, "
            "camvid, folder (images/, masks/, classes.txt), scenes, or retrieval. Several: repeat "
            "it, or put commas between. Default: scenes.",
        ),
    ] = None,
    data_root: Annotated[
        list[Path] | None,
        typer.Option(
            "--data-root",
            help="The set's folder; for several sets one each, in their order. For scenes and "
            "retrieval the default is the newest prepared folder here.",
        ),
    ] = None,
    protocol: Annotated[
        str, typer.Option("--protocol", help="The protocol to follow: groupvit, tcl or sclip.")
    ] = "groupvit",
    system: Annotated[
        str | None,
        typer.Option(
            "--system",
            help="Whose thresholds of protocol groupvit: pgseg (the default) or groupvit.",
        ),
    ] = None,
    background: Annotated[
        str,
        typer.Option(
            "--background",
            help="auto (the protocol's threshold), none, or a threshold such as 0.9.",
        ),
    ] = "auto",
    classes: Annotated[
        Path | None,
        typer.Option("--classes", help="A class file with other wordings for the set's classes."),
    ] = None,
    templates: Annotated[
        str | None,
        typer.Option(
            "--templates", help="Instead of the protocol's: simple, subset, full, or a text file."
        ),
    ] = None,
    refine: Annotated[
        str,
        typer.Option("--refine", help="none, or pamr: masks follow the image's edges (slower)."),
    ] = "none",
    unlabelled: Annotated[
        str | None,
        typer.Option(
            "--unlabelled",
            help="coco-object's pixels without label: background (the default) or ignore.",
        ),
    ] = None,
    own_size: Annotated[
        bool,
        typer.Option(
            "--own-size/--protocol-size",
            help="Read images at the size the model was made for, or at the protocol's.",
        ),
    ] = True,
    sweep_background: Annotated[
        bool,
        typer.Option("--sweep-background", help="Also take mIoU against the threshold."),
    ] = False,
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline",
            help="Measure a trivial answer instead of weights: background, frequent or "
            "random-groups.",
        ),
    ] = None,
    split: Annotated[
        str, typer.Option("--split", help="The split that retrieval searches.")
    ] = "test",
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Only the first so many images.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="A folder for report.html, report.json and classes.csv."),
    ] = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Measure weights: mIoU on sets with masks, or image-text retrieval."""
    if context.invoked_subcommand is not None:
        return
    from pgseg_core.comm import LocalCollectives
    from pgseg_core.evaluation.gallery import Gallery
    from pgseg_core.evaluation.page import write_page
    from pgseg_core.evaluation.protocols import load_protocol
    from pgseg_core.evaluation.question import Overrides, ask
    from pgseg_core.evaluation.report import TABLE_COLUMNS, write_report
    from pgseg_core.evaluation.zero_shot import (
        evaluate_baseline,
        evaluate_zero_shot,
        refuse_sweep,
    )
    from pgseg_core.inference.segmenter import Segmenter

    names = _names(dataset)
    roots = _roots(names, data_root or [])
    if names == ["retrieval"]:
        _retrieval(Segmenter.load(weights, device=device), roots[0], split, json=json)
        return
    rules = load_protocol(protocol)
    wanted = Overrides(
        system=system,
        background=background,
        templates=templates,
        classes=classes,
        refine=refine,
    )
    sets = [
        _open(name, root, unlabelled, alone="coco-object" not in names)
        for name, root in zip(names, roots, strict=True)
    ]
    if baseline is None:
        for images in sets:
            ask(images, rules, wanted)  # what is wrong with any of them is said before the work
            if sweep_background:
                refuse_sweep(images)
    segmenter = None if baseline else Segmenter.load(weights, device=device)
    reports = []
    for images in sets:
        gallery = None if out is None else Gallery()
        with progress_bar(f"evaluating {images.name}") as bar:
            if segmenter is None:
                report = evaluate_baseline(
                    baseline or "",
                    images,
                    LocalCollectives(),
                    limit=limit,
                    on_answer=None if gallery is None else gallery.keep,
                    on_progress=lambda done, total: bar(done, total, ""),
                )
            else:
                report = evaluate_zero_shot(
                    segmenter,
                    images,
                    rules,
                    LocalCollectives(),
                    overrides=wanted,
                    own_size=own_size,
                    sweep=sweep_background,
                    limit=limit,
                    on_answer=None if gallery is None else gallery.keep,
                    on_progress=lambda done, total: bar(done, total, ""),
                )
        print_table(report.dataset, TABLE_COLUMNS, report.table_rows())
        print_table("", ("", ""), report.summary_rows())
        if out is not None and gallery is not None:
            folder = out if len(sets) == 1 else out / images.name
            say(f"report: {write_page(report, gallery, folder)}, {write_report(report, folder)}")
        reports.append(report)
    if json:
        values = [_plain(report) for report in reports]
        print_json(values[0] if len(values) == 1 else values)


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(help="report.json of one system, or its folder.")],
    b: Annotated[Path, typer.Argument(help="The same of the other.")],
    json: Json = False,
) -> None:
    """Compare two reports of the same images: per class, and whether B is really better."""
    from dataclasses import asdict

    from pgseg_core.evaluation.compare import compare_reports, read_report
    from pgseg_core.evaluation.report import interval_text, percent, without_nan

    found = compare_reports(read_report(a), read_report(b))
    rows = [
        (name, percent(first), percent(second), percent(second - first))
        for name, (first, second) in zip(found.a.class_names, found.iou, strict=True)
    ]
    print_table(found.a.dataset, ("class", "A IoU %", "B IoU %", "B - A"), rows)
    test = found.test
    summary = [
        ("mIoU % of A", percent(found.miou[0])),
        ("mIoU % of B", percent(found.miou[1])),
        ("difference", percent(test.difference)),
        ("  95 % interval", interval_text(test.interval)),
        ("p (paired bootstrap)", f"{test.p_value:.3g}"),
        ("images", str(len(found.a.images))),
        ("verdict", test.verdict),
    ]
    print_table("", ("", ""), summary)
    for difference in found.differences:
        say(f"measured differently in {difference}")
    if json:
        print_json(
            {
                "a": found.a.weights,
                "b": found.b.weights,
                "dataset": found.a.dataset,
                "miou": found.miou,
                **asdict(test),
                "verdict": test.verdict,
                "iou": dict(zip(found.a.class_names, without_nan(found.iou), strict=True)),
                "measured_differently_in": found.differences,
            }
        )


def _names(dataset: list[str] | None) -> list[str]:
    """Take `--dataset a,b` and `--dataset a --dataset b` for the same."""
    from pgseg_core.errors import ConfigError

    names = [name.strip() for given in dataset or ["scenes"] for name in given.split(",")]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ConfigError(f"--dataset: {twice[0]} is named twice", hint="Keep one of them.")
    if "retrieval" in names and len(names) > 1:
        raise ConfigError(
            "--dataset: retrieval is measured by itself", hint="Measure it in a call of its own."
        )
    return names


def _roots(names: list[str], given: list[Path]) -> list[Path]:
    from pgseg_core.data.manifest import newest_prepared
    from pgseg_core.data.prepare.synthetic import EVALUATION_FOLDER
    from pgseg_core.errors import DataError

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


def _open(name: str, root: Path, unlabelled: str | None, *, alone: bool) -> "SegmentationSet":
    from pgseg_core.data.segmentation import Unlabelled, open_segmentation_set
    from pgseg_core.errors import ConfigError

    choices: dict[str, Unlabelled] = {choice: choice for choice in get_args(Unlabelled)}
    if unlabelled is not None and unlabelled not in choices:
        raise ConfigError(f"--unlabelled {unlabelled}", hint=f"Known: {', '.join(choices)}")
    concerned = alone or name == "coco-object"
    choice = choices[unlabelled] if unlabelled is not None and concerned else None
    return open_segmentation_set(name, root, unlabelled=choice)


def _plain(report: "Report") -> Any:
    import json

    return json.loads(report.to_json())


def _retrieval(segmenter: "Segmenter", shards: Path, split: str, *, json: bool) -> None:
    from dataclasses import asdict

    from pgseg_core.evaluation.zero_shot import evaluate_retrieval

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
