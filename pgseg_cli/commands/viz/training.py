"""`pgseg viz training`: the curves of runs."""

from pathlib import Path
from typing import Annotated

import typer

from pgseg_cli.commands.viz.options import Format, Out, Width


def training(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Run folders. Default: the newest run under runs/.", show_default=False
        ),
    ] = None,
    everything: Annotated[
        bool,
        typer.Option(
            "--all",
            help="Draw every number of the logs: each term's gradient, weights' drift, memory, ...",
        ),
    ] = False,
    out: Out = None,
    width: Width = 6.9,
    suffix: Format = "png",
) -> None:
    """Draw the curves of one run, or of several on top of each other."""
    from pgseg_cli.commands.viz.drawing import distinct_names, figure_path, newest_run, save_all
    from pgseg_core.figures.training import draw_training
    from pgseg_core.train.run_folder import RunFolder

    folders = runs or [newest_run(Path("runs"))]
    logs = []
    for folder in folders:
        run = RunFolder(folder)
        run.config()  # says that there is no run
        logs.append(run.read_log())
    ends = dict.fromkeys(folder.resolve().name for folder in folders)
    name = "-".join(ends) if len(ends) < 4 else "runs"
    named = list(zip(distinct_names(folders), logs, strict=True))
    path = figure_path(out, "training", name, several=False, suffix=suffix)
    save_all(iter([(path, draw_training(named, width=width, everything=everything))]))
