"""`pgseg data merge`: the parts that several machines prepared, as one folder."""

from pathlib import Path
from typing import Annotated

import typer

from pgseg_cli.commands.data.prepare import show_manifest
from pgseg_cli.console import next_step, say
from pgseg_cli.options import Json


def merge(
    parts: Annotated[
        list[Path], typer.Argument(help="The folders that `data prepare --part I/N` made, all N.")
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="The folder for the joined manifest. Shards below it stay where they are, others "
            "are linked or copied into it.",
        ),
    ],
    json: Json = False,
) -> None:
    """Join the parts of a preparation, after proving that all are there and none overlap."""
    from pgseg_core.data.prepare.merge import merge as merge_parts

    merged = merge_parts(parts, out)
    show_manifest(merged.manifest, out, json=json)
    say(
        f"{len(parts)} parts, all there; every image of {merged.manifest.images_seen:,} is in one "
        "of them, kept or left out"
    )
    if merged.repeated:
        say(
            f"{merged.repeated:,} images of one part are in another as well, byte for byte; to "
            f"leave them out: pgseg data prepare {out} --duplicates exact --out ..."
        )
    next_step(f"pgseg data verify {out}", f"pgseg train --data {out}")
