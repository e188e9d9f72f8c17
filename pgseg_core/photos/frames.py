"""Animations and pages: files that hold several images, read one after the other."""

import threading
from pathlib import Path

from PIL import Image

from pgseg_core.errors import DataError
from pgseg_core.photos.images import open_image, read_frame

_KEPT = 8
"""Frames passed on the way to a later one are kept, so many, for who asks a little late."""


def count_frames(source: Path | bytes) -> int:
    """Return how many frames or pages a file holds; 1 where that cannot be told."""
    try:
        with open_image(source, name="") as opened:
            return int(getattr(opened, "n_frames", 1))
    except Exception:  # A damaged file is one photo that cannot be read, said when it is its turn.
        return 1


class FrameFile:
    """A file of several frames, open between them: an animation can only be played forwards."""

    def __init__(self, source: Path | bytes, name: str) -> None:
        self._source = source
        self._name = name
        self._lock = threading.Lock()
        self._opened: Image.Image | None = None
        self._next = 0
        self._passed: dict[int, Image.Image] = {}

    def read(self, frame: int) -> Image.Image:
        """Decode a frame to RGB. Threads may ask in any order; nearly ascending is fast.

        Raises:
            DataError: The frame cannot be read.
        """
        with self._lock:
            if frame in self._passed:
                return self._passed.pop(frame)
            if self._opened is None or frame < self._next:
                self.close()
                self._opened, self._next = open_image(self._source, name=self._name), 0
            while self._next <= frame:
                number, self._next = self._next, self._next + 1
                if frame - number < _KEPT:
                    self._pass(number, frame)
            return self._passed.pop(frame)

    def close(self) -> None:
        """Close the file and forget its frames."""
        if self._opened is not None:
            self._opened.close()
        self._opened = None
        self._passed.clear()

    def _pass(self, number: int, wanted: int) -> None:
        assert self._opened is not None, "read() opens the file"
        try:
            image = read_frame(self._opened, number, name=f"{self._name}, frame {number + 1}")
        except DataError:
            if number == wanted:
                raise
        else:
            self._passed[number] = image
            while len(self._passed) > _KEPT:
                del self._passed[min(self._passed)]
