"""`manifest.json`: what a prepared folder holds, where it came from, and what was left out.

Written last: a folder that has one is whole.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from pgseg_core.atomic import whole_file
from pgseg_core.errors import DataError

MANIFEST_NAME = "manifest.json"
"""The manifest's file name in a prepared folder."""
UNFINISHED_NAME = "unfinished.jsonl"
"""A folder with this file is being prepared, or was when the preparation stopped."""
JOURNAL_NAME = "journal.jsonl"
"""What `UNFINISHED_NAME` is called at the end: every image left out, and every shard."""

_Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class ShardEntry:
    """One tar file of a split.

    Attributes:
        name: File name inside the prepared folder.
        samples: Image-text pairs in it.
        bytes: Size of the file.
        sha256: Hash of the file, in hexadecimal.
    """

    name: str
    samples: _Count
    bytes: _Count
    sha256: str

    def is_whole(self, folder: Path) -> bool:
        """Whether the file lies in the folder at its full size."""
        path = folder / self.name
        return path.is_file() and path.stat().st_size == self.bytes


@dataclass(frozen=True)
class Failures:
    """The rows left out for one reason.

    Attributes:
        count: How many.
        examples: The first of them, at most 20, as their source names them.
    """

    count: _Count
    examples: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class SourceEntry:
    """What became of one source.

    Attributes:
        name: As the user named it.
        format: What it was recognised as.
        rows: Lines, entries or samples it has; several may be about one image.
        seen: Images it names (of a part: those of the part).
        kept: Images in the shards.
        captions: Captions in the shards.
        bytes: Size of the images in the shards.
        failed: The images left out, by reason.
    """

    name: str
    format: str
    rows: _Count
    seen: _Count
    kept: _Count
    captions: _Count
    bytes: _Count
    failed: dict[str, Failures] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """One of several preparations, on several machines, that share all images among them.

    Attributes:
        number: Which, from 1 to `of`.
        of: How many there are.
        first: Position of its first image among all images of all sources.
        end: Position after its last image.
        total: Images of all parts.
    """

    number: int
    of: int
    first: int
    end: int
    total: int


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A finished preparation.

    Attributes:
        format: Tells our manifests from other files of that name.
        version: Version of this layout.
        pgseg: Version of the program that wrote it.
        request: Hash of everything that decides the content; equal requests give equal shards.
        options: How it was prepared.
        sources: What was read, and what became of it.
        splits: The shards of every split, in order.
        part: Which part of a preparation on several machines this is; None is the whole.
        rounds: How often images that failed by chance were asked for: 1, and 1 more for each
            `--retry-failed`.
    """

    format: Literal["pgseg-shards"] = "pgseg-shards"
    version: Literal[2] = 2
    pgseg: str
    request: str
    options: dict[str, Any]
    sources: tuple[SourceEntry, ...]
    splits: dict[str, tuple[ShardEntry, ...]]
    part: Part | None = None
    rounds: int = 1

    @property
    def shards(self) -> tuple[ShardEntry, ...]:
        """The shards of all splits."""
        return tuple(shard for entries in self.splits.values() for shard in entries)

    @property
    def images_seen(self) -> int:
        """Images that the sources name."""
        return sum(source.seen for source in self.sources)

    @property
    def images_kept(self) -> int:
        """Images in the shards."""
        return sum(source.kept for source in self.sources)

    @property
    def failed(self) -> dict[str, int]:
        """How many images were left out, by reason, over all sources."""
        counts: Counter[str] = Counter()
        for source in self.sources:
            counts.update({reason: left.count for reason, left in source.failed.items()})
        return dict(sorted(counts.items()))

    def num_samples(self, split: str) -> int:
        """Return the number of image-text pairs of a split; 0 for one that does not exist."""
        return sum(shard.samples for shard in self.splits.get(split, ()))

    def is_whole(self, folder: Path) -> bool:
        """Whether every shard lies in the folder at its full size."""
        return all(shard.is_whole(folder) for shard in self.shards)


_ADAPTER = TypeAdapter(Manifest)


def load_manifest(folder: Path) -> Manifest:
    """Read the manifest of a prepared folder.

    Raises:
        DataError: There is none, or it is damaged or not one of ours.
    """
    path = folder / MANIFEST_NAME
    try:
        return _ADAPTER.validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise DataError(
            f"{folder} is not a prepared folder: it has no {MANIFEST_NAME}",
            hint=f"Prepare one: pgseg data prepare SOURCE --out {folder}",
        ) from error
    except (OSError, ValidationError) as error:
        raise DataError(
            f"{path} is damaged, or not a manifest of this pgseg",
            hint="Prepare the data again into another folder.",
        ) from error


def save_manifest(manifest: Manifest, folder: Path) -> None:
    """Write the manifest, whole or not at all."""
    with whole_file(folder / MANIFEST_NAME) as file:
        file.write_bytes(_ADAPTER.dump_json(manifest, indent=2) + b"\n")


def unfinished(folder: Path) -> DataError:
    """Return what is said of a folder whose preparation has not come to its end."""
    return DataError(
        f"the preparation of {folder} was stopped before its end",
        hint="Run the same `pgseg data prepare` again; it goes on where it stopped.",
    )


def request_hash(request: Mapping[str, Any]) -> str:
    """Return the hash of what was asked for, from plain nested values."""
    text = json.dumps(request, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def newest_prepared(root: Path) -> Path:
    """Return the folder prepared last among `root`'s own folders and those of `root/data`.

    Raises:
        DataError: None of them was prepared by us.
    """
    found = [*root.glob(f"*/{MANIFEST_NAME}"), *root.glob(f"data/*/{MANIFEST_NAME}")]
    for path in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            load_manifest(path.parent)
        except DataError:
            continue
        return path.parent
    raise DataError(
        "no prepared data in this folder",
        hint="Prepare some (pgseg data prepare), or name it: --data shards/",
    )
