"""Rows to decisions, in order, by many at a time: threads that decode, and connections that fetch.

Pillow decodes outside the interpreter's lock. A window of rows is under way; the oldest is handed
out first, so a slow host holds up its row and not the others of the window.
"""

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

from pgseg_core.data.prepare.download import Downloader, Failed
from pgseg_core.data.prepare.examine import examine_image, examine_local, examine_text
from pgseg_core.data.prepare.options import PrepareOptions
from pgseg_core.data.prepare.rows import Row, WebAddress
from pgseg_core.data.prepare.samples import Decision, Rejected

_QUEUE_PER_THREAD = 8
_QUEUE_PER_CONNECTION = 16
_MOST_WAITING = 512_000_000  # bytes of images that wait for an older row


def decide(rows: Iterable[Row], options: PrepareOptions) -> Iterator[Decision]:
    """Examine rows, keeping their order.

    Args:
        rows: By rising position.
        options: How; threads and connections do not change the result.
    """
    with ExitStack() as stack:
        crew = _Crew(options, stack)
        queue: deque[Future[Decision] | Decision] = deque()
        longest = _QUEUE_PER_THREAD * options.threads
        try:
            for row in rows:
                queue.append(examine_text(row, options) or crew.start(row))
                if isinstance(row.place, WebAddress):
                    longest = max(longest, _QUEUE_PER_CONNECTION * options.downloads.connections)
                while len(queue) >= longest or crew.bytes_waiting > _MOST_WAITING:
                    if not queue:
                        break
                    yield crew.finish(queue.popleft())
            while queue:
                yield crew.finish(queue.popleft())
        finally:
            for waiting in queue:
                if isinstance(waiting, Future):
                    waiting.cancel()


class _Crew:
    """The threads and connections; counts the bytes of what is done and not yet handed out."""

    def __init__(self, options: PrepareOptions, stack: ExitStack) -> None:
        self._options = options
        self._stack = stack
        self._pool = stack.enter_context(ThreadPoolExecutor(options.threads))
        self._downloader: Downloader | None = None
        self._lock = threading.Lock()
        self.bytes_waiting = 0

    def start(self, row: Row) -> "Future[Decision]":
        if isinstance(row.place, WebAddress):
            then = partial(_examine_fetched, row, self._options)
            future = self._open_downloader().fetch(row.place.url, then)
        else:
            future = self._pool.submit(examine_local, row, self._options)
        future.add_done_callback(self._count)
        return future

    def finish(self, waiting: "Future[Decision] | Decision") -> Decision:
        if not isinstance(waiting, Future):
            return waiting
        decision = waiting.result()
        with self._lock:
            self.bytes_waiting -= _size(decision)
        return decision

    def _count(self, future: "Future[Decision]") -> None:
        if not future.cancelled() and future.exception() is None:
            with self._lock:
                self.bytes_waiting += _size(future.result())

    def _open_downloader(self) -> Downloader:
        """Open on the first address."""
        if self._downloader is None:
            downloader = Downloader(self._options.downloads, self._pool)
            self._downloader = self._stack.enter_context(downloader)
        return self._downloader


def _examine_fetched(row: Row, options: PrepareOptions, fetched: bytes | Failed) -> Decision:
    if isinstance(fetched, bytes):
        return examine_image(row, fetched, options)
    return Rejected(row.position, row.source, fetched.reason, row.name)


def _size(decision: Decision) -> int:
    return 0 if isinstance(decision, Rejected) else len(decision.image)
