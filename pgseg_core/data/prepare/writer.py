"""Decisions to tar shards in webdataset's convention: KEY.jpg and KEY.json, side by side.

Equal samples give equal bytes: times are fixed and keys sorted. A shard has a temporary name until
it is whole and on the disk; only then is it recorded. webdataset writes the tar; it is imported
with the first shard, because it brings torch along, which nothing else here needs.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from pgseg_core.data.manifest import ShardEntry
from pgseg_core.data.prepare.accounts import Share
from pgseg_core.data.prepare.folder import TEMPORARY_SUFFIX, cannot_write
from pgseg_core.data.prepare.journal import FinishedShard, Journal
from pgseg_core.data.prepare.samples import Decision, Rejected, Sample


@dataclass(frozen=True)
class ShardLimits:
    """When a shard is full, and what it is called.

    Attributes:
        samples: Largest number of samples.
        bytes: Largest size of the images in it, save one image alone.
        infix: Comes between the split and the shard's number, such as `-2of4`.
    """

    samples: int
    bytes: int = 1_000_000_000
    infix: str = ""


def write_shards(
    decisions: Iterable[Decision],
    out: Path,
    journal: Journal,
    limits: ShardLimits,
    on_decision: Callable[[Decision], None] = lambda _: None,
) -> None:
    """Write samples, in their order, to shards named `SPLIT-00000.tar` and on.

    Args:
        decisions: What to write, and what is left out, by rising position.
        out: An existing folder.
        journal: Records both; its finished shards are numbered from.
        limits: When a shard is full.
        on_decision: Told of each once it is written or recorded.

    Raises:
        DataError: A shard cannot be written (a full disk).
    """
    splits: dict[str, _SplitWriter] = {}
    try:
        for decision in decisions:
            if isinstance(decision, Rejected):
                journal.leave_out(decision)
            else:
                if decision.split not in splits:
                    splits[decision.split] = _SplitWriter(out, decision.split, journal, limits)
                splits[decision.split].write(decision)
            on_decision(decision)
        for _, split in sorted(splits.items()):
            split.close()
    except OSError as error:
        raise cannot_write(out, error) from error
    finally:
        for split in splits.values():
            split.abandon()


class _SplitWriter:
    """The shards of one split, one open at a time."""

    def __init__(self, out: Path, split: str, journal: Journal, limits: ShardLimits) -> None:
        self._out = out
        self._split = split
        self._journal = journal
        self._limits = limits
        self._open: _ShardWriter | None = None

    def write(self, sample: Sample) -> None:
        if self._open is not None and self._open.bytes + len(sample.image) > self._limits.bytes:
            self.close()
        if self._open is None:
            number = len(self._journal.shards(self._split))
            name = f"{self._split}{self._limits.infix}-{number:05d}.tar"
            self._open = _ShardWriter(self._out / name)
        self._open.write(sample)
        if self._open.samples == self._limits.samples:
            self.close()

    def close(self) -> None:
        if self._open is not None:
            entry = self._open.close()
            shard = FinishedShard(self._split, self._open.last, entry, self._open.shares)
            self._open = None
            self._journal.finish_shard(shard)

    def abandon(self) -> None:
        """Let go of a shard that was not finished."""
        if self._open is not None:
            self._open.abandon()


class _ShardWriter:
    """One tar file, under a temporary name until it is whole."""

    def __init__(self, path: Path) -> None:
        self.samples = 0
        self.bytes = 0
        self.last = -1
        self.shares: dict[int, Share] = {}
        self._path = path
        self._temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
        self._file = self._temporary.open("wb")
        self._tar = _tar_writer(self._file)

    def write(self, sample: Sample) -> None:
        record = {"captions": list(sample.captions), "image": sample.name, **sample.details}
        text = json.dumps(record, ensure_ascii=False, sort_keys=True)
        encoded = text.encode("utf-8", "backslashreplace")
        self._tar.write({"__key__": sample.key, "jpg": sample.image, "json": encoded})
        share = Share(1, len(sample.captions), len(sample.image))
        self.shares[sample.source] = self.shares.get(sample.source, Share()) + share
        self.samples += 1
        self.bytes += len(sample.image)
        self.last = sample.position

    def abandon(self) -> None:
        """Close the file as it is, and take it away."""
        with contextlib.suppress(OSError):  # The disk may be full; what stopped us is known.
            self._tar.close()
        with contextlib.suppress(OSError):
            self._file.close()
        self._temporary.unlink(missing_ok=True)

    def close(self) -> ShardEntry:
        self._tar.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        with self._temporary.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = self._temporary.stat().st_size
        self._temporary.replace(self._path)
        return ShardEntry(self._path.name, self.samples, size, digest)


def _tar_writer(file: BinaryIO) -> Any:
    """Open a `webdataset.TarWriter` whose output depends on nothing but the samples."""
    from webdataset import TarWriter  # noqa: PLC0415 - brings torch

    return TarWriter(file, user="pgseg", group="pgseg", mtime=0, encoder=False)
