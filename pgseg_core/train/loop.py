"""The training loop, as a flat story."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tensorboard.summary import Writer

from pgseg_core.config import Config
from pgseg_core.data.batch import Batch
from pgseg_core.errors import TrainingError
from pgseg_core.train.protocols import Engine, StepReport
from pgseg_core.train.run_folder import RunFolder
from pgseg_core.train.schedule import Schedule


@dataclass(frozen=True)
class Progress:
    """What a display may show after a step."""

    step: int
    """Steps done."""
    steps: int
    """Steps of the whole run."""
    epoch: float
    report: StepReport
    images_per_second: float
    """Over the steps since the last log line, all ranks together."""
    data_share: float
    """Part of that time spent waiting for batches, in [0, 1]."""


Hook = Callable[[Progress], None]


def fit(
    engine: Engine,
    batches: Iterator[Batch],
    config: Config,
    schedule: Schedule,
    run: RunFolder,
    *,
    steps_per_epoch: int,
    start_step: int = 0,
    hooks: Sequence[Hook] = (),
    save_now: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Run the remaining steps, log and save as the configuration says, and save at the end.

    Args:
        engine: Runs the steps.
        batches: Yields this rank's share of each step, from `start_step` on.
        config: The run's configuration.
        schedule: Number of steps and their learning rates.
        run: Where everything is written.
        steps_per_epoch: To tell the epoch of a step.
        start_step: Steps already done.
        hooks: Called after every step.
        save_now: Asked after every step; True stops the run after a checkpoint (an interrupt). All
            ranks must answer alike.

    Returns:
        Where the run stands: `step` and `finished`, and the last step's `loss` if one was done.

    Raises:
        TrainingError: A loss is not finite. Names the step, its terms and the last good checkpoint.
    """
    meter = _Meter(config.train.batch_size)
    state: dict[str, Any] = {"step": start_step, "finished": start_step >= schedule.steps}
    with run.curves() as curves:
        for step in range(start_step, schedule.steps):
            with meter.waiting():
                batch = next(batches)
            try:
                report = engine.step(batch.split(config.train.accumulate), step)
            except TrainingError as error:
                raise _with_remedy(error, run) from None
            meter.count()
            done = step + 1
            progress = Progress(
                step=done,
                steps=schedule.steps,
                epoch=done / steps_per_epoch,
                report=report,
                images_per_second=meter.images_per_second,
                data_share=meter.data_share,
            )
            finished = done == schedule.steps
            stop = save_now()
            if done % config.train.log_every == 0 or finished:
                _log(run, curves, progress)
                meter.restart()
            for hook in hooks:
                hook(progress)
            state = {"step": done, "finished": finished, "loss": report.loss}
            every = config.train.save_every
            if finished or stop or (every and done % every == 0):
                run.save(config, engine, state)
            if stop:
                break
    return state


def _log(run: RunFolder, curves: Writer | None, progress: Progress) -> None:
    report = progress.report
    values = {
        "loss": report.loss,
        **report.terms,
        "lr": report.lr,
        "grad_norm": report.grad_norm,
        "images_per_second": progress.images_per_second,
        "data_share": progress.data_share,
    }
    rounded = {name: float(f"{value:.6g}") for name, value in values.items()}
    run.append_log({"step": progress.step, "epoch": round(progress.epoch, 4), **rounded})
    if curves is None:
        return
    for name, value in values.items():
        curves.add_scalar(name, value, progress.step)


def _with_remedy(error: TrainingError, run: RunFolder) -> TrainingError:
    last = run.newest()
    where = f"Last good checkpoint: {last}. " if last else "No checkpoint was written yet. "
    return TrainingError(
        f"{error.message}: not finite, the run has stopped",
        hint=f"{where}Try a lower train.lr, a longer train.warmup_epochs, or train.precision=fp32",
    )


class _Meter:
    """Images per second, and the share of time spent waiting for data, since the last restart."""

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size
        self.restart()

    def restart(self) -> None:
        self.start = time.perf_counter()
        self.steps = 0
        self.waited = 0.0

    def count(self) -> None:
        self.steps += 1

    @contextmanager
    def waiting(self) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.waited += time.perf_counter() - start

    @property
    def images_per_second(self) -> float:
        return self.steps * self.batch_size / self._elapsed()

    @property
    def data_share(self) -> float:
        return self.waited / self._elapsed()

    def _elapsed(self) -> float:
        return max(time.perf_counter() - self.start, 1e-9)
