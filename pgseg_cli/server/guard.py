"""What stands before the application: who may call, how much may come, headers on all answers."""

import asyncio
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pgseg_cli.server.limits import Limits

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""On every answer."""


def refusal(message: str, hint: str, status: int) -> JSONResponse:
    """Return a refusal as all of them are: one sentence, and what to do."""
    return JSONResponse({"error": message, "hint": hint}, status)


class BodyError(Exception):
    """A body that is too long, or that does not come."""

    def __init__(self, answer: JSONResponse) -> None:
        super().__init__()
        self.answer = answer


class Guard:
    """Refuses calls under other names and from other sites' pages, and bodies without end.

    Args:
        app: What answers.
        limits: `upload_bytes` and `body_seconds` are read.
        hosts: Names that a browser may call it by; `*` takes any. Without such a list any page in
            the user's browser could reach a server of this machine under a name of its own.
        root_path: A path that calls may come with.
    """

    def __init__(
        self, app: ASGIApp, limits: Limits, hosts: Sequence[str], root_path: str = ""
    ) -> None:
        self.app, self.limits, self.hosts = app, limits, frozenset(hosts)
        self.root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a call, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def covered(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        if self.root_path and scope["path"].startswith(f"{self.root_path}/"):
            scope = {**scope, "root_path": self.root_path}
        answer = self._refused(Headers(scope=scope))
        if answer is not None:
            await answer(scope, receive, covered)
            return
        await self.app(scope, self._counted(receive), covered)

    def _refused(self, headers: Mapping[str, str]) -> JSONResponse | None:
        host = _hostname(f"//{headers.get('host', '')}")
        if "*" not in self.hosts and host not in self.hosts:
            return refusal(
                f"this server does not answer to the name {host or 'of nobody'}",
                f"Start it with --allow-host {host or 'NAME'}, if that is its name.",
                400,
            )
        origin = headers.get("origin")
        if origin is not None and not self._is_own(origin, headers.get("host", "")):
            return refusal(
                "calls from other sites' pages are not answered",
                "Behind a proxy, start the server with --allow-host and the name in the browser's "
                "address line.",
                403,
            )
        try:
            length = int(headers.get("content-length") or 0)
        except ValueError:
            return refusal("content-length is not a number", "Leave it to your client.", 400)
        return too_large(self.limits) if length > self.limits.upload_bytes else None

    def _is_own(self, origin: str, host: str) -> bool:
        try:
            where = urlsplit(origin).netloc
        except ValueError:  # not an address at all
            return False
        name = _hostname(origin)
        return where == host or (name in self.hosts and name != "*")

    def _counted(self, receive: Receive) -> Receive:
        received, whole = 0, False
        deadline = asyncio.get_running_loop().time() + self.limits.body_seconds

        async def counted() -> Message:
            nonlocal received, whole
            try:
                async with asyncio.timeout_at(None if whole else deadline):
                    message = await receive()
            except TimeoutError:
                raise BodyError(
                    refusal("the request did not come in time", "Send it again.", 408)
                ) from None
            received += len(message.get("body", b""))
            if received > self.limits.upload_bytes:
                raise BodyError(too_large(self.limits))
            whole = not message.get("more_body", False)  # then only a client that leaves is heard
            return message

        return counted


def too_large(limits: Limits) -> JSONResponse:
    """Return the refusal of a body that is too long."""
    return refusal(
        f"the upload is larger than {limits.upload_bytes / 2**20:g} MiB",
        "Make the photo smaller, or start the server with a larger --max-upload.",
        413,
    )


def _hostname(address: str) -> str:
    """Return the name in an address, without port; empty where there is none."""
    try:
        name = urlsplit(address).hostname or ""
    except ValueError:
        return ""
    return f"[{name}]" if ":" in name else name
