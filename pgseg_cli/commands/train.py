"""`pgseg train`: from shards to weights."""

import signal
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgseg_cli.console import next_step, progress_bar, say

if TYPE_CHECKING:
    from pgseg_core.config import Config
    from pgseg_core.train.loop import Progress
    from pgseg_core.train.run import Start


def train(
    preset: Annotated[
        str,
        typer.Option("--preset", "-p", help="A preset's name, or a YAML file of options."),
    ] = "pgseg-tiny",
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            "-d",
            help="A prepared folder, or a pattern such as 'shards/{00000..01242}.tar'. "
            "Default: the newest prepared folder here.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The run folder. Default: runs/PRESET.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option("--resume", help="Go on with the run in this folder.")
    ] = None,
    backend: Annotated[
        str | None, typer.Option("--backend", help="Training backend; see pgseg backends.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change an option: --set train.lr=1e-3. Can be repeated."),
    ] = None,
) -> None:
    """Learn to segment from image-text pairs."""
    from backends.registry import load_backend
    from pgseg_core.config import load_config
    from pgseg_core.errors import ConfigError
    from pgseg_core.train.run import train as run_training
    from pgseg_core.train.run_folder import RunFolder

    if resume is not None:
        if data or out or backend or settings:
            raise ConfigError(
                "--resume goes on with a run as it was configured",
                hint="Drop the other options, or start a new run with --out.",
            )
        run = RunFolder(resume)
        config = run.config()
    else:
        config = load_config(preset, settings or [])
        config = _with_defaults(config, data, backend)
        run = RunFolder(out or _free_folder(Path("runs") / Path(preset).stem))

    interrupted = _Interrupt()
    with progress_bar("training") as bar:

        def show_start(start: "Start") -> None:
            say(
                f"{start.num_parameters / 1e6:.1f} M parameters, {start.num_samples:,} pairs from "
                f"{config.data.shards}, {start.steps:,} steps of {config.train.batch_size} "
                f"({config.train.epochs:g} epochs), {config.train.precision} on {start.device}, "
                f"writing to {run.path}"
            )
            if start.start_step:
                say(f"going on from step {start.start_step}")
            interrupted.listen()

        def show_step(progress: "Progress") -> None:
            report = progress.report
            terms = " ".join(
                f"{name} {value:.2f}"
                for name, value in report.terms.items()
                if not name.endswith("_kept")
            )
            beside = f"loss {report.loss:.3f} ({terms}) {progress.images_per_second:.0f} images/s"
            bar(progress.step, progress.steps, beside)

        state = run_training(
            config,
            load_backend(config.train.backend),
            run,
            resume=resume is not None,
            on_start=show_start,
            hooks=[show_step],
            save_now=interrupted.came,
        )
    if not state["finished"]:
        say(f"stopped after step {state['step']}, saved in {run.path}")
        next_step(f"pgseg train --resume {run.path}")
        raise typer.Exit(130)
    say(f"done after {state['step']} steps: weights in {run.path}")
    next_step(
        f"pgseg eval --weights {run.path}",
        f'pgseg segment photo.jpg -c "sky,road,tree" --weights {run.path}',
        f"pgseg viz prototypes photo.jpg --weights {run.path}",
    )


class _Interrupt:
    """Remembers Ctrl-C, so that the step in hand is finished and saved; a second one is final."""

    def __init__(self) -> None:
        self._came = False

    def listen(self) -> None:
        signal.signal(signal.SIGINT, self._note)

    def came(self) -> bool:
        return self._came

    def _note(self, *_: object) -> None:
        self._came = True
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _with_defaults(config: "Config", data: str | None, backend: str | None) -> "Config":
    from pgseg_core.data.manifest import newest_prepared

    if data is not None or not config.data.shards:
        shards = data or str(newest_prepared(Path()))
        config = replace(config, data=replace(config.data, shards=shards))
    if backend is not None:
        config = replace(config, train=replace(config.train, backend=backend))
    return config


def _free_folder(path: Path) -> Path:
    """Return the path, or the first of path-2, path-3, ... that is free."""
    candidate, number = path, 2
    while candidate.exists():
        candidate, number = path.with_name(f"{path.name}-{number}"), number + 1
    return candidate
