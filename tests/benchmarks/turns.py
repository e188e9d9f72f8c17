"""Programs in processes of their own that take turns on the clock."""

import importlib
import multiprocessing
import os
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any


@dataclass(frozen=True)
class Program:
    """Something to time."""

    name: str
    make: str
    """`module:function`; called once with `options`, it returns what is timed."""
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Times:
    """What one program took in its turns."""

    wall: tuple[float, ...]
    """Seconds."""
    cpu: tuple[float, ...]
    """Seconds of all threads together."""
    peak: int
    """Largest resident size of the process, in bytes."""

    @property
    def median(self) -> float:
        return statistics.median(self.wall)


@dataclass(frozen=True)
class Ratio:
    """How many times longer a peer takes than we do: median, least and most over the turns."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


def take_turns(
    programs: Sequence[Program], *, turns: int, threads: int, warm: int = 1
) -> dict[str, Times]:
    """Run the programs one after the other, `turns` times, and never two at once."""
    with ExitStack() as open_ones:
        runners = [open_ones.enter_context(_Runner(p, threads)) for p in programs]
        for _ in range(warm):
            for runner in runners:
                runner.run()
        seen = [[runner.run() for runner in runners] for _ in range(turns)]
        peaks = [runner.peak() for runner in runners]
    return {
        program.name: Times(
            wall=tuple(turn[i][0] for turn in seen),
            cpu=tuple(turn[i][1] for turn in seen),
            peak=peaks[i],
        )
        for i, program in enumerate(programs)
    }


def ratio(peer: Times, ours: Times) -> Ratio:
    """Compare turn by turn; CPU seconds are not looked at."""
    turns = [theirs / own for theirs, own in zip(peer.wall, ours.wall, strict=True)]
    return Ratio(statistics.median(turns), min(turns), max(turns))


class _Runner:
    """A process that runs its program whenever it is told to."""

    def __init__(self, program: Program, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.here, there = context.Pipe()
        variables = {"OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"}
        os.environ.update(variables)  # inherited; torch reads them while it is imported
        self.process = context.Process(target=_serve, args=(there, program, threads), daemon=True)

    def __enter__(self) -> "_Runner":
        self.process.start()
        self._answer()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.is_alive():
            self.here.send("stop")
        self.process.join(10)
        if self.process.is_alive():
            self.process.kill()

    def run(self) -> tuple[float, float]:
        self.here.send("run")
        return self._answer()

    def peak(self) -> int:
        self.here.send("peak")
        return self._answer()

    def _answer(self) -> Any:
        answer = self.here.recv()
        if isinstance(answer, BaseException):
            raise answer
        return answer


def _serve(pipe: Connection, program: Program, threads: int) -> None:
    try:
        import torch

        torch.set_num_threads(threads)
        module, name = program.make.split(":")
        make: Callable[..., Callable[[], object]] = getattr(importlib.import_module(module), name)
        run = make(**program.options)
        pipe.send("ready")
        while (order := pipe.recv()) != "stop":
            if order == "peak":
                pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
                continue
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            pipe.send((time.perf_counter() - wall, time.process_time() - cpu))
    except Exception as error:  # told to whoever waits at the other end
        pipe.send(RuntimeError(f"{program.name}: {type(error).__name__}: {error}"))
