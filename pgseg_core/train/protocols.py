"""What training asks of a backend. A third party implements `Backend`, `Session` and `Engine`.

`backends/single.py` is the shortest one. `backends/step.py` has the pieces of a step that are the
same in all; `python -m pgseg_backends.conformance NAME --nproc 2` says whether another agrees with
them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from pgseg_core.comm import Collectives
from pgseg_core.config import TrainConfig
from pgseg_core.data.batch import Batch
from pgseg_core.train.schedule import Schedule
from pgseg_core.train.task import TrainTask


@dataclass(frozen=True)
class StepReport:
    """What one optimiser step did, in plain numbers."""

    loss: float
    terms: dict[str, float]
    """Parts of the loss before their weights, averaged over micro-batches."""
    grad_norm: float
    """Norm of all gradients before clipping."""
    lr: float
    skipped: bool = False
    """True when half-precision gradients overflowed and the weights were left alone."""
    loss_scale: float = 1.0
    """What the loss was multiplied by on the way back; 1 but in fp16."""


@runtime_checkable
class Engine(Protocol):
    """Runs optimiser steps on a task. Precision, accumulation and clipping live in here."""

    def step(self, micro_batches: Sequence[Batch], step: int) -> StepReport:
        """Run one optimiser step: forward, backward, clip, update, prototype banks.

        Gradients are averaged over ranks and micro-batches, and so are the estimates by which the
        banks are moved (`task.model.move_banks`, `backends/step.py`). What is reported is
        the same on every rank.

        The random numbers of an image depend on the seed, the step and its place in the global
        batch alone, so that a step is the same on any number of ranks
        (`pgseg_backends.step.precision_and_noise`).

        Args:
            micro_batches: This rank's share of the step, in `train.accumulate` parts.
            step: Number of the step, from 0; decides learning rate and noise.

        Raises:
            TrainingError: The loss or a gradient is not finite on some rank; all ranks raise.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write the optimiser's state into an existing folder (every rank calls it).

        Whole and by parameter, as `backends/step.py` does: then any backend goes on
        from it, with any number of ranks.
        """
        ...

    def load(self, folder: Path) -> None:
        """Read back what `save` wrote, here or in another backend (every rank calls it)."""
        ...

    def weights(self) -> dict[str, Tensor] | None:
        """Return the model's whole state on rank 0, None on the others (every rank calls it)."""
        ...


@runtime_checkable
class Session(Protocol):
    """An open backend: this process's device and its place among the others."""

    @property
    def device(self) -> torch.device:
        """Where this process computes."""
        ...

    @property
    def comm(self) -> Collectives:
        """The collectives of this run."""
        ...

    def wrap(self, task: TrainTask, config: TrainConfig, schedule: Schedule) -> Engine:
        """Move the task to the device and make an engine for it."""
        ...

    def close(self) -> None:
        """Leave the process group and free what was opened."""
        ...


@runtime_checkable
class Backend(Protocol):
    """A way to run training; registered under the entry-point group `pgseg.backends`."""

    def open(self, config: TrainConfig) -> Session:
        """Join or start the processes that take part.

        Raises:
            BackendError: This machine or installation cannot run it.
        """
        ...


@runtime_checkable
class Checks(Protocol):
    """What a backend may have besides: a look at the settings before any rank is started."""

    def check(self, config: TrainConfig, world_size: int) -> None:
        """Look for contradictions.

        Raises:
            PgsegError: The settings contradict each other.
        """
        ...
