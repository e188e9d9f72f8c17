"""Masks drawn from outlines of objects: the polygons and run lengths of COCO and its family."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool
from pycocotools import mask as coco_masks

from pgseg_core.data.segmentation.sets import BACKGROUND, IGNORE_LABEL, SegmentationSample
from pgseg_core.errors import DataError
from pgseg_core.photos.images import read_image

Outline = Mapping[str, Any]
"""One object of an annotation file: its `segmentation`, `category_id` and, for messages, `id`."""


@dataclass(frozen=True, kw_only=True)
class InstanceSet:
    """A `SegmentationSet` whose masks are drawn from outlines, the later over the earlier."""

    name: str
    class_names: tuple[str, ...]
    vocabulary: str
    source: Path
    """The annotation file."""
    files: tuple[tuple[Path, tuple[Outline, ...]], ...] = field(repr=False)
    """Each image and its objects in drawing order."""
    labels: Mapping[int, int] = field(repr=False)
    """The label of each category id."""
    empty: int = 0
    """The label of pixels without object."""
    ignore_label: int = IGNORE_LABEL

    @property
    def has_background(self) -> bool:
        """Whether class 0 is the background."""
        return self.class_names[0] == BACKGROUND

    @property
    def image_names(self) -> tuple[str, ...]:
        """Name of each image, in order."""
        return tuple(path.stem for path, _ in self.files)

    @property
    def image_paths(self) -> tuple[Path, ...]:
        """Where each image is, in order."""
        return tuple(path for path, _ in self.files)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int, /) -> SegmentationSample:
        """Read an image and draw its mask.

        Raises:
            DataError: The image is damaged, or an object's outline is of no known form or size.
        """
        path, objects = self.files[index]
        image = read_image(path)
        mask = np.full((image.height, image.width), self.empty, dtype=np.int64)
        for entry in objects:
            try:
                inside = object_pixels(entry["segmentation"], image.height, image.width)
            except (ValueError, KeyError, TypeError, IndexError) as error:
                raise DataError(
                    f"{self.source}: object {entry.get('id')} of {path.name} does not fit its "
                    f"image ({error})"
                ) from error
            mask[inside] = self.labels[entry["category_id"]]
        return SegmentationSample(path.stem, image, mask)


def smaller_last(objects: Sequence[Outline]) -> tuple[Outline, ...]:
    """Order objects for drawing so that the smaller of two is seen where they overlap."""
    return tuple(sorted(objects, key=lambda entry: -float(entry["area"])))


def object_pixels(
    outline: Sequence[Sequence[float]] | Mapping[str, Any], height: int, width: int
) -> Bool[np.ndarray, "h w"]:
    """Return which pixels an object covers, as COCO's own code draws it.

    Args:
        outline: Polygons (x, y, x, y, ...) in pixels, or COCO's run lengths: `size` and `counts`,
            a list or COCO's compressed text.
        height: Of the image.
        width: Of the image.

    Raises:
        ValueError: A polygon of fewer than three points, or run lengths of another size.
    """
    if not isinstance(outline, Mapping):
        if not outline or any(len(polygon) < 6 or len(polygon) % 2 for polygon in outline):
            raise ValueError("a polygon has fewer than three points")
        parts = coco_masks.frPyObjects([list(map(float, p)) for p in outline], height, width)
        covered: np.ndarray = coco_masks.decode(coco_masks.merge(parts))
        return covered.astype(bool)
    counts = outline["counts"]
    if list(outline["size"]) != [height, width]:
        raise ValueError(f"run lengths of {outline['size']} for {height} x {width} pixels")
    if isinstance(counts, list):
        if sum(counts) != height * width:
            raise ValueError(f"run lengths of {sum(counts)} for {height} x {width} pixels")
        runs = coco_masks.frPyObjects({"size": [height, width], "counts": counts}, height, width)
    else:
        text = counts.encode() if isinstance(counts, str) else counts
        runs = {"size": [height, width], "counts": text}
    covered = coco_masks.decode(runs)
    return covered.astype(bool)
