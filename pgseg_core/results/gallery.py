"""A folder's results on one page: every photo with its classes, to look through in a browser.

The page needs no network. Its pictures are small copies in a folder beside it, and the labels are
in the page itself, since a browser lets a page read no file beside it.
"""

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from jaxtyping import Integer
from PIL import Image

from pgseg_core.atomic import whole_file
from pgseg_core.results.writing import write_text
from pgseg_core.viz.palette import class_colours
from pgseg_core.viz.regions import resize_labels

PAGE = "index.html"
PICTURES = "index_files"
_SIDE = 480
"""Longer side of a small copy, in pixels."""
_LABEL_SIDE = 320


@dataclass(frozen=True)
class Entry:
    """A photo on the page."""

    stem: Path
    """Path of its results without an ending."""
    record: dict[str, Any]
    """Its numbers."""


def keep_thumbnails(
    photo: Image.Image, labels: Integer[np.ndarray, "h w"], stem: Path, out: Path
) -> None:
    """Write a photo's small copies: itself, and its labels as grey values.

    Args:
        photo: RGB.
        labels: A class index for each pixel.
        stem: Path of its results without an ending.
        out: The folder of all results.
    """
    small = _fitted(photo.size, _SIDE)
    picture, plan = _thumbnails(stem, out)
    with whole_file(picture) as file:
        photo.resize(small, Image.Resampling.BICUBIC, reducing_gap=2).save(
            file, format="JPEG", quality=82
        )
    width, height = _fitted(photo.size, _LABEL_SIDE)
    indices = resize_labels(labels, (height, width)).clip(0, 255).astype(np.uint8)
    with whole_file(plan) as file:
        Image.fromarray(indices).save(file, format="PNG", optimize=True)


def write_gallery(entries: Sequence[Entry], out: Path, *, skipped: Sequence[str] = ()) -> Path:
    """Write the page, whole or not at all.

    Args:
        entries: The photos, in order.
        out: The folder of all results.
        skipped: What was wrong with photos that have no result.

    Returns:
        The page.
    """
    import jinja2  # noqa: PLC0415 - most calls write no page

    template = resources.files("pgseg_core.results") / "gallery.html"
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    photos = [_card(entry, out) for entry in entries]
    first = entries[0].record if entries else {}
    page = environment.from_string(template.read_text("utf-8")).render(
        photos=photos,
        skipped=list(skipped),
        weights=first.get("weights", ""),
        folder=out.resolve().name,
    )
    write_text(out / PAGE, page)
    return out / PAGE


def _card(entry: Entry, out: Path) -> dict[str, Any]:
    """Return what the page is told of a photo: plain values and addresses beside the page."""
    record = entry.record
    picture, plan = _thumbnails(entry.stem, out)
    colours = class_colours(len(record["classes"]), background=record["background"]).tolist()
    return {
        "name": str(entry.stem.relative_to(out)),
        "image": record.get("image", ""),
        "width": record["width"],
        "height": record["height"],
        "background": record["background"],
        "picture": _address(picture, out) if picture.exists() else "",
        "plan": _data_url(plan) if plan.exists() else "",
        "overlay": _address(Path(record["overlay"]), out),
        "mask": _address(Path(record["mask"]), out),
        "numbers": _address(entry.stem.with_name(f"{entry.stem.name}.json"), out),
        "classes": [
            {
                "index": each["index"],
                "name": each["name"],
                "share": each["share"],
                "score": each["score"],
                "colour": colours[each["index"]],
            }
            for each in record["classes"]
            if each["pixels"]
        ],
    }


def _thumbnails(stem: Path, out: Path) -> tuple[Path, Path]:
    place = out / PICTURES / stem.relative_to(out)
    return place.with_name(f"{place.name}.jpg"), place.with_name(f"{place.name}.png")


def _fitted(size: tuple[int, int], side: int) -> tuple[int, int]:
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _address(file: Path, out: Path) -> str:
    return quote(os.fsencode(Path(os.path.relpath(file, out)).as_posix()))


def _data_url(file: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(file.read_bytes()).decode("ascii")
