"""Find the shards that a user means, and read their samples by position.

Shards are webdataset tars: ours (a prepared folder), img2dataset's, or those made for open_clip.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from braceexpand import braceexpand

from pgseg_core.data.manifest import MANIFEST_NAME, UNFINISHED_NAME, load_manifest, unfinished
from pgseg_core.data.tar_index import ShardIndex, index_shard
from pgseg_core.errors import DataError

_ADDRESS = re.compile(r"[a-z0-9]+://|pipe:")
_SHOWN = 3


@dataclass(frozen=True)
class Shard:
    """One tar file and the number of image-text pairs in it."""

    path: Path
    num_samples: int


@dataclass(frozen=True)
class RawSample:
    """One image-text pair as it is stored.

    Attributes:
        key: Unique within the shards.
        image: The bytes of an image file.
        captions: One or more.
    """

    key: str
    image: bytes
    captions: tuple[str, ...]


def find_shards(spec: str | Path, split: str = "train") -> tuple[Shard, ...]:
    """Return the shards that a user means, in order, with their sizes.

    Args:
        spec: A prepared folder, a folder of tars, one tar, or a pattern such as
            `shards/{00000..01242}.tar`.
        split: Which split of a prepared folder; of another folder, the tars whose name starts with
            `split-`, or all of them for `train` where none does.

    Raises:
        DataError: A shard or the split does not exist, a shard is damaged, or none holds a sample.
    """
    text = str(spec)
    if not text.strip():
        raise DataError(
            "data.shards is empty: there is nothing to read",
            hint="Give a prepared folder: --set data.shards=DIR",
        )
    if _ADDRESS.match(text):
        raise DataError(
            f"{text}: shards are read from local files only",
            hint="Copy them to a disk of this machine, or mount the place they are in.",
        )
    folder = Path(text)
    if not folder.is_dir():
        return _with_samples(text, expand_pattern(text))
    if (folder / MANIFEST_NAME).exists():
        return _prepared_shards(folder, split)
    if (folder / UNFINISHED_NAME).exists():
        raise unfinished(folder)
    return _with_samples(text, _choose_split(folder, split))


def expand_pattern(text: str) -> list[Path]:
    """Return the paths that a pattern such as `shards/{00000..01242}.tar` stands for.

    Raises:
        DataError: A brace is not closed.
    """
    try:
        return [Path(path) for path in braceexpand(text)]
    except ValueError as error:
        raise DataError(
            f"the pattern {text} has a brace without its other one",
            hint="Write DIR/{00000..00009}.tar",
        ) from error


class ShardReader:
    """Random access to the samples of one shard. Open it in the process that reads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.index: ShardIndex = index_shard(path)
        self._file = path.open("rb")

    def __len__(self) -> int:
        return len(self.index)

    def __enter__(self) -> "ShardReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def read(self, position: int) -> RawSample:
        """Read one sample.

        Args:
            position: From 0 to the number of samples - 1.

        Raises:
            DataError: It has no caption, or its text cannot be read; names the shard and the key.
        """
        key = self.index.keys[position]
        image, record, text = (
            self._bytes(*place) for place in self.index.places[position].tolist()
        )
        try:
            captions = sample_captions(record, text)
        except ValueError as error:
            raise DataError(f"{self.path}: the text of {key} is damaged ({error})") from error
        if not captions:
            raise DataError(f"{self.path}: {key} has no caption")
        return RawSample(key, image, captions)

    def record(self, position: int) -> dict[str, Any]:
        """Read a sample's .json; empty where it has none.

        Args:
            position: From 0 to the number of samples - 1.

        Raises:
            DataError: It is not a JSON object; names the shard and the key.
        """
        place = self.index.places[position, 1].tolist()
        if not place[1]:
            return {}
        try:
            values = json.loads(self._bytes(*place))
        except ValueError as error:
            key = self.index.keys[position]
            raise DataError(f"{self.path}: the text of {key} is damaged ({error})") from error
        return values if isinstance(values, dict) else {}

    def _bytes(self, offset: int, size: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(size)


def _prepared_shards(folder: Path, split: str) -> tuple[Shard, ...]:
    manifest = load_manifest(folder)
    if split not in manifest.splits:
        raise DataError(
            f"{folder} has no split '{split}'",
            hint=f"It has: {', '.join(manifest.splits)} (--set data.split=NAME)",
        )
    entries = manifest.splits[split]
    _require([folder / entry.name for entry in entries])
    for entry in entries:
        size = (folder / entry.name).stat().st_size
        if size != entry.bytes:
            raise DataError(
                f"the shard {folder / entry.name} has {size} bytes; {MANIFEST_NAME} says "
                f"{entry.bytes}",
                hint="Copy it again, or prepare the data again.",
            )
    return tuple(Shard(folder / entry.name, entry.samples) for entry in entries)


def _choose_split(folder: Path, split: str) -> list[Path]:
    tars = sorted(folder.glob("*.tar"))
    if not tars:
        raise DataError(
            f"there are no shards in {folder}",
            hint=f"Prepare them: pgseg data prepare SOURCE --out {folder}",
        )
    named = [path for path in tars if path.name.startswith(f"{split}-")]
    if not named and split != "train":
        raise DataError(
            f"{folder} has no split '{split}'",
            hint=f"Looked for {split}-*.tar; give a pattern to say which shards you mean.",
        )
    return named or tars


def _with_samples(spec: str, paths: Sequence[Path]) -> tuple[Shard, ...]:
    _require(paths)
    shards = tuple(Shard(path, _count_samples(path, *_stamp(path))) for path in paths)
    if not any(shard.num_samples for shard in shards):
        raise DataError(
            f"{spec}: no sample in {len(shards)} shards",
            hint="A sample is KEY.jpg (or jpeg, png, webp) with KEY.json or KEY.txt after it.",
        )
    return tuple(shard for shard in shards if shard.num_samples)


def _require(paths: Sequence[Path]) -> None:
    missing = [path for path in paths if not path.is_file()]
    if missing:
        names = ", ".join(str(path) for path in missing[:_SHOWN])
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise DataError(
            f"{len(missing)} of {len(paths)} shards missing: {names}{more}",
            hint="Check data.shards: a folder, a .tar, or a pattern such as DIR/{00000..00009}.tar",
        )


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


@cache
def _count_samples(path: Path, size: int, modified: int) -> int:
    """Count by a walk over the headers, once for each state of the file."""
    del size, modified
    return len(index_shard(path))


def sample_captions(record: bytes, text: bytes) -> tuple[str, ...]:
    """Take a sample's captions from its .json, or from its .txt where that has none."""
    found: list[Any] = []
    if record:
        values = json.loads(record)
        if isinstance(values, dict):
            value = values.get("captions") or values.get("caption") or []
            found = value if isinstance(value, list) else [value]
    if not found and text:
        found = [text.decode("utf-8")]
    captions = (" ".join(caption.split()) for caption in found if isinstance(caption, str))
    return tuple(filter(None, captions))
