"""Joining and leaving the process group, and saying in one sentence when it breaks."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import HashStore

from pgseg_backends.collectives import ProcessGroupCollectives
from pgseg_backends.launch import is_started_rank
from pgseg_backends.world import World, find_world
from pgseg_core.comm import Collectives, LocalCollectives
from pgseg_core.config import TrainConfig
from pgseg_core.device import find_device
from pgseg_core.errors import BackendError

_BROKEN = ("gloo", "nccl", "connection", "timed out", "timeout", "socket")
_LEAVE_SECONDS = 5.0


class ProcessGroup:
    """This process's place in an open process group; a world of one opens none.

    Args:
        config: Says the device and how long ranks wait for each other (`train.timeout`).
        always: Open a group even for a world of one, for engines that insist.

    Raises:
        BackendError: The others could not be found in time, or there are more ranks than devices.
    """

    def __init__(self, config: TrainConfig, *, always: bool = False) -> None:
        self.world = find_world()
        self.device = _own_device(config, self.world)
        self.timeout = config.timeout
        self.comm: Collectives = LocalCollectives()
        if self.world.size > 1 or always:
            self._join()
        if self.world.size > 1:
            self.comm = ProcessGroupCollectives(self.device, self.watched)

    def close(self) -> None:
        """Leave the group without waiting for ranks that are gone."""
        if not dist.is_initialized():
            return
        leaving = threading.Thread(target=dist.destroy_process_group, daemon=True)
        leaving.start()
        leaving.join(_LEAVE_SECONDS)

    @contextmanager
    def watched(self, what: str) -> Iterator[None]:
        """Turn a collective that failed or timed out into a sentence.

        Raises:
            BackendError: Another rank is gone, or did not come within `train.timeout` seconds.
        """
        try:
            yield
        except RuntimeError as error:
            text = str(error).lower()
            if not isinstance(error, dist.DistError) and not any(w in text for w in _BROKEN):
                raise
            late = "timed out" in text or "timeout" in text
            how = f"did not answer within {self.timeout:g} s" if late else "closed the connection"
            hints = [] if is_started_rank() else ["Start all ranks again; training: --resume RUN"]
            if late:
                hints.append("Where it only was slow, training waits longer with --timeout SECONDS")
            raise BackendError(
                f"{what}: another rank than {self.world.rank} {how}", hint=". ".join(hints)
            ) from error

    def _join(self) -> None:
        world = self.world
        on_cuda = self.device.type == "cuda"
        if on_cuda:
            torch.cuda.set_device(self.device)
        if world.size > 1:  # where torch looks for rank 0; srun alone does not say it
            os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = world.address, str(world.port)
        try:
            dist.init_process_group(
                "nccl" if on_cuda else "gloo",
                init_method="env://" if world.size > 1 else None,
                store=None if world.size > 1 else HashStore(),
                rank=world.rank,
                world_size=world.size,
                timeout=timedelta(seconds=self.timeout),
                device_id=self.device if on_cuda else None,
            )
        except RuntimeError as error:
            raise self._not_met() from error

    def _not_met(self) -> BackendError:
        world = self.world
        return BackendError(
            f"rank {world.rank} of {world.size} did not meet the others at "
            f"{world.address}:{world.port} within {self.timeout:g} s",
            hint="Start all ranks together with the same MASTER_ADDR and MASTER_PORT, or wait "
            "longer: --timeout SECONDS",
        )


class GroupSession:
    """What a session around a process group has besides its engine.

    Args:
        group: The open process group.
    """

    def __init__(self, group: ProcessGroup) -> None:
        self.group = group
        self.device: torch.device = group.device
        self.comm: Collectives = group.comm

    def close(self) -> None:
        """Leave the process group."""
        self.group.close()


def _own_device(config: TrainConfig, world: World) -> torch.device:
    device = find_device(config.device)
    if device.type == "mps" and world.size > 1:
        raise BackendError(
            "several processes cannot share an MPS device", hint="--set train.device=cpu"
        )
    if device.type != "cuda":
        return device
    count = torch.cuda.device_count()
    if world.local_rank >= count:
        raise BackendError(
            f"rank {world.rank} is number {world.local_rank + 1} on this machine, which has "
            f"{count} CUDA device{'s' if count > 1 else ''}",
            hint=f"--nproc {count}, or compute on the CPU: --set train.device=cpu",
        )
    return torch.device("cuda", world.local_rank)
