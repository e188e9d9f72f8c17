"""The part of a photo that a crop takes, decoded at the pace of training.

A JPEG as cameras and the web make it goes through libjpeg-turbo straight into an array; whatever is
odd about a file (another format, rotated, damaged, CMYK) is left to `images.py`, which gives the
same pixels or says why it cannot. A crop that is far larger than what becomes of it is decoded at
1/2, 1/4 or 1/8 of its size.
"""

from collections.abc import Callable

import numpy as np
import simplejpeg
from jaxtyping import UInt8

from pgseg_core.data.transforms import Box
from pgseg_core.photos.images import MAX_PIXELS, open_header, orientation, read_image

ChooseBox = Callable[[int, int], Box]
"""Width and height of an image to the part of it that is wanted."""

_SIGNATURE = b"\xff\xd8\xff"
_COLOURS = frozenset({"YCbCr", "Gray", "RGB"})
_HEAD = 65_536
"""Bytes in which metadata are looked for where a file is not in order: EXIF is no longer."""
_FILL, _SCAN = b"\xff", b"\xda"
_MAY_ROTATE = (b"Exif\0\0", b"tiff:Orientation")
_REDUCTIONS = (8, 4, 2)


class BoxReader:
    """Decodes into memory that it uses again: fresh pages cost as much as a third of the decoding.

    For one thread, as a decoded part lasts until the next is asked for.
    """

    def __init__(self) -> None:
        self._memory = np.empty(0, dtype=np.uint8)

    def read(
        self, source: bytes, choose: ChooseBox, *, at_least: int, name: str
    ) -> UInt8[np.ndarray, "h w 3"]:
        """Decode a part of an image; it may be overwritten by the next call.

        Args:
            source: The bytes of a file.
            choose: Says which part, from the size of the upright image.
            at_least: Pixels that the part's sides keep. A part with sides of `at_least` f or more
                is moved to whole multiples of f and decoded at 1/f, for f = 8, 4 or 2. Give twice
                the side that it is resized to: the decoder's own way of dropping detail is rougher
                than a resize, which then hides it (44 dB to the exact result where all pixels give
                47).
            name: What to call the image in an error.

        Raises:
            DataError: Damaged, not an image, or too large; see `read_image`.
        """
        box: Box | None = None
        if (size := _plain_size(source)) is not None:
            box = choose(*size)
            try:
                return self._decode(source, size, box, _reduction(box, at_least))
            except ValueError:  # Also for what Pillow only warns of: it has the last word.
                pass
        image = read_image(source, name=name)
        box = box or choose(*image.size)
        return np.array(image)[box.top : box.top + box.height, box.left : box.left + box.width]

    def _decode(
        self, source: bytes, size: tuple[int, int], box: Box, factor: int
    ) -> UInt8[np.ndarray, "h w 3"]:
        width, height = (-(-side // factor) for side in size)
        if self._memory.size < 3 * width * height:
            self._memory = np.empty(3 * width * height, dtype=np.uint8)
        pixels: np.ndarray = simplejpeg.decode_jpeg(
            source, min_height=height, min_width=width, min_factor=factor, buffer=self._memory
        )
        left, top = box.left // factor, box.top // factor
        return pixels[top : top + box.height // factor, left : left + box.width // factor]


def _plain_size(source: bytes) -> tuple[int, int] | None:
    """Return (width, height) of a JPEG that needs nothing but decoding, None for anything else."""
    if not source.startswith(_SIGNATURE):
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(source)
    except ValueError:
        return None
    if colours not in _COLOURS or width * height > MAX_PIXELS or _is_rotated(source):
        return None
    return width, height


def _is_rotated(source: bytes) -> bool:
    head = _before_pixels(source)
    if not any(mark in head for mark in _MAY_ROTATE):
        return False
    try:
        with open_header(source) as image:
            return orientation(image) != 1
    except Exception:  # Pillow raises anything; `read_image` tells it in a sentence.
        return True


def _before_pixels(source: bytes) -> bytes:
    """Return what comes before the pixels of a JPEG, all metadata among it.

    It is much shorter than the file: looking through 64 kB of pixels took a twentieth of a reading.
    """
    place = 2
    while source[place : place + 1] == _FILL:
        kind = source[place + 1 : place + 2]
        if kind == _SCAN:
            return source[:place]
        length = 2 + int.from_bytes(source[place + 2 : place + 4], "big")
        place += 1 if kind == _FILL else length
    return source[:_HEAD]


def _reduction(box: Box, at_least: int) -> int:
    side = min(box.width, box.height)
    return next((factor for factor in _REDUCTIONS if side // factor >= at_least), 1)
