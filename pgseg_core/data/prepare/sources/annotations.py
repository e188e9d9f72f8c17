"""Captions of published sets in one JSON file: COCO's, Karpathy's splits, RedCaps'."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pgseg_core.data.prepare.rows import Line
from pgseg_core.data.prepare.sources.locate import Reading, folders_around, place_of
from pgseg_core.errors import DataError

ReadDocument = Callable[[Path, Mapping[str, Any], Reading], Iterator[Line]]
"""(the file, what is in it, what it does not say) to its lines."""

_SPLIT_IN_NAME = re.compile(r"(?:^|_)(train|val|test)(\d{4})?(?:_|$)")
_DATASET_FOLDERS = {
    "flickr8k": ("Flicker8k_Dataset", "Flickr8k_Dataset", "flickr8k-images", "Images"),
    "flickr30k": ("flickr30k-images", "flickr30k_images", "Images"),
    "coco": ("train2014", "val2014", "train2017", "val2017"),
}


def document_format(document: Any) -> str | None:
    """Return which published form a JSON document has: coco, karpathy, redcaps, or None."""
    if not isinstance(document, dict):
        return None
    images, notes = document.get("images"), document.get("annotations")
    if isinstance(images, list) and isinstance(notes, list):
        return "coco"
    if isinstance(images, list) and images and "sentences" in images[0]:
        return "karpathy"
    if isinstance(notes, list) and notes and {"url", "caption"} <= set(notes[0]):
        return "redcaps"
    return None


def read_coco(path: Path, document: Mapping[str, Any], reading: Reading) -> Iterator[Line]:
    """Read captions in COCO's form, all captions of an image together.

    The split is the one in the file's name (`captions_val2017.json`), unless one is given; images
    are looked for in the folder of that name. `reading.columns.image` may name another field, such
    as `coco_url`, to fetch images from the web.

    Raises:
        DataError: The file has no captions, or an image has not the field.
    """
    notes = document["annotations"]
    if notes and "caption" not in notes[0]:
        raise DataError(
            f"{path} holds no captions (an instances file?)",
            hint="Give the captions_*.json of the same set.",
        )
    captions: dict[Any, list[str]] = {}
    for note in notes:
        captions.setdefault(note.get("image_id"), []).append(str(note.get("caption") or ""))
    named = _SPLIT_IN_NAME.search(path.stem)
    folder = f"{named[1]}{named[2] or ''}" if named else ""
    split = reading.split or (named[1] if named else "train")
    folders = folders_around(path, reading, *filter(None, (folder,)))
    field = reading.columns.image or "file_name"
    for image in document["images"]:
        if field not in image:
            raise DataError(
                f"{path}: the image {image.get('id')} has no '{field}'",
                hint=f"--image-column can be: {', '.join(image)}",
            )
        name = str(image[field])
        yield Line(
            place=place_of(name, folders),
            name=name,
            captions=tuple(captions.get(image.get("id"), ())),
            split=split,
            where=f"{path}, image {image.get('id')}",
        )


def read_karpathy(path: Path, document: Mapping[str, Any], reading: Reading) -> Iterator[Line]:
    """Read the splits of Karpathy and Fei-Fei (`dataset_flickr30k.json`).

    "restval", which belongs to training by custom, is called train.
    """
    usual = _DATASET_FOLDERS.get(str(document.get("dataset")), ())
    folders = folders_around(path, reading, *usual)
    for number, image in enumerate(document["images"], start=1):
        name = "/".join(filter(None, (image.get("filepath"), image.get("filename"))))
        split = str(image.get("split") or reading.default_split)
        yield Line(
            place=place_of(name, folders),
            name=name or f"image {number}",
            captions=tuple(str(sentence.get("raw") or "") for sentence in image["sentences"]),
            split="train" if split == "restval" else split,
            where=f"{path}, image {number}",
        )


def read_redcaps(path: Path, document: Mapping[str, Any], reading: Reading) -> Iterator[Line]:
    """Read one of RedCaps' annotation files: addresses and captions of a subreddit and year.

    `reading.columns.caption` may name `raw_caption` instead of the cleaned one.
    """
    field = reading.columns.caption or "caption"
    for note in document["annotations"]:
        name = str(note.get("url") or "")
        identifier = note.get("image_id")
        yield Line(
            place=place_of(name, (path.parent,)),
            name=name or str(identifier),
            captions=(str(note.get(field) or ""),),
            split=reading.default_split,
            where=f"{path}, image {identifier}",
        )


READERS: Mapping[str, ReadDocument] = {
    "coco": read_coco,
    "karpathy": read_karpathy,
    "redcaps": read_redcaps,
}
"""Readers of documents by format."""
