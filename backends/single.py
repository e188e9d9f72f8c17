"""One process on one device: CPU, CUDA or MPS."""

import torch

from pgseg_backends.engine import TorchEngine
from pgseg_backends.step import check_precision
from pgseg_core.comm import LocalCollectives
from pgseg_core.config import TrainConfig
from pgseg_core.device import find_device
from pgseg_core.train.schedule import Schedule
from pgseg_core.train.task import TrainTask


class SingleBackend:
    """Everything in this process."""

    def open(self, config: TrainConfig) -> "SingleSession":
        """Choose the device.

        Raises:
            BackendError: The device that the configuration names is not there, or cannot do the
                precision.
        """
        device = find_device(config.device)
        check_precision(config, device)
        return SingleSession(device)


class SingleSession:
    """A world of one."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.comm = LocalCollectives()

    def wrap(self, task: TrainTask, config: TrainConfig, schedule: Schedule) -> TorchEngine:
        """Move the task to the device and make its engine."""
        return TorchEngine(task.to(self.device).train(), config, schedule, self.device)

    def close(self) -> None:
        """Nothing was opened."""
