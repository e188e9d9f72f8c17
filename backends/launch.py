"""Starts one process per rank on this machine, and ends all of them when one fails.

torch's elastic agent does the same with restarts, but gives a stopped rank half a minute of grace
and reports in tables; a run here ends at once with one sentence.
"""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from pgseg_core.errors import BackendError, PgsegError

ERRORS = "PGSEG_ERRORS"
"""Names the folder into which a rank that was started here writes its error."""

_POLL_SECONDS, _GRACE_SECONDS = 0.1, 3.0
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux


@dataclass(frozen=True)
class _Failure:
    rank: int
    code: int
    error: PgsegError | None
    when: float
    second_hand: bool


@dataclass(frozen=True)
class Node:
    """One machine's ranks among those of all machines.

    Attributes:
        first_rank: The number of its first rank.
        world_size: Ranks on all machines.
        address: Where rank 0 listens.
        port: The TCP port it listens on.
    """

    first_rank: int
    world_size: int
    address: str
    port: str


def start_ranks(
    arguments: Sequence[str],
    num_ranks: int,
    node: Node | None = None,
    *,
    again: Callable[[], str] = lambda: "Run the same command again",
) -> int:
    """Run a Python command line once per rank, and wait for all.

    Ctrl-C and SIGTERM are passed on once to every rank, which then save and end.

    Args:
        arguments: What follows `python`, such as `["-m", "pgseg_cli.main", "train"]`.
        num_ranks: How many processes.
        node: This machine's place among several; alone by default.
        again: Asked what to type next where a rank died or did not answer; no full stop.

    Returns:
        0, or the exit code of ranks that were interrupted (130).

    Raises:
        PgsegError: The error of the rank that failed first, or a `BackendError` that says how it
            died. All other ranks have been ended.
    """
    node = node or Node(0, num_ranks, "127.0.0.1", free_port())
    with tempfile.TemporaryDirectory(prefix="pgseg-ranks-") as folder:
        errors = Path(folder)
        line = [sys.executable, *arguments]
        codes = run_together(
            [(line, _environment(local, num_ranks, node, errors)) for local in range(num_ranks)]
        )
        failures = [
            _failure(node.first_rank + local, code, errors)
            for local, code in enumerate(codes)
            if code not in (0, None)
        ]
        interrupted = [code for code in codes if code == 130]
        if interrupted and len(interrupted) == len(failures):
            return 130
        if failures:
            first = min(failures, key=lambda f: (f.second_hand, f.when))
            silent = [node.first_rank + local for local, c in enumerate(codes) if c is None]
            raise _told(first, silent, again()) or _died(first, node.world_size, again())
    return 0


def run_together(commands: Sequence[tuple[Sequence[str], Mapping[str, str]]]) -> list[int | None]:
    """Run command lines, each with its environment, side by side, until one fails or all are done.

    Returns:
        Their exit codes; None for those that still ran when another failed, and were ended.
    """
    processes = [  # sessions of their own: Ctrl-C comes through us, once
        subprocess.Popen(line, env=environment, start_new_session=True)
        for line, environment in commands
    ]
    try:
        with _signals_passed_on(processes):
            return _wait(processes)
    finally:
        _end(processes)


def report_error(error: PgsegError) -> bool:
    """Leave an error to the process that started this rank; False if there is none."""
    folder = os.environ.get(ERRORS)
    if not folder:
        return False
    second_hand = error.__cause__ is not None and isinstance(error, BackendError)
    entry = {
        "message": error.message,
        "hint": error.hint,
        "when": time.time(),
        "second_hand": second_hand,
    }
    path = Path(folder) / f"rank-{os.environ['RANK']}.json"
    path.write_text(json.dumps(entry), "utf-8")
    return True


def is_started_rank() -> bool:
    """Whether this process was started by `start_ranks`."""
    return ERRORS in os.environ


def die_with_parent() -> None:
    """Ask Linux to end this rank when the process that started it is killed."""
    if is_started_rank() and sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)


def _environment(local: int, num_ranks: int, node: Node, errors: Path) -> dict[str, str]:
    threads = max(1, (os.cpu_count() or 1) // num_ranks)
    return {
        "OMP_NUM_THREADS": str(threads),
        **os.environ,
        "RANK": str(node.first_rank + local),
        "LOCAL_RANK": str(local),
        "WORLD_SIZE": str(node.world_size),
        "LOCAL_WORLD_SIZE": str(num_ranks),
        "MASTER_ADDR": node.address,
        "MASTER_PORT": node.port,
        ERRORS: str(errors),
    }


def _wait(ranks: "Sequence[subprocess.Popen[bytes]]") -> list[int | None]:
    """Wait until all have ended well or one has not; None stands for a rank that still runs."""
    while True:
        codes = [process.poll() for process in ranks]
        if all(code is not None for code in codes):
            return codes
        if any(code not in (None, 0, 130) for code in codes):
            time.sleep(_POLL_SECONDS)  # so that what failed together is seen together
            return [process.poll() for process in ranks]
        time.sleep(_POLL_SECONDS)


def _end(ranks: "Sequence[subprocess.Popen[bytes]]") -> None:
    """End what still runs: first asked, then killed (a stopped process hears nothing else)."""
    for process in ranks:
        if process.poll() is None:
            process.terminate()
    end = time.monotonic() + _GRACE_SECONDS
    for process in ranks:
        try:
            process.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def _signals_passed_on(ranks: "Sequence[subprocess.Popen[bytes]]") -> Iterator[None]:
    def pass_on(number: int, _: FrameType | None) -> None:
        for process in ranks:
            if process.poll() is None:
                process.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _failure(rank: int, code: int | None, errors: Path) -> _Failure:
    assert code is not None
    try:
        entry = json.loads((errors / f"rank-{rank}.json").read_text("utf-8"))
    except OSError:
        return _Failure(rank, code, None, 0.0, second_hand=False)
    error = PgsegError(entry["message"], hint=entry["hint"])
    return _Failure(rank, code, error, entry["when"], bool(entry["second_hand"]))


def _told(failure: _Failure, silent: Sequence[int], again: str) -> PgsegError | None:
    """Return the rank's own error; if it waited in vain, with the ranks that it waited for."""
    error = failure.error
    if error is None or not failure.second_hand:
        return error
    names = ", ".join(str(rank) for rank in silent)
    waited_for = f" (still running but silent: {names})" if silent else ""
    hint = f"{again}. {error.hint}" if error.hint else again
    return BackendError(f"{error.message}{waited_for}", hint=hint)


def _died(failure: _Failure, num_ranks: int, again: str) -> BackendError:
    rank, code = failure.rank, failure.code
    if code < 0:
        how = f"was killed by signal {-code} ({signal.Signals(-code).name})"
    else:
        how = f"ended with exit code {code}; its own message is above"
    return BackendError(
        f"rank {rank} of {num_ranks} {how}, and the other ranks were ended",
        hint=again + (". SIGKILL often means that memory ran out" if code == -9 else ""),
    )


def free_port() -> str:
    """Return a TCP port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])
