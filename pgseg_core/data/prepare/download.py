"""Images from the web: many at a time, few from one host, and none that is not an image.

An event loop in a thread of its own fetches; what it fetched is examined on the threads of a pool
before its place is given to the next, so that files waiting to be decoded do not fill the memory.
Redirects are followed here and not by the library, so that the limit holds for the hosts they lead
to.
"""

import asyncio
import random
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import aiohttp
from yarl import URL

from pgseg_core.data.prepare.options import Downloads
from pgseg_core.data.prepare.sniff import SNIFFED, image_kind, other_kind

_Result = TypeVar("_Result")

_MOVED = frozenset({301, 302, 303, 307, 308})
_MAX_MOVES = 10
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})
_LONGEST_WAIT = 60.0  # seconds
_CHUNK = 65_536
_NAME_THREADS = 32  # looking up the addresses of hosts blocks a thread each
# What owners of images write into X-Robots-Tag to keep them out of training, and of searches.
_OPTED_OUT = frozenset({"noai", "noimageai", "noindex", "noimageindex"})


@dataclass(frozen=True)
class Failed:
    """An image that could not be fetched.

    Attributes:
        reason: A few words, the same for all of its kind.
        by_chance: Whether another attempt may do.
        wait: Seconds that the server asks to wait before it.
    """

    reason: str
    by_chance: bool = False
    wait: float = 0.0


@dataclass(frozen=True)
class _Moved:
    to: URL


UNANSWERED = frozenset({"timed out", "no connection", "no such host", "no secure connection"})
"""Reasons that a network without a way out gives as well as a dead link."""

_EMPTY = Failed("empty answer", by_chance=True)
_TOO_LARGE = Failed("larger than the cap")
_FAILURES: tuple[tuple[type[Exception], Failed], ...] = (
    (TimeoutError, Failed("timed out", by_chance=True)),
    (aiohttp.ClientPayloadError, Failed("cut off", by_chance=True)),
    (aiohttp.ClientConnectorDNSError, Failed("no such host")),
    (aiohttp.ClientSSLError, Failed("no secure connection")),
    (aiohttp.InvalidURL, Failed("not a web address")),
    (aiohttp.ClientError, Failed("no connection", by_chance=True)),
    (OSError, Failed("no connection", by_chance=True)),
    (ValueError, Failed("not a web address")),
)
"""What each exception of the library means; the first kind that fits counts."""

PASSING = frozenset(
    {_EMPTY.reason, *(failed.reason for _, failed in _FAILURES if failed.by_chance)}
    | {f"HTTP {status}" for status in _TRY_AGAIN}
    | UNANSWERED
)
"""Reasons that may have passed by another day, when the same link may give an image."""


class Downloader:
    """Fetches images while it is open (a context manager).

    Args:
        options: How.
        pool: Where fetched images are examined.
    """

    def __init__(self, options: Downloads, pool: Executor) -> None:
        self._options = options
        self._pool = pool
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._hosts: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._places = asyncio.Semaphore(options.connections)
        self._session: aiohttp.ClientSession

    def __enter__(self) -> "Downloader":
        self._loop.set_default_executor(ThreadPoolExecutor(_NAME_THREADS))
        self._thread.start()
        self._session = self._do(self._open()).result()
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._close()).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def fetch(self, url: str, then: Callable[[bytes | Failed], _Result]) -> "Future[_Result]":
        """Fetch an image, and examine it.

        Args:
            url: Its address.
            then: Called on a thread of the pool with the whole file, which begins like an image; or
                on the loop's own with why there is none.
        """
        return self._do(self._fetch(url, then))

    def _do(self, work: Coroutine[Any, Any, _Result]) -> "Future[_Result]":
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _open(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300),
            timeout=aiohttp.ClientTimeout(total=self._options.timeout),
            headers={"User-Agent": self._options.user_agent, "Accept": "image/*,*/*;q=0.5"},
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=True,
        )

    async def _close(self) -> None:
        here = asyncio.current_task()
        running = [task for task in asyncio.all_tasks() if task is not here]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._session.close()
        await self._loop.shutdown_default_executor()

    async def _fetch(self, url: str, then: Callable[[bytes | Failed], _Result]) -> _Result:
        address = _address(url)
        moves = attempts = 0
        while address is not None:
            # A name in this function keeps the host's semaphore alive while anyone uses it.
            host = self._hosts.setdefault(
                address.host or "", asyncio.Semaphore(self._options.per_host)
            )
            async with host, self._places:
                outcome = await self._attempt(address)
                if isinstance(outcome, bytes):
                    return await self._loop.run_in_executor(self._pool, then, outcome)
            if isinstance(outcome, _Moved):
                moves += 1
                if moves > _MAX_MOVES:
                    return then(Failed("too many redirects"))
                address = _address(outcome.to)
            elif outcome.by_chance and attempts < self._options.retries:
                pause = self._options.backoff * 2**attempts * random.uniform(0.75, 1.25)
                await asyncio.sleep(min(max(pause, outcome.wait), _LONGEST_WAIT))
                attempts += 1
            else:
                return then(outcome)
        return then(Failed("not a web address"))

    async def _attempt(self, address: URL) -> bytes | _Moved | Failed:
        try:
            async with self._session.get(address, allow_redirects=False) as response:
                if response.status in _MOVED and "Location" in response.headers:
                    return _Moved(response.url.join(URL(response.headers["Location"])))
                return self._refuse(response) or await self._read(response)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return next(failed for kind, failed in _FAILURES if isinstance(error, kind))

    def _refuse(self, response: aiohttp.ClientResponse) -> Failed | None:
        """Return why an answer is not worth reading, from its head alone."""
        if response.status != 200:
            return Failed(
                f"HTTP {response.status}",
                by_chance=response.status in _TRY_AGAIN,
                wait=_seconds(response.headers.get("Retry-After", "")),
            )
        said = ",".join(response.headers.getall("X-Robots-Tag", [])).lower()
        if _OPTED_OUT & {word.strip() for word in said.replace(":", ",").split(",")}:
            return Failed("opted out by its owner")
        if (response.content_length or 0) > self._options.max_bytes:
            return _TOO_LARGE
        return None

    async def _read(self, response: aiohttp.ClientResponse) -> bytes | Failed:
        """Read an answer while it begins like an image and is not too large."""
        content = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK):
            unknown = len(content) < SNIFFED
            content += chunk
            if len(content) > self._options.max_bytes:
                return _TOO_LARGE
            if unknown and len(content) >= SNIFFED and image_kind(bytes(content)) is None:
                break
        if not content:
            return _EMPTY
        whole = bytes(content)
        return whole if image_kind(whole) is not None else Failed(other_kind(whole))


def _address(url: str | URL) -> URL | None:
    """Return an address that can be asked; None for anything but http and https."""
    try:
        address = URL(url)
    except ValueError:
        return None
    return address if address.scheme in {"http", "https"} and address.host else None


def _seconds(retry_after: str) -> float:
    """Read a wait in seconds; a date, which the header may also hold, counts as none."""
    return float(retry_after) if retry_after.isdecimal() else 0.0
