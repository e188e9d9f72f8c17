"""What a set of image-text pairs is like: sizes, captions, what they speak of, and repetitions."""

import hashlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pgseg_core.data.pairs import Pair
from pgseg_core.data.prepare.sources.shards import find_tars
from pgseg_core.data.shards import RawSample, ShardReader
from pgseg_core.errors import DataError
from pgseg_core.photos.images import open_header, read_image

Progress = Callable[[int, int], None]
"""Called with (shards read, shards in all)."""
FindNouns = Callable[[str], Sequence[str]]
"""A caption to the nouns in it."""

_PERCENTILES = (0, 5, 50, 95, 100)


@dataclass(frozen=True)
class Spread:
    """How a number is spread: its mean, smallest, 5 %, median, 95 % and largest value."""

    mean: float
    smallest: float
    low: float
    median: float
    high: float
    largest: float

    @classmethod
    def of(cls, values: "Sequence[float] | np.ndarray") -> "Spread":
        """Take the mean and percentiles of some values; at least one."""
        numbers = np.asarray(values, dtype=np.float64)
        return cls(float(numbers.mean()), *map(float, np.percentile(numbers, _PERCENTILES)))


@dataclass(frozen=True)
class Statistics:
    """What a set is like.

    Attributes:
        images: Image-text pairs.
        captions: Captions of all images.
        splits: Images by split; one without a name where none is told.
        unreadable: Samples that could not be read, and count in nothing else.
        width: Of the images in pixels.
        height: Of the images in pixels.
        kilobytes: Size of the images' files.
        captions_per_image: How many.
        words: Per caption.
        nouns: The most common nouns, with the share of images whose captions name them.
        without_noun: Share of images whose captions name no noun that is known.
        repeated_images: Images whose file comes more than once, beyond the first.
        repeated_captions: Captions that come more than once, beyond the first.
    """

    images: int
    captions: int
    splits: Mapping[str, int]
    unreadable: int
    width: Spread
    height: Spread
    kilobytes: Spread
    captions_per_image: Spread
    words: Spread
    nouns: Mapping[str, float]
    without_noun: float
    repeated_images: int
    repeated_captions: int


def measure(
    source: Path,
    find_nouns: FindNouns,
    *,
    num_nouns: int = 20,
    on_progress: Progress | None = None,
) -> Statistics:
    """Read every sample once, its image's head alone, and add up what it is like.

    Args:
        source: A prepared folder, a folder of tars, a tar, or a pattern.
        find_nouns: Finds the nouns of a caption.
        num_nouns: How many of the most common nouns are listed.
        on_progress: Told after every shard.

    Raises:
        DataError: A shard is missing or damaged, or there is no sample that can be read.
    """
    sums = _Sums()
    tars = find_tars(source)
    for done, (tar, split) in enumerate(tars, start=1):
        with ShardReader(tar) as reader:
            for place in range(len(reader)):
                try:
                    sample = reader.read(place)
                    size = _size(sample)
                except DataError:
                    sums.unreadable += 1
                    continue
                sums.add(sample, size, split or "", find_nouns)
        if on_progress is not None:
            on_progress(done, len(tars))
    if not sums.widths:
        raise DataError(
            f"{source}: no image-text pair that can be read in {len(tars)} shards",
            hint=f"See what is wrong: pgseg data verify {source}",
        )
    return sums.statistics(num_nouns)


def draw_pairs(source: Path, count: int, seed: int = 0) -> list[Pair]:
    """Draw pairs at random, without putting one back.

    Args:
        source: As for `measure`.
        count: How many at most.
        seed: Another seed draws others.

    Raises:
        DataError: A shard is missing or damaged.
    """
    tars = [tar for tar, _ in find_tars(source)]
    counts = []
    for tar in tars:
        with ShardReader(tar) as reader:
            counts.append(len(reader))
    total = sum(counts)
    order = np.random.default_rng(seed).permutation(total)
    ends = np.cumsum(counts)
    drawn: list[Pair] = []
    for position in order.tolist():
        which = int(np.searchsorted(ends, position, side="right"))
        drawn += _read_pair(tars[which], position - int(ends[which] - counts[which]))
        if len(drawn) == count:
            break
    return drawn


def _read_pair(tar: Path, place: int) -> Iterator[Pair]:
    with ShardReader(tar) as reader:
        try:
            sample = reader.read(place)
            image = read_image(sample.image)
        except (DataError, OSError):
            return
    yield Pair(sample.key, image, sample.captions)


def _size(sample: RawSample) -> tuple[int, int]:
    try:
        with open_header(sample.image) as header:
            return header.size
    except Exception as error:  # Pillow's parsers raise whatever they trip over
        raise DataError(f"{sample.key}: not an image") from error


class _Sums:
    """What has been read so far."""

    def __init__(self) -> None:
        self.unreadable = 0
        # A few bytes a number: sets have millions of images.
        self.widths = array("I")
        self._heights = array("I")
        self._sizes = array("I")
        self._captions = array("I")
        self._words = array("I")
        self._splits: Counter[str] = Counter()
        self._nouns: Counter[str] = Counter()
        self._without_noun = 0
        self._digests: set[bytes] = set()
        self._texts: set[bytes] = set()

    def add(
        self, sample: RawSample, size: tuple[int, int], split: str, find_nouns: FindNouns
    ) -> None:
        self.widths.append(size[0])
        self._heights.append(size[1])
        self._sizes.append(len(sample.image))
        self._captions.append(len(sample.captions))
        self._words.extend(len(caption.split()) for caption in sample.captions)
        self._splits[split] += 1
        nouns = {noun for caption in sample.captions for noun in find_nouns(caption)}
        self._nouns.update(nouns)
        self._without_noun += not nouns
        self._digests.add(_digest(sample.image))
        self._texts.update(_digest(caption.encode()) for caption in sample.captions)

    def statistics(self, num_nouns: int) -> Statistics:
        images = len(self.widths)
        return Statistics(
            images=images,
            captions=sum(self._captions),
            splits=dict(self._splits),
            unreadable=self.unreadable,
            width=Spread.of(self.widths),
            height=Spread.of(self._heights),
            kilobytes=Spread.of(np.asarray(self._sizes) / 1000),
            captions_per_image=Spread.of(self._captions),
            words=Spread.of(self._words),
            nouns={noun: n / images for noun, n in self._nouns.most_common(num_nouns)},
            without_noun=self._without_noun / images,
            repeated_images=images - len(self._digests),
            repeated_captions=len(self._words) - len(self._texts),
        )


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=12).digest()
