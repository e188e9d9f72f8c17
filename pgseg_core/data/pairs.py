"""Image-text pairs one after another, as they are stored, for evaluation."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from pgseg_core.data.shards import ShardReader, find_shards
from pgseg_core.photos.images import read_image


@dataclass(frozen=True)
class Pair:
    """One image and all of its captions.

    Attributes:
        key: Unique within the shards.
        image: Upright RGB, at the size it is stored.
        captions: One or more.
    """

    key: str
    image: Image.Image
    captions: tuple[str, ...]


def read_pairs(spec: str | Path, split: str) -> Iterator[Pair]:
    """Read every pair of a split once, in the order of the shards.

    Args:
        spec: As for `find_shards`.
        split: As for `find_shards`.

    Raises:
        DataError: A shard or the split is missing, or a pair cannot be read: an evaluation that
            leaves out what it cannot read would be another evaluation.
    """
    for shard in find_shards(spec, split):
        with ShardReader(shard.path) as reader:
            for position in range(len(reader)):
                sample = reader.read(position)
                image = read_image(sample.image, name=f"{shard.path}: {sample.key}")
                yield Pair(sample.key, image, sample.captions)
