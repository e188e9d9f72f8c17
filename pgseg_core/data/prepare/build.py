"""Image-text pairs from any sources to shards: the whole of `pgseg data prepare`."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pgseg_core.data.manifest import Manifest, Part, request_hash
from pgseg_core.data.prepare.accounts import SourceKind
from pgseg_core.data.prepare.captions import clean_captions
from pgseg_core.data.prepare.duplicates import Seen
from pgseg_core.data.prepare.folder import finish, open_preparation
from pgseg_core.data.prepare.grouping import Survey, grouped, survey
from pgseg_core.data.prepare.journal import Header, Journal
from pgseg_core.data.prepare.options import PrepareOptions
from pgseg_core.data.prepare.outage import while_online
from pgseg_core.data.prepare.rows import Row
from pgseg_core.data.prepare.samples import Decision, Rejected
from pgseg_core.data.prepare.sources import Source, open_source
from pgseg_core.data.prepare.workers import decide
from pgseg_core.data.prepare.writer import ShardLimits, write_shards
from pgseg_core.data.shards import ShardReader
from pgseg_core.errors import DataError


@dataclass(frozen=True)
class Standing:
    """How far a preparation is.

    Attributes:
        done: Images decided, those of earlier runs among them; lines read while `reading`.
        total: Images in all; 0 while it is not known.
        resumed: Images that earlier runs decided.
        kept: Images that this run kept.
        bytes: Size of the images that this run kept.
        left_out: How many this run left out, by reason.
        reading: The source that is read for the first time; empty once images are decided.
    """

    done: int
    total: int
    resumed: int = 0
    kept: int = 0
    bytes: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    reading: str = ""


Progress = Callable[[Standing], None]
"""Called after every image, and now and then while the sources are read."""


@dataclass(frozen=True)
class Prepared:
    """What `prepare` did.

    Attributes:
        manifest: What the folder holds.
        was_there: True if the same preparation was found finished, and nothing was done.
        resumed: Images that an earlier run, which was stopped, had decided.
        retried: Images that had failed by chance and were asked for again.
        recovered: How many of those were kept.
    """

    manifest: Manifest
    was_there: bool
    resumed: int = 0
    retried: int = 0
    recovered: int = 0


def prepare(
    sources: Sequence[Path],
    out: Path,
    options: PrepareOptions | None = None,
    on_progress: Progress | None = None,
) -> Prepared:
    """Turn image-text pairs into shards.

    An image that cannot be used is left out and counted by reason. The manifest is written last. A
    preparation that was stopped, by whatever, goes on when the same is asked for again, and ends
    with the same shards. The order of the sources is kept.

    Args:
        sources: Tables, annotation files, folders or shards, as `open_source` takes them.
        out: Folder for the shards; new, empty, or prepared before.
        options: How; None takes the defaults.
        on_progress: Told how far it is.

    Raises:
        DataError: A source is wrong, the folder is somebody else's, the disk is full, or no image
            can be used.
    """
    options = options or PrepareOptions()
    if not sources:
        raise DataError("nothing to prepare", hint="Name a table or a folder of images.")
    _keep_apart(sources, out)
    opened = [open_source(path, options.reading, options.format) for path in sources]
    surveys = [survey(source.read, _tell(source, on_progress)) for source in opened]
    total = sum(found.num_images for found in surveys)
    settings = options.settings()
    header = Header(
        request=request_hash({"settings": settings, "rows": [found.digest for found in surveys]}),
        sources=tuple(source.name for source in opened),
        options=settings,
        part=_part(options.part, total),
    )
    journal = open_preparation(out, header, overwrite=options.overwrite, retry=options.retry_failed)
    if isinstance(journal, Manifest):
        return Prepared(journal, was_there=True)
    try:
        share = range(header.part.first, header.part.end) if header.part else range(total)
        rows = _Undone(_rows(opened, surveys), journal, share)
        counter = _Counter(rows, len(share), on_progress)
        decisions = decide(rows, options)
        if not journal.rounds:  # links that are asked for again may well be dead, all in a row
            decisions = while_online(decisions)
        write_shards(
            _without_duplicates(decisions, out, journal, options),
            out,
            journal,
            ShardLimits(options.samples_per_shard, options.bytes_per_shard, _infix(header.part)),
            counter.note,
        )
        kinds = [
            SourceKind(source.format, found.num_lines)
            for source, found in zip(opened, surveys, strict=True)
        ]
        manifest = journal.manifest(kinds)
        if manifest.images_seen != len(share):
            raise DataError(
                f"the sources changed while they were read: {len(share)} images, then "
                f"{manifest.images_seen}",
                hint="Leave them as they are, and run it again with --overwrite.",
            )
        if not manifest.images_kept:
            journal.discard()
            raise nothing_left(manifest)
        finish(out, journal, manifest)
    finally:
        journal.close()
    if journal.rounds:
        asked = len(share) - rows.num_done
        return Prepared(manifest, was_there=False, retried=asked, recovered=counter.kept)
    return Prepared(manifest, was_there=False, resumed=rows.num_done)


def nothing_left(manifest: Manifest) -> DataError:
    """Return what is said where no image of any source can be used."""
    reasons = {
        reason: left.examples[0]
        for source in manifest.sources
        for reason, left in source.failed.items()
    }
    counts = manifest.failed
    why = "; ".join(f"{reason}: {counts[reason]} (such as {reasons[reason]})" for reason in counts)
    return DataError(
        f"none of the {manifest.images_seen} images can be used" + (f": {why}" if why else ""),
        hint="Check the paths in the table (--images DIR says where they start from).",
    )


class _Undone:
    """The rows of a share that are not decided yet; counts those that are."""

    def __init__(self, rows: Iterator[Row], journal: Journal, share: range) -> None:
        self._rows = rows
        self._journal = journal
        self._share = share
        self.num_done = 0

    def __iter__(self) -> Iterator[Row]:
        for row in self._rows:
            if row.position in self._share:
                if self._journal.is_done(row.split, row.position):
                    self.num_done += 1
                else:
                    yield row


class _Counter:
    """Adds up decisions for the one who watches."""

    def __init__(self, rows: _Undone, total: int, on_progress: Progress | None) -> None:
        self._rows = rows
        self._total = total
        self._on_progress = on_progress
        self.kept = self._bytes = 0
        self._left_out: Counter[str] = Counter()

    def note(self, decision: Decision) -> None:
        if isinstance(decision, Rejected):
            self._left_out[decision.reason] += 1
        else:
            self.kept += 1
            self._bytes += len(decision.image)
        if self._on_progress is not None:
            resumed = self._rows.num_done
            done = resumed + self.kept + self._left_out.total()
            self._on_progress(
                Standing(done, self._total, resumed, self.kept, self._bytes, self._left_out)
            )


def _rows(sources: Sequence[Source], surveys: Sequence[Survey]) -> Iterator[Row]:
    position = 0
    for number, (source, found) in enumerate(zip(sources, surveys, strict=True)):
        for line in grouped(source.read, found):
            captions = clean_captions(line.captions)
            yield Row(position, number, line.place, line.name, captions, line.split)
            position += 1


def _without_duplicates(
    decisions: Iterator[Decision], out: Path, journal: Journal, options: PrepareOptions
) -> Iterator[Decision]:
    """Leave out images that came before, in this run or in the shards of earlier ones."""
    if options.filters.duplicates == "keep":
        yield from decisions
        return
    seen = Seen()
    for shard in journal.all_shards:
        with ShardReader(out / shard.entry.name) as reader:
            for place in range(len(reader)):
                record = reader.record(place)
                looks = record.get("fingerprint")
                seen.add(record["sha256"], None if looks is None else int(looks, 16))
    for decision in decisions:
        reason = None if isinstance(decision, Rejected) else seen.reason_against(decision)
        if isinstance(decision, Rejected):
            yield decision
        elif reason is not None:
            yield Rejected(decision.position, decision.source, reason, decision.name)
        else:
            seen.add(decision.digest, decision.fingerprint)
            yield decision


def _keep_apart(sources: Sequence[Path], out: Path) -> None:
    """Refuse to write over what is read: `--overwrite` would take it away first."""
    for source in sources:
        if out.resolve() in {source.resolve(), *source.resolve().parents}:
            raise DataError(
                f"the source {source} lies in {out}, the folder to be written",
                hint="Choose a new folder for the shards with --out.",
            )


def _tell(source: Source, on_progress: Progress | None) -> Callable[[int], None]:
    def tell(num_lines: int) -> None:
        if on_progress is not None:
            on_progress(Standing(num_lines, 0, reading=source.name))

    return tell


def _part(part: tuple[int, int] | None, total: int) -> Part | None:
    """Return the I-th of N runs of neighbouring images, as equal as can be."""
    if part is None:
        return None
    number, of = part
    if total < of:
        raise DataError(
            f"part {number} of {of} has no image: there are {total} in all",
            hint="Make fewer parts.",
        )
    return Part(number, of, total * (number - 1) // of, total * number // of, total)


def _infix(part: Part | None) -> str:
    return "" if part is None else f"-{part.number}of{part.of}"
