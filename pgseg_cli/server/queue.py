"""One call at a time for the model, in the order they came; beyond a few that wait, none."""

from collections.abc import Callable
from typing import TypeVar

import anyio
from anyio import to_thread

T = TypeVar("T")


class Busy(Exception):  # noqa: N818 (a state of the server, not a fault)
    """More calls wait than the server lets wait."""


class Line:
    """Runs blocking work in a thread, one piece at a time."""

    def __init__(self, most_waiting: int) -> None:
        self._one = anyio.Lock()
        self._most = most_waiting
        self._inside = 0

    def check(self) -> None:
        """Raise where a further call would be turned away, before anything is done for it.

        Raises:
            Busy: As many as may wait are waiting already.
        """
        if self._inside > self._most:
            raise Busy

    async def run(self, work: Callable[[], T]) -> T:
        """Wait for the turn, then do the work away from the event loop.

        Raises:
            Busy: As many as may wait are waiting already.
        """
        self.check()
        self._inside += 1
        try:
            async with self._one:
                return await to_thread.run_sync(work)
        finally:
            self._inside -= 1
