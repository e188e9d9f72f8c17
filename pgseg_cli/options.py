"""Options that several commands share, declared once."""

from pathlib import Path
from typing import Annotated

import typer

from pgseg_cli.completion import (
    TEMPLATES,
    complete_background_words,
    complete_from,
    complete_refinements,
    complete_vocabularies,
    complete_weights,
)

Weights = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        "-w",
        help="A run or checkpoint folder, or a name that pgseg models lists. Default: the bundled "
        "weights, else the newest run under runs/.",
        autocompletion=complete_weights,
    ),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")]
Classes = Annotated[
    str | None,
    typer.Option(
        "--classes",
        "-c",
        help='Class names between commas ("sky,road"), or @file: one class a line, synonyms after '
        "commas, # for comments.",
    ),
]
Vocab = Annotated[
    str | None,
    typer.Option(
        "--vocab",
        help="A built-in list of classes: voc12, context, coco, coco-stuff, ade20k, cityscapes, "
        "camvid.",
        autocompletion=complete_vocabularies,
    ),
]
Suggest = Annotated[
    bool,
    typer.Option(
        "--suggest",
        help="Let the model choose, for each photo, among some 2000 nouns (or the classes named).",
    ),
]
Suggestions = Annotated[
    int, typer.Option("--suggestions", min=1, help="How many classes --suggest takes.")
]
Background = Annotated[
    bool,
    typer.Option(
        "--background/--no-background",
        help="Whether pixels may belong to none of the classes (index 0 of the mask).",
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option(
        "--threshold",
        min=0.0,
        max=1.0,
        help="Groups that score below this are background. Default: what the weights recommend, "
        "else 0.95.",
    ),
]
BackgroundWords = Annotated[
    str | None,
    typer.Option(
        "--background-words",
        help="Words that compete like classes and answer as background: stuff (a built-in list), a "
        'file, "grass,sky", or none. Default: what the weights recommend, else none.',
        autocompletion=complete_background_words,
    ),
]
TopK = Annotated[int, typer.Option("--top-k", min=1, help="How many classes a window may show.")]
Refine = Annotated[
    str,
    typer.Option(
        "--refine",
        help="Fit masks to the photo's edges: none, pamr or crf.",
        autocompletion=complete_refinements,
    ),
]
Scale = Annotated[
    str,
    typer.Option(
        "--scale", help="Read the photo at several relative sizes and average: 0.75,1,1.25."
    ),
]
Flip = Annotated[
    bool, typer.Option("--flip/--no-flip", help="Read the mirror image as well, and average.")
]
Size = Annotated[
    int | None,
    typer.Option(
        "--size", help="Short side, in pixels, at which the photo is read. Default: the model's."
    ),
]
Templates = Annotated[
    str,
    typer.Option(
        "--templates",
        help="Prompt templates: simple, subset, full, or a text file.",
        autocompletion=complete_from(*TEMPLATES),
    ),
]
Unlabelled = Annotated[
    str | None,
    typer.Option(
        "--unlabelled",
        help="What pixels without any label are: background or ignore. Of coco-object (background "
        "when left away) and lvis (ignore).",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there already.")]
