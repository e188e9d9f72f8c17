"""Which photos a figure is about: files, folders, shards, or a scene of the embedded set."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from pgseg_core.data.scenes import sample_scene
from pgseg_core.data.shards import ShardReader, find_shards
from pgseg_core.errors import DataError
from pgseg_core.photos.images import list_images, read_image

_SHARDS = re.compile(r"\.tar$|\{\d+\.\.\d+\}")


@dataclass(frozen=True)
class Photo:
    """One photo with a name for titles and files."""

    name: str
    image: Image.Image
    """RGB."""


def read_photos(inputs: Sequence[str], *, limit: int) -> list[Photo]:
    """Read the photos that a call means, in order; none named means one embedded scene.

    Args:
        inputs: Files, folders of images, shards (`a.tar`, `DIR/{00000..00009}.tar`) and prepared
            folders.
        limit: Read so many at most.

    Raises:
        DataError: An input does not exist, holds no image, or an image cannot be read.
    """
    if not inputs:
        return [Photo("scene", sample_scene().image)]
    found: list[Photo] = []
    taken: set[str] = set()
    for source in inputs:
        for name, image in _read(source, limit - len(found)):
            found.append(Photo(_unique(name, taken), image))
        if len(found) >= limit:
            break
    return found


def _read(source: str, limit: int) -> Iterator[tuple[str, Image.Image]]:
    path = Path(source)
    if _SHARDS.search(source) or (path.is_dir() and _holds_shards(path)):
        yield from _from_shards(source, limit)
    elif path.is_dir():
        for file in list_images(path)[:limit]:
            yield file.stem, read_image(file)
    elif path.exists():
        yield path.stem, read_image(path)
    else:
        raise DataError(f"{source}: no such image, folder or shard", hint="Check the path.")


def _holds_shards(folder: Path) -> bool:
    return next(folder.glob("*.tar"), None) is not None


def _from_shards(source: str, limit: int) -> Iterator[tuple[str, Image.Image]]:
    for shard in find_shards(source):
        with ShardReader(shard.path) as reader:
            for position in range(min(len(reader), limit)):
                sample = reader.read(position)
                yield sample.key, read_image(sample.image, name=f"{shard.path}: {sample.key}")
            limit -= len(reader)
        if limit <= 0:
            return


def _unique(name: str, taken: set[str]) -> str:
    """Return a name that is safe as a file's and not taken yet."""
    safe = re.sub(r"[^\w.\- ]+", "_", name).strip(". ") or "photo"
    chosen, number = safe, 1
    while chosen in taken:
        number += 1
        chosen = f"{safe}-{number}"
    taken.add(chosen)
    return chosen
