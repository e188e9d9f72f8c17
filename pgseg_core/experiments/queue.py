"""Runs programs side by side, each cell's one after the other, and stops all of them on Ctrl-C.

Programs, not functions: a run's memory and threads end with it, and what a cell does is what a
user can type. Which programs a cell needs is the caller's knowledge.
"""

import os
import queue
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pgseg_core.experiments.runs import CellFolder


@dataclass(frozen=True)
class Step:
    """One program of a cell."""

    what: str
    """In a word or two: `train`, `eval scenes`."""
    command: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """How a cell ended."""

    folder: CellFolder
    how: str
    """`done`, `failed`, `stopped`, or `elsewhere` for a cell that another sweep works on."""
    step: Step | None = None
    """The step that failed."""


Steps = Callable[[CellFolder], Sequence[Step]]
"""What is still to be done for a cell; asked when its turn has come."""


@dataclass
class Crew:
    """Runs cells, `at_once` at a time.

    Attributes:
        at_once: How many cells.
        environment: Of a place among those that run at once, counted from 0: variables to set.
        on_end: Told of each cell as it ends.
    """

    at_once: int
    environment: Callable[[int], Mapping[str, str]]
    on_end: Callable[[Outcome], None]
    _running: set["subprocess.Popen[bytes]"] = field(default_factory=set)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _change: threading.Lock = field(default_factory=threading.Lock)

    def run(self, folders: Sequence[CellFolder], steps: Steps) -> list[Outcome]:
        """Run every cell's steps; a cell whose step fails is given up, the others go on.

        SIGINT and SIGTERM are passed on once, so that training saves; what has not begun is left.
        """
        places: queue.SimpleQueue[int] = queue.SimpleQueue()
        for place in range(self.at_once):
            places.put(place)

        def run_one(folder: CellFolder) -> Outcome:
            place = places.get()
            try:
                outcome = self._run(folder, steps, self.environment(place))
            finally:
                places.put(place)
            self.on_end(outcome)
            return outcome

        with self._signals_passed_on(), ThreadPoolExecutor(self.at_once) as pool:
            futures = [pool.submit(run_one, folder) for folder in folders]
            while wait(futures, timeout=0.5).not_done:
                pass  # in slices: a signal is seen between them
        return [future.result() for future in futures]

    def stopped(self) -> bool:
        """Whether it was told to stop."""
        return self._stopping.is_set()

    def _run(self, folder: CellFolder, steps: Steps, variables: Mapping[str, str]) -> Outcome:
        if self.stopped():
            return Outcome(folder, "stopped")
        with folder.claimed() as claim:
            if claim is None:
                return Outcome(folder, "elsewhere")
            for step in steps(folder):
                code = self._call(step, folder.log, claim, variables)
                if self.stopped():
                    return Outcome(folder, "stopped", step)
                if code:
                    return Outcome(folder, "failed", step)
        return Outcome(folder, "done")

    def _call(self, step: Step, log: Path, claim: int, variables: Mapping[str, str]) -> int:
        """Run one program, its words added to the log, and return its exit code."""
        with self._change:
            if self.stopped():
                return 130
            with log.open("ab") as messages:
                process = subprocess.Popen(  # a session of its own: Ctrl-C comes through us, once
                    step.command,
                    stdin=subprocess.DEVNULL,
                    stdout=messages,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **variables},
                    pass_fds=(claim,),
                    start_new_session=True,
                )
            self._running.add(process)
        try:
            return process.wait()
        finally:
            with self._change:
                self._running.discard(process)

    @contextmanager
    def _signals_passed_on(self) -> Iterator[None]:
        def stop(*_: object) -> None:
            again = self.stopped()
            self._stopping.set()
            for process in list(self._running):
                process.send_signal(signal.SIGKILL if again else signal.SIGINT)

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
