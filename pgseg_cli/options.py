"""Options that several commands share, declared once."""

from pathlib import Path
from typing import Annotated

import typer

Weights = Annotated[
    Path | None,
    typer.Option(
        "--weights", "-w", help="A run or checkpoint folder. Default: the newest run under runs/."
    ),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")]
Classes = Annotated[
    str,
    typer.Option(
        "--classes",
        "-c",
        help='Class names between commas ("sky,road"), @file with one class a line, or the '
        "name of a built-in list: voc12, context, coco-object, coco-stuff, ade20k, ...",
    ),
]
Templates = Annotated[
    str,
    typer.Option("--templates", help="Prompt templates: simple, subset, full, or a text file."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there already.")]
