"""Is a folder of shards what it should be: complete, unchanged, readable, and as it says?"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pgseg_core.data.manifest import (
    MANIFEST_NAME,
    UNFINISHED_NAME,
    Manifest,
    ShardEntry,
    load_manifest,
    unfinished,
)
from pgseg_core.data.prepare.sources.shards import find_tars
from pgseg_core.data.shards import ShardReader
from pgseg_core.errors import DataError
from pgseg_core.photos.images import read_image

Progress = Callable[[int, int], None]
"""Called with (shards checked, shards in all)."""


@dataclass(frozen=True)
class Problem:
    """Something that is not as it should be.

    Attributes:
        shard: The file it is in; empty where it is about the folder.
        key: The sample; empty where it is about the file.
        what: A few words.
    """

    shard: str
    key: str
    what: str


@dataclass(frozen=True)
class Verification:
    """What was looked at, and what was found.

    Attributes:
        shards: Files looked at.
        samples: Samples in them.
        captions: Captions of these.
        decoded: Images that were decoded whole.
        hashed: Whether the files' hashes were compared with a manifest's.
        problems: All that is wrong.
    """

    shards: int
    samples: int
    captions: int
    decoded: int
    hashed: bool
    problems: tuple[Problem, ...]


@dataclass
class _Findings:
    """What a shard was found to hold."""

    keys: tuple[str, ...] = ()
    captions: int = 0
    decoded: int = 0
    problems: list[Problem] = field(default_factory=list)


def verify(
    source: Path,
    *,
    sample: int | None = 1000,
    seed: int = 0,
    on_progress: Progress | None = None,
) -> Verification:
    """Check a prepared folder against its manifest, or the shards of others for themselves.

    Of a prepared folder: every shard is there, has its size, its hash and its number of samples,
    no other shard lies beside them, and the counts of the sources add up. Of all shards: they are
    tars, every key occurs once, every sample has captions that can be read, and a sample of the
    images (or all) decodes to its end.

    Args:
        source: A prepared folder, a folder of tars, a tar, or a pattern.
        sample: How many images are decoded, drawn from all; None decodes all.
        seed: Another seed draws others.
        on_progress: Told after every shard.

    Raises:
        DataError: There are no shards, or the folder's preparation was not finished.
    """
    if (source / UNFINISHED_NAME).exists():
        raise unfinished(source)
    manifest = load_manifest(source) if (source / MANIFEST_NAME).is_file() else None
    folder = source if source.is_dir() else source.parent
    if manifest is None:
        tars = [tar for tar, _ in find_tars(source)]
        entries: list[ShardEntry | None] = [None] * len(tars)
        problems: list[Problem] = []
    else:
        tars = [folder / entry.name for entry in manifest.shards]
        entries = list(manifest.shards)
        problems = list(_check_sums(manifest)) + list(_check_strangers(folder, tars))
    if not tars:
        raise DataError(
            f"there are no shards in {source}",
            hint=f"Prepare them: pgseg data prepare SOURCE --out {source}",
        )
    share = None if sample is None else _share(sample, manifest, tars)
    seen: dict[str, str] = {}
    samples = captions = decoded = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [
            pool.submit(_check_shard, tar, entry, share, (seed, number))
            for number, (tar, entry) in enumerate(zip(tars, entries, strict=True))
        ]
        for done, (tar, job) in enumerate(zip(tars, jobs, strict=True), start=1):
            found = job.result()
            problems += found.problems
            problems += _check_keys(tar, found.keys, seen)
            samples += len(found.keys)
            captions += found.captions
            decoded += found.decoded
            if on_progress is not None:
                on_progress(done, len(tars))
    return Verification(
        shards=len(tars),
        samples=samples,
        captions=captions,
        decoded=decoded,
        hashed=manifest is not None,
        problems=tuple(problems),
    )


def _share(sample: int, manifest: Manifest | None, tars: Sequence[Path]) -> float:
    """Return the share of all images that makes about so many; at least one of every shard."""
    if manifest is not None:
        total = sum(entry.samples for entry in manifest.shards)
    else:
        total = 0
        for tar in tars:
            try:
                with ShardReader(tar) as reader:
                    total += len(reader)
            except DataError:
                continue  # reported when its turn comes
    return min(1.0, sample / max(total, 1))


def _check_shard(
    tar: Path, entry: ShardEntry | None, share: float | None, seed: tuple[int, int]
) -> _Findings:
    found = _Findings()

    def note(what: str, key: str = "") -> None:
        found.problems.append(Problem(str(tar), key, what))

    if entry is not None:
        what = _difference(tar, entry)
        if what is not None:
            note(what)
        if not tar.is_file():
            return found
    try:
        reader = ShardReader(tar)
    except DataError as error:
        note(error.message)
        return found
    with reader:
        found.keys = reader.index.keys
        if entry is not None and len(reader) != entry.samples:
            note(f"{len(reader)} samples, and the manifest says {entry.samples}")
        count = (
            len(reader) if share is None else min(len(reader), int(np.ceil(share * len(reader))))
        )
        chosen = set(np.random.default_rng(seed).choice(len(reader), count, replace=False).tolist())
        for place, key in enumerate(reader.index.keys):
            try:
                sample = reader.read(place)
                found.captions += len(sample.captions)
                if place in chosen:
                    read_image(sample.image, name="the image")
                    found.decoded += 1
            except DataError as error:
                note(error.message.removeprefix(f"{tar}: "), key)
    return found


def _difference(tar: Path, entry: ShardEntry) -> str | None:
    """Return in what a shard differs from its entry in the manifest; None if in nothing."""
    if not tar.is_file():
        return "missing"
    size = tar.stat().st_size
    if size != entry.bytes:
        return f"{size} bytes, and the manifest says {entry.bytes}"
    with tar.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != entry.sha256:
            return "its content has changed (SHA-256)"
    return None


def _check_keys(tar: Path, keys: Sequence[str], seen: dict[str, str]) -> Iterator[Problem]:
    for key in keys:
        before = seen.setdefault(key, tar.name)
        if before != tar.name:
            yield Problem(str(tar), key, f"the same key is in {before}")
    if len(set(keys)) != len(keys):
        yield Problem(str(tar), "", f"{len(keys) - len(set(keys))} keys come twice")


def _check_sums(manifest: Manifest) -> Iterator[Problem]:
    """Check that what was seen was kept or left out, and that what was kept is in the shards."""
    for source in manifest.sources:
        failed = sum(left.count for left in source.failed.values())
        if source.seen != source.kept + failed:
            what = f"{source.name}: {source.seen} seen are not {source.kept} kept + {failed} failed"
            yield Problem("", "", f"{MANIFEST_NAME}: {what}")
    samples = sum(entry.samples for entry in manifest.shards)
    if samples != manifest.images_kept:
        what = f"{manifest.images_kept} images kept, and {samples} in the shards"
        yield Problem("", "", f"{MANIFEST_NAME}: {what}")


def _check_strangers(folder: Path, known: Sequence[Path]) -> Iterator[Problem]:
    for path in sorted(set(folder.glob("*.tar")) - set(known)):
        yield Problem(str(path), "", f"not in {MANIFEST_NAME}")
