"""Many photos to a folder of results: decoding, network and writing side by side.

One photo that cannot be read never stops the others; a folder that cannot be written does.
"""

import json
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from pgseg_core.atomic import remove_leftovers
from pgseg_core.errors import DataError
from pgseg_core.inference.options import SegmentOptions
from pgseg_core.inference.segmentation import Segmentation
from pgseg_core.photos.decode import Decoded, decode_ahead
from pgseg_core.photos.inputs import Photo
from pgseg_core.results.coco import merge_datasets
from pgseg_core.results.files import finished_record, write_result
from pgseg_core.results.gallery import PICTURES, Entry, keep_thumbnails, write_gallery
from pgseg_core.results.names import path_from
from pgseg_core.results.writing import write_json

Segment = Callable[[Iterator[Image.Image]], Iterator[Segmentation]]
"""A segmenter that knows what to look for, and how."""

ANNOTATIONS = "_annotations.coco.json"
"""All photos' annotations in one file."""
PIXELS_BEHIND = 60_000_000
"""Writing may lag behind by at most so many pixels, save that one photo always may."""
_WRITERS = 2


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be done with each photo."""

    out: Path
    """The folder of all results."""
    question: dict[str, Any]
    """How the photos are asked, as plain values: `weights`, and all that `resume` compares."""
    formats: tuple[str, ...] = ()
    resume: bool = False
    """Whether photos that an earlier run finished are left as they are."""
    gallery: bool = True
    """Whether a page of all photos is written."""


@dataclass(frozen=True)
class Outcome:
    """What became of the photos."""

    entries: list[Entry] = field(default_factory=list)
    """Results in the order of the photos, earlier ones among them."""
    skipped: list[tuple[Photo, DataError]] = field(default_factory=list)
    resumed: int = 0
    """How many an earlier run had finished."""
    page: Path | None = None
    """The gallery."""


def plain_options(options: SegmentOptions) -> dict[str, Any]:
    """Return settled options as JSON has them."""
    values = asdict(options)
    words = options.background_words
    return {
        **values,
        "scales": list(options.scales),
        "background_words": [words] if isinstance(words, str) else list(words or ()),
    }


def run_job(
    segment: Segment,
    photos: Sequence[Photo],
    job: Job,
    on_photo: Callable[[int, str], None] | None = None,
) -> Outcome:
    """Segment photos and write their results.

    Args:
        segment: Labels RGB photos, in order, as they come.
        photos: From `find_photos`.
        job: Where the results go, and in which forms.
        on_photo: Told after each photo how many are done, and its name.

    Raises:
        DataError: The folder cannot be written, or the class list is wrong.
    """
    records: dict[Path, dict[str, Any]] = {}
    if job.resume:
        for photo in photos:
            stem = job.out / photo.stem
            record = finished_record(stem, job.question, job.formats, _file(photo))
            if record is not None:
                records[photo.stem] = record
        for folder in {
            (base / photo.stem).parent for photo in photos for base in (job.out, job.out / PICTURES)
        }:
            remove_leftovers(folder)
    resumed = len(records)
    skipped: list[tuple[Photo, DataError]] = []

    def tell(name: str) -> None:
        if on_photo is not None:
            on_photo(len(records) + len(skipped), name)

    waiting: deque[tuple[Photo, Image.Image]] = deque()

    def readable(decoded: Iterator[Decoded]) -> Iterator[Image.Image]:
        for photo, image in decoded:
            if isinstance(image, DataError):
                skipped.append((photo, image))
                tell(photo.name)
            else:
                waiting.append((photo, image))
                yield image

    todo = [photo for photo in photos if photo.stem not in records]
    with _Writers() as writers:
        for found in segment(readable(decode_ahead(todo))):
            photo, image = waiting.popleft()
            for stem, record in writers.submit(photo, image, found, job):
                records[stem] = record
                tell(photo.name)
        records |= dict(writers.rest())
    tell("")
    entries = [
        Entry(job.out / photo.stem, records[photo.stem])
        for photo in photos
        if photo.stem in records
    ]
    page = None
    if job.gallery and entries:
        problems = [error.message for _, error in skipped]
        page = write_gallery(entries, job.out, skipped=problems)
    if "coco" in job.formats and len(photos) > 1:
        done = [(photo, records[photo.stem]) for photo in photos if photo.stem in records]
        _merge(done, job.out)
    return Outcome(entries, skipped, resumed, page)


Written = tuple[Path, dict[str, Any]]


class _Writers:
    """Threads that write results, a few behind the network."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_WRITERS, thread_name_prefix="write")
        self._open: deque[tuple[int, Future[Written]]] = deque()

    def __enter__(self) -> "_Writers":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def submit(
        self, photo: Photo, image: Image.Image, found: Segmentation, job: Job
    ) -> Iterator[Written]:
        """Begin to write a photo's results; yields those that had to be finished before."""
        pixels = image.width * image.height
        while self._open and sum(each for each, _ in self._open) + pixels > PIXELS_BEHIND:
            yield self._open.popleft()[1].result()
        while self._open and self._open[0][1].done():
            yield self._open.popleft()[1].result()
        self._open.append((pixels, self._pool.submit(_write, photo, image, found, job)))

    def rest(self) -> Iterator[Written]:
        """Yield all that is left."""
        while self._open:
            yield self._open.popleft()[1].result()


def _write(photo: Photo, image: Image.Image, found: Segmentation, job: Job) -> Written:
    stem = job.out / photo.stem
    about = {"image": photo.name, "weights": job.question["weights"], "question": job.question}
    if job.gallery:
        keep_thumbnails(image, found.labels, stem, job.out)
    written = write_result(image, found, stem, about, formats=job.formats, file=_file(photo))
    return photo.stem, written.record


def _file(photo: Photo) -> Path | None:
    return photo.source if isinstance(photo.source, Path) else None


def _merge(done: Sequence[tuple[Photo, dict[str, Any]]], out: Path) -> None:
    """Put all photos' annotations into one file.

    Images are named as seen from the folder that was asked for (from the one that holds all, where
    there were several), as readers of COCO's format look for them; so are those beside the results.
    """
    root = _common_root([photo for photo, _ in done]) or out
    parts = []
    for photo, record in done:
        dataset = Path(record["formats"]["coco"])
        part = json.loads(dataset.read_text("utf-8"))
        image = part["images"][0]
        own = _file(photo) or dataset.with_name(image["file_name"])
        image["file_name"] = path_from(root, own)
        parts.append(part)
    write_json(out / ANNOTATIONS, merge_datasets(parts, image_root=path_from(out, root)))


def _common_root(photos: Sequence[Photo]) -> Path | None:
    """Return the folder that holds all folders that were named; None where there is none."""
    roots = [photo.root.resolve() for photo in photos if photo.root is not None]
    try:
        return Path(os.path.commonpath(roots)) if roots else None
    except ValueError:  # on several drives
        return None
