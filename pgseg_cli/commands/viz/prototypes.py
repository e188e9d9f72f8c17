"""`pgseg viz prototypes`: groups, the prototypes they were matched to, and EM at work."""

from typing import TYPE_CHECKING, Annotated

import typer

from pgseg_cli.commands.viz.options import Format, Limit, Out, Photos, Width
from pgseg_cli.options import Device, Weights

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from matplotlib.figure import Figure


def prototypes(
    photos: Photos = None,
    weights: Weights = None,
    out: Out = None,
    iterations: Annotated[
        bool, typer.Option("--iterations", help="Show EM converging instead of the pairs.")
    ] = False,
    width: Width = 6.9,
    suffix: Format = "png",
    limit: Limit = 8,
    device: Device = "auto",
) -> None:
    """Draw the groups of each stage, and the prototypes they were matched to."""
    from pgseg_cli.commands.viz.drawing import figure_path, load_model, save_all
    from pgseg_core.errors import ConfigError
    from pgseg_core.figures.iterations import draw_iterations
    from pgseg_core.figures.pairs import draw_pairs
    from pgseg_core.figures.photos import read_photos
    from pgseg_core.figures.probe import probe
    from pgseg_core.figures.prototypes import draw_prototypes
    from pgseg_core.figures.stages import em_steps, view_stages
    from pgseg_core.methods.groups import as_groups

    found = read_photos(photos or [], limit=limit)
    several = len(found) > 1
    kind = "iterations" if iterations else "prototypes"
    paths = [figure_path(out, kind, photo.name, several=several, suffix=suffix) for photo in found]
    segmenter = load_model(weights, device=device)
    npr = as_groups(segmenter.method, "viz prototypes").network.config.npr
    if iterations and not npr.enabled:
        raise ConfigError(
            f"{segmenter.origin} has no prototypes", hint="Name weights of PGSeg: --weights RUN"
        )
    views = []

    def figures() -> "Iterator[tuple[Path, Figure]]":
        for path, photo in zip(paths, found, strict=True):
            seen = probe(segmenter, photo.image)
            if iterations:
                steps = [
                    (number, list(em_steps(seen, number, npr.iterations)))
                    for number in range(len(seen.stages))
                ]
                yield path, draw_iterations(seen.photo, steps, width=width)
                continue
            views.append(view_stages(seen, npr))
            yield path, draw_prototypes(seen.photo, views[-1], width=width)
        if several and npr.enabled and not iterations:
            summary = figure_path(out, kind, "all_pairs", several=True, suffix=suffix)
            yield summary, draw_pairs(views, threshold=npr.threshold, width=width)

    save_all(figures())
