"""`pgseg viz compare`: photos, what systems make of them, and the ground truth."""

from typing import Annotated

import typer

from pgseg_cli.commands.viz.options import (
    DataRoot,
    Dataset,
    Format,
    Images,
    Limit,
    Models,
    Names,
    Out,
    Photos,
    Width,
)
from pgseg_cli.options import Device, Templates


def compare(
    photos: Photos = None,
    weights: Models = None,
    names: Names = None,
    classes: Annotated[
        str | None,
        typer.Option(
            "--classes", "-c", help="Classes to look for, as in pgseg segment; a set has its own."
        ),
    ] = None,
    dataset: Dataset = None,
    data_root: DataRoot = None,
    images: Images = None,
    masks: Annotated[
        list[str] | None,
        typer.Option(
            "--masks",
            help="Class-free masks of another system: NAME=FOLDER with an index PNG, .npy stack, "
            "segment-anything .json or folder of PNGs for each photo. Repeat it for several.",
        ),
    ] = None,
    background: Annotated[
        bool,
        typer.Option(
            "--background/--no-background",
            help="With --classes: whether pixels may belong to none of them.",
        ),
    ] = False,
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold",
            min=0.0,
            max=1.0,
            help="Groups that score below this are background. Default: what each model's card "
            "recommends, else 0.95.",
        ),
    ] = None,
    templates: Templates = "simple",
    palette: Annotated[
        str,
        typer.Option(
            "--palette",
            help="safe (told apart by colour-blind readers too) or own (the set's publishers').",
        ),
    ] = "safe",
    out: Out = None,
    width: Width = 6.9,
    suffix: Format = "png",
    limit: Limit = 4,
    device: Device = "auto",
) -> None:
    """Draw photos beside what models make of them, ground truth and other systems' masks."""
    from pgseg_cli.commands.viz.comparing import Comparison, draw

    draw(
        Comparison(
            photos=photos or [],
            weights=weights or [],
            names=names,
            classes=classes,
            dataset=dataset,
            data_root=data_root,
            images=images,
            masks=masks or [],
            background=background,
            threshold=threshold,
            templates=templates,
            palette=palette,
            out=out,
            width=width,
            suffix=suffix,
            limit=limit,
            device=device,
        )
    )
