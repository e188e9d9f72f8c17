"""From a request's fields to what is answered: numbers, masks, and maps that the page can draw."""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Integer
from PIL import Image

from pgseg_cli.server.limits import Limits
from pgseg_core.errors import ConfigError, DataError, did_you_mean
from pgseg_core.figures.probe import probe
from pgseg_core.inference.options import SegmentOptions
from pgseg_core.inference.segmentation import Segmentation
from pgseg_core.inference.segmenter import Segmenter
from pgseg_core.results.record import describe
from pgseg_core.text.templates import BUILTIN_TEMPLATES
from pgseg_core.text.vocabulary import Vocabulary, load_vocabulary
from pgseg_core.viz.overlay import draw_overlay, index_mask
from pgseg_core.viz.palette import class_colours
from pgseg_core.viz.regions import resize_labels
from pgseg_core.vocabularies import BACKGROUND_LISTS

SHOWN_SIDE = 1400
"""Longer side of what the page draws, in pixels; masks to download have the photo's own size."""


FIELDS = (
    "image", "classes", "background", "background_words", "threshold", "top_k", "refine", "flip",
    "size", "templates", "page",
)  # fmt: skip
"""Of a request."""


@dataclass(frozen=True)
class Question:
    """What is asked about a photo."""

    classes: Vocabulary
    templates: str
    options: SegmentOptions
    page: bool = False
    """Whether what the page draws is wanted too."""


def read_question(fields: Mapping[str, str], limits: Limits) -> Question:
    """Check the fields of a request: `classes`, and those of `SegmentOptions` but for scales.

    Files of the server's machine cannot be named: no `@file`, no template file.

    Raises:
        DataError: The class list is empty, wrong or too long.
        ConfigError: Another field is out of range.
    """
    named = _classes(fields.get("classes", ""), limits)
    templates = fields.get("templates") or "simple"
    if templates not in BUILTIN_TEMPLATES:
        raise ConfigError(
            f"no templates called '{templates}'", hint=did_you_mean(templates, BUILTIN_TEMPLATES)
        )
    top_k, size = _number(fields, "top_k"), _number(fields, "size")
    options = SegmentOptions(
        background=_flag(fields, "background"),
        threshold=_number(fields, "threshold"),
        top_k=5 if top_k is None else int(top_k),
        refine=fields.get("refine") or "none",
        flip=_flag(fields, "flip"),
        background_words=_words(fields.get("background_words", "")),
        size=None if size is None else int(size),
    )
    return Question(named, templates, options, _flag(fields, "page"))


def _classes(text: str, limits: Limits) -> Vocabulary:
    """Read the field `classes`: names between commas, or a built-in list's name; no file."""
    if len(text) > limits.prompts:
        raise DataError(
            f"the class list has {len(text)} characters, and this server takes {limits.prompts}",
            hint="Name fewer classes.",
        )
    if text.strip().startswith("@"):
        raise DataError(
            "a class file cannot be named here", hint="Write the names themselves, between commas."
        )
    try:
        classes = load_vocabulary(" ".join(text.split()))
    except DataError as error:
        hint = "Send the field classes, e.g. classes=sky,road"
        raise DataError(error.message, hint=hint) from None
    if len(classes) > limits.classes:
        raise DataError(
            f"{len(classes)} classes, and this server takes {limits.classes}",
            hint="Name fewer, or use pgseg segment.",
        )
    return classes


def _words(text: str) -> str | tuple[str, ...] | None:
    """Read the field `background_words`: a built-in list, `none`, or words; never a file's name."""
    words = tuple(word.strip() for word in text.split(",") if word.strip())
    if not words:
        return None
    return words[0] if words[0] in (*BACKGROUND_LISTS, "none") and len(words) == 1 else words


def segment(segmenter: Segmenter, photo: Image.Image, question: Question) -> Segmentation:
    """Segment as the command does: the same photo and choices give the same pixels."""
    bank = segmenter.embed_classes(question.classes, templates=question.templates)
    return next(segmenter.stream([photo], bank, question.options))


def as_numbers(found: Segmentation) -> dict[str, Any]:
    """Return the JSON of an answer: what `pgseg segment --json` says, and every class's colour."""
    record = describe(found)
    colours = class_colours(len(found.names), background=found.background).tolist()
    for entry in record["classes"]:
        entry["colour"] = _css(colours[entry["index"]])
    return record


def as_page_sees_it(photo: Image.Image, found: Segmentation) -> dict[str, Any]:
    """Return `as_numbers` with what the page draws: photo, labels, and the mask's file."""
    scale = min(1.0, SHOWN_SIDE / max(photo.size))
    size = (max(1, round(photo.width * scale)), max(1, round(photo.height * scale)))
    small = resize_labels(found.labels, (size[1], size[0]))
    return {
        **as_numbers(found),
        "shown": {
            "width": size[0],
            "height": size[1],
            "photo": _data_url(photo.resize(size, Image.Resampling.LANCZOS), "JPEG"),
            "labels": run_lengths(small),
        },
        "mask": _data_url(index_mask(found.labels, background=found.background), "PNG"),
    }


def as_groups_in_stages(segmenter: Segmenter, photo: Image.Image) -> list[dict[str, Any]]:
    """Return the groups of each grouping stage, the photo seen in one window.

    Raises:
        ConfigError: The model has no groups.
    """
    seen = probe(segmenter, photo)
    return [
        _stage(seen.group_of_patch(number).unflatten(0, seen.grid).numpy(), len(stage.queries))
        for number, stage in enumerate(seen.stages)
    ]


def mask_png(found: Segmentation) -> bytes:
    """Return the indexed mask at the photo's own size, as a PNG file."""
    return _encoded(index_mask(found.labels, background=found.background), "PNG")


def overlay_png(photo: Image.Image, found: Segmentation) -> bytes:
    """Return the photo with its classes in colour and a legend, as a PNG file."""
    drawn = draw_overlay(photo, found.labels, found.names, background=found.background)
    return _encoded(drawn, "PNG")


def run_lengths(labels: Integer[np.ndarray, "h w"]) -> list[int]:
    """Write labels, row by row, as label, length, label, length, ..."""
    flat = labels.ravel()
    starts = np.flatnonzero(np.concatenate([[True], flat[1:] != flat[:-1]]))
    lengths = np.diff(np.append(starts, flat.size))
    return np.stack([flat[starts].astype(np.int64), lengths], axis=1).ravel().tolist()


def _stage(group_map: Integer[np.ndarray, "h w"], num_groups: int) -> dict[str, Any]:
    """Describe a grouping stage: its map of patches, and the groups it has, largest first."""
    counts = np.bincount(group_map.ravel(), minlength=num_groups)
    order = np.argsort(-counts, kind="stable")
    colours = class_colours(num_groups, background=False).tolist()
    return {
        "rows": group_map.shape[0],
        "columns": group_map.shape[1],
        "num_groups": num_groups,
        "labels": group_map.ravel().tolist(),
        "groups": [
            {
                "index": int(group),
                "share": round(float(counts[group] / group_map.size), 6),
                "colour": _css(colours[place]),
            }
            for place, group in enumerate(order)
            if counts[group] > 0
        ],
    }


def _flag(fields: Mapping[str, str], name: str) -> bool:
    return fields.get(name, "").casefold() in {"1", "true", "on", "yes"}


def _number(fields: Mapping[str, str], name: str) -> float | None:
    """Read a number; None for a field that is not there or empty."""
    text = fields.get(name)
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise ConfigError(f"{name}: '{text}' is no number", hint="Give one, or leave it out.")
    return value


def _css(colour: list[int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _encoded(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **({"quality": 88} if kind == "JPEG" else {}))
    return buffer.getvalue()


def _data_url(image: Image.Image, kind: str) -> str:
    text = base64.b64encode(_encoded(image, kind)).decode("ascii")
    return f"data:image/{kind.lower()};base64,{text}"
