"""`pgseg viz`: pictures of what a model does."""

from pathlib import Path
from typing import Annotated

import typer

from pgseg_cli.console import say
from pgseg_cli.options import Device, Weights

app = typer.Typer(help="Pictures of what a model does.", no_args_is_help=True)


@app.callback()
def viz() -> None:
    """Pictures of what a model does."""


@app.command()
def prototypes(
    image: Annotated[
        Path | None, typer.Argument(help="A photo. Default: one of the embedded scenes.")
    ] = None,
    weights: Weights = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The PNG to write. Default: PHOTO_prototypes.png here."),
    ] = None,
    device: Device = "auto",
) -> None:
    """Draw the groups of each stage, and the prototypes they were matched to."""
    from pgseg_core.data.images import read_image
    from pgseg_core.data.scenes import sample_scene
    from pgseg_core.inference.segmenter import Segmenter
    from pgseg_core.viz.prototypes import draw_prototypes
    from pgseg_core.viz.sheet import save_figure
    from pgseg_core.viz.stages import view_stages

    photo = sample_scene().image if image is None else read_image(image)
    name = "a scene" if image is None else image.name
    segmenter = Segmenter.load(weights, device=device)
    say(f"weights: {segmenter.origin}")
    seen, stages = view_stages(segmenter, photo)
    out = out or Path(f"{'scene' if image is None else image.stem}_prototypes.png")
    save_figure(draw_prototypes(seen, stages, title=name), out)
    say(f"prototypes of {name}: {out}")
