"""The addresses of the server and who may call them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, UploadFile
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pgseg_cli.server.answers import (
    Question,
    as_numbers,
    as_page_sees_it,
    mask_png,
    overlay_png,
    read_question,
    segment,
)
from pgseg_cli.server.limits import Limits, decode_photo
from pgseg_cli.server.queue import Busy, Line
from pgseg_core.errors import PgsegError
from pgseg_core.inference.options import SegmentOptions
from pgseg_core.inference.refinements import REFINEMENTS
from pgseg_core.inference.segmenter import Segmenter
from pgseg_core.methods.groups import GroupsMethod
from pgseg_core.text.templates import BUILTIN_TEMPLATES
from pgseg_core.version import VERSION
from pgseg_core.vocabularies import BUILTIN_VOCABULARIES
from pgseg_core.weights import weights_name

PAGE = Path(__file__).parent / "page"

_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def create_app(
    segmenter: Segmenter, limits: Limits | None = None, *, hosts: Sequence[str] = ("*",)
) -> Starlette:
    """Make the application.

    Args:
        segmenter: The model.
        limits: What it takes.
        hosts: Names that a browser may call it by. Without such a list any page in the user's
            browser could reach a server of this machine under a name of its own.
    """
    api = _Api(segmenter, limits or Limits())
    routes = [
        Route("/", api.page),
        Mount("/page", StaticFiles(directory=PAGE)),
        Route("/api/model", api.model),
        Route("/api/segment", api.segment, methods=["POST"]),
        Route("/api/mask", api.mask, methods=["POST"]),
        Route("/api/overlay", api.overlay, methods=["POST"]),
    ]
    middleware = [
        Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts)),
        Middleware(_Guard, most_bytes=api.limits.upload_bytes),
    ]
    return Starlette(
        routes=routes,
        middleware=middleware,
        exception_handlers={
            PgsegError: _refused,
            _TooLarge: _too_large,
            Busy: _busy,
            Exception: _fault,
        },
    )


class _Api:
    """The addresses, around one model that answers one call at a time."""

    def __init__(self, segmenter: Segmenter, limits: Limits) -> None:
        self.segmenter, self.limits = segmenter, limits
        self.line = Line(limits.waiting)

    async def page(self, _: Request) -> Response:
        return FileResponse(PAGE / "index.html", headers=_HEADERS)

    async def model(self, _: Request) -> Response:
        """Say which model answers, and what may be asked of it."""
        method = self.segmenter.method
        groups: Sequence[int] = ()
        if isinstance(method, GroupsMethod):
            groups = method.network.config.image.num_groups
        usual = self.segmenter.settled(SegmentOptions(background=True))
        return JSONResponse(
            {
                "version": VERSION,
                "weights": weights_name(self.segmenter.origin),
                "groups": list(groups),
                "threshold": usual.threshold,
                "background_words": list(usual.background_words or ()),
                "templates": list(BUILTIN_TEMPLATES),
                "refinements": list(REFINEMENTS),
                "vocabularies": list(BUILTIN_VOCABULARIES),
                "most_bytes": self.limits.upload_bytes,
                "most_pixels": self.limits.pixels,
            },
            headers=_HEADERS,
        )

    async def segment(self, request: Request) -> Response:
        """Answer with numbers; with the field `page`, also with what the page draws."""
        photo, question, fields = await self._read(request)

        def work() -> dict[str, Any]:
            found = segment(self.segmenter, photo, question)
            if fields.get("page"):
                return as_page_sees_it(self.segmenter, photo, found)
            return as_numbers(found)

        return JSONResponse(await self.line.run(work), headers=_HEADERS)

    async def mask(self, request: Request) -> Response:
        """Answer with the indexed mask, a PNG of the photo's size."""
        photo, question, _ = await self._read(request)
        content = await self.line.run(lambda: mask_png(segment(self.segmenter, photo, question)))
        return Response(content, media_type="image/png", headers=_HEADERS)

    async def overlay(self, request: Request) -> Response:
        """Answer with the photo, its classes in colour, and a legend."""
        photo, question, _ = await self._read(request)
        content = await self.line.run(
            lambda: overlay_png(photo, segment(self.segmenter, photo, question))
        )
        return Response(content, media_type="image/png", headers=_HEADERS)

    async def _read(self, request: Request) -> tuple[Image.Image, Question, Mapping[str, str]]:
        async with request.form(max_files=1, max_fields=32) as form:
            fields = {name: value for name, value in form.items() if isinstance(value, str)}
            question = read_question(fields, self.limits)
            upload = form.get("image")
            content: bytes | None = None
            name = "the photo"
            if isinstance(upload, UploadFile):
                content, name = await upload.read(), Path(upload.filename or name).name or name
        photo = await run_in_threadpool(decode_photo, content, name, self.limits)
        return photo, question, fields


class _TooLarge(Exception):  # noqa: N818 (what is answered, not a fault)
    """A body longer than the server takes."""


class _Guard:
    """Refuses bodies that are too long as they come in, and calls from other sites' pages."""

    def __init__(self, app: ASGIApp, most_bytes: int) -> None:
        self.app, self.most_bytes = app, most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if _from_elsewhere(headers):
            answer = _error("calls from other sites' pages are not answered", "", 403)
            await answer(scope, receive, send)
            return
        if int(headers.get("content-length") or 0) > self.most_bytes:
            await _size_error(self.most_bytes)(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.most_bytes:
                raise _TooLarge(self.most_bytes)
            return message

        await self.app(scope, counted, send)


def _from_elsewhere(headers: Mapping[str, str]) -> bool:
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")


def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, PgsegError)
    return _error(error.message, error.hint, 422)


def _too_large(_: Request, error: Exception) -> Response:
    return _size_error(int(error.args[0]))


def _size_error(most_bytes: int) -> JSONResponse:
    return _error(
        f"the upload is larger than {most_bytes / 2**20:g} MiB",
        "Make the photo smaller, or start the server with a larger --max-upload.",
        413,
    )


def _busy(_: Request, __: Exception) -> Response:
    answer = _error("too many calls are waiting", "Try again in a few seconds.", 503)
    answer.headers["Retry-After"] = "5"
    return answer


def _fault(_: Request, __: Exception) -> Response:
    """Answer for a bug of ours, whose traceback is in the server's terminal."""
    return _error("the server failed at this", "Its terminal says how.", 500)


def _error(message: str, hint: str, status: int) -> JSONResponse:
    return JSONResponse({"error": message, "hint": hint}, status, headers=_HEADERS)
