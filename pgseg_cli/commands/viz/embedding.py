"""`pgseg viz embedding`: patch features on a plane, by group and by ground truth."""

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
    Stage,
    Width,
)
from pgseg_cli.completion import complete_from
from pgseg_cli.console import say
from pgseg_cli.options import Device


def embedding(
    photos: Photos = None,
    weights: Models = None,
    names: Names = None,
    dataset: Dataset = None,
    data_root: DataRoot = None,
    images: Images = None,
    method: Annotated[
        str,
        typer.Option(
            "--method",
            help="tsne (needs scikit-learn) or pca.",
            autocompletion=complete_from("tsne", "pca"),
        ),
    ] = "tsne",
    out: Out = None,
    stage: Stage = None,
    width: Width = 6.9,
    suffix: Format = "png",
    limit: Limit = 8,
    device: Device = "auto",
) -> None:
    """Draw patch features by t-SNE or PCA: are the groups compact, and are they the classes?"""
    from numpy import ndarray

    from pgseg_cli.commands.viz.drawing import (
        figure_path,
        known_labels,
        load_models,
        open_set,
        pick_samples,
        save_all,
        stage_index,
    )
    from pgseg_core.errors import ConfigError, did_you_mean
    from pgseg_core.figures.embedding import METHODS, Panel, draw_embedding, embed, take_patches
    from pgseg_core.figures.photos import read_photos
    from pgseg_core.figures.probe import probe

    if method not in METHODS:
        raise ConfigError(f"no method called '{method}'", hint=did_you_mean(method, METHODS))
    if dataset is not None:
        masked = open_set(dataset, data_root)
        samples = pick_samples(masked, images, limit=limit)
        pictures = [sample.image for sample in samples]
        truths: list[ndarray | None] = [known_labels(one, masked) for one in samples]
        class_names: tuple[str, ...] | None = masked.class_names
        name = dataset
    else:
        found = read_photos(photos or [], limit=limit)
        pictures, name = [photo.image for photo in found], found[0].name
        truths, class_names = [None] * len(found), None
    path = figure_path(out, "embedding", name, several=False, suffix=suffix)
    panels = []
    for model in load_models(weights, names, device=device):
        number = stage_index(model.segmenter, stage)
        seen = [probe(model.segmenter, picture) for picture in pictures]
        patches = take_patches(seen, number, truths)
        say(f"{model.name}: {method} of {len(patches.features)} patches")
        panels.append(Panel(model.name, embed(patches.features, method=method), patches))
    save_all(iter([(path, draw_embedding(panels, class_names, width=width))]))
