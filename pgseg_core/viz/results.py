"""A segmented photo on disk: overlay, indexed mask, and the numbers as JSON."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from pgseg_core.atomic import whole_file
from pgseg_core.errors import DataError
from pgseg_core.inference.segmentation import Segmentation
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


def describe(segmentation: Segmentation) -> dict[str, Any]:
    """Return a segmentation's numbers as plain values.

    `classes` lists index, name, pixels, share of the photo and mean score, by index, which is the
    value of the mask's pixels.
    """
    height, width = segmentation.labels.shape
    columns = zip(
        segmentation.names,
        segmentation.pixels,
        segmentation.shares,
        segmentation.scores,
        strict=True,
    )
    return {
        "width": width,
        "height": height,
        "background": segmentation.background,
        "classes": [
            {
                "index": index,
                "name": name,
                "pixels": pixels,
                "share": round(share, 6),
                "score": round(score, 6),
            }
            for index, (name, pixels, share, score) in enumerate(columns)
        ],
    }


def write_result(
    photo: Image.Image,
    segmentation: Segmentation,
    stem: Path,
    about: dict[str, Any],
) -> ResultFiles:
    """Write the three files of one photo, each whole or not at all.

    Args:
        photo: RGB.
        segmentation: Its labels.
        stem: Path of the files without their endings.
        about: Further values for the JSON: file, weights, threshold.

    Raises:
        DataError: The folder cannot be written.
    """
    overlay = stem.with_name(f"{stem.name}_overlay.png")
    mask = stem.with_name(f"{stem.name}_mask.png")
    numbers = stem.with_name(f"{stem.name}.json")
    record = {
        **about,
        **describe(segmentation),
        "overlay": str(overlay),
        "mask": str(mask),
    }
    drawn = draw_overlay(
        photo, segmentation.labels, segmentation.names, background=segmentation.background
    )
    indexed = index_mask(segmentation.labels, background=segmentation.background)
    try:
        for path, picture in ((overlay, drawn), (mask, indexed)):
            with whole_file(path) as file:
                picture.save(file, format="PNG")
        with whole_file(numbers) as file:
            file.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", "utf-8")
    except OSError as error:
        raise DataError(
            f"{stem.parent}: cannot be written ({error.strerror})",
            hint="Name another --out folder.",
        ) from None
    return ResultFiles(overlay=overlay, mask=mask, numbers=numbers, record=record)
