"""What became of every source: images kept, images left out and why."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pgseg_core.data.manifest import Failures, SourceEntry

MAX_EXAMPLES = 20
"""Images named in the manifest for each reason and source."""


@dataclass(frozen=True)
class SourceKind:
    """What a source was recognised as, and how many lines, entries or samples it has."""

    format: str
    rows: int


@dataclass(frozen=True)
class Share:
    """What a source has in a shard: images, their captions, and the size of the images."""

    images: int = 0
    captions: int = 0
    bytes: int = 0

    def __add__(self, other: "Share") -> "Share":
        return Share(
            self.images + other.images, self.captions + other.captions, self.bytes + other.bytes
        )


@dataclass
class _Tally:
    count: int = 0
    examples: list[str] = field(default_factory=list)


class LeftOut:
    """Counts the images left out, by source and reason, and names the first of each."""

    def __init__(self) -> None:
        self._tallies: dict[int, dict[str, _Tally]] = {}

    def add(self, source: int, reason: str, name: str) -> None:
        """Count one image of a source."""
        tally = self._tallies.setdefault(source, {}).setdefault(reason, _Tally())
        tally.count += 1
        if len(tally.examples) < MAX_EXAMPLES:
            tally.examples.append(name)

    def forget(self, reasons: Iterable[str]) -> None:
        """Take back what was left out for some reasons: it is looked at again."""
        for tallies in self._tallies.values():
            for reason in reasons:
                tallies.pop(reason, None)

    def of(self, source: int) -> dict[str, Failures]:
        """Return a source's images that were left out, by reason."""
        return {
            reason: Failures(tally.count, tuple(tally.examples))
            for reason, tally in sorted(self._tallies.get(source, {}).items())
        }


def source_entries(
    names: Sequence[str],
    kinds: Sequence[SourceKind],
    shares: Iterable[Mapping[int, Share]],
    left_out: LeftOut,
) -> tuple[SourceEntry, ...]:
    """Add up what became of each source.

    Args:
        names: Of the sources, as the user named them.
        kinds: What each is.
        shares: What each source has in each shard.
        left_out: What it has not.
    """
    kept = [Share() for _ in names]
    for in_shard in shares:
        for source, share in in_shard.items():
            kept[source] += share
    entries = []
    for number, (name, kind, share) in enumerate(zip(names, kinds, kept, strict=True)):
        failed = left_out.of(number)
        entries.append(
            SourceEntry(
                name=name,
                format=kind.format,
                rows=kind.rows,
                seen=share.images + sum(failures.count for failures in failed.values()),
                kept=share.images,
                captions=share.captions,
                bytes=share.bytes,
                failed=failed,
            )
        )
    return tuple(entries)
