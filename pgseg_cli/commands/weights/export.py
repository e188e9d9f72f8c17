"""`pgseg export`: trained models for programs that do without torch."""

from pathlib import Path
from typing import Annotated

import typer

from pgseg_cli.console import next_step, say
from pgseg_cli.options import Overwrite, Weights

app = typer.Typer(
    help="Write a trained model in a form that other programs run.", no_args_is_help=True
)


@app.command("onnx")
def onnx(
    weights: Weights = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The folder to write. Default: the weights' name.onnx."),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write both networks as ONNX; pgseg segment runs them without torch, for any classes."""
    from pgseg_core.errors import CheckpointError
    from pgseg_core.weights import find_weights

    source = find_weights(weights)
    out = out or Path(f"{source.resolve().name}.onnx")
    if out.exists() and not overwrite:
        raise CheckpointError(
            f"{out} exists already", hint="Add --overwrite, or name another --out"
        )
    from pgseg_core.methods.export import export_model

    say(f"exporting {source}, which takes about half a minute")
    export_model(source, out)
    size = sum(file.stat().st_size for file in out.iterdir())
    say(f"{out}: {', '.join(sorted(file.name for file in out.iterdir()))}, {size / 1e6:.1f} MB")
    next_step(f'pgseg segment photo.jpg -c "sky,road" --weights {out}')
