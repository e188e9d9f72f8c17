"""A segmented photo on disk: overlay, indexed mask, further formats, and the numbers as JSON.

The JSON is written last. So where it is whole, everything it names is, and a run that was stopped
knows what it had finished.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import Z_RLE

from PIL import Image

from pgseg_core.atomic import whole_file
from pgseg_core.errors import DataError
from pgseg_core.inference.segmentation import Segmentation
from pgseg_core.results.formats import FORMATS, Result
from pgseg_core.results.record import describe
from pgseg_core.results.writing import write_json
from pgseg_core.viz.overlay import draw_overlay, index_mask


@dataclass(frozen=True)
class ResultFiles:
    """What was written for one photo."""

    overlay: Path
    """The photo with its classes in colour and a legend."""
    mask: Path
    """PNG whose pixel values are class indices."""
    numbers: Path
    """JSON; see `describe`."""
    record: dict[str, Any]
    """The JSON's content."""


def numbers_path(stem: Path) -> Path:
    """Return where the numbers of a photo lie."""
    return stem.with_name(f"{stem.name}.json")


def write_result(
    photo: Image.Image,
    segmentation: Segmentation,
    stem: Path,
    about: dict[str, Any],
    *,
    formats: Sequence[str] = (),
    file: Path | None = None,
) -> ResultFiles:
    """Write the files of one photo, each whole or not at all.

    Args:
        photo: RGB.
        segmentation: Its labels.
        stem: Path of the files without their endings.
        about: Further values for the JSON: what the photo is called (`image`), how it was asked.
        formats: Names of `FORMATS` to write as well.
        file: The photo's own file, for formats that point to it.

    Raises:
        DataError: The folder cannot be written.
    """
    overlay = stem.with_name(f"{stem.name}_overlay.png")
    mask = stem.with_name(f"{stem.name}_mask.png")
    numbers = numbers_path(stem)
    drawn = draw_overlay(
        photo, segmentation.labels, segmentation.names, background=segmentation.background
    )
    indexed = index_mask(segmentation.labels, background=segmentation.background)
    result = Result(photo, segmentation, file, stem)
    try:
        with whole_file(overlay) as temporary:
            # a third of the time for 1 % more bytes: a photo repeats nothing but runs
            drawn.save(temporary, format="PNG", compress_type=Z_RLE)
        with whole_file(mask) as temporary:
            indexed.save(temporary, format="PNG")
        further = {name: str(FORMATS[name](result)) for name in formats}
        record = {
            **about,
            **describe(segmentation),
            "overlay": str(overlay),
            "mask": str(mask),
            **({"formats": further} if further else {}),
        }
        write_json(numbers, record, indent=2)
    except OSError as error:
        raise DataError(
            f"{stem.parent}: cannot be written ({error.strerror})",
            hint="Name another --out folder.",
        ) from None
    return ResultFiles(overlay=overlay, mask=mask, numbers=numbers, record=record)


def finished_record(
    stem: Path, question: dict[str, Any], formats: Sequence[str], file: Path | None
) -> dict[str, Any] | None:
    """Return the record of a photo that an earlier run finished, asked the same; else None.

    Args:
        stem: Path of the files without their endings.
        question: What a run of now would write under this name.
        formats: Names of `FORMATS` that must be there as well.
        file: The photo's own file; one that was changed since is not finished.
    """
    numbers = numbers_path(stem)
    try:
        record: dict[str, Any] = json.loads(numbers.read_text("utf-8"))
        if file is not None and file.stat().st_mtime > numbers.stat().st_mtime:
            return None
        further = record.get("formats", {})
        written = [record["overlay"], record["mask"], *(further[name] for name in formats)]
        same = record["question"] == json.loads(json.dumps(question))
        return record if same and all(Path(path).exists() for path in written) else None
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
