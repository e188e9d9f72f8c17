"""`pgseg convert`: weights of others into our format, and our own into a small file."""

from pathlib import Path
from typing import Annotated

import typer

from pgseg_cli.console import next_step, say
from pgseg_cli.options import Overwrite


def convert(
    source: Annotated[
        str,
        typer.Argument(
            help="A released PGSeg or GroupViT .pth file, a transformers GroupViT folder, "
            "or its hub name (nvidia/groupvit-gcc-redcaps); or a run, for its newest checkpoint."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The checkpoint folder to write.")],
    small: Annotated[
        bool,
        typer.Option(
            "--small",
            help="To give away: half precision, and only the words that training has met.",
        ),
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Bring weights of others into pgseg's format, without running code they may carry."""
    from pgseg_core.checkpoint import save_checkpoint
    from pgseg_core.checkpoint.compact import compact
    from pgseg_core.checkpoint.importers import import_checkpoint
    from pgseg_core.errors import CheckpointError

    if out.exists() and not overwrite:
        raise CheckpointError(
            f"{out} exists already", hint="Add --overwrite, or name another --out"
        )
    checkpoint = import_checkpoint(source)
    checkpoint.build()  # every tensor has its place and shape, or this says which has not
    weights = compact(checkpoint.weights) if small else checkpoint.weights
    save_checkpoint(out, checkpoint.config, weights, checkpoint.state)
    kind = "PGSeg" if checkpoint.config.model.npr.enabled else "GroupViT"
    say(f"{kind} with {sum(t.numel() for t in checkpoint.weights.values()):,} numbers -> {out}")
    next_step(f'pgseg segment photo.jpg -c "sky,road" --weights {out}')
