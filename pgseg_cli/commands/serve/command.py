"""`pgseg serve`: a page in the browser, and a JSON API."""

from typing import Annotated

import typer

from pgseg_cli.console import next_step, say
from pgseg_cli.options import Device, Weights


def serve(
    weights: Weights = None,
    host: Annotated[
        str,
        typer.Option(
            "--host",
            help="The address to listen on. 0.0.0.0 lets everyone in the network in: there is no "
            "password.",
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="The port; 0 takes any free one.")
    ] = 8000,
    max_upload: Annotated[
        float, typer.Option("--max-upload", min=0.001, help="Largest photo file, in MiB.")
    ] = 32,
    max_pixels: Annotated[
        float, typer.Option("--max-pixels", min=0.001, help="Largest photo, in million pixels.")
    ] = 60,
    queue: Annotated[
        int,
        typer.Option(
            "--queue", min=0, help="Calls that may wait for the model; further ones are refused."
        ),
    ] = 16,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host",
            help="A further name that the server is called by, such as a proxy's; may be repeated.",
        ),
    ] = None,
    root_path: Annotated[
        str,
        typer.Option(
            "--root-path",
            help="The path below which a proxy shows the page, if the proxy passes it on: /pgseg",
        ),
    ] = "",
    browser: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in the browser.")
    ] = False,
    device: Device = "auto",
) -> None:
    """Serve a page where you drop a photo and type classes, and a JSON API beside it."""
    import webbrowser
    from importlib.util import find_spec

    from pgseg_core.errors import PgsegError

    if not all(find_spec(name) for name in ("starlette", "uvicorn", "python_multipart")):
        raise PgsegError(
            "the server's libraries are not installed", hint="pip install 'pgseg[serve]'"
        )
    from pgseg_cli.server.limits import Limits, most_connections
    from pgseg_cli.server.run import address, build_server, open_port
    from pgseg_core.inference.segmenter import Segmenter
    from pgseg_core.weights import weights_name

    with open_port(host, port) as listener:
        segmenter = Segmenter.load(weights, device=device)
        say(f"weights: {weights_name(segmenter.origin)}")
        limits = Limits(
            upload_bytes=int(max_upload * 2**20),
            pixels=int(max_pixels * 1e6),
            waiting=queue,
            connections=most_connections(),
        )
        where = address(listener)

        def announce() -> None:
            say(f"serving on {where}   (Ctrl-C ends it)")
            next_step(f"curl -F image=@photo.jpg -F classes=sky,road {where}api/segment")
            if browser:
                webbrowser.open(where)

        server = build_server(
            segmenter,
            limits,
            host=host,
            names=allow_host or (),
            root_path=root_path,
            on_start=announce,
        )
        server.run(sockets=[listener])
