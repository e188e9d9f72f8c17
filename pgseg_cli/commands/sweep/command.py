"""`pgseg sweep`: a table of many runs, by one command."""

from pathlib import Path
from typing import Annotated

import typer


def sweep(
    file: Annotated[
        Path, typer.Argument(help="What to compare; the project's own are examples/ablations/*.")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of all runs, reports, table and figure.")
    ],
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="One row (ROW) or one run of it (ROW:SEED). Can be repeated."),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Throw away what the chosen runs have, and redo them.")
    ] = False,
    full: Annotated[
        bool, typer.Option("--full", help="The paper's size: take the file's section full.")
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option("--data", "-d", help="Prepared data to train on, instead of the file's."),
    ] = None,
    data_root: Annotated[
        list[str] | None,
        typer.Option("--data-root", help="Where an evaluation set is: voc12=VOC2012."),
    ] = None,
    reuse: Annotated[
        list[Path] | None,
        typer.Option(help="Another sweep's folder: take runs of equal configuration from there."),
    ] = None,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", min=1, help="Runs at a time; they share the GPUs.")
    ] = 1,
    threads: Annotated[
        int | None,
        typer.Option("--threads", min=1, help="CPU threads of each. Default: all cores, shared."),
    ] = None,
    nproc: Annotated[
        int | None, typer.Option("--nproc", min=1, help="Processes (GPUs) of each training run.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, list the runs, and run nothing.")
    ] = False,
) -> None:
    """Train and measure every row of a table; the same command goes on after an interrupt."""
    from pgseg_cli.commands.sweep.programs import Wanted, parse_roots
    from pgseg_cli.commands.sweep.programs import sweep as make_table

    wanted = Wanted(
        file=file,
        out=out,
        only=tuple(only or ()),
        again=again,
        full=full,
        data=data,
        roots=parse_roots(data_root or []),
        reuse=tuple(reuse or ()),
        jobs=jobs,
        threads=threads,
        nproc=nproc,
        dry_run=dry_run,
    )
    if code := make_table(wanted):
        raise typer.Exit(code)
