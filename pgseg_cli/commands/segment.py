"""`pgseg segment`: a photo and class names in, a labelled picture out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgseg_cli.console import print_error, print_json, print_table, progress_bar, say
from pgseg_cli.options import Classes, Device, Json, Templates, Weights

if TYPE_CHECKING:
    from pgseg_core.viz.results import ResultFiles


def segment(
    images: Annotated[list[Path], typer.Argument(help="Photos, or folders of photos.")],
    classes: Classes,
    weights: Weights = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The folder for pictures, masks and JSON.")
    ] = Path("segmented"),
    background: Annotated[
        bool,
        typer.Option(
            "--background/--no-background",
            help="Whether pixels may belong to none of the classes (index 0 of the mask).",
        ),
    ] = False,
    threshold: Annotated[
        float,
        typer.Option(
            "--threshold", min=0.0, max=1.0, help="Groups that score below this are background."
        ),
    ] = 0.95,
    templates: Templates = "simple",
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Label every pixel of a photo with one of the classes you name."""
    from pgseg_core.data.images import read_image
    from pgseg_core.errors import DataError
    from pgseg_core.inference.inputs import find_photos
    from pgseg_core.inference.segmenter import Segmenter
    from pgseg_core.text.vocabulary import load_vocabulary
    from pgseg_core.viz.results import write_result

    vocabulary = load_vocabulary(classes)
    photos = find_photos(images)
    segmenter = Segmenter.load(weights, device=device)
    say(f"weights: {segmenter.origin}")
    if len(vocabulary) == 1 and not background:
        say("one class without --background covers the whole photo")
    bank = segmenter.embed_classes(vocabulary, templates=templates)
    about = {"weights": segmenter.origin, "threshold": threshold if background else None}
    results: list[ResultFiles] = []
    skipped: list[DataError] = []
    with progress_bar("segmenting") as bar:
        for done, photo in enumerate(photos, start=1):
            try:
                image = read_image(photo.source)
                found = segmenter.segment(image, bank, background=background, threshold=threshold)
                stem, file = out / photo.stem, {"image": str(photo.source)}
                results.append(write_result(image, found, stem, {**file, **about}))
            except DataError as error:
                if len(photos) == 1:
                    raise
                skipped.append(error)
            bar(done, len(photos), photo.source.name)
    if json:
        records = [result.record for result in results]
        print_json(records[0] if len(photos) == 1 else records)
    _show(results, out)
    if skipped:
        say(f"skipped {len(skipped)} of {len(photos)} photos:")
        for problem in skipped:
            print_error(problem)
        raise typer.Exit(2)


def _show(results: "list[ResultFiles]", out: Path) -> None:
    if len(results) == 1:
        record = results[0].record
        rows = [
            (entry["name"], f"{entry['share']:.1%}", f"{entry['score']:.2f}")
            for entry in record["classes"]
        ]
        print_table(record["image"], ("class", "share", "score"), rows)
        say(f"overlay {results[0].overlay}   mask {results[0].mask}   numbers {results[0].numbers}")
    else:
        say(f"{len(results)} photos segmented, results in {out}")
