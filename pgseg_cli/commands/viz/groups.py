"""`pgseg viz groups`: every group of each stage as a mask."""

from typing import TYPE_CHECKING, Annotated

import typer

from pgseg_cli.commands.viz.options import Format, Limit, Out, Photos, Stage, Width
from pgseg_cli.options import Device, Weights

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from matplotlib.figure import Figure


def groups(
    photos: Photos = None,
    weights: Weights = None,
    out: Out = None,
    stage: Stage = None,
    masks: Annotated[
        bool,
        typer.Option(
            "--masks",
            help="Also write each map as an index image, which viz compare and eval read as "
            "class-free masks (--masks).",
        ),
    ] = False,
    width: Width = 6.9,
    suffix: Format = "png",
    limit: Limit = 8,
    device: Device = "auto",
) -> None:
    """Draw every group of each stage as a mask."""
    from pgseg_cli.commands.viz.drawing import figure_path, load_model, save_all, stage_index
    from pgseg_core.figures.groups import draw_groups, save_group_image
    from pgseg_core.figures.photos import read_photos
    from pgseg_core.figures.probe import probe

    found = read_photos(photos or [], limit=limit)
    segmenter = load_model(weights, device=device)
    last = stage_index(segmenter, stage)
    numbers = range(last + 1) if stage is None else [last]
    several = len(found) * len(numbers) > 1

    def path(name: str, number: int, ending: str) -> "Path":
        named = f"{name}_stage{number + 1}" if len(numbers) > 1 else name
        return figure_path(out, "groups", named, several=several, suffix=ending)

    for photo in found:  # what is wrong with the names is said before the work
        path(photo.name, last, suffix)

    def figures() -> "Iterator[tuple[Path, Figure]]":
        for photo in found:
            seen = probe(segmenter, photo.image)
            for number in numbers:
                group_map = seen.group_of_patch(number).unflatten(0, seen.grid).numpy()
                count = len(seen.stages[number].queries)
                figure = draw_groups(seen.photo, group_map, count, stage=number, width=width)
                target = path(photo.name, number, suffix)
                yield target, figure
                if masks:
                    folder = target.parent / f"masks_stage{number + 1}"
                    size = (photo.image.height, photo.image.width)
                    save_group_image(group_map, size, folder / f"{photo.name}.png")

    save_all(figures())
