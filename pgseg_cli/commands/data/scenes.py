"""`pgseg data scenes`: the embedded synthetic set."""

import os
from pathlib import Path
from typing import Annotated

import typer

from pgseg_cli.commands.data.prepare import show
from pgseg_cli.console import progress_bar
from pgseg_cli.options import Json, Overwrite

SCENES = Path("data/scenes")


def scenes(
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for the shards.")] = SCENES,
    count: Annotated[
        int | None, typer.Option("--count", "-n", min=1, help="Training scenes to draw.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Another seed draws other scenes.")] = 0,
    size: Annotated[
        int | None, typer.Option("--size", min=32, help="Side of the scenes in pixels.")
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Draw the embedded synthetic scenes: shards for training, images with masks for evaluation."""
    draw(out, count=count, seed=seed, size=size, overwrite=overwrite, json=json)


def draw(
    out: Path,
    *,
    count: int | None = None,
    seed: int = 0,
    size: int | None = None,
    overwrite: bool,
    json: bool,
) -> None:
    """Draw scenes and show what was drawn."""
    from pgseg_core.data.prepare.synthetic import SceneOptions, prepare_scenes

    given = {"train": count, "size": size}
    chosen = {name: value for name, value in given.items() if value is not None}
    options = SceneOptions(seed=seed, processes=os.cpu_count() or 1, **chosen)
    with progress_bar("drawing scenes") as bar:
        prepared = prepare_scenes(
            out,
            options,
            overwrite=overwrite,
            on_progress=lambda done, all_: bar(done, all_, ""),
        )
    show(prepared, out, json=json)
