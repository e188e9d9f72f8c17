"""COCO's annotation format: one run-length mask for each class of a photo.

Written out from its definition (runs of a mask read column by column, their lengths in a base-32
alphabet, each as a difference from the one before the last), since reading it takes pycocotools and
writing it need not.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from jaxtyping import Bool, Integer


def coco_dataset(
    labels: Integer[np.ndarray, "h w"],
    names: tuple[str, ...],
    *,
    file_name: str,
    image_root: str,
    background: bool,
) -> dict[str, Any]:
    """Return a photo as a data set of one image: an annotation for each class that is there.

    A category's id is the class's place in the list, which is the value of the mask's pixels; the
    background is no category.

    Args:
        labels: A class index for each pixel.
        names: Class names in the order of the labels.
        file_name: The photo's, seen from `image_root`.
        image_root: The photos' folder, seen from the folder that the data set is written to.
        background: Whether class 0 is the background.
    """
    height, width = labels.shape
    start = 1 if background else 0
    annotations: list[dict[str, Any]] = []
    for category in range(start, len(names)):
        mask = labels == category
        if mask.any():
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": 1,
                    "category_id": category,
                    "segmentation": encode_rle(mask),
                    "area": int(mask.sum()),
                    "bbox": _bounds(mask),
                    "iscrowd": 0,
                }
            )
    return {
        "info": {"image_root": image_root},
        "images": [{"id": 1, "file_name": file_name, "width": width, "height": height}],
        "annotations": annotations,
        "categories": [
            {"id": category, "name": names[category]} for category in range(start, len(names))
        ],
    }


def merge_datasets(parts: Iterable[dict[str, Any]], *, image_root: str) -> dict[str, Any]:
    """Put data sets of one image each together, with ids of their own.

    Photos with their own class lists share the categories of one name; ids are then counted anew.

    Args:
        parts: Data sets whose file names are seen from `image_root` already.
        image_root: The photos' folder, seen from the folder that the result is written to.
    """
    parts = list(parts)
    lists = [[(each["id"], each["name"]) for each in part["categories"]] for part in parts]
    if all(one == lists[0] for one in lists):
        ids = {name: category for category, name in (lists[0] if lists else [])}
    else:
        ids = {
            name: at for at, name in enumerate(dict.fromkeys(n for one in lists for _, n in one), 1)
        }
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for part, own in zip(parts, lists, strict=True):
        names = dict(own)
        images.append({**part["images"][0], "id": len(images) + 1})
        for each in part["annotations"]:
            annotations.append(
                {
                    **each,
                    "id": len(annotations) + 1,
                    "image_id": len(images),
                    "category_id": ids[names[each["category_id"]]],
                }
            )
    categories = [{"id": category, "name": name} for name, category in ids.items()]
    return {
        "info": {"image_root": image_root},
        "images": images,
        "annotations": annotations,
        "categories": categories,
    }


def encode_rle(mask: Bool[np.ndarray, "h w"]) -> dict[str, Any]:
    """Encode a mask as COCO's compressed run lengths."""
    flat = mask.ravel(order="F")
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    edges = np.concatenate([[0], changes, [flat.size]])
    runs = np.diff(edges).tolist()
    if flat[0]:
        runs = [0, *runs]  # the first run is of pixels outside
    steps = [run - (runs[at - 2] if at > 2 else 0) for at, run in enumerate(runs)]
    return {"size": list(mask.shape), "counts": "".join(map(_letters, steps))}


def _letters(value: int) -> str:
    """Write a number in groups of five bits, the lowest first; bit 6 says that more follow."""
    letters = ""
    while True:
        group, value = value & 31, value >> 5
        more = value != (-1 if group & 16 else 0)
        letters += chr(48 + group + (32 if more else 0))
        if not more:
            return letters


def _bounds(mask: Bool[np.ndarray, "h w"]) -> list[int]:
    """Return left, top, width and height of a mask."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    left, top = int(columns[0]), int(rows[0])
    return [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1]
