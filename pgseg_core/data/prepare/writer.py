"""Samples to tar shards in webdataset's convention: KEY.jpg and KEY.json, side by side.

Equal samples give equal bytes: times are fixed and keys sorted.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from webdataset import TarWriter

from pgseg_core.data.manifest import Failures, Manifest, ShardEntry
from pgseg_core.data.prepare.folder import TEMPORARY_SUFFIX
from pgseg_core.errors import DataError
from pgseg_core.version import VERSION

_MAX_EXAMPLES = 20


@dataclass(frozen=True)
class Sample:
    """One image-text pair on its way into a shard.

    Attributes:
        key: Unique within its split; no dot and no slash.
        image: The bytes of a JPEG.
        captions: One or more.
        split: Such as train, val or test.
        name: What its source calls the image.
    """

    key: str
    image: bytes
    captions: tuple[str, ...]
    split: str
    name: str


@dataclass(frozen=True)
class Rejected:
    """An image that cannot be used.

    Attributes:
        reason: A few words, the same for all of its kind.
        name: What its source calls the image.
    """

    reason: str
    name: str


@dataclass
class _Tally:
    seen: int = 0
    kept: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def reject(self, rejected: Rejected) -> None:
        reason = rejected.reason
        self.counts[reason] = self.counts.get(reason, 0) + 1
        names = self.examples.setdefault(reason, [])
        if len(names) < _MAX_EXAMPLES:
            names.append(rejected.name)

    def failures(self) -> dict[str, Failures]:
        return {
            reason: Failures(count, tuple(self.examples[reason]))
            for reason, count in sorted(self.counts.items())
        }


def write_shards(
    samples: Iterable[Sample | Rejected],
    out: Path,
    *,
    samples_per_shard: int,
    request: str,
    sources: tuple[str, ...],
    options: dict[str, Any],
) -> Manifest:
    """Write samples, in their order, to shards named `SPLIT-00000.tar` and on.

    Args:
        samples: What to write, and what had to be left out.
        out: An existing folder.
        samples_per_shard: Largest number of samples in one shard.
        request: Hash of what was asked for, for the manifest.
        sources: What was read, for the manifest.
        options: How it was prepared, for the manifest.

    Returns:
        The manifest, not yet written.

    Raises:
        DataError: Nothing is left to write, or a shard cannot be written (a full disk).
    """
    tally = _Tally()
    splits: dict[str, _SplitWriter] = {}
    try:
        for sample in samples:
            tally.seen += 1
            if isinstance(sample, Rejected):
                tally.reject(sample)
                continue
            if sample.split not in splits:
                splits[sample.split] = _SplitWriter(out, sample.split, samples_per_shard)
            splits[sample.split].write(sample)
            tally.kept += 1
        shards = {name: split.close() for name, split in splits.items()}
    except OSError as error:
        raise DataError(
            f"a shard in {out} cannot be written: {error}",
            hint="Make room on the disk and run the same command again.",
        ) from error
    finally:
        for split in splits.values():
            split.abandon()
    if not tally.kept:
        raise _nothing_left(tally)
    return Manifest(
        pgseg=VERSION,
        request=request,
        sources=sources,
        options=options,
        splits=shards,
        rows_seen=tally.seen,
        rows_kept=tally.kept,
        failed=tally.failures(),
    )


class _SplitWriter:
    """The shards of one split, one open at a time."""

    def __init__(self, out: Path, split: str, samples_per_shard: int) -> None:
        self._out = out
        self._split = split
        self._samples_per_shard = samples_per_shard
        self._finished: list[ShardEntry] = []
        self._open: _ShardWriter | None = None

    def write(self, sample: Sample) -> None:
        if self._open is None:
            name = f"{self._split}-{len(self._finished):05d}.tar"
            self._open = _ShardWriter(self._out / name)
        self._open.write(sample)
        if self._open.samples == self._samples_per_shard:
            self._close_shard()

    def close(self) -> tuple[ShardEntry, ...]:
        self._close_shard()
        return tuple(self._finished)

    def abandon(self) -> None:
        """Let go of a shard that was not finished."""
        if self._open is not None:
            self._open.abandon()

    def _close_shard(self) -> None:
        if self._open is not None:
            self._finished.append(self._open.close())
            self._open = None


class _ShardWriter:
    """One tar file, under a temporary name until it is whole."""

    def __init__(self, path: Path) -> None:
        self.samples = 0
        self._path = path
        self._temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
        self._file = self._temporary.open("wb")
        self._tar = TarWriter(self._file, encoder=False, mtime=0, user="pgseg", group="pgseg")

    def write(self, sample: Sample) -> None:
        record = {"captions": list(sample.captions), "image": sample.name}
        text = json.dumps(record, ensure_ascii=False, sort_keys=True)
        self._tar.write(
            {
                "__key__": sample.key,
                "jpg": sample.image,
                "json": text.encode("utf-8", "backslashreplace"),
            }
        )
        self.samples += 1

    def abandon(self) -> None:
        """Close the file as it is, under its temporary name."""
        with contextlib.suppress(OSError):  # The disk may be full; what stopped us is known.
            self._tar.close()
        self._file.close()

    def close(self) -> ShardEntry:
        self._tar.close()
        self._file.close()
        with self._temporary.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = self._temporary.stat().st_size
        self._temporary.replace(self._path)
        return ShardEntry(self._path.name, self.samples, size, digest)


def _nothing_left(tally: _Tally) -> DataError:
    reasons = "; ".join(
        f"{reason}: {count} (such as {tally.examples[reason][0]})"
        for reason, count in sorted(tally.counts.items())
    )
    return DataError(
        f"none of the {tally.seen} images can be used" + (f": {reasons}" if reasons else ""),
        hint="Check the paths in the table (--images DIR says where they start from).",
    )
