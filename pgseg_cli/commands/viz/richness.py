"""`pgseg viz richness`: how similar each patch is to the token of its group."""

from typing import Annotated

import typer

from pgseg_cli.commands.viz.options import (
    Format,
    Limit,
    Models,
    Names,
    Out,
    Photos,
    Stage,
    Width,
)
from pgseg_cli.options import Device


def richness(
    photos: Photos = None,
    weights: Models = None,
    names: Names = None,
    out: Out = None,
    stage: Stage = None,
    space: Annotated[
        str,
        typer.Option(
            "--space",
            help="Where similarity is taken: assignment (query and key) or tokens themselves.",
        ),
    ] = "assignment",
    width: Width = 6.9,
    suffix: Format = "png",
    limit: Limit = 8,
    device: Device = "auto",
) -> None:
    """Draw the similarity of each patch to its group's token, models side by side."""
    from pgseg_cli.commands.viz.drawing import figure_path, load_models, save_all, stage_index
    from pgseg_core.errors import ConfigError, did_you_mean
    from pgseg_core.figures.photos import read_photos
    from pgseg_core.figures.probe import probe
    from pgseg_core.figures.richness import SPACES, draw_richness, measure_richness

    if space not in SPACES:
        raise ConfigError(f"--space: no space called '{space}'", hint=did_you_mean(space, SPACES))
    found = read_photos(photos or [], limit=limit)
    path = figure_path(out, "richness", found[0].name, several=False, suffix=suffix)
    models = load_models(weights, names, device=device)
    shown = []
    for model in models:
        number = stage_index(model.segmenter, stage)
        seen = [probe(model.segmenter, photo.image) for photo in found]
        shown.append((model.name, [measure_richness(one, number, space=space) for one in seen]))
    figure = draw_richness([photo.image for photo in found], shown, width=width)
    save_all(iter([(path, figure)]))
