"""`pgseg train`: from shards to weights."""

import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgseg_cli.console import messages, next_step, progress_bar, say

if TYPE_CHECKING:
    from pgseg_core.config import Config
    from pgseg_core.train.loop import Progress
    from pgseg_core.train.run import Start
    from pgseg_core.train.run_folder import RunFolder


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
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout", help="Seconds after which a process that does not answer ends the run."
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change an option: --set train.lr=1e-3. Can be repeated."),
    ] = None,
) -> None:
    """Learn to segment from image-text pairs."""
    from backends.launch import die_with_parent, is_started_rank
    from backends.registry import load_backend
    from backends.world import find_world
    from pgseg_core.config import load_config
    from pgseg_core.errors import ConfigError
    from pgseg_core.train.run import settled
    from pgseg_core.train.run import train as run_training
    from pgseg_core.train.run_folder import RunFolder

    if resume is not None:
        if data or out or settings:
            raise ConfigError(
                "--resume goes on with a run as it was configured",
                hint="Drop the other options, or start a new run with --out. The engine may "
                "change: --backend, --deepspeed, --nproc, --timeout",
            )
        run = RunFolder(resume)
        config = run.config()
    else:
        config = load_config(preset, settings or [])
        config = _with_data(config, data)
        run = RunFolder(out or _free_folder(Path("runs") / Path(preset).stem))
    config = settled(_with_engine(config, backend, deepspeed, timeout, nproc))
    num_ranks = _num_ranks(config, nproc)
    if num_ranks > 1 and not is_started_rank():
        _start_all(config, run, num_ranks, resumed=resume is not None)
        return
    die_with_parent()
    if find_world().rank > 0:
        messages.quiet = True

    interrupted = _Interrupt()
    with progress_bar("training") as bar:

        def show_start(start: "Start") -> None:
            several = f"{start.world_size} x " if start.world_size > 1 else ""
            where = f"{several}{start.device} ({config.train.backend})"
            say(
                f"{start.num_parameters / 1e6:.1f} M parameters, {start.num_samples:,} pairs from "
                f"{config.data.shards}, {start.steps:,} steps of {config.train.batch_size} "
                f"({config.train.epochs:g} epochs), {config.train.precision} on {where}, "
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
    if state["bad_samples"]:
        say(f"skipped {state['bad_samples']:,} samples that cannot be read (pgseg data verify)")
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


def _with_data(config: "Config", data: str | None) -> "Config":
    from pgseg_core.data.manifest import newest_prepared

    if data is None and config.data.shards:
        return config
    shards = data or str(newest_prepared(Path()))
    return replace(config, data=replace(config.data, shards=shards))


def _with_engine(
    config: "Config",
    backend: str | None,
    deepspeed: Path | None,
    timeout: float | None,
    nproc: int | None,
) -> "Config":
    """Apply the options that say how the steps are run; several processes are `ddp` by default."""
    from backends.world import find_world
    from pgseg_core.errors import ConfigError

    if deepspeed is not None and backend not in (None, "deepspeed"):
        raise ConfigError(
            f"--deepspeed and --backend {backend} contradict each other", hint="Give one of them."
        )
    train = config.train
    chosen = backend or ("deepspeed" if deepspeed else train.backend)
    if chosen == "single" and ((nproc or 1) > 1 or find_world().size > 1):
        if backend == "single":
            raise ConfigError(
                "--backend single is one process", hint="Use --backend ddp, or drop --nproc."
            )
        chosen = "ddp"
    return replace(
        config,
        train=replace(
            train,
            backend=chosen,
            deepspeed=str(deepspeed.resolve()) if deepspeed else train.deepspeed,
            timeout=timeout or train.timeout,
        ),
    )


def _num_ranks(config: "Config", nproc: int | None) -> int:
    """Return how many processes to start here; 1 inside a world that a launcher has started."""
    import torch

    from backends.world import find_world

    if find_world().size > 1:
        return 1
    if nproc is not None:
        return nproc
    on_cuda = config.train.backend != "single" and config.train.device in ("auto", "cuda")
    return max(1, torch.cuda.device_count()) if on_cuda else 1


def _start_all(config: "Config", run: "RunFolder", num_ranks: int, *, resumed: bool) -> None:
    """Check what can be checked, then run this command line once per rank."""
    from backends.launch import start_ranks
    from backends.registry import check_settings
    from pgseg_core.data.shards import find_shards
    from pgseg_core.train.run import check_batch

    check_settings(config.train, num_ranks)
    check_batch(config.train, num_ranks)
    find_shards(config.data.shards, config.data.split)
    if not resumed:
        run.check_free()
    code = start_ranks(["-m", "pgseg_cli.main", *sys.argv[1:]], num_ranks)
    if code:
        raise typer.Exit(code)


def _free_folder(path: Path) -> Path:
    """Return the path, or the first of path-2, path-3, ... that is free."""
    candidate, number = path, 2
    while candidate.exists():
        candidate, number = path.with_name(f"{path.name}-{number}"), number + 1
    return candidate
