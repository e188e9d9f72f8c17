"""The common form of every source: an image, the place it lies at, and what is said about it."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class WebAddress:
    """An image on the web."""

    url: str


@dataclass(frozen=True, slots=True)
class TarPlace:
    """An image inside an uncompressed tar: where its bytes begin, and how many they are."""

    tar: Path
    offset: int
    size: int


Place = Path | WebAddress | TarPlace
"""Where an image should be; it may be missing or damaged there."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a source: an image, and some or all of its captions.

    Attributes:
        place: Where the image should be; None where the line names none.
        name: What its source calls it.
        captions: As the source has them.
        split: Such as train, val or test.
        where: The line itself, for an error.
    """

    place: Place | None
    name: str
    captions: tuple[str, ...]
    split: str
    where: str

    @property
    def identity(self) -> str:
        """Equal for the lines about one image."""
        match self.place:
            case None:
                return f"line:{self.where}"
            case WebAddress(url):
                return f"url:{url}"
            case TarPlace(tar, offset):
                return f"tar:{offset}:{tar}"
            case path:
                return f"file:{path}"

    def num_bytes(self) -> int | None:
        """Return the image's size, where it can be told without fetching it."""
        match self.place:
            case TarPlace(size=size):
                return size
            case Path() as path:
                try:
                    return os.stat(path).st_size  # noqa: PTH116 (a third of Path.stat's time)
                except OSError:
                    return None
            case _:
                return None


@dataclass(frozen=True, slots=True)
class Row:
    """One image with all of its captions, at its place among all images of all sources.

    Attributes:
        position: Counted from 0 over all sources, in their order.
        source: Which source it comes from, counted from 0.
        place: Where the image should be; None where its source does not say.
        name: What its source calls it.
        captions: Cleaned and not empty, in the order of the source; may be none.
        split: Such as train, val or test.
    """

    position: int
    source: int
    place: Place | None
    name: str
    captions: tuple[str, ...]
    split: str
