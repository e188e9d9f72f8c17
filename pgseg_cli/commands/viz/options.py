"""Options that figures share."""

from pathlib import Path
from typing import Annotated

import typer

from pgseg_cli.completion import DATASETS, complete_from

Photos = Annotated[
    list[str] | None,
    typer.Argument(
        help="Photos, folders of photos, or shards (a .tar or a prepared folder). Default: one of "
        "the embedded scenes.",
        show_default=False,
    ),
]
Models = Annotated[
    list[Path] | None,
    typer.Option(
        "--weights",
        "-w",
        help="A run or checkpoint folder; repeat it for models beside each other. Default: the "
        "bundled weights, else the newest run under runs/.",
    ),
]
Names = Annotated[
    str | None,
    typer.Option(
        "--names", help='What to call the models ("PGSeg,GroupViT"). Default: their folders.'
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        help="The figure (.png, .pdf, .svg), or a folder for the figures of several photos. "
        "Default: named after photo and command, here.",
    ),
]
Format = Annotated[
    str, typer.Option("--format", help="Of figures whose name is not given: png, pdf or svg.")
]
Width = Annotated[
    float,
    typer.Option(
        "--width",
        min=2.0,
        max=20.0,
        help="Of the figure in inches: 6.9 fills two columns of a paper, 3.3 one.",
    ),
]
Limit = Annotated[int, typer.Option("--limit", min=1, help="So many photos at most.")]
Stage = Annotated[
    int | None,
    typer.Option("--stage", min=1, help="The grouping stage, counted from 1. Default: the last."),
]
Dataset = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        help="Take photos and ground truth from a set that pgseg eval knows: scenes, voc12, "
        "coco-object, folder, ...",
        autocompletion=complete_from(*DATASETS),
    ),
]
DataRoot = Annotated[
    Path | None,
    typer.Option(
        "--data-root", help="The set's folder. For scenes: default the newest prepared one."
    ),
]
Images = Annotated[
    str | None,
    typer.Option(
        "--images", help="Names of the set's images, between commas. Default: its first ones."
    ),
]
