"""The training loop, as a flat story."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pgseg_core.config import Config
from pgseg_core.data.batch import Batch
from pgseg_core.errors import CheckpointError, TrainingError
from pgseg_core.train.checkpoints import newest_good
from pgseg_core.train.meter import Meter
from pgseg_core.train.protocols import Engine, StepReport
from pgseg_core.train.run_folder import RunFolder
from pgseg_core.train.schedule import Schedule
from pgseg_core.train.trackers import Tracker, open_trackers


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
    """Part of this rank's time spent waiting for batches, in [0, 1]."""


Hook = Callable[[Progress], None]
Evaluate = Callable[[Path], Mapping[str, float]]
"""Measures a checkpoint, all ranks together; the first score is the one `best` means."""


def fit(
    engine: Engine,
    batches: Iterator[Batch],
    config: Config,
    schedule: Schedule,
    run: RunFolder,
    *,
    steps_per_epoch: int,
    device: torch.device,
    start_step: int = 0,
    hooks: Sequence[Hook] = (),
    save_now: Callable[[], bool] = lambda: False,
    evaluate: Evaluate | None = None,
) -> dict[str, Any]:
    """Run the remaining steps; log, save and evaluate as the configuration says, and at the end.

    Args:
        engine: Runs the steps.
        batches: Yields this rank's share of each step, from `start_step` on.
        config: The run's configuration.
        schedule: Number of steps and their learning rates.
        run: Where everything is written.
        steps_per_epoch: To tell the epoch of a step.
        device: Where this rank computes.
        start_step: Steps already done.
        hooks: Called after every step.
        save_now: Asked after every step; True stops the run after a checkpoint (an interrupt). All
            ranks must answer alike.
        evaluate: Measures a checkpoint every `evaluation.every` steps and at the end.

    Returns:
        Where the run stands: `step` and `finished`, and the last step's `loss` if one was done.

    Raises:
        TrainingError: A loss is not finite. Names the step, its terms and the last good checkpoint.
    """
    train, evaluation = config.train, config.evaluation
    meter = Meter(train.batch_size, run.comm, device, train.clip)
    state: dict[str, Any] = {"step": start_step, "finished": start_step >= schedule.steps}
    with open_trackers(config, run.path, leads=run.leads) as trackers:
        for step in range(start_step, schedule.steps):
            with meter.waiting():
                batch = next(batches)
            try:
                report = engine.step(batch.split(train.accumulate), step)
            except TrainingError as error:
                raise _with_remedy(error, run) from None
            meter.count(report)
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
            if done % train.log_every == 0 or finished:
                _log(run, trackers, progress, _numbers(report, meter))
                meter.restart()
            for hook in hooks:
                hook(progress)
            state = {"step": done, "finished": finished, "loss": report.loss}
            measured = evaluate is not None and (finished or _due(done, evaluation.every))
            if finished or stop or measured or _due(done, train.save_every):
                with meter.paused():
                    path = run.save(config, engine, state)
                    if measured and evaluate is not None:
                        scores = evaluate(path)
                        run.add_scores(config, path, scores)
                        _log(run, trackers, progress, scores)
            if stop:
                break
    return state


def _due(done: int, every: int) -> bool:
    return every > 0 and done % every == 0


def _numbers(report: StepReport, meter: Meter) -> dict[str, float]:
    scale = {} if report.loss_scale == 1.0 else {"loss_scale": report.loss_scale}
    return {
        "loss": report.loss,
        **report.terms,
        "lr": report.lr,
        "grad_norm": report.grad_norm,
        **scale,
        **meter.read(),
    }


def _log(
    run: RunFolder, trackers: Sequence[Tracker], progress: Progress, values: Mapping[str, float]
) -> None:
    rounded = {name: float(f"{value:.6g}") for name, value in values.items()}
    run.append_log({"step": progress.step, "epoch": round(progress.epoch, 4), **rounded})
    for tracker in trackers:
        tracker.log(values, progress.step)


def _with_remedy(error: TrainingError, run: RunFolder) -> TrainingError:
    try:
        last, _ = newest_good(run.path)
    except CheckpointError:
        last = None
    where = f"Last good checkpoint: {last}. " if last else "No checkpoint was written yet. "
    return TrainingError(
        f"{error.message}: not finite, the run has stopped",
        hint=f"{where}Try a lower train.lr, a longer train.warmup_epochs, or train.precision=fp32",
    )
