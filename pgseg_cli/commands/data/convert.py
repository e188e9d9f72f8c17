"""`pgseg data convert`: an evaluation set as images, index masks and a class file."""

from pathlib import Path
from typing import Annotated

import typer

from pgseg_cli.console import next_step, print_json, progress_bar, say
from pgseg_cli.options import Json, Overwrite, Unlabelled


def convert(
    root: Annotated[Path, typer.Argument(help="The set's folder, as it is published.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")],
    dataset: Annotated[
        str | None,
        typer.Option(
            "--set",
            help="voc12, voc20, context59, context60, coco-object, coco-stuff, ade20k, cityscapes, "
            "camvid, lvis, imagenet-s or folder; found out when left away.",
        ),
    ] = None,
    unlabelled: Unlabelled = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Write an evaluation set as images/, masks/ and classes.txt, for any program to read."""
    from dataclasses import asdict

    from pgseg_core.data.segmentation import (
        open_segmentation_set,
        parse_unlabelled,
        recognise_set,
    )
    from pgseg_core.data.segmentation.convert import convert_set
    from pgseg_core.errors import ConfigError

    if dataset is None:
        found = recognise_set(root)
        if found is None:
            raise ConfigError(
                f"{root} is the tree of no set that pgseg knows",
                hint="Name the set to see what is missing: --set ade20k",
            )
        dataset = found.name
        say(f"{root} is {dataset} (--set says otherwise)")
    images = open_segmentation_set(dataset, root, unlabelled=parse_unlabelled(unlabelled))
    with progress_bar(f"converting {dataset}") as bar:
        converted = convert_set(
            images,
            out,
            overwrite=overwrite,
            on_progress=lambda done, total: bar(done, total, "images"),
        )
    if json:
        print_json(asdict(converted))
    say(
        f"{converted.images:,} images with {converted.classes} classes in {out}; pixels of "
        f"{converted.ignore_label} are not counted"
    )
    next_step(f"pgseg eval --dataset folder --data-root {out}")
