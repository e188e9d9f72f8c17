"""COCO's instance files as semantic masks, drawn from their polygons and run lengths."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool
from PIL import Image, ImageDraw

from pgseg_core.data.images import read_image
from pgseg_core.data.segmentation.sets import BACKGROUND, IGNORE_LABEL, SegmentationSample
from pgseg_core.data.segmentation.trees import refuse_empty, refuse_missing
from pgseg_core.errors import DataError

_UNUSED = frozenset({12, 26, 29, 30, 45, 66, 68, 69, 71, 83})
THING_IDS = tuple(identity for identity in range(1, 91) if identity not in _UNUSED)
"""Category ids of the 80 things, in the order of their labels."""
STUFF_IDS = tuple(range(92, 183))
"""Category ids of the 91 stuff classes."""

_LABELS = {identity: label for label, identity in enumerate(THING_IDS, start=1)}


def find_instances(root: Path) -> Path | None:
    """Return the instance file below a root: val2017's where it is, else the only one."""
    published = root / "annotations" / "instances_val2017.json"
    found = [published] if published.is_file() else sorted(root.glob("instances_*.json"))
    return found[0] if len(found) == 1 else None


def open_instances(
    name: str, root: Path, path: Path, class_names: tuple[str, ...], vocabulary: str
) -> "InstanceSet":
    """Open the images of an instance file; one without an object is all background.

    Raises:
        DataError: The file is damaged, has another category list, or names no image or one that is
            missing.
    """
    try:
        values = json.loads(path.read_text("utf-8"))
        images = [(int(i["id"]), str(i["file_name"])) for i in values["images"]]
        objects: defaultdict[int, list[Mapping[str, Any]]] = defaultdict(list)
        for entry in values["annotations"]:
            if entry["category_id"] not in _LABELS:
                raise DataError(
                    f"{path}: category {entry['category_id']} is none of COCO's 80 things"
                )
            objects[int(entry["image_id"])].append(entry)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} is not an instance file of COCO ({error!r})",
            hint="Expected its lists 'images' and 'annotations'.",
        ) from error
    split = path.stem.removeprefix("instances_")
    folders = [root / "images" / split, root / split, root / "images"]
    folder = next((folder for folder in folders if folder.is_dir()), folders[-1])
    refuse_empty(name, path, images)
    files = tuple((folder / file, tuple(objects[identity])) for identity, file in sorted(images))
    missing = [file for file, _ in files if not file.is_file()]
    refuse_missing(name, root, "images/*.jpg as the instance file names them", missing)
    return InstanceSet(name, class_names, vocabulary, path, files)


@dataclass(frozen=True)
class InstanceSet:
    """A `SegmentationSet` whose masks are drawn from instances; everything else is background.

    Where objects overlap the smaller one is seen; a crowd is its class.
    """

    name: str
    class_names: tuple[str, ...]
    vocabulary: str
    source: Path
    files: tuple[tuple[Path, tuple[Mapping[str, Any], ...]], ...] = field(repr=False)
    ignore_label: int = IGNORE_LABEL

    @property
    def has_background(self) -> bool:
        """Whether class 0 is the background: always."""
        return self.class_names[0] == BACKGROUND

    @property
    def image_names(self) -> tuple[str, ...]:
        """Name of each image, in order."""
        return tuple(path.stem for path, _ in self.files)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int, /) -> SegmentationSample:
        """Read an image and draw its mask.

        Raises:
            DataError: The image is damaged, or an object's outline is of no known form or size.
        """
        path, objects = self.files[index]
        image = read_image(path)
        mask = np.zeros((image.height, image.width), dtype=np.int64)
        for entry in sorted(objects, key=lambda entry: -float(entry["area"])):
            try:
                inside = object_pixels(entry["segmentation"], image.height, image.width)
            except (ValueError, KeyError, TypeError, IndexError) as error:
                raise DataError(
                    f"{self.source}: object {entry.get('id')} of {path.name} does not fit its "
                    f"image ({error})"
                ) from error
            mask[inside] = _LABELS[entry["category_id"]]
        return SegmentationSample(path.stem, image, mask)


def object_pixels(
    outline: Sequence[Sequence[float]] | Mapping[str, Any], height: int, width: int
) -> Bool[np.ndarray, "h w"]:
    """Return which pixels an object covers.

    Args:
        outline: Polygons (x, y, x, y, ...) in pixels, or COCO's run lengths: `size` and `counts`,
            a list or COCO's compressed text.
        height: Of the image.
        width: Of the image.

    Raises:
        ValueError: Run lengths of an image of another size.
    """
    if isinstance(outline, Mapping):
        counts = outline["counts"]
        runs = counts if isinstance(counts, list) else _uncompressed(counts)
        if list(outline["size"]) != [height, width] or sum(runs) != height * width:
            raise ValueError(f"run lengths of {outline['size']} for {height} x {width} pixels")
        flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
        return flat.reshape(width, height).T  # column by column
    drawn = Image.new("1", (width, height))
    pen = ImageDraw.Draw(drawn)
    for polygon in outline:
        pen.polygon([float(value) for value in polygon], fill=1, outline=1)
    return np.asarray(drawn)


def _uncompressed(text: str) -> list[int]:
    """Read COCO's compressed counts: 5 bits a character, each count from the third on is a step."""
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return runs
