"""Parts of a preparation, made on several machines, to one prepared folder: proved, then joined."""

import os
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pgseg_core.atomic import whole_file
from pgseg_core.data.manifest import (
    MANIFEST_NAME,
    UNFINISHED_NAME,
    Failures,
    Manifest,
    Part,
    SourceEntry,
    load_manifest,
    save_manifest,
    unfinished,
)
from pgseg_core.data.prepare.accounts import MAX_EXAMPLES
from pgseg_core.data.prepare.folder import cannot_write
from pgseg_core.data.shards import ShardReader
from pgseg_core.errors import DataError


@dataclass(frozen=True)
class Merged:
    """What `merge` did.

    Attributes:
        manifest: Of the joined folder.
        repeated: Images of one part that are, byte for byte, in another as well; no part could see
            them.
    """

    manifest: Manifest
    repeated: int


def merge(folders: Sequence[Path], out: Path) -> Merged:
    """Join all parts of one preparation under one manifest.

    That nothing overlaps is not taken from the manifests: every key in every shard is read, and
    must lie in its part's range of images and occur once.

    Args:
        folders: One finished part each, in any order.
        out: Where the manifest goes. Shards of parts below it stay where they are; others are
            linked into it, or copied where links cannot be made.

    Raises:
        DataError: A folder is no finished part, parts are of different preparations, missing,
            given twice or overlap, a shard is not whole, or `out` holds something else.
    """
    parts = sorted((_load_part(folder) for folder in folders), key=lambda part: part.place.number)
    _check_complete(parts)
    _check_out(out, parts)
    repeated = _check_contents(parts)
    first = parts[0].manifest
    splits = {
        split: tuple(
            replace(entry, name=_place(part.folder, entry.name, out))
            for part in parts
            for entry in part.manifest.splits.get(split, ())
        )
        for split in dict.fromkeys(name for part in parts for name in part.manifest.splits)
    }
    manifest = replace(
        first,
        sources=tuple(map(_add_up, zip(*(part.manifest.sources for part in parts), strict=True))),
        splits=splits,
        part=None,
        rounds=max(part.manifest.rounds for part in parts),
    )
    try:
        save_manifest(manifest, out)
    except OSError as error:
        raise cannot_write(out, error) from error
    return Merged(manifest, repeated)


@dataclass(frozen=True)
class _LoadedPart:
    folder: Path
    manifest: Manifest
    place: Part


def _load_part(folder: Path) -> _LoadedPart:
    if (folder / UNFINISHED_NAME).exists():
        raise unfinished(folder)
    manifest = load_manifest(folder)
    if manifest.part is None:
        raise DataError(
            f"{folder} is no part of a preparation, but a whole one",
            hint="Parts are made with --part I/N. To join whole ones, prepare them as sources: "
            "pgseg data prepare A B --out C",
        )
    return _LoadedPart(folder, manifest, manifest.part)


def _check_complete(parts: Sequence[_LoadedPart]) -> None:
    first = parts[0]
    for part in parts[1:]:
        same = (part.manifest.request, part.place.of) == (first.manifest.request, first.place.of)
        if not same:
            raise DataError(
                f"{first.folder} and {part.folder} are parts of different preparations",
                hint="Make all parts from the same sources, with the same options but --part.",
            )
    given = Counter(part.place.number for part in parts)
    twice = [str(number) for number, count in given.items() if count > 1]
    if twice:
        raise DataError(
            f"part {', '.join(twice)} of {first.place.of} is given twice",
            hint="Give each part once.",
        )
    missing = [f"{n}/{first.place.of}" for n in range(1, first.place.of + 1) if n not in given]
    if missing:
        raise DataError(
            f"{len(missing)} of {first.place.of} parts missing: {', '.join(missing)}",
            hint=f"Prepare them with --part {missing[0]}, or name their folders too.",
        )
    end = 0
    for part in parts:
        if part.place.first != end:
            raise DataError(
                f"{part.folder} begins at image {part.place.first}, not at {end}",
                hint="Its manifest is damaged: prepare this part again.",
            )
        end = part.place.end


def _check_out(out: Path, parts: Sequence[_LoadedPart]) -> None:
    if out.is_file():
        raise DataError(f"{out} is a file", hint="Give a folder for the shards.")
    if (out / MANIFEST_NAME).exists():
        there = load_manifest(out)
        if there.request != parts[0].manifest.request or there.part is not None:
            raise DataError(
                f"{out} holds another preparation", hint="Choose another folder with --out."
            )


def _check_contents(parts: Sequence[_LoadedPart]) -> int:
    """Read what every shard holds; return how many images are in more than one part."""
    keys: set[int] = set()
    found: dict[str, int] = {}
    repeated = 0
    for part in parts:
        for entry in part.manifest.shards:
            if not entry.is_whole(part.folder):
                raise DataError(
                    f"{part.folder / entry.name} is missing or not {entry.bytes} bytes long",
                    hint="Copy it again.",
                )
            with ShardReader(part.folder / entry.name) as reader:
                for place, key in enumerate(reader.index.keys):
                    position = int(key) if key.isdecimal() else -1
                    if not part.place.first <= position < part.place.end or position in keys:
                        raise DataError(
                            f"{part.folder / entry.name}: image {key} belongs to another part, or "
                            "is there twice",
                            hint="The shards are not those of the manifest: copy them again.",
                        )
                    keys.add(position)
                    digest = str(reader.record(place).get("sha256", ""))[:32]
                    number = found.setdefault(digest, part.place.number)
                    repeated += bool(digest) and number != part.place.number
    return repeated


def _place(folder: Path, name: str, out: Path) -> str:
    """Bring a shard to the folder, where it is not below it already; return its name there."""
    shard = folder / name
    if shard.resolve().is_relative_to(out.resolve()):
        return shard.resolve().relative_to(out.resolve()).as_posix()
    target = out / Path(name).name
    try:
        with whole_file(target) as temporary:
            try:
                os.link(shard, temporary)
            except OSError:  # another disk, or one that knows no links
                shutil.copyfile(shard, temporary)
    except OSError as error:
        raise cannot_write(out, error) from error
    return target.name


def _add_up(entries: Sequence[SourceEntry]) -> SourceEntry:
    """Add up what became of one source in all parts."""
    reasons = dict.fromkeys(sorted(reason for entry in entries for reason in entry.failed))
    failed = {}
    for reason in reasons:
        lefts = [entry.failed[reason] for entry in entries if reason in entry.failed]
        names = [name for left in lefts for name in left.examples]
        failed[reason] = Failures(sum(left.count for left in lefts), tuple(names[:MAX_EXAMPLES]))
    return SourceEntry(
        name=entries[0].name,
        format=entries[0].format,
        rows=entries[0].rows,
        seen=sum(entry.seen for entry in entries),
        kept=sum(entry.kept for entry in entries),
        captions=sum(entry.captions for entry in entries),
        bytes=sum(entry.bytes for entry in entries),
        failed=failed,
    )
