"""`pgseg segment`: photos and class names in, labelled pictures out."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pgseg_cli.commands.segment.class_options import ask
from pgseg_cli.commands.segment.preview import show_preview
from pgseg_cli.completion import FORMATS, complete_list, complete_runtimes
from pgseg_cli.console import print_error, print_json, print_table, progress_bar, say, share_text
from pgseg_cli.options import (
    Background,
    BackgroundWords,
    Classes,
    Device,
    Flip,
    Json,
    Refine,
    Scale,
    Size,
    Suggest,
    Suggestions,
    Templates,
    Threshold,
    TopK,
    Vocab,
    Weights,
)

if TYPE_CHECKING:
    from pgseg_core.results.job import Outcome

_LONG_LIST = 24
"""Of more classes than this, the terminal lists those that were found."""


def segment(
    images: Annotated[
        list[str],
        typer.Argument(
            help="Photos, folders of photos, 'patterns/**/*.jpg', addresses (https://...), or - "
            "for standard input."
        ),
    ],
    classes: Classes = None,
    vocab: Vocab = None,
    suggest: Suggest = False,
    suggestions: Suggestions = 6,
    weights: Weights = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The folder for pictures, masks and JSON.")
    ] = Path("segmented"),
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            "-f",
            help="Further files, between commas: coco, labelme, geojson, npz (scores), png (one "
            "transparent picture a class).",
            autocompletion=complete_list(*FORMATS),
        ),
    ] = None,
    background: Background = False,
    threshold: Threshold = None,
    background_words: BackgroundWords = None,
    top_k: TopK = 5,
    refine: Refine = "none",
    scale: Scale = "1",
    flip: Flip = False,
    size: Size = None,
    templates: Templates = "simple",
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Leave photos alone that an earlier call has finished."),
    ] = False,
    gallery: Annotated[
        bool, typer.Option("--gallery/--no-gallery", help="Write index.html for several photos.")
    ] = True,
    preview: Annotated[
        bool | None,
        typer.Option(
            "--preview/--no-preview",
            help="Show one photo's picture in the terminal. Default: where the terminal can.",
        ),
    ] = None,
    device: Device = "auto",
    runtime: Annotated[
        str,
        typer.Option(
            "--runtime",
            "--engine",
            help="What computes the networks: torch, or onnx, which starts in half the time, for "
            "models that pgseg export onnx has written. Default: by the weights.",
            autocompletion=complete_runtimes,
        ),
    ] = "auto",
    json: Json = False,
) -> None:
    """Label every pixel of a photo with one of the classes you name."""
    from pgseg_core.photos.inputs import find_photos
    from pgseg_core.results.formats import parse_formats
    from pgseg_core.results.job import Job, run_job

    further = parse_formats(formats or [])
    asked = ask(
        classes, vocab, suggestions if suggest else None, templates=templates,
        background=background, threshold=threshold, background_words=background_words,
        top_k=top_k, refine=refine, scale=scale, flip=flip, size=size,
    )  # fmt: skip
    photos = find_photos(images, outside=out)
    question = asked.open(weights, device, runtime)
    single = len(photos) == 1
    job = Job(
        out=out,
        question=question.plain,
        formats=further,
        resume=resume,
        gallery=gallery and not single,
    )
    segment = partial(question.segmenter.stream, classes=question.classes, options=question.options)
    try:
        with progress_bar("segmenting") as bar:

            def tell(count: int, name: str) -> None:
                bar(count, len(photos), Path(name).name)

            done = run_job(segment, photos, job, tell)
    except KeyboardInterrupt:
        say("stopped; finished photos are whole. Go on: the same line with --resume")
        raise
    if single and done.skipped:
        raise done.skipped[0][1]
    if json:
        records = [entry.record for entry in done.entries]
        print_json(records[0] if single else records)
    _show(done, out)
    if single and preview is not False:
        show_preview(Path(done.entries[0].record["overlay"]), wanted=bool(preview))
    if done.skipped:
        say(f"skipped {len(done.skipped)} of {len(photos)} photos:")
        for _, problem in done.skipped:
            print_error(problem)
        raise typer.Exit(2)


def _show(done: "Outcome", out: Path) -> None:
    records = [entry.record for entry in done.entries]
    if len(records) == 1 and done.page is None:
        _show_one(records[0])
        return
    if done.resumed:
        say(f"{done.resumed} photos were finished before")
    _print_classes(
        f"{'1 photo' if len(records) == 1 else f'{len(records)} photos'} in {out}",
        ("class", "photos", "mean share", "mean score"),
        _summary(records),
    )
    say(f"look through them: {done.page}" if done.page else f"results in {out}")


def _show_one(record: dict[str, Any]) -> None:
    rows = [
        (entry["name"], share_text(entry["share"]), f"{entry['score']:.2f}", entry["pixels"])
        for entry in record["classes"]
    ]
    _print_classes(record["image"], ("class", "share", "score"), rows)
    files = [record["overlay"], record["mask"], *record.get("formats", {}).values()]
    say("   ".join(files))


def _print_classes(title: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Print a table of classes, whose rows end in their pixels: of a long list, what was found."""
    shown = [row for row in rows if row[-1]] if len(rows) > _LONG_LIST else rows
    print_table(title, columns, [row[:-1] for row in shown])
    if len(shown) < len(rows):
        say(f"{len(rows) - len(shown)} other classes were not found")


def _summary(records: Sequence[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Sum up each class over the photos, those found most often first."""
    found: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        for entry in record["classes"]:
            found.setdefault(entry["name"], [])
            if entry["pixels"]:
                found[entry["name"]].append(entry)
    order = sorted(found.items(), key=lambda item: -len(item[1]))
    return [
        (
            name,
            str(len(entries)),
            share_text(sum(entry["share"] for entry in entries) / len(records)),
            f"{sum(entry['score'] for entry in entries) / len(entries):.2f}" if entries else "",
            sum(entry["pixels"] for entry in entries),
        )
        for name, entries in order
    ]
