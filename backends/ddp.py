"""One process per device, each with all weights: torch's `DistributedDataParallel`."""

import warnings
from collections.abc import Sequence

from torch.nn.parallel import DistributedDataParallel

from pgseg_backends.engine import TorchEngine
from pgseg_backends.group import GroupSession, ProcessGroup
from pgseg_backends.step import check_precision
from pgseg_core.config import TrainConfig
from pgseg_core.data.batch import Batch
from pgseg_core.train.protocols import StepReport
from pgseg_core.train.schedule import Schedule
from pgseg_core.train.task import TrainTask


class DdpBackend:
    """Gloo on CPUs, NCCL on CUDA. Joins what torchrun, srun or `--nproc` started."""

    def open(self, config: TrainConfig) -> "DdpSession":
        """Find the other ranks.

        Raises:
            BackendError: They did not come within `train.timeout` seconds, or this machine has
                too few devices.
        """
        group = ProcessGroup(config)
        check_precision(config, group.device)
        return DdpSession(group)


class DdpSession(GroupSession):
    """This rank's device and its process group."""

    def wrap(self, task: TrainTask, config: TrainConfig, schedule: Schedule) -> "DdpEngine":
        """Move the task to the device and make its engine."""
        return DdpEngine(task.to(self.device).train(), config, schedule, self.group)


class DdpEngine(TorchEngine):
    """The torch engine with gradients averaged over ranks while the backward pass runs.

    Args:
        task: The task on its device; rank 0's weights are copied to the others.
        config: Optimisation settings.
        schedule: Learning rates.
        group: The open process group.
    """

    def __init__(
        self, task: TrainTask, config: TrainConfig, schedule: Schedule, group: ProcessGroup
    ) -> None:
        self.group = group
        if group.world.size == 1 or config.grad_cache:  # which averages gradients by itself
            super().__init__(task, config, schedule, group.device)
            return
        # Buffers stay equal by themselves: BatchNorm and the banks average over ranks.
        with warnings.catch_warnings():  # newer torch renames this option; older knows only it
            warnings.simplefilter("ignore", FutureWarning)
            parallel = DistributedDataParallel(
                task, broadcast_buffers=False, gradient_as_bucket_view=True
            )
        super().__init__(
            task,
            config,
            schedule,
            group.device,
            forward=parallel,
            unsynchronised=parallel.no_sync,
        )

    def step(self, micro_batches: Sequence[Batch], step: int) -> StepReport:
        """Run one optimiser step.

        Raises:
            TrainingError: The loss or a gradient is not finite on some rank; all ranks raise.
            BackendError: Another rank is gone, or late by more than `train.timeout` seconds.
        """
        with self.group.watched(f"step {step}"):
            return super().step(micro_batches, step)
