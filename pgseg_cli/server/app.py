"""The addresses of the server: the page, and the JSON API beside it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from pgseg_cli.server.answers import (
    FIELDS,
    Question,
    as_groups_in_stages,
    as_numbers,
    as_page_sees_it,
    mask_png,
    overlay_png,
    read_question,
    segment,
)
from pgseg_cli.server.guard import BodyError, Guard, refusal
from pgseg_cli.server.limits import Limits, decode_photo
from pgseg_cli.server.queue import Busy, Line
from pgseg_core.errors import ConfigError, PgsegError, did_you_mean
from pgseg_core.inference.options import SegmentOptions
from pgseg_core.inference.refinements import REFINEMENTS
from pgseg_core.inference.segmenter import Segmenter
from pgseg_core.methods.groups import GroupsMethod
from pgseg_core.text.templates import BUILTIN_TEMPLATES
from pgseg_core.version import VERSION
from pgseg_core.vocabularies import BUILTIN_VOCABULARIES
from pgseg_core.weights import weights_name

PAGE = Path(__file__).parent / "page"
POSTED = ("/api/segment", "/api/mask", "/api/overlay", "/api/groups")
READ = ("/", "/api/model", "/api/health")


def create_app(
    segmenter: Segmenter,
    limits: Limits | None = None,
    *,
    hosts: Sequence[str] = ("*",),
    root_path: str = "",
) -> Starlette:
    """Make the application.

    Args:
        segmenter: The model.
        limits: What it takes.
        hosts: Names that a browser may call it by; `*` for any.
        root_path: The path below which a proxy shows it; calls may come with or without it.
    """
    api = _Api(segmenter, limits or Limits())
    routes = [
        Route("/", api.page),
        Mount("/page", StaticFiles(directory=PAGE)),
        Route("/api/model", api.model),
        Route("/api/health", api.health),
        Route("/api/segment", api.segment, methods=["POST"]),
        Route("/api/mask", api.mask, methods=["POST"]),
        Route("/api/overlay", api.overlay, methods=["POST"]),
        Route("/api/groups", api.groups, methods=["POST"]),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard, limits=api.limits, hosts=hosts, root_path=root_path)],
        exception_handlers={
            PgsegError: _refused,
            BodyError: _bad_body,
            Busy: _busy,
            HTTPException: _not_so,
            Exception: _fault,
        },
    )


class _Api:
    """The addresses, around one model that answers one call at a time."""

    def __init__(self, segmenter: Segmenter, limits: Limits) -> None:
        self.segmenter, self.limits = segmenter, limits
        self.line = Line(limits.waiting)

    async def page(self, _: Request) -> Response:
        return FileResponse(PAGE / "index.html")

    async def health(self, _: Request) -> Response:
        """Say that the server answers; the model may be busy."""
        return JSONResponse({"status": "ok", "version": VERSION})

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
            }
        )

    async def segment(self, request: Request) -> Response:
        """Answer with numbers; with the field `page`, also with what the page draws."""
        call = await self._read(request)

        def work() -> dict[str, Any]:
            photo = call.photo()
            found = segment(self.segmenter, photo, call.question)
            return as_page_sees_it(photo, found) if call.question.page else as_numbers(found)

        return JSONResponse(await self.line.run(work))

    async def mask(self, request: Request) -> Response:
        """Answer with the indexed mask, a PNG of the photo's size."""
        call = await self._read(request)
        work = lambda: mask_png(segment(self.segmenter, call.photo(), call.question))  # noqa: E731
        return Response(await self.line.run(work), media_type="image/png")

    async def overlay(self, request: Request) -> Response:
        """Answer with the photo, its classes in colour, and a legend."""
        call = await self._read(request)

        def work() -> bytes:
            photo = call.photo()
            return overlay_png(photo, segment(self.segmenter, photo, call.question))

        return Response(await self.line.run(work), media_type="image/png")

    async def groups(self, request: Request) -> Response:
        """Answer with the groups of each stage, which need no classes."""
        call = await self._read(request, classes=False)
        work = lambda: as_groups_in_stages(self.segmenter, call.photo())  # noqa: E731
        return JSONResponse({"stages": await self.line.run(work)})

    async def _read(self, request: Request, *, classes: bool = True) -> "_Call":
        """Read a request. Its photo stays as it came until it is its turn.

        Raises:
            Busy: The call would be turned away: known before its photo is read.
        """
        self.line.check()
        kind = request.headers.get("content-type", "")
        if not kind.lower().startswith("multipart/form-data"):
            raise HTTPException(415)
        form = await request.form(max_files=1, max_fields=len(FIELDS) + 8)
        try:
            fields: dict[str, str] = {}
            for name, value in form.multi_items():
                if name not in FIELDS:
                    raise ConfigError(
                        f"there is no field '{name}'",
                        hint=did_you_mean(name, FIELDS, what="Fields"),
                    )
                if isinstance(value, str):
                    fields[name] = value
            upload = form.get("image")
            content: bytes | None = None
            name = "the photo"
            question = read_question(fields, self.limits) if classes else None
            if isinstance(upload, UploadFile):
                content, name = await upload.read(), Path(upload.filename or name).name or name
        finally:
            await form.close()
        return _Call(question, lambda: decode_photo(content, name, self.limits))


class _Call:
    """A request, read but not begun."""

    def __init__(self, question: Question | None, photo: Callable[[], Image.Image]) -> None:
        self._question, self.photo = question, photo

    @property
    def question(self) -> Question:
        """What is asked about the photo."""
        assert self._question is not None, "only groups are looked at without a question"
        return self._question


def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, PgsegError)
    return refusal(error.message, error.hint, 422)


def _bad_body(_: Request, error: Exception) -> Response:
    assert isinstance(error, BodyError)
    return error.answer


def _busy(_: Request, __: Exception) -> Response:
    answer = refusal("too many calls are waiting", "Try again in a few seconds.", 503)
    answer.headers["Retry-After"] = "5"
    return answer


def _not_so(request: Request, error: Exception) -> Response:
    """Refuse what the framework refuses, in our words."""
    assert isinstance(error, HTTPException)
    root = request.scope.get("app_root_path", request.scope.get("root_path", ""))
    path = request.scope["path"].removeprefix(root) or "/"
    if error.status_code == 404:
        near = did_you_mean(path, [*READ, *POSTED], what="Addresses")
        return refusal(f"there is nothing at {path}", near, 404)
    if error.status_code == 405:
        takes = "POST" if path in POSTED else "GET"
        answer = refusal(f"{path} does not take {request.method}", f"Send {takes}.", 405)
        answer.headers["Allow"] = takes
        return answer
    if error.status_code == 415:
        return refusal(
            "the request is not a form",
            "Send multipart/form-data: curl -F image=@photo.jpg -F classes=sky,road ...",
            415,
        )
    detail = str(error.detail)
    if "Too many files" in detail:
        return refusal("more than one photo came", "Send one, in the field image.", 400)
    if "Too many fields" in detail:
        return refusal("more fields came than there are", f"Fields: {', '.join(FIELDS)}", 400)
    return refusal(
        f"the form cannot be read ({detail})",
        "Let your client write it: curl -F image=@photo.jpg -F classes=sky,road ...",
        error.status_code,
    )


def _fault(_: Request, __: Exception) -> Response:
    """Answer for a bug of ours, whose traceback is in the server's terminal."""
    return refusal("the server failed at this", "Its terminal says how.", 500)
