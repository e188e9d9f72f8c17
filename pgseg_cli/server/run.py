"""Opens the port and makes what serves on it."""

import socket
from collections.abc import Callable, Sequence

import uvicorn

from pgseg_cli.server.app import create_app
from pgseg_cli.server.connections import bounded
from pgseg_cli.server.limits import Limits
from pgseg_core.errors import ConfigError
from pgseg_core.inference.segmenter import Segmenter

_OWN_NAMES = ("127.0.0.1", "localhost", "[::1]")
_ANY = frozenset({"0.0.0.0", "::", ""})


def open_port(host: str, port: int) -> socket.socket:
    """Take a port before the model is loaded, so that a wrong one is known at once.

    Args:
        host: An address of this machine.
        port: 0 takes any free one.

    Raises:
        ConfigError: The port is taken, or the address is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"cannot listen on {host}, port {port} ({error.strerror})",
            hint="Take another port: --port 8001   or any free one: --port 0",
        ) from None
    listener.listen(512)
    return listener


def address(listener: socket.socket) -> str:
    """Return where a browser finds the server."""
    host, port = listener.getsockname()[:2]
    if host in _ANY:
        host = "127.0.0.1"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def build_server(
    segmenter: Segmenter,
    limits: Limits,
    *,
    host: str,
    names: Sequence[str] = (),
    root_path: str = "",
    on_start: Callable[[], None] = lambda: None,
) -> uvicorn.Server:
    """Make a server; `run(sockets=[listener])` serves until interrupted, and finishes what it has.

    Args:
        segmenter: The model.
        limits: What is taken.
        host: The address that was asked for. On one that others reach, any name is answered to.
        names: Further names that it is called by, such as a proxy's.
        root_path: The path below which a proxy shows it; the proxy may pass it on or not.
        on_start: Called when calls are answered.
    """
    local = host in {"127.0.0.1", "localhost", "::1"}
    hosts = (*(_OWN_NAMES if local else ("*",)), *names)
    config = uvicorn.Config(
        create_app(segmenter, limits, hosts=hosts, root_path=root_path.rstrip("/")),
        http=bounded(limits),
        ws="none",
        log_level="warning",
        lifespan="off",
        timeout_keep_alive=10,
        timeout_graceful_shutdown=10,
    )
    return _Server(config, on_start)


class _Server(uvicorn.Server):
    """Says when it has started."""

    def __init__(self, config: uvicorn.Config, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._on_start()
