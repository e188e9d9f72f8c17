"""Webdataset shards as a source: ours, img2dataset's, open_clip's, to be filtered or re-sharded."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from pgseg_core.data.manifest import MANIFEST_NAME, load_manifest
from pgseg_core.data.prepare.rows import Line, TarPlace
from pgseg_core.data.prepare.sources.locate import Reading
from pgseg_core.data.shards import expand_pattern, sample_captions
from pgseg_core.data.tar_index import Member, split_name, tar_members
from pgseg_core.errors import DataError
from pgseg_core.photos.images import IMAGE_SUFFIXES

_SPLIT_PREFIX = re.compile(r"(train|val|valid|validation|dev|test)-")


def find_tars(source: Path) -> list[tuple[Path, str | None]]:
    """Return the tars of a folder or a pattern, each with the split that it says it is of.

    Args:
        source: A tar, a pattern such as `shards/{00000..01242}.tar`, a folder of tars, or a
            prepared folder, whose manifest says which splits there are.

    Raises:
        DataError: A tar does not exist.
    """
    tars: list[tuple[Path, str | None]]
    if (source / MANIFEST_NAME).is_file():
        splits = load_manifest(source).splits.items()
        tars = [(source / shard.name, split) for split, shards in splits for shard in shards]
    else:
        paths = sorted(source.glob("*.tar")) if source.is_dir() else expand_pattern(str(source))
        tars = [(path, _split_of(path)) for path in paths]
    missing = [str(path) for path, _ in tars if not path.is_file()]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(tars)} shards missing, such as {missing[0]}",
            hint="Check the source: a tar, a folder of tars, or a pattern DIR/{00000..00009}.tar",
        )
    return tars


def read_shards(source: Path, reading: Reading) -> Iterator[Line]:
    """Read the samples of webdataset shards: an image with a `.json` or `.txt` beside it.

    A sample without an image comes without a place, one without text comes without captions.

    Args:
        source: As for `find_tars`.
        reading: The split of shards whose names tell none.

    Raises:
        DataError: A shard is missing, compressed, cut off or not a tar.
    """
    for tar, split in find_tars(source):
        with tar.open("rb") as file:
            for key, members in _samples(tar):
                image = next((m for e, m in members.items() if f".{e}" in IMAGE_SUFFIXES), None)
                record, text = (_read(file, members.get(kind)) for kind in ("json", "txt"))
                yield Line(
                    place=None if image is None else TarPlace(tar, image.offset, image.size),
                    name=_name_in(record) or f"{tar.name}/{key}",
                    captions=_captions(record, text),
                    split=reading.split or split or "train",
                    where=f"{tar}, {key}",
                )


def _samples(tar: Path) -> Iterator[tuple[str, dict[str, Member]]]:
    """Group a tar's neighbouring members by key, each by its extension."""
    current: str | None = None
    members: dict[str, Member] = {}
    for member in tar_members(tar):
        key, extension = split_name(member.name)
        if key != current:
            if current is not None:
                yield current, members
            current, members = key, {}
        members[extension] = member
    if current is not None:
        yield current, members


def _read(file: Any, member: Member | None) -> bytes:
    if member is None:
        return b""
    file.seek(member.offset)
    content: bytes = file.read(member.size)
    return content


def _captions(record: bytes, text: bytes) -> tuple[str, ...]:
    try:
        return sample_captions(record, text)
    except ValueError:  # damaged text: no caption can be told
        return ()


def _name_in(record: bytes) -> str | None:
    """Return what a sample's record says the image is called: our `image`, or its address."""
    with suppress(ValueError):
        values = json.loads(record)
        if isinstance(values, dict):
            name = values.get("image") or values.get("url")
            return name if isinstance(name, str) else None
    return None


def _split_of(path: Path) -> str | None:
    match = _SPLIT_PREFIX.match(path.name)
    return None if match is None else match[1]
