"""Image-text pairs from tables and folders to shards: the whole of `pgseg data prepare`."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pgseg_core.data.manifest import Manifest, request_hash
from pgseg_core.data.prepare.encode import JPEG_QUALITY, to_stored_jpeg
from pgseg_core.data.prepare.folder import begin, find_finished, finish
from pgseg_core.data.prepare.rows import Row
from pgseg_core.data.prepare.sources import read_source
from pgseg_core.data.prepare.tables import Columns
from pgseg_core.data.prepare.writer import Rejected, Sample, write_shards
from pgseg_core.errors import ConfigError, DataError

Progress = Callable[[int, int], None]
"""Called with (images done, images in all)."""

_QUEUE_PER_THREAD = 8


@dataclass(frozen=True, kw_only=True)
class PrepareOptions:
    """How sources become shards."""

    columns: Columns = field(default_factory=Columns)
    """Which columns of a table to read; found by their usual names where not named."""
    images: Path | None = None
    """Folder that a table's relative image paths start from."""
    split: str = "train"
    """Split of the images whose source names none."""
    short_side: int | None = 256
    """Larger images are brought down to this short side, in pixels; None keeps every size."""
    samples_per_shard: int = 1000
    """Largest number of samples in one shard."""
    threads: int = field(default_factory=lambda: os.cpu_count() or 1)
    """Images that are decoded at the same time; does not change the result."""
    overwrite: bool = False
    """Whether another finished preparation in the folder may be replaced."""

    def __post_init__(self) -> None:
        for name in ("short_side", "samples_per_shard", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} is {value}", hint="Give a number above 0.")


@dataclass(frozen=True)
class Prepared:
    """What `prepare` did.

    Attributes:
        manifest: What the folder holds.
        was_there: True if the same preparation was found finished, and nothing was done.
    """

    manifest: Manifest
    was_there: bool


def prepare(
    sources: Sequence[Path],
    out: Path,
    options: PrepareOptions | None = None,
    on_progress: Progress | None = None,
) -> Prepared:
    """Turn image-text pairs into shards.

    A damaged or missing image, or one without a caption, is left out and counted by reason. The
    manifest is written last: a preparation that was stopped leaves none, and running it again
    starts over. The order of the sources is kept.

    Args:
        sources: Tables, folders with a table, or folders of images with text files.
        out: Folder for the shards; new, empty, or prepared before.
        options: How; None takes the defaults.
        on_progress: Told after every image.

    Raises:
        DataError: A source is wrong, the folder is somebody else's, or no image can be used.
    """
    options = options or PrepareOptions()
    if not sources:
        raise DataError("nothing to prepare", hint="Name a table or a folder of images.")
    rows: list[Row] = []
    for source in sources:
        rows += read_source(source, options.columns, images=options.images, split=options.split)
    settings = {
        "short_side": options.short_side,
        "samples_per_shard": options.samples_per_shard,
        "quality": JPEG_QUALITY,
    }
    request = _request(rows, settings)
    finished = find_finished(out, request, overwrite=options.overwrite)
    if finished is not None:
        return Prepared(finished, was_there=True)
    begin(out)
    manifest = write_shards(
        _report(_encode_all(rows, options), len(rows), on_progress),
        out,
        samples_per_shard=options.samples_per_shard,
        request=request,
        sources=tuple(str(source) for source in sources),
        options=settings,
    )
    finish(out, manifest)
    return Prepared(manifest, was_there=False)


def _request(rows: Sequence[Row], settings: dict[str, Any]) -> str:
    """Hash what decides the shards: captions, splits, options, and every image's name and size."""
    return request_hash(
        {
            "settings": settings,
            "rows": [(row.name, row.split, row.captions, _file_size(row.image)) for row in rows],
        }
    )


def _file_size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _encode_all(rows: Sequence[Row], options: PrepareOptions) -> Iterator[Sample | Rejected]:
    """Encode on several threads (Pillow works outside the interpreter lock), keeping the order."""
    queue: deque[Future[Sample | Rejected]] = deque()
    with ThreadPoolExecutor(options.threads) as pool:
        try:
            for position, row in enumerate(rows):
                queue.append(pool.submit(_encode, row, position, options.short_side))
                if len(queue) >= _QUEUE_PER_THREAD * options.threads:
                    yield queue.popleft().result()
            while queue:
                yield queue.popleft().result()
        finally:
            for waiting in queue:
                waiting.cancel()


def _encode(row: Row, position: int, short_side: int | None) -> Sample | Rejected:
    if not row.captions:
        return Rejected("no caption", row.name)
    try:
        content = row.image.read_bytes()
    except OSError:
        return Rejected("missing image", row.name)
    try:
        image = to_stored_jpeg(content, name=str(row.image), short_side=short_side)
    except DataError:
        return Rejected("unreadable image", row.name)
    return Sample(f"{position:09d}", image, row.captions, row.split, row.name)


def _report(
    samples: Iterator[Sample | Rejected], total: int, on_progress: Progress | None
) -> Iterator[Sample | Rejected]:
    for done, sample in enumerate(samples, start=1):
        yield sample
        if on_progress is not None:
            on_progress(done, total)
