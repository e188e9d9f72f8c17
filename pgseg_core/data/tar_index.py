"""Where every sample of a tar shard lies, so that any of them is one seek away.

webdataset streams shards from end to end; its order then depends on how many processes stream, and
going back to step s means decoding everything before it. A local tar needs no streaming: one walk
over its headers (about 2 microseconds a member) gives the place of every member.
"""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pgseg_core.errors import DataError

IMAGE_EXTENSIONS = ("jpg", "jpeg", "png", "webp")
"""Members with one of these extensions are a sample's image."""

_BLOCK = 512
_PLAIN_FILE = (b"0", b"\0")
_FOLDER = b"5"
_EXTENDED = b"x"
_WALKED = (*_PLAIN_FILE, _FOLDER, _EXTENDED)
_TIMES = frozenset({b"mtime", b"atime", b"ctime"})
_KINDS = {**dict.fromkeys(IMAGE_EXTENSIONS, 0), "json": 1, "txt": 2}


@dataclass(frozen=True)
class Member:
    """One file in a tar: its name, and where its bytes begin and how many they are."""

    name: str
    offset: int
    size: int


@dataclass(frozen=True)
class ShardIndex:
    """The samples of a shard: members with a common key, next to each other, image and text.

    Attributes:
        keys: One a sample (n of them), in the shard's order.
        places: int64 (n, 3, 2): offset and size in bytes of the image, the .json and the .txt of
            each sample; the size is 0 for one that is not there.
    """

    keys: tuple[str, ...]
    places: np.ndarray

    def __len__(self) -> int:
        return len(self.keys)


def index_shard(path: Path) -> ShardIndex:
    """Find the samples of a tar by its headers; nothing is decoded.

    As in webdataset, a member's key is its path up to the first dot of its file name, and a sample
    is a run of members with the same key. Members that are no image, .json or .txt are passed over,
    and so are samples without an image or without text.

    Raises:
        DataError: The file is missing, compressed, cut off or not a tar.
    """
    keys: list[str] = []
    places: list[list[tuple[int, int]]] = []
    current = ""
    for member in tar_members(path):
        key, extension = split_name(member.name)
        kind = _KINDS.get(extension)
        if kind is None:
            continue
        if key != current or not keys:
            current = key
            keys.append(key)
            places.append([(0, 0)] * 3)
        places[-1][kind] = (member.offset, member.size)
    table = np.array(places, dtype=np.int64).reshape(-1, 3, 2)
    complete = (table[:, 0, 1] > 0) & (table[:, 1:, 1] > 0).any(axis=1)
    kept = tuple(key for key, whole in zip(keys, complete, strict=True) if whole)
    return ShardIndex(kept, table[complete])


def tar_members(path: Path) -> Iterator[Member]:
    """List the files in an uncompressed tar.

    Raises:
        DataError: The file is missing, compressed, cut off or not a tar.
    """
    try:
        with path.open("rb") as file:
            try:
                members = list(_plain_members(file))
            except _NotPlainError:
                file.seek(0)
                members = _any_members(file)
            length = file.seek(0, 2)
    except FileNotFoundError as error:
        raise DataError(f"the shard {path} does not exist", hint="Check data.shards.") from error
    except (OSError, tarfile.TarError) as error:
        raise DataError(
            f"the shard {path} is not a tar that can be read: {error}",
            hint="Shards are uncompressed .tar files; unpack a .tar.gz, or download it again.",
        ) from error
    if members and members[-1].offset + members[-1].size > length:
        raise DataError(
            f"the shard {path} is cut off inside {members[-1].name}",
            hint="Copy or download it again.",
        )
    return iter(members)


class _NotPlainError(Exception):
    """The tar has headers beyond files, folders and times, such as very long names."""


def _plain_members(file: BinaryIO) -> Iterator[Member]:
    """Walk plain ustar headers, and exact times before them: ten times faster than `tarfile`."""
    position = 0
    while True:
        file.seek(position)
        header = file.read(_BLOCK)
        if len(header) < _BLOCK or header[0] == 0:
            if position == 0:
                raise _NotPlainError
            return
        kind = header[156:157]
        try:
            size = int(header[124:136].strip(b" \0") or b"0", 8)
            name = header[:100].partition(b"\0")[0].decode()
            folder = header[345:500].partition(b"\0")[0].decode()
        except ValueError:
            raise _NotPlainError from None
        if header[257:262] != b"ustar" or kind not in _WALKED:
            raise _NotPlainError
        if kind == _EXTENDED:
            if not _says_only_when(file.read(size)):
                raise _NotPlainError
        elif kind != _FOLDER:
            is_posix = header[257:263] == b"ustar\0"
            full = f"{folder}/{name}" if folder and is_posix else name
            yield Member(full, position + _BLOCK, size)
        position += _BLOCK + -(-size // _BLOCK) * _BLOCK


def _says_only_when(records: bytes) -> bool:
    """Tell whether an extended header holds times alone, as webdataset writes before every file."""
    try:
        keys = [line.split(b" ", 1)[1].split(b"=", 1)[0] for line in records.splitlines()]
    except IndexError:
        return False
    return _TIMES.issuperset(keys)


def _any_members(file: BinaryIO) -> list[Member]:
    with tarfile.open(fileobj=file, mode="r:") as tar:
        return [
            Member(entry.name, entry.offset_data, entry.size) for entry in tar if entry.isfile()
        ]


def split_name(name: str) -> tuple[str, str]:
    """Return a member's key and its extension in lower case: the sides of its first dot."""
    folder, slash, file = name.rpartition("/")
    stem, _, extension = file.partition(".")
    return folder + slash + stem, extension.lower()
