"""`pgseg data stats`: what a set of image-text pairs is like, in numbers and in a picture."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgseg_cli.console import print_json, print_table, progress_bar, say
from pgseg_cli.options import Json

if TYPE_CHECKING:
    from pgseg_core.data.stats import Spread, Statistics


def stats(
    folder: Annotated[
        Path, typer.Argument(help="A prepared folder, or shards of others (folder, tar, pattern).")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The picture; default: FOLDER_samples.png, here."),
    ] = None,
    samples: Annotated[
        int, typer.Option("--samples", min=1, max=200, help="Photos in the picture.")
    ] = 24,
    nouns: Annotated[
        int, typer.Option("--nouns", min=0, help="How many of the most common nouns are listed.")
    ] = 20,
    seed: Annotated[int, typer.Option("--seed", help="Another seed draws other photos.")] = 0,
    json: Json = False,
) -> None:
    """Show sizes, caption lengths, common nouns and duplicates, and draw a sheet of samples."""
    from dataclasses import asdict

    from pgseg_core.data.stats import draw_pairs, measure
    from pgseg_core.text.nouns import find_nouns
    from pgseg_core.viz.samples import draw_samples, save_samples

    with progress_bar("reading") as bar:
        measured = measure(
            folder,
            find_nouns,
            num_nouns=nouns,
            on_progress=lambda done, total: bar(done, total, "shards"),
        )
    out = out or Path(f"{folder.resolve().name.partition('.')[0]}_samples.png")
    pairs = draw_pairs(folder, samples, seed)
    save_samples(draw_samples([(pair.image, pair.captions) for pair in pairs]), out)
    if json:
        print_json(asdict(measured) | {"picture": str(out)})
    _show(measured, folder)
    say(f"a sheet of {len(pairs)} samples: {out}")


def _show(measured: "Statistics", folder: Path) -> None:
    splits = ", ".join(f"{name or 'unnamed'} {count:,}" for name, count in measured.splits.items())
    say(f"{folder}: {measured.images:,} images ({splits}), {measured.captions:,} captions")
    rows = [
        ("width, pixels", *_numbers(measured.width)),
        ("height, pixels", *_numbers(measured.height)),
        ("size, kB", *_numbers(measured.kilobytes)),
        ("captions an image", *_numbers(measured.captions_per_image)),
        ("words a caption", *_numbers(measured.words)),
    ]
    print_table("", ("", "mean", "smallest", "5 %", "median", "95 %", "largest"), rows)
    if measured.nouns:
        named = [(noun, f"{100 * share:.1f} %") for noun, share in measured.nouns.items()]
        print_table("nouns", ("noun", "images"), named)
    say(f"images whose captions name no known thing: {100 * measured.without_noun:.1f} %")
    say(
        f"repeated: {measured.repeated_images:,} images, {measured.repeated_captions:,} captions"
        + (f"; unreadable: {measured.unreadable:,} samples" if measured.unreadable else "")
    )


def _numbers(spread: "Spread") -> list[str]:
    return [f"{value:,.1f}".removesuffix(".0") for value in vars(spread).values()]
