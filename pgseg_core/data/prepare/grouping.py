"""All captions of an image brought together, in memory that does not grow with the source.

Tables name an image once a caption, mostly in neighbouring lines. A first pass notes which images
are named in lines apart from each other; their captions alone are held. The same pass counts the
images, hashes what decides the result, and finds what is wrong with a table before hours of
downloading.
"""

import hashlib
import itertools
import re
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from pgseg_core.data.prepare.rows import Line
from pgseg_core.errors import DataError

ReadLines = Callable[[], Iterator[Line]]
"""Reads a source from its beginning, every time the same lines."""

_LINES_BETWEEN = 10_000
_SPLIT_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Survey:
    """What one pass over a source told.

    Attributes:
        num_lines: Lines about them.
        num_images: Distinct images.
        digest: Hash of every line's image (its name, and its size where it is a local file), split
            and captions, in hexadecimal.
        scattered: All captions of the images whose lines are not next to each other.
    """

    num_lines: int
    num_images: int
    digest: str
    scattered: Mapping[str, tuple[str, ...]]


def survey(read: ReadLines, on_lines: Callable[[int], None] = lambda _: None) -> Survey:
    """Pass over a source once, and a second time where lines of an image are apart.

    Args:
        read: The source.
        on_lines: Told now and then how many lines were read.

    Raises:
        DataError: An image is in two splits, a split's name cannot be part of a file name, or
            whatever reading the source raises.
    """
    digest = hashlib.sha256()
    runs = array("Q")
    before: Line | None = None
    identity = ""
    num_lines = 0
    for line in read():
        num_lines += 1
        if num_lines % _LINES_BETWEEN == 0:
            on_lines(num_lines)
        if before is None or line.split != before.split:
            _check_name(line)
        size = None
        if before is not None and line.identity == identity:
            _check_split(line, before)
        else:
            identity = line.identity
            runs.append(_short_hash(identity))
            size = line.num_bytes()
        about = (line.name, line.split, line.captions, size)
        digest.update(repr(about).encode("utf-8", "surrogateescape"))
        before = line
    hashes, counts = np.unique(np.frombuffer(runs, dtype=np.uint64), return_counts=True)
    repeated = frozenset(hashes[counts > 1].tolist())
    scattered = _gather(read(), repeated) if repeated else {}
    return Survey(num_lines, len(hashes), digest.hexdigest(), scattered)


def grouped(read: ReadLines, found: Survey) -> Iterator[Line]:
    """Yield each image once, with all of its captions, in the order of first appearance.

    Args:
        read: The source.
        found: What `survey` told of it.
    """
    seen: set[str] = set()
    for identity, lines in itertools.groupby(read(), key=lambda line: line.identity):
        first = next(lines)
        if identity not in found.scattered:
            captions = first.captions + tuple(text for line in lines for text in line.captions)
        elif identity in seen:
            continue
        else:
            seen.add(identity)
            captions = found.scattered[identity]
        yield Line(first.place, first.name, captions, first.split, first.where)


def _gather(lines: Iterator[Line], repeated: frozenset[int]) -> dict[str, tuple[str, ...]]:
    """Collect the captions of images whose short hash comes up in more than one place."""
    captions: dict[str, list[str]] = {}
    first: dict[str, Line] = {}
    for line in lines:
        identity = line.identity
        if _short_hash(identity) in repeated:
            _check_split(line, first.setdefault(identity, line))
            captions.setdefault(identity, []).extend(line.captions)
    return {identity: tuple(texts) for identity, texts in captions.items()}


def _short_hash(identity: str) -> int:
    """Eight bytes; two images that share them by chance are only looked at more closely."""
    content = identity.encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


def _check_name(line: Line) -> None:
    if not _SPLIT_NAME.fullmatch(line.split):
        raise DataError(
            f"{line.where}: the split '{line.split}' cannot be part of a file name",
            hint="Use letters, digits, '_', '-' and '.', such as train, val, test.",
        )


def _check_split(line: Line, before: Line) -> None:
    if before.split != line.split:
        raise DataError(
            f"{line.where}: the image {line.name} is in split '{line.split}', and in split "
            f"'{before.split}' at {before.where}",
            hint="Give every image one split, so that no test image is trained on.",
        )
