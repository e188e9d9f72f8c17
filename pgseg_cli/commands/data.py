"""`pgseg data`: from files to shards."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgseg_cli.console import next_step, print_json, print_table, progress_bar, say
from pgseg_cli.options import Json, Overwrite

if TYPE_CHECKING:
    from pgseg_core.data.manifest import ShardEntry
    from pgseg_core.data.prepare.build import Prepared

app = typer.Typer(help="Prepare image-text pairs for training.", no_args_is_help=True)

SCENES = Path("data/scenes")
Out = Annotated[Path | None, typer.Option("--out", "-o", help="The folder for the shards.")]


@app.command()
def prepare(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Tables (tsv, csv, jsonl) of images and captions, folders that hold one, or "
            "folders of images with a .txt beside each. None: the embedded synthetic scenes."
        ),
    ] = None,
    out: Out = None,
    images: Annotated[
        Path | None, typer.Option("--images", help="Folder that a table's image paths start from.")
    ] = None,
    image_column: Annotated[
        str | None, typer.Option("--image-column", help="Name of the table's image column.")
    ] = None,
    caption_column: Annotated[
        str | None, typer.Option("--caption-column", help="Name of the table's caption column.")
    ] = None,
    split_column: Annotated[
        str | None, typer.Option("--split-column", help="Name of the table's split column.")
    ] = None,
    split: Annotated[
        str, typer.Option("--split", help="Split of images whose source names none.")
    ] = "train",
    short_side: Annotated[
        int,
        typer.Option("--short-side", help="Bring larger images down to this short side; 0: never."),
    ] = 256,
    samples_per_shard: Annotated[
        int, typer.Option("--samples-per-shard", help="Largest number of images in one shard.")
    ] = 1000,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Turn image-text pairs into webdataset shards, with a manifest that says what is in them."""
    if not sources:
        say(f"no source named: preparing the embedded synthetic scenes in {out or SCENES}")
        _scenes(out or SCENES, count=None, seed=0, size=None, overwrite=overwrite, json=json)
        return
    from pgseg_core.data.prepare.build import PrepareOptions
    from pgseg_core.data.prepare.build import prepare as prepare_pairs
    from pgseg_core.data.prepare.tables import Columns

    out = out or Path("data") / (sources[0].resolve().stem or "pairs")
    options = PrepareOptions(
        columns=Columns(image=image_column, caption=caption_column, split=split_column),
        images=images,
        split=split,
        short_side=short_side or None,
        samples_per_shard=samples_per_shard,
        overwrite=overwrite,
    )
    with progress_bar("preparing") as bar:
        prepared = prepare_pairs(sources, out, options, lambda done, all_: bar(done, all_, ""))
    _show(prepared, out, json=json)


@app.command()
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
    _scenes(out, count=count, seed=seed, size=size, overwrite=overwrite, json=json)


def _scenes(
    out: Path, *, count: int | None, seed: int, size: int | None, overwrite: bool, json: bool
) -> None:
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
    _show(prepared, out, json=json)


def _show(prepared: "Prepared", out: Path, *, json: bool) -> None:
    from dataclasses import asdict

    manifest = prepared.manifest
    if json:
        print_json(asdict(manifest))
    if prepared.was_there:
        say(f"{out} holds this very preparation already, nothing to do")
    rows = [
        (split, f"{manifest.num_samples(split):,}", str(len(shards)), _megabytes(shards))
        for split, shards in manifest.splits.items()
    ]
    print_table(f"{out}", ("split", "images", "shards", "MB"), rows)
    for reason, failures in manifest.failed.items():
        say(f"left out, {reason}: {failures.count:,} ({', '.join(failures.examples[:3])} ...)")
    next_step(f"pgseg train --data {out}")


def _megabytes(shards: "tuple[ShardEntry, ...]") -> str:
    return f"{sum(shard.bytes for shard in shards) / 1e6:.1f}"
