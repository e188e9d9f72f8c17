"""An image as the shards hold it: a JPEG, upright, no larger than training needs."""

import io
from dataclasses import dataclass

from PIL import Image

from pgseg_core.errors import DataError
from pgseg_core.photos.images import open_header, orientation, read_image

JPEG_QUALITY = 90
"""Quality of every JPEG that pgseg writes itself."""

_KEPT_MODES = frozenset({"RGB", "L"})
_LONGEST_JPEG_SIDE = 65_500


@dataclass(frozen=True)
class StoredImage:
    """An image as the shards hold it.

    Attributes:
        content: The bytes of a JPEG.
        width: In pixels, of the upright image.
        height: In pixels.
    """

    content: bytes
    width: int
    height: int


def to_stored_jpeg(content: bytes, *, name: str, short_side: int | None) -> StoredImage:
    """Return an image as JPEG; a JPEG that needs no change keeps its very bytes.

    Args:
        content: The bytes of an image file in any format.
        name: What to call it in an error.
        short_side: The short side of a larger image is brought down to this many pixels, keeping
            the ratio; None keeps every size.

    Raises:
        DataError: The image cannot be decoded (it is decoded whole, also when its bytes are kept),
            or is longer than a JPEG can be.
    """
    if content.startswith(b"\xff\xd8"):
        read_image(content, name=name, at_least=1)  # all of the stream, at the least cost
        size = _size_if_kept(content, short_side)
        if size is not None:
            return StoredImage(content, *size)
    # Twice the size that is kept leaves the resize something to average.
    at_least = None if short_side is None else 2 * short_side
    image = shrink(read_image(content, name=name, at_least=at_least), short_side)
    return StoredImage(encode_jpeg(image, name=name), *image.size)


def shrink(image: Image.Image, short_side: int | None) -> Image.Image:
    """Bring the short side down to so many pixels, keeping the ratio; never enlarge."""
    if short_side is None or min(image.size) <= short_side:
        return image
    share = short_side / min(image.size)
    width, height = (max(short_side, round(side * share)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)


def encode_jpeg(image: Image.Image, *, name: str) -> bytes:
    """Return an RGB image as JPEG of quality `JPEG_QUALITY`.

    Raises:
        DataError: A side is longer than 65500 pixels.
    """
    if max(image.size) > _LONGEST_JPEG_SIDE:
        raise DataError(
            f"{name}: {image.width} x {image.height} pixels is too long for a JPEG",
            hint=f"A side can have {_LONGEST_JPEG_SIDE} pixels.",
        )
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def _size_if_kept(content: bytes, short_side: int | None) -> tuple[int, int] | None:
    """Return the size of a JPEG whose bytes can stay; None where something must change."""
    with open_header(content) as header:
        keeps = (
            header.format == "JPEG"
            and header.mode in _KEPT_MODES
            and orientation(header) == 1
            and (short_side is None or min(header.size) <= short_side)
        )
        return header.size if keeps else None
