"""What a run costs: images per second, waiting, memory, and steps that were cut or skipped."""

import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from pgseg_core.comm import Collectives
from pgseg_core.train.protocols import StepReport

_GIB = 2**30


class Meter:
    """Counts the steps since the last log line.

    Args:
        batch_size: Images of a step over all ranks.
        comm: The ranks; `read` tells of the slowest and the fullest.
        device: Where this rank computes.
        clip: Gradient norm from which steps are cut; 0 cuts none.
    """

    def __init__(
        self, batch_size: int, comm: Collectives, device: torch.device, clip: float
    ) -> None:
        self._batch_size = batch_size
        self._comm = comm
        self._device = device
        self._clip = clip
        self.restart()

    def restart(self) -> None:
        """Begin anew."""
        self._start = time.perf_counter()
        self._steps = self._skipped = self._clipped = 0
        self._waited = 0.0

    def count(self, report: StepReport) -> None:
        """Take note of a step."""
        self._steps += 1
        self._skipped += report.skipped
        self._clipped += bool(self._clip) and not report.skipped and report.grad_norm > self._clip

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time inside as waiting for data."""
        start = time.perf_counter()
        yield
        self._waited += time.perf_counter() - start

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the time inside out: saving and evaluating are no steps."""
        start = time.perf_counter()
        yield
        self._start += time.perf_counter() - start

    @property
    def images_per_second(self) -> float:
        """Over all ranks."""
        return self._steps * self._batch_size / self._elapsed()

    @property
    def data_share(self) -> float:
        """Part of this rank's time spent waiting for batches, in [0, 1]."""
        return self._waited / self._elapsed()

    def read(self) -> dict[str, float]:
        """Return all numbers, alike on every rank; all ranks call it.

        Waiting and memory are those of the rank that has most of them.
        """
        own = torch.tensor([[self.data_share, peak_memory(self._device) / _GIB]])
        worst = self._comm.all_gather(own.to(self._device)).amax(dim=0).tolist()
        return {
            "images_per_second": self.images_per_second,
            "images_per_second_per_device": self.images_per_second / self._comm.world_size,
            "data_share": worst[0],
            "memory_gib": worst[1],
            "clipped": self._clipped,
            "skipped": self._skipped,
        }

    def _elapsed(self) -> float:
        return max(time.perf_counter() - self._start, 1e-9)


def peak_memory(device: torch.device) -> int:
    """Most bytes in use so far: the device's, or on a CPU this process's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def total_memory(device: torch.device) -> int:
    """Bytes that the device has; on a CPU, the machine's."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
