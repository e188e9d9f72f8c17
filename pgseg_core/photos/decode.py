"""Photos decoded in threads while the network works, in order, within a limit of memory."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from pgseg_core.errors import DataError
from pgseg_core.photos.frames import FrameFile
from pgseg_core.photos.images import open_header, read_image
from pgseg_core.photos.inputs import Photo

THREADS = 2
"""More would take cores from the network; Pillow's decoders run beside Python."""
PHOTOS_AHEAD = 8
PIXELS_AHEAD = 120_000_000
"""Decoding runs ahead by at most so many pixels (0.36 GB), save that one photo always may."""
_UNKNOWN_PIXELS = 24_000_000

Decoded = tuple[Photo, Image.Image | DataError]


def read_photo(photo: Photo) -> Image.Image:
    """Decode a photo to upright RGB, wherever it lies.

    Raises:
        DataError: It cannot be fetched or read.
    """
    source = photo.source
    if isinstance(source, FrameFile):
        return source.read(photo.frame)
    if isinstance(source, str):
        from pgseg_core.photos.fetch import fetch  # noqa: PLC0415 - http, for few photos

        return read_image(fetch(source), name=photo.name)
    return read_image(source, name=photo.name)


def decode_ahead(photos: Sequence[Photo]) -> Iterator[Decoded]:
    """Yield photos in order, each with its image or the reason why there is none."""
    waiting: deque[tuple[Photo, int, Future[Image.Image | DataError]]] = deque()
    left = deque(photos)
    ahead = 0
    with ThreadPoolExecutor(THREADS, thread_name_prefix="decode") as pool:
        try:
            while left or waiting:
                while left and len(waiting) < PHOTOS_AHEAD:
                    pixels = _pixels(left[0])
                    if waiting and ahead + pixels > PIXELS_AHEAD:
                        break
                    photo = left.popleft()
                    waiting.append((photo, pixels, pool.submit(_image_or_error, photo)))
                    ahead += pixels
                photo, pixels, future = waiting.popleft()
                yield photo, future.result()
                ahead -= pixels
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _image_or_error(photo: Photo) -> Image.Image | DataError:
    try:
        return read_photo(photo)
    except DataError as error:
        return error


def _pixels(photo: Photo) -> int:
    """Return a photo's pixels as its header has them; a guess where that takes a download."""
    if not isinstance(photo.source, Path):
        return _UNKNOWN_PIXELS
    try:
        with open_header(photo.source) as opened:
            return opened.width * opened.height
    except Exception:  # Whatever is wrong with it is said when it is read.
        return 0
