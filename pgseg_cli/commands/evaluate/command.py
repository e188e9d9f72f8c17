"""`pgseg eval`: numbers that can be compared, and their comparison."""

from pathlib import Path
from typing import Annotated

import typer

from pgseg_cli.completion import (
    BASELINES,
    DATASETS,
    PROTOCOLS,
    TASKS,
    TEMPLATES,
    complete_background_words,
    complete_from,
    complete_list,
    complete_refinements,
)
from pgseg_cli.console import print_json, print_table, say
from pgseg_cli.options import Device, Json, Unlabelled, Weights

app = typer.Typer(help="Measure weights, and compare two measurements.")


@app.callback(invoke_without_command=True)
def evaluate(
    context: typer.Context,
    task: Annotated[
        str,
        typer.Option(
            "--task",
            help="segmentation; retrieval of images and captions in shards; or zero-shot "
            "classification of CLASS/*.jpg folders or shards.",
            autocompletion=complete_from(*TASKS),
        ),
    ] = "segmentation",
    weights: Weights = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option(
            "--dataset",
            help="voc12, voc20, context59, context60, coco-object, coco-stuff, ade20k, cityscapes, "
            "camvid, lvis, imagenet-s, folder (images/, masks/, classes.txt) or scenes. Several: "
            "repeat it, or put commas between. Default: scenes.",
            autocompletion=complete_list(*DATASETS),
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
        str,
        typer.Option(
            "--protocol",
            help="The protocol to follow: groupvit, tcl or sclip.",
            autocompletion=complete_from(*PROTOCOLS),
        ),
    ] = "groupvit",
    system: Annotated[
        str | None,
        typer.Option(
            "--system",
            help="Whose thresholds of protocol groupvit: pgseg (the default), groupvit or "
            "ovsegmentor.",
        ),
    ] = None,
    background: Annotated[
        str,
        typer.Option(
            "--background",
            help="auto (the protocol's threshold), none, a threshold such as 0.9, recommended (by "
            "the weights' card), or a folder that --sweep-background wrote on other images.",
        ),
    ] = "auto",
    background_words: Annotated[
        str | None,
        typer.Option(
            "--background-words",
            help="Words that compete like classes and answer as background, besides the threshold: "
            'stuff (a built-in list), a file, "grass,sky", or none. No protocol has them.',
            autocompletion=complete_background_words,
        ),
    ] = None,
    classes: Annotated[
        Path | None,
        typer.Option("--classes", help="A class file with other wordings for the set's classes."),
    ] = None,
    regroup: Annotated[
        Path | None,
        typer.Option(
            "--regroup",
            help="Measure other classes than the set's: a JSON file that gives each class values "
            "of the mask files (ids) and wordings (synonyms); other pixels are not counted.",
        ),
    ] = None,
    templates: Annotated[
        str | None,
        typer.Option(
            "--templates",
            help="Instead of the protocol's: simple, subset, full, or a text file.",
            autocompletion=complete_from(*TEMPLATES),
        ),
    ] = None,
    refine: Annotated[
        str,
        typer.Option(
            "--refine",
            help="none, or pamr or crf: masks follow the image's edges (slower).",
            autocompletion=complete_refinements,
        ),
    ] = "none",
    unlabelled: Unlabelled = None,
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
    quality: Annotated[
        bool,
        typer.Option(
            "--quality",
            help="Also measure the groups as masks without a class: compactness, richness, over- "
            "and under-segmentation, objects found.",
        ),
    ] = False,
    masks: Annotated[
        Path | None,
        typer.Option(
            "--masks",
            help="Measure another system's class-free masks instead of weights: a folder with "
            "NAME.png, NAME.npy, NAME.json or NAME/*.png for each image.",
        ),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline",
            help="Measure a trivial answer instead of weights: background, frequent, "
            "random-classes, best-class or random-groups.",
            autocompletion=complete_from(*BASELINES),
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            "--split", help="The split that retrieval searches (test) or that is classified (val)."
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Only the first so many images.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="A folder for report.html, report.json and classes.csv."),
    ] = None,
    nproc: Annotated[
        int | None,
        typer.Option("--nproc", min=1, help="Processes on this machine that share the work."),
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option("--backend", help="Whose processes they are; see pgseg backends."),
    ] = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Measure weights: mIoU on sets with masks, retrieval, or zero-shot classification."""
    if context.invoked_subcommand is not None:
        return
    from pgseg_cli.commands.evaluate.options import Wanted
    from pgseg_cli.commands.evaluate.processes import session, started_elsewhere
    from pgseg_cli.commands.evaluate.segmentation import measure
    from pgseg_core.evaluation.resolve import Overrides

    if started_elsewhere(nproc):
        return

    wanted = Wanted(
        task=task,
        weights=weights,
        datasets=dataset or [],
        data_roots=data_root or [],
        protocol=protocol,
        overrides=Overrides(
            system=system,
            background=background,
            background_words=background_words,
            templates=templates,
            classes=classes,
            refine=refine,
        ),
        regroup=regroup,
        unlabelled=unlabelled,
        own_size=own_size,
        sweep=sweep_background,
        quality=quality,
        masks=masks,
        baseline=baseline,
        split=split,
        limit=limit,
        out=out,
        json=json,
    )
    with session(device, backend) as place:
        measure(wanted, place)


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(help="report.json of one system, or its folder.")],
    b: Annotated[Path, typer.Argument(help="The same of the other.")],
    across_protocols: Annotated[
        bool,
        typer.Option("--across-protocols", help="Compare reports of different protocols."),
    ] = False,
    json: Json = False,
) -> None:
    """Compare two reports of the same images: per class, and whether B is really better."""
    from dataclasses import asdict

    from pgseg_core.evaluation.report.compare import compare_reports, read_report
    from pgseg_core.evaluation.report.report import interval_text, percent, without_nan

    found = compare_reports(read_report(a), read_report(b), across_protocols=across_protocols)
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
