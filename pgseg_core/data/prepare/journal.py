"""The record of a preparation under way, on disk as it happens, so that it can be gone on with.

One JSON object a line, only ever appended: every image left out, and every shard once it is whole.
Rows are decided in their order, and a shard of a split holds the next of its kept rows. So a row is
done if it comes before the end of its split's last finished shard, or was left out; all others are
decided again after a stop, and end where they would have ended.

A finished record may be opened for another round: a line that names reasons. Rows left out for one
of them count as undone from there on; those that can be used now come in shards of their own.
"""

import contextlib
import json
import os
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any

from pgseg_core.atomic import whole_file
from pgseg_core.data.manifest import Manifest, Part, ShardEntry
from pgseg_core.data.prepare.accounts import LeftOut, Share, SourceKind, source_entries
from pgseg_core.data.prepare.samples import Rejected
from pgseg_core.errors import DataError
from pgseg_core.version import VERSION


@dataclass(frozen=True)
class Header:
    """What a preparation is of; equal headers give equal shards.

    Attributes:
        request: Hash of everything that decides the content.
        sources: Names of the sources.
        options: How they are prepared.
        part: Which part of all images; None is all.
    """

    request: str
    sources: tuple[str, ...]
    options: Mapping[str, Any]
    part: Part | None = None


@dataclass(frozen=True)
class FinishedShard:
    """A shard that is whole.

    Attributes:
        split: The split it belongs to.
        last: Position of its last row.
        entry: The file.
        shares: What each source has in it.
    """

    split: str
    last: int
    entry: ShardEntry
    shares: Mapping[int, Share]


class Journal:
    """Open for appending; made by `begin` or `resume`.

    Attributes:
        header: What the preparation is of.
        resumed: Whether it was begun before.
        rounds: How often rows that were left out have been asked for again.
    """

    def __init__(self, path: Path, header: Header, *, resumed: bool) -> None:
        self.header = header
        self.resumed = resumed
        self.rounds = 0
        self._path = path
        self._shards: dict[str, list[FinishedShard]] = {}
        self._last: dict[str, int] = {}  # position of the last row in a shard of this round
        self._left_out = LeftOut()
        self._by_reason: dict[str, array[int]] = {}
        self._positions = array("Q")  # all of these, in order
        self._again = array("Q")  # the rows of this round, in order, if it is not the first
        self._file: IO[str]

    @classmethod
    def begin(cls, path: Path, header: Header) -> "Journal":
        """Start a new record, replacing one that is there.

        Raises:
            DataError: Another process is preparing this folder.
        """
        with whole_file(path) as temporary:
            temporary.write_text(json.dumps({"pgseg": VERSION, **asdict(header)}) + "\n", "utf-8")
        journal = cls(path, header, resumed=False)
        journal._file = _open_alone(path)
        return journal

    @classmethod
    def resume(cls, path: Path) -> "Journal":
        """Go on with a record. A line that was cut off is dropped.

        From the first shard on that is not in the folder at its full size, the shards of that split
        are made again.

        Raises:
            DataError: The record is damaged, another process is preparing this folder, or a shard
                is missing of one that was asked for again, whose rows are not in order.
        """
        file = _open_alone(path)
        journal = cls(path, read_header(path), resumed=True)
        journal._file = file
        try:
            with path.open("rb") as lines:
                whole = len(next(lines))
                for line in lines:
                    if not line.endswith(b"\n"):
                        os.truncate(path, whole)
                        break
                    journal._note(json.loads(line))
                    whole += len(line)
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"the record {path} is damaged", hint="Start over by adding --overwrite."
            ) from error
        journal._forget_lost_shards(path.parent)
        journal._positions = _in_order(*journal._by_reason.values())
        return journal

    def ask_again(self, reasons: Iterable[str]) -> None:
        """Begin another round: of the rows that were left out for one of these reasons."""
        self._append({"again": sorted(reasons)})
        self._begin_round(reasons)
        self._positions = _in_order(*self._by_reason.values())
        self._file.flush()
        os.fsync(self._file.fileno())

    def is_done(self, split: str, position: int) -> bool:
        """Whether a row was decided before this run and need not be looked at again."""
        if self.rounds and not _contains(self._again, position):
            return True
        return position <= self._last.get(split, -1) or _contains(self._positions, position)

    def shards(self, split: str) -> Sequence[FinishedShard]:
        """Return the finished shards of a split."""
        return self._shards.get(split, [])

    @property
    def all_shards(self) -> list[FinishedShard]:
        """The finished shards of all splits."""
        return [shard for shards in self._shards.values() for shard in shards]

    def leave_out(self, rejected: Rejected) -> None:
        """Record an image that is left out."""
        entry = {
            "left_out": rejected.reason,
            "row": rejected.position,
            "source": rejected.source,
            "image": rejected.name,
        }
        self._append(entry)
        self._left_out.add(rejected.source, rejected.reason, rejected.name)

    def finish_shard(self, shard: FinishedShard) -> None:
        """Record a shard that is whole; on return it is on the disk."""
        shards = self._shards.setdefault(shard.split, [])
        entry = {
            "shard": shard.entry.name,
            "split": shard.split,
            "number": len(shards),
            "last": shard.last,
            "samples": shard.entry.samples,
            "bytes": shard.entry.bytes,
            "sha256": shard.entry.sha256,
            "sources": {
                str(source): [share.images, share.captions, share.bytes]
                for source, share in shard.shares.items()
            },
        }
        self._append(entry)
        shards.append(shard)
        self._last[shard.split] = shard.last
        self._file.flush()
        os.fsync(self._file.fileno())

    def manifest(self, kinds: Sequence[SourceKind]) -> Manifest:
        """Return the manifest of what is recorded; split train first, the others by name.

        Args:
            kinds: What each source is.
        """
        splits = {
            split: tuple(shard.entry for shard in shards) for split, shards in self._shards.items()
        }
        return Manifest(
            pgseg=VERSION,
            request=self.header.request,
            options=dict(self.header.options),
            sources=source_entries(
                self.header.sources,
                kinds,
                (shard.shares for shard in self.all_shards),
                self._left_out,
            ),
            splits=dict(sorted(splits.items(), key=lambda item: (item[0] != "train", item[0]))),
            part=self.header.part,
            rounds=1 + self.rounds,
        )

    def close(self, *, finished_as: Path | None = None) -> None:
        """Close the file, and give it another name if the preparation is finished."""
        with contextlib.suppress(OSError):  # a full disk; what stopped us is known
            self._file.close()
        if finished_as is not None:
            self._path.replace(finished_as)

    def discard(self) -> None:
        """Take the record away: there is nothing to go on with."""
        self.close()
        self._path.unlink(missing_ok=True)

    def _append(self, entry: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(entry) + "\n")

    def _note(self, entry: Mapping[str, Any]) -> None:
        """Take over one line of an earlier run."""
        if "again" in entry:
            self._begin_round(entry["again"])
            return
        if "left_out" in entry:
            self._by_reason.setdefault(entry["left_out"], array("Q")).append(entry["row"])
            self._left_out.add(entry["source"], entry["left_out"], entry["image"])
            return
        file = ShardEntry(entry["shard"], entry["samples"], entry["bytes"], entry["sha256"])
        shares = {int(source): Share(*share) for source, share in entry["sources"].items()}
        shards = self._shards.setdefault(entry["split"], [])
        # A shard that was lost is recorded again once it is remade, and so are those after it.
        del shards[entry["number"] :]
        shards.append(FinishedShard(entry["split"], entry["last"], file, shares))
        self._last[entry["split"]] = entry["last"]

    def _begin_round(self, reasons: Iterable[str]) -> None:
        self._again = _in_order(*(self._by_reason.pop(reason, ()) for reason in reasons))
        self._left_out.forget(reasons)
        self._last.clear()
        self.rounds += 1

    def _forget_lost_shards(self, folder: Path) -> None:
        for split, shards in self._shards.items():
            lost = [not shard.entry.is_whole(folder) for shard in shards]
            if not any(lost):
                continue
            first = lost.index(True)
            if self.rounds:
                raise DataError(
                    f"{folder / shards[first].entry.name} is missing or not whole, and this folder "
                    "was asked for again since it was written",
                    hint="Copy it back, or start over by adding --overwrite.",
                )
            self._shards[split] = shards[:first]
            self._last[split] = shards[first - 1].last if first else -1


def read_header(path: Path) -> Header:
    """Read what a recorded preparation is of.

    Raises:
        DataError: The record is damaged.
    """
    try:
        with path.open(encoding="utf-8") as file:
            values = json.loads(file.readline())
        part = values["part"]
        return Header(
            values["request"],
            tuple(values["sources"]),
            values["options"],
            Part(**part) if part else None,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"the record {path} is damaged", hint="Start over by adding --overwrite."
        ) from error


def _in_order(*positions: Iterable[int]) -> "array[int]":
    return array("Q", sorted(chain.from_iterable(positions)))


def _contains(positions: "array[int]", position: int) -> bool:
    place = bisect_left(positions, position)
    return place < len(positions) and positions[place] == position


def _open_alone(path: Path) -> IO[str]:
    """Open a record for appending; refuse while another process has it open so."""
    file = path.open("a", encoding="utf-8")
    try:
        import fcntl  # noqa: PLC0415 (not on Windows)

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:  # Windows has no such lock
        pass
    except BlockingIOError as error:
        file.close()
        raise DataError(
            f"another pgseg is preparing data in {path.parent}",
            hint="Wait for it, or give this one another folder with --out.",
        ) from error
    except OSError:  # a network file system without locks
        pass
    return file
