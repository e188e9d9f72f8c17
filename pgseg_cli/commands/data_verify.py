"""`pgseg data verify`: is a folder of shards what it should be?"""

from pathlib import Path
from typing import Annotated

import typer

from pgseg_cli.console import print_json, print_table, progress_bar, say
from pgseg_cli.options import Json

_PROBLEMS_SHOWN = 20


def verify(
    folder: Annotated[
        Path, typer.Argument(help="A prepared folder, or shards of others (folder, tar, pattern).")
    ],
    sample: Annotated[
        int, typer.Option("--sample", min=1, help="How many images are decoded, drawn from all.")
    ] = 1000,
    every: Annotated[bool, typer.Option("--all", help="Decode every image.")] = False,
    seed: Annotated[int, typer.Option("--seed", help="Another seed draws other images.")] = 0,
    json: Json = False,
) -> None:
    """Check shards: checksums, keys, captions, counts against the manifest, images that decode.

    The exit code is 2 if anything is wrong.
    """
    from dataclasses import asdict

    from pgseg_core.data.verify import verify as verify_shards

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
