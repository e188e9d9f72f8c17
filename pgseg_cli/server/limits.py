"""What the server takes: how large, how many, and for how long."""

from dataclasses import dataclass

from PIL import Image

from pgseg_core.errors import DataError
from pgseg_core.photos.images import open_header, read_image


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of a server."""

    upload_bytes: int = 32 * 2**20
    """Largest body of a request."""
    pixels: int = 60_000_000
    """Largest photo, as its header says, before anything is decoded."""
    waiting: int = 16
    """Calls that may wait for the model; a further one is turned away."""
    classes: int = 254
    """Classes of one call: what an indexed mask holds besides background and unlabelled."""
    prompts: int = 8192
    """Characters of the class list."""
    connections: int = 128
    """Connections at once; of those that have sent no whole request, the oldest makes room."""
    head_seconds: float = 10.0
    """Time in which a request's head must have come."""
    body_seconds: float = 120.0
    """Time in which a request's body must have come."""


def most_connections() -> int:
    """Return how many connections this process can hold beside its other files."""
    try:
        import resource
    except ImportError:
        return Limits.connections
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = files == resource.RLIM_INFINITY
    return Limits.connections if unlimited else max(8, min(Limits.connections, files - 96))


def decode_photo(content: bytes | None, name: str, limits: Limits) -> Image.Image:
    """Decode an uploaded photo as every other way into pgseg does, if it is not too large.

    Args:
        content: The file; None where the request had none.
        name: What to call it in an error.
        limits: `pixels` is read.

    Raises:
        DataError: No file, no image, damaged, or more pixels than allowed.
    """
    if content is None:
        raise DataError("no photo came with the request", hint="Send it in the field image.")
    try:
        with open_header(content) as header:
            width, height = header.size
    except Exception:  # whatever is wrong with the file, read_image says it
        width = height = 0
    if width * height > limits.pixels:
        raise DataError(
            f"{name}: {width} x {height} pixels, and this server takes "
            f"{limits.pixels / 1e6:g} million",
            hint="Make the photo smaller, or start the server with a larger --max-pixels.",
        )
    return read_image(content, name=name)
