"""`pgseg viz attention`: where group tokens, or one patch, look."""

from typing import TYPE_CHECKING, Annotated

import typer

from pgseg_cli.commands.viz.options import Format, Limit, Out, Photos, Stage, Width
from pgseg_cli.options import Device, Weights

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from matplotlib.figure import Figure


def attention(
    photos: Photos = None,
    weights: Weights = None,
    out: Out = None,
    stage: Stage = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            help="Where one patch looks instead of the groups: left,top, each from 0 to 1 "
            "(0.5,0.5 is the middle).",
        ),
    ] = None,
    width: Width = 6.9,
    suffix: Format = "png",
    limit: Limit = 8,
    device: Device = "auto",
) -> None:
    """Draw what group tokens attend to, block by block, up to the assignment."""
    from pgseg_cli.commands.viz.drawing import (
        figure_path,
        load_model,
        parse_place,
        save_all,
        stage_index,
    )
    from pgseg_core.figures.attention import draw_group_attention, draw_patch_attention
    from pgseg_core.figures.photos import read_photos
    from pgseg_core.figures.probe import probe

    place = None if at is None else parse_place(at)
    found = read_photos(photos or [], limit=limit)
    several = len(found) > 1
    paths = [
        figure_path(out, "attention", photo.name, several=several, suffix=suffix) for photo in found
    ]
    segmenter = load_model(weights, device=device)
    number = stage_index(segmenter, stage)

    def figures() -> "Iterator[tuple[Path, Figure]]":
        for path, photo in zip(paths, found, strict=True):
            seen = probe(segmenter, photo.image)
            if place is None:
                yield path, draw_group_attention(seen, number, width=width)
            else:
                yield path, draw_patch_attention(seen, place, width=width)

    save_all(figures())
