"""`pgseg data verify`: is a folder of shards, or an evaluation set, what it should be?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgseg_cli.console import print_json, print_table, progress_bar, say
from pgseg_cli.options import Json

if TYPE_CHECKING:
    from pgseg_core.data.segmentation import BenchmarkSet

_PROBLEMS_SHOWN = 20


def verify(
    folder: Annotated[
        Path,
        typer.Argument(
            help="A prepared folder, shards of others (folder, tar, pattern), or the tree of an "
            "evaluation set."
        ),
    ],
    dataset: Annotated[
        str | None,
        typer.Option("--set", help="Which evaluation set it is; found out when left away."),
    ] = None,
    sample: Annotated[
        int, typer.Option("--sample", min=1, help="How many images are decoded, drawn from all.")
    ] = 1000,
    every: Annotated[bool, typer.Option("--all", help="Decode every image.")] = False,
    seed: Annotated[int, typer.Option("--seed", help="Another seed draws other images.")] = 0,
    json: Json = False,
) -> None:
    """Check shards: checksums, keys, captions, counts against the manifest, images that decode.

    Of an evaluation set: every image and mask is there, opens, has its partner's size and holds
    no label that is no class. The exit code is 2 if anything is wrong.
    """
    from dataclasses import asdict

    from pgseg_core.data.verify import verify as verify_shards

    images = _evaluation_set(folder, dataset)
    if images is not None:
        _verify_set(images, folder, json=json)
        return
    with progress_bar("checking") as bar:
        found = verify_shards(
            folder,
            sample=None if every else sample,
            seed=seed,
            on_progress=lambda done, total: bar(done, total, "shards"),
        )
    if json:
        print_json(asdict(found))
    say(
        f"{folder}: {found.shards:,} shards{', checksums compared' if found.hashed else ''}, "
        f"{found.samples:,} samples with {found.captions:,} captions, {found.decoded:,} images "
        "decoded"
    )
    if not found.problems:
        say("all as it should be")
        return
    rows = [
        (Path(problem.shard).name, problem.key, problem.what)
        for problem in found.problems[:_PROBLEMS_SHOWN]
    ]
    print_table(f"{len(found.problems):,} problems", ("shard", "sample", "what"), rows, text=3)
    if len(found.problems) > _PROBLEMS_SHOWN:
        say("... all of them: --json")
    raise typer.Exit(2)


def _evaluation_set(folder: Path, name: str | None) -> "BenchmarkSet | None":
    """Return the set that a folder holds; None where it is about shards."""
    from pgseg_core.data.manifest import MANIFEST_NAME
    from pgseg_core.data.segmentation import open_segmentation_set, recognise_set

    if name is not None:
        return open_segmentation_set(name, folder)
    has_shards = (folder / MANIFEST_NAME).is_file() or any(folder.glob("*.tar"))
    return None if has_shards or not folder.is_dir() else recognise_set(folder)


def _verify_set(images: "BenchmarkSet", folder: Path, *, json: bool) -> None:
    from dataclasses import asdict

    from pgseg_core.data.segmentation.verify import verify_set

    with progress_bar(f"checking {images.name}") as bar:
        found = verify_set(images, on_progress=lambda done, total: bar(done, total, "images"))
    if json:
        print_json(asdict(found))
    say(
        f"{folder}: {found.name} with {found.images:,} images, {found.classes_seen} of "
        f"{found.classes} classes seen, {found.ignored_share:.1%} of the pixels not counted"
    )
    if not found.problems:
        say("all as it should be")
        return
    rows = [(problem.image, problem.what) for problem in found.problems[:_PROBLEMS_SHOWN]]
    print_table(f"{len(found.problems):,} problems", ("image", "what"), rows, text=2)
    if len(found.problems) > _PROBLEMS_SHOWN:
        say("... all of them: --json")
    raise typer.Exit(2)
