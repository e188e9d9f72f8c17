"""The common form of every source: an image, where it is, and what is said about it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pgseg_core.errors import DataError

_SPLIT_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Row:
    """One image and its captions.

    Attributes:
        image: Where the image should be; it may be missing or damaged.
        name: What its source calls it.
        captions: Stripped and not empty, in the order of the source; may be none.
        split: Such as train, val or test.
    """

    image: Path
    name: str
    captions: tuple[str, ...]
    split: str


@dataclass(frozen=True)
class Line:
    """One line of a table: a `Row` before the captions of an image are brought together."""

    image: Path
    name: str
    captions: tuple[str, ...]
    split: str
    where: str


def group_lines(lines: Iterable[Line]) -> list[Row]:
    """Bring all captions of an image together, images in the order they first appear.

    Captions are stripped and empty ones dropped.

    Raises:
        DataError: An image is in two splits, or a split's name cannot be part of a file name.
    """
    captions: dict[Path, list[str]] = {}
    first: dict[Path, Line] = {}
    for line in lines:
        if not _SPLIT_NAME.fullmatch(line.split):
            raise DataError(
                f"{line.where}: the split '{line.split}' cannot be part of a file name",
                hint="Use letters, digits, '_', '-' and '.', such as train, val, test.",
            )
        before = first.setdefault(line.image, line)
        if before.split != line.split:
            raise DataError(
                f"{line.where}: the image {line.name} is in split '{line.split}', and in split "
                f"'{before.split}' at {before.where}",
                hint="Give every image one split, so that no test image is trained on.",
            )
        stripped = (" ".join(caption.split()) for caption in line.captions)
        captions.setdefault(line.image, []).extend(filter(None, stripped))
    return [
        Row(image, line.name, tuple(captions[image]), line.split) for image, line in first.items()
    ]
