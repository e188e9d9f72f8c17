"""A training backend of one's own: pgseg's steps, with a warning where gradients are large.

pip install examples/custom_backend
pgseg backends
pgseg train --backend careful
python -m pgseg_backends.conformance careful --nproc 1
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from pgseg_backends.single import SingleBackend
from pgseg_core.comm import Collectives
from pgseg_core.config import TrainConfig
from pgseg_core.data.batch import Batch
from pgseg_core.train.protocols import Engine, Session, StepReport
from pgseg_core.train.schedule import Schedule
from pgseg_core.train.task import TrainTask

LARGE = 100.0
"""Gradient norm before clipping from which a step is named."""

_log = logging.getLogger(__name__)


class CarefulBackend:
    """What the entry point names: made without arguments, opened once per process."""

    def open(self, config: TrainConfig) -> "CarefulSession":
        """Open the devices; refuse settings that this machine cannot do."""
        return CarefulSession(SingleBackend().open(config))


class CarefulSession:
    """This process's device and place among the ranks."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.device: torch.device = session.device
        self.comm: Collectives = session.comm

    def wrap(self, task: TrainTask, config: TrainConfig, schedule: Schedule) -> "CarefulEngine":
        """Make the engine."""
        return CarefulEngine(self._session.wrap(task, config, schedule))

    def close(self) -> None:
        """Close the devices."""
        self._session.close()


class CarefulEngine:
    """Runs the steps of another engine and watches their gradients."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def step(self, micro_batches: Sequence[Batch], step: int) -> StepReport:
        """Run one optimiser step."""
        report = self._engine.step(micro_batches, step)
        if report.grad_norm > LARGE:
            _log.warning("step %d: gradient norm %.1f", step, report.grad_norm)
        return report

    def save(self, folder: Path) -> None:
        """Write the optimiser's state."""
        self._engine.save(folder)

    def load(self, folder: Path) -> None:
        """Read it back."""
        self._engine.load(folder)

    def weights(self) -> dict[str, Tensor] | None:
        """Return the model's state."""
        return self._engine.weights()
