"""One run from configuration to weights: assembles data, model, engine and loop."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from pgseg_core.checkpoint import load_checkpoint, load_weights, read_classifier
from pgseg_core.comm import Collectives
from pgseg_core.config import Config, TrainConfig
from pgseg_core.data.pipeline import TrainingReader
from pgseg_core.data.shards import find_shards
from pgseg_core.device import check_compiler, find_device, find_precision
from pgseg_core.errors import ConfigError
from pgseg_core.memory import keep_freed_memory
from pgseg_core.networks.grouping import build_model
from pgseg_core.text.nouns import find_broader_nouns, find_nouns
from pgseg_core.text.tokenizer import Tokenizer
from pgseg_core.train.checkpoints import clear_after, newest_good
from pgseg_core.train.loop import Hook, fit
from pgseg_core.train.protocols import Backend, Session
from pgseg_core.train.run_folder import RunFolder
from pgseg_core.train.schedule import make_schedule
from pgseg_core.train.start import start_weights
from pgseg_core.train.task import TrainTask
from pgseg_core.train.teacher import NameTeacher
from pgseg_core.train.trackers import check_trackers
from pgseg_core.weights import CHECKPOINTS

Measure = Callable[[Path, Collectives, torch.device], Mapping[str, float]]
"""Scores a checkpoint with all ranks together; every rank calls it and gets the same."""


@dataclass(frozen=True)
class Start:
    """What a run is about to do, for whoever shows it."""

    num_samples: int
    steps_per_epoch: int
    steps: int
    start_step: int
    num_parameters: int
    device: str
    world_size: int
    damaged: tuple[str, ...] = ()
    """What is wrong with newer checkpoints than the one it goes on from."""


def train(
    config: Config,
    backend: Backend,
    run: RunFolder,
    *,
    resume: bool = False,
    on_start: Callable[[Start], None] = lambda _: None,
    hooks: Sequence[Hook] = (),
    save_now: Callable[[], bool] = lambda: False,
    measure: Measure | None = None,
) -> dict[str, Any]:
    """Train, or go on training.

    Everything that can be wrong with configuration, data and device is found before the run folder
    is made. A resumed run takes the same steps as one that never stopped: order of the data, noise
    and schedule are functions of the seed and the step.

    Args:
        config: The whole configuration.
        backend: Runs the steps.
        run: The folder to write to.
        resume: Go on from the folder's newest good checkpoint; from the start if there is none.
        on_start: Told what is about to happen.
        hooks: Called after every step.
        save_now: Asked after every step; True ends the run after a checkpoint.
        measure: Scores checkpoints, every `evaluation.every` steps and at the end.

    Returns:
        Where the run stands: `step` and `finished`, the last step's `loss` if one was done, and how
        many `bad_samples` this rank passed over.

    Raises:
        PgsegError: Configuration, data, device or losses do not allow it.
    """
    config = settled(config)
    check_trackers(config.train.trackers)
    if config.train.compile:
        check_compiler(find_device(config.train.device))
    keep_freed_memory()
    with closing(backend.open(config.train)) as session:
        comm = session.comm
        run = run.shared_by(comm)
        check_batch(config.train, comm.world_size)
        reader = TrainingReader(
            find_shards(config.data.shards, config.data.split),
            config.data,
            image_size=config.model.image.image_size,
            tokenize=Tokenizer(config.model.text.context_length),
            batch_size=config.train.batch_size // comm.world_size,
            seed=config.train.seed,
            rank=comm.rank,
            world_size=comm.world_size,
            find_nouns=find_broader_nouns if config.data.broader_nouns else find_nouns,
        )
        schedule = make_schedule(config.train, steps_per_epoch=reader.steps_per_epoch)
        model = build_model(config.model, comm=comm, seed=config.train.seed)
        model.set_blocks(recompute=config.train.recompute, compiled=config.train.compile)
        task = TrainTask(model, comm, find_teacher(config))
        num_parameters = sum(parameter.numel() for parameter in model.parameters())
        start_step = 0
        newest, damaged = _agreed_newest(run, session) if resume else (None, [])
        if newest is None:
            start_weights(model, config.train)
        else:
            checkpoint = load_checkpoint(newest)
            load_weights(model, checkpoint.weights, origin=str(newest))
            start_step = int(checkpoint.state["step"])
        engine = session.wrap(task, config.train, schedule)
        if newest is not None:
            engine.load(newest)
        if resume:
            run.rewind_log(start_step)
        else:
            run.create(config)
        on_start(
            Start(
                num_samples=reader.num_samples,
                steps_per_epoch=reader.steps_per_epoch,
                steps=schedule.steps,
                start_step=start_step,
                num_parameters=num_parameters,
                device=str(session.device),
                world_size=comm.world_size,
                damaged=tuple(damaged),
            )
        )
        state = fit(
            engine,
            reader.batches(start_step),
            config,
            schedule,
            run,
            steps_per_epoch=reader.steps_per_epoch,
            device=session.device,
            start_step=start_step,
            hooks=hooks,
            save_now=lambda: _any_rank(save_now(), session),
            evaluate=None if measure is None else lambda path: measure(path, comm, session.device),
        )
        return state | {"bad_samples": reader.num_bad}


def settled(config: Config) -> Config:
    """Replace what is left to the machine (`train.precision: auto`) by what it is here.

    Raises:
        BackendError: The device is not on this machine.
    """
    precision = find_precision(config.train.precision, find_device(config.train.device))
    return replace(config, train=replace(config.train, precision=precision))


def find_teacher(config: Config) -> NameTeacher | None:
    """Make the teacher that `model.stem_names` asks for; None if it does not.

    Raises:
        ConfigError: There is no classifier to ask, or the batch is encoded in parts.
        CheckpointError: The classifier cannot be read.
    """
    if not config.model.stem_names:
        return None
    if not config.train.stem_weights:
        raise ConfigError(
            "model.stem_names asks the classifier of train.stem_weights, which is not given",
            hint="--set train.stem_weights=imagenet, or model.stem_names=0",
        )
    if config.train.grad_cache:
        raise ConfigError(
            "model.stem_names does not go with train.grad_cache",
            hint="--set train.grad_cache=false, or model.stem_names=0",
        )
    classifier = read_classifier(config.train.stem_weights)
    return NameTeacher(classifier, config.model.text.context_length)


def check_batch(config: TrainConfig, world_size: int) -> None:
    """Refuse a batch that cannot be cut evenly among ranks and micro-batches.

    Raises:
        ConfigError: Names a size that can.
    """
    parts = world_size * config.accumulate
    if config.batch_size % parts:
        raise ConfigError(
            f"train.batch_size {config.batch_size} is not a multiple of {world_size} ranks x "
            f"{config.accumulate} micro-batches",
            hint=f"--set train.batch_size={max(config.batch_size // parts, 1) * parts}",
        )


def _agreed_newest(run: RunFolder, session: Session) -> tuple[Path | None, list[str]]:
    """Let rank 0 choose the checkpoint to go on from, and tell the others its step."""
    newest, damaged = newest_good(run.path) if run.leads else (None, [])
    if run.leads:
        clear_after(run.path, newest)
    own = 0 if newest is None else int(newest.name.removeprefix("step-")) + 1
    step = int(session.comm.sum(torch.tensor(own, device=session.device)))
    return (run.path / CHECKPOINTS / f"step-{step - 1:07d}" if step else None), damaged


def _any_rank(asked: bool, session: Session) -> bool:
    """Tell whether any rank was asked to stop, so that all stop after the same step."""
    if session.comm.world_size == 1:
        return asked
    return bool(session.comm.sum(torch.tensor(float(asked), device=session.device)) > 0)
