"""A web server on loopback with every fault that image links of the web have."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from tests.data.conftest import jpeg, random_image


class FaultyServer:
    """Serves `/good/N.jpg` and one path for each fault; counts what it is asked.

    Attributes:
        asked: Requests by path.
        agents: What the requests' user agents were.
        most_at_once: Most requests that were being answered at the same time.
        streamed: Bytes that went into the endless stream.
        down: Whether `/sometimes/N.jpg` answers 503, and not `/good/N.jpg`.
    """

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.agents: set[str] = set()
        self.most_at_once = 0
        self.streamed = 0
        self.origin = ""
        self.down = False
        self._at_once = 0

    def url(self, path: str) -> str:
        return f"{self.origin}/{path}"

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._count])
        app.router.add_get("/good/{seed}.jpg", self._good)
        app.router.add_get("/sometimes/{seed}.jpg", self._sometimes)
        app.router.add_get("/as/{kind}", self._other_kind)
        for name in ("slow", "html", "cut", "stream", "flaky", "owned", "empty", "huge"):
            app.router.add_get(f"/{name}", getattr(self, f"_{name}"))
        app.router.add_get("/status/{code}", self._status)
        app.router.add_get("/moved/{times}", self._moved)
        return app

    @web.middleware
    async def _count(self, request: web.Request, handler) -> web.StreamResponse:
        self.asked[request.path] += 1
        self.agents.add(request.headers.get("User-Agent", ""))
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            return await handler(request)
        finally:
            self._at_once -= 1

    async def _good(self, request: web.Request) -> web.Response:
        await asyncio.sleep(0.005)
        image = jpeg(random_image(int(request.match_info["seed"])))
        return web.Response(body=image, content_type="text/plain")  # a server that does not care

    async def _sometimes(self, request: web.Request) -> web.Response:
        return web.Response(status=503) if self.down else await self._good(request)

    async def _other_kind(self, request: web.Request) -> web.Response:
        import io

        buffer = io.BytesIO()
        random_image(5).save(buffer, request.match_info["kind"])
        return web.Response(body=buffer.getvalue(), content_type="image/jpeg")

    async def _slow(self, request: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    async def _html(self, request: web.Request) -> web.Response:
        text = "<!DOCTYPE html><html><body>This photo is no longer available</body></html>"
        return web.Response(body=text.encode(), content_type="image/jpeg")

    async def _cut(self, request: web.Request) -> web.StreamResponse:
        image = jpeg(random_image(3, 300, 300))
        response = web.StreamResponse(headers={"Content-Length": str(len(image))})
        await response.prepare(request)
        await response.write(image[: len(image) // 2])
        request.transport.close()
        return response

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "image/jpeg"})
        await response.prepare(request)
        await response.write(jpeg(random_image(4)))
        chunk = bytes(1 << 20)
        for _ in range(2048):
            await response.write(chunk)
            self.streamed += len(chunk)
        return response

    async def _huge(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(2 << 30)})
        await response.prepare(request)
        await asyncio.sleep(60)
        return response

    async def _flaky(self, request: web.Request) -> web.Response:
        if self.asked[request.path] < 3:
            return web.Response(status=503, headers={"Retry-After": "0"})
        return await self._good_response(6)

    async def _owned(self, request: web.Request) -> web.Response:
        response = await self._good_response(7)
        response.headers["X-Robots-Tag"] = "noai, noimageai"
        return response

    async def _empty(self, request: web.Request) -> web.Response:
        return web.Response()

    async def _status(self, request: web.Request) -> web.Response:
        return web.Response(status=int(request.match_info["code"]))

    async def _moved(self, request: web.Request) -> web.Response:
        times = int(request.match_info["times"])
        there = f"/moved/{times - 1}" if times else "/good/8.jpg"
        return web.Response(status=302, headers={"Location": there})

    @staticmethod
    async def _good_response(seed: int) -> web.Response:
        return web.Response(body=jpeg(random_image(seed)))


@contextmanager
def serve() -> Iterator[FaultyServer]:
    """Run a server on a free port of 127.0.0.1 in a thread of its own."""
    server = FaultyServer()
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(server.application(), shutdown_timeout=0, handler_cancellation=True)
    loop.run_until_complete(runner.setup())
    site = web.TCPSite(runner, "127.0.0.1", 0)
    loop.run_until_complete(site.start())
    server.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
