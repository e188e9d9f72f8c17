"""`pgseg train`: from shards to weights."""

import signal
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgseg_cli.completion import PRESETS, complete_from
from pgseg_cli.console import messages, next_step, progress_bar, say

if TYPE_CHECKING:
    from collections.abc import Callable

    from pgseg_core.config import Config
    from pgseg_core.train.loop import Progress
    from pgseg_core.train.run import Start
    from pgseg_core.train.run_folder import RunFolder


def train(
    preset: Annotated[
        str,
        typer.Option(
            "--preset",
            "-p",
            help="A preset's name, or a YAML file of options.",
            autocompletion=complete_from(*PRESETS),
        ),
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
    deepspeed: Annotated[
        Path | None,
        typer.Option("--deepspeed", help="Train with DeepSpeed, as this ds.json says."),
    ] = None,
    nproc: Annotated[
        int | None,
        typer.Option(
            "--nproc",
            min=1,
            help="Processes on this machine. Default: one per GPU with ddp or deepspeed, else one.",
        ),
    ] = None,
    hostfile: Annotated[
        Path | None,
        typer.Option(
            "--hostfile",
            help="Train on several machines, a line `NAME slots=8` each, started over ssh.",
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout", help="Seconds after which a process that does not answer ends the run."
        ),
    ] = None,
    eval_every: Annotated[
        int | None,
        typer.Option(
            "--eval-every",
            min=1,
            help="Steps between two evaluations; the best checkpoint is kept. "
            "The set: --set evaluation.dataset=voc12 --set evaluation.root=VOC2012",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Show the resolved options, sizes, memory and plan, and stop."
        ),
    ] = False,
    devices: Annotated[
        int | None,
        typer.Option("--devices", min=1, help="With --dry-run: plan for so many devices."),
    ] = None,
    device_kind: Annotated[
        str | None,
        typer.Option("--device-kind", help="With --dry-run: a100, h100, ... Default: this one."),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="With --dry-run: the plan on standard output.")
    ] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change an option: --set train.lr=1e-3. Can be repeated."),
    ] = None,
) -> None:
    """Learn to segment from image-text pairs."""
    from pgseg_backends.launch import die_with_parent
    from pgseg_backends.registry import load_backend
    from pgseg_backends.world import find_world
    from pgseg_cli.commands.train.evaluation_hook import make_measure
    from pgseg_cli.commands.train.processes import Asked, num_ranks, start_elsewhere, with_engine
    from pgseg_core.config import load_config
    from pgseg_core.errors import ConfigError
    from pgseg_core.train.run import train as run_training
    from pgseg_core.train.run_folder import RunFolder

    if resume is not None:
        if data or out or settings:
            raise ConfigError(
                "--resume goes on with a run as it was configured",
                hint="Drop the other options, or start a new run with --out. The engine may "
                "change: --backend, --deepspeed, --nproc, --hostfile, --timeout; and --eval-every",
            )
        run = RunFolder(resume)
        config = run.config()
    else:
        config = load_config(preset, settings or [])
        config = _with_data(config, data, needed=not dry_run)
        run = RunFolder(out or _free_folder(Path("runs") / Path(preset).stem))
    asked = Asked(
        backend=backend, deepspeed=deepspeed, timeout=timeout, nproc=nproc, hostfile=hostfile
    )
    if dry_run and device_kind is not None and config.train.precision == "auto":
        config = replace(
            config, train=replace(config.train, precision="bf16")
        )  # not this machine's
    config = with_engine(config, asked)
    if eval_every is not None:
        config = replace(config, evaluation=replace(config.evaluation, every=eval_every))
    if dry_run:
        from pgseg_cli.commands.train.dry_run import show_plan

        show_plan(config, devices or num_ranks(config, nproc), device_kind, json=json)
        return
    measure = make_measure(config.evaluation)
    if start_elsewhere(config, run, asked, resumed=resume is not None):
        return
    die_with_parent()
    if find_world().rank > 0:
        messages.quiet = True

    interrupted = _Interrupt()
    with progress_bar("training") as bar:
        display = _Display(config, run, bar)

        def on_start(start: "Start") -> None:
            display.show_start(start)
            interrupted.listen()

        state = run_training(
            config,
            load_backend(config.train.backend),
            run,
            resume=resume is not None,
            on_start=on_start,
            hooks=[display.show_step],
            save_now=interrupted.came,
            measure=measure,
        )
    if state["bad_samples"]:
        say(f"samples skipped, unreadable: {state['bad_samples']:,} (pgseg data verify)")
    if not state["finished"]:
        say(f"stopped after step {state['step']}, saved in {run.path}")
        next_step(f"pgseg train --resume {run.path}")
        raise typer.Exit(130)
    say(f"done after {state['step']} steps: weights in {run.path}")
    if (best := run.path / "best").exists():
        say(f"best of those that were measured: {best} ({best.resolve().name})")
    next_step(
        f"pgseg eval --weights {run.path}",
        f'pgseg segment photo.jpg -c "sky,road,tree" --weights {run.path}',
        f"pgseg viz prototypes photo.jpg --weights {run.path}",
    )


class _Display:
    """Says what a run is, and how far it is."""

    def __init__(
        self, config: "Config", run: "RunFolder", bar: "Callable[[int, int, str], None]"
    ) -> None:
        self._config = config
        self._run = run
        self._bar = bar

    def show_start(self, start: "Start") -> None:
        train, data = self._config.train, self._config.data
        several = f"{start.world_size} x " if start.world_size > 1 else ""
        say(
            f"{start.num_parameters / 1e6:.1f} M parameters, {start.num_samples:,} pairs from "
            f"{data.shards}, {start.steps:,} steps of {train.batch_size} "
            f"({train.epochs:g} epochs), {train.precision} on {several}{start.device} "
            f"({train.backend}), writing to {self._run.path}"
        )
        for problem in start.damaged:
            say(f"passed over: {problem}")
        if start.start_step:
            say(f"going on from step {start.start_step}")

    def show_step(self, progress: "Progress") -> None:
        report = progress.report
        terms = " ".join(
            f"{name} {value:.2f}"
            for name, value in report.terms.items()
            if not name.startswith(("grad_", "drift_")) and not name.endswith(("_kept", "_pairs"))
        )
        beside = f"loss {report.loss:.3f} ({terms}) {progress.images_per_second:.0f} images/s"
        self._bar(progress.step, progress.steps, beside)


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


def _with_data(config: "Config", data: str | None, *, needed: bool) -> "Config":
    from pgseg_core.data.manifest import newest_prepared
    from pgseg_core.errors import DataError

    if data is None and config.data.shards:
        return config
    try:
        shards = data or str(newest_prepared(Path()))
    except DataError:
        if needed:
            raise
        return config  # a plan can be made without
    return replace(config, data=replace(config.data, shards=shards))


def _free_folder(path: Path) -> Path:
    """Return the path, or the first of path-2, path-3, ... that is free."""
    candidate, number = path, 2
    while candidate.exists():
        candidate, number = path.with_name(f"{path.name}-{number}"), number + 1
    return candidate
