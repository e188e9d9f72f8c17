"""Connections: how many, and how long each may take to say what it wants.

uvicorn waits for ever for a request that has begun. Here a head that does not come in time ends its
connection, and where there are too many connections those that have said least make room.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from pgseg_cli.server.limits import Limits


def bounded(limits: Limits) -> type[H11Protocol]:
    """Return uvicorn's protocol with the limits of a server."""
    silent: dict[_Bounded, None] = {}  # those without a whole head, the oldest first

    class Own(_Bounded):
        waiting = silent
        most = limits.connections
        seconds = limits.head_seconds

    return Own


class _Bounded(H11Protocol):
    """One connection."""

    waiting: dict["_Bounded", None]
    most: int
    seconds: float
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection; the oldest that has asked for nothing yet makes room for it."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            oldest = next(iter(self.waiting), None)
            if oldest is None:  # all of them are being answered
                transport.write(_answer(503, *_FULL))
                transport.close()
                return
            oldest.give_up()
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Take a piece of a request."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:  # its head is not whole yet
            self._wait()
        else:
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_waiting()
        super().connection_lost(exc)

    def give_up(self) -> None:
        """End a connection whose request has not come."""
        self._stop_waiting()
        if not self.transport.is_closing():
            self.transport.write(_answer(408, *_LATE))
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, in the words of every refusal."""
        self.transport.write(_answer(400, "this is not a request in HTTP", msg))
        self.transport.close()

    def _wait(self) -> None:
        if self._timer is None:
            later = cast("Callable[..., asyncio.TimerHandle]", self.loop.call_later)
            self._timer = later(self.seconds, self.give_up)
            self.waiting[self] = None

    def _stop_waiting(self) -> None:
        self.waiting.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


_FULL = ("too many connections are open", "Try again in a few seconds.")
_LATE = ("the request did not come in time", "Send it again.")
_REASONS = {400: "Bad Request", 408: "Request Timeout", 503: "Service Unavailable"}


def _answer(status: int, error: str, hint: str) -> bytes:
    values: dict[str, Any] = {"error": error, "hint": hint}
    body = json.dumps(values).encode()
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nx-content-type-options: nosniff\r\n"
        "connection: close\r\n\r\n"
    )
    return head.encode() + body
