"""`pgseg explain`: why each class won or lost in a photo."""

from dataclasses import asdict
from typing import Annotated

import typer

from pgseg_cli.commands.segment.class_options import ask
from pgseg_cli.console import print_json, print_table, say, share_text
from pgseg_cli.options import (
    Background,
    BackgroundWords,
    Classes,
    Device,
    Json,
    Size,
    Suggest,
    Suggestions,
    Templates,
    Threshold,
    TopK,
    Vocab,
    Weights,
)


def explain(
    image: Annotated[str, typer.Argument(help="A photo.")],
    classes: Classes = None,
    vocab: Vocab = None,
    suggest: Suggest = False,
    suggestions: Suggestions = 6,
    weights: Weights = None,
    background: Background = False,
    threshold: Threshold = None,
    background_words: BackgroundWords = None,
    top_k: TopK = 5,
    size: Size = None,
    templates: Templates = "simple",
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Say for each class why it was found in a photo or not, and what to change."""
    from pgseg_core.inference.explain import explain as explain_photo
    from pgseg_core.photos.decode import read_photo
    from pgseg_core.photos.inputs import find_photos

    asked = ask(
        classes, vocab, suggestions if suggest else None, templates=templates,
        background=background, threshold=threshold, background_words=background_words,
        top_k=top_k, refine="none", scale="1", flip=False, size=size,
    )  # fmt: skip
    photo = find_photos([image])[0]
    picture = read_photo(photo)
    question = asked.open(weights, device)
    reasons = explain_photo(question.segmenter, picture, question.classes, question.options)
    if json:
        print_json([asdict(reason) for reason in reasons])
    rows = [
        (
            each.name,
            f"{each.winner} {each.winner_score:.2f}",
            share_text(each.share),
            f"{each.rank} of {each.rivals}",
            f"{each.score:.2f}",
        )
        for each in reasons
    ]
    columns = ("class", "its best region became", "share", "place", "best score")
    print_table(photo.name, columns, rows, text=2)
    for each in reasons:
        say(f"{each.name}: {each.reason}" + (f". Try {each.advice}" if each.advice else ""))
