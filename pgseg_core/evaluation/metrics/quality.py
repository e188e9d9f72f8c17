"""How well class-free masks fit an image and its objects, whatever the masks are called.

Pure functions of one image: its masks (a model's groups, or any other system's), its ground truth,
and the features of its patches. docs/protocols.md, "Segment quality", has the equations.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Integer
from scipy import ndimage

LEAST_OBJECT = 0.001
"""Share of the image's pixels below which a piece of a class is no object but a splinter."""
LEAST_GROUP = 0.01
"""Share of the image's pixels from which a group counts as used."""
FOUND = 0.5
"""IoU from which an object counts as found, and the share that decides over and under."""

_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=int)

LabelMap = Integer[np.ndarray, "h w"]


@dataclass(frozen=True)
class BestMasks:
    """For each object of an image (o of them) the mask that has the largest IoU with it."""

    shared: Integer[np.ndarray, " o"]
    """Pixels in both."""
    objects: Integer[np.ndarray, " o"]
    """Pixels of the object."""
    masks: Integer[np.ndarray, " o"]
    """Pixels of the mask; 0 where no mask touches the object."""

    @property
    def iou(self) -> Float[np.ndarray, " o"]:
        """Intersection over union of each object with its best mask."""
        return self.shared / (self.objects + self.masks - self.shared)

    @property
    def richness(self) -> Float[np.ndarray, " o"]:
        """Share of each object that its best mask covers."""
        return self.shared / self.objects

    @property
    def over_segmented(self) -> Bool[np.ndarray, " o"]:
        """Which objects are torn: their best mask holds less than half of them."""
        return self.shared < FOUND * self.objects

    @property
    def under_segmented(self) -> Bool[np.ndarray, " o"]:
        """Which objects are merged: less than half of their best mask is theirs."""
        return self.shared < FOUND * self.masks

    @property
    def found(self) -> Bool[np.ndarray, " o"]:
        """Which objects have a mask of IoU 0.5 or more."""
        return self.iou >= FOUND


def find_objects(
    target: LabelMap, *, background: bool, ignore: int | None = 255
) -> Integer[np.ndarray, "h w"]:
    """Number the objects of a ground truth: connected pieces (8 neighbours) of one class.

    Args:
        target: A class index for every pixel.
        background: Whether class 0 is the background, which is no object.
        ignore: Label of pixels that are not counted.

    Returns:
        1, 2, ... inside the objects; 0 elsewhere, in pieces below `LEAST_OBJECT` too.
    """
    numbered = np.zeros(target.shape, dtype=np.int64)
    found = 0
    for label in np.unique(target):
        if label == ignore or (background and label == 0):
            continue
        pieces, count = ndimage.label(target == label, _EIGHT_NEIGHBOURS)
        large = np.bincount(pieces.ravel(), minlength=count + 1) >= LEAST_OBJECT * target.size
        large[0] = False
        places = np.zeros(count + 1, dtype=np.int64)
        places[large] = np.arange(found + 1, found + 1 + large.sum())
        numbered += places[pieces]
        found += int(large.sum())
    return numbered


def best_masks(
    objects: Integer[np.ndarray, "h w"],
    masks: Iterable[Bool[np.ndarray, "h w"]],
    counted: Bool[np.ndarray, "h w"],
) -> BestMasks:
    """Find for each object the mask of largest IoU, among the masks and their connected pieces.

    Args:
        objects: Numbers from `find_objects`.
        masks: Class-free masks; they may overlap.
        counted: Pixels with ground truth; the others belong to no object and no mask.
    """
    number = int(objects.max(initial=0))
    sizes = np.bincount(objects[counted], minlength=number + 1)[1:]
    best = BestMasks(np.zeros(number, np.int64), sizes, np.zeros(number, np.int64))
    for mask in masks:
        pieces, count = ndimage.label(mask, _EIGHT_NEIGHBOURS)
        inside = counted & mask
        codes = (pieces[inside] - 1) * (number + 1) + objects[inside]
        table = np.bincount(codes, minlength=count * (number + 1)).reshape(count, number + 1)
        table = np.concatenate([table.sum(axis=0, keepdims=True), table])
        for shared in table[table.any(axis=1)]:
            own = BestMasks(shared[1:], sizes, np.full(number, shared.sum()))
            better = own.iou > best.iou
            best = BestMasks(
                np.where(better, own.shared, best.shared),
                sizes,
                np.where(better, own.masks, best.masks),
            )
    return best


def compactness(features: Float[np.ndarray, "n d"], groups: Integer[np.ndarray, " n"]) -> float:
    """Say how much of the patches' variance lies between groups rather than within them.

    1 - (W / (n - k)) / (T / (n - 1)), with W the squared distances of the patches to their group's
    mean and T those to the mean of all: 1 for groups of equal patches, 0 expected for groups drawn
    at random, however many (k) they are.

    Args:
        features: A vector for each patch.
        groups: The group of each patch.

    Returns:
        nan where all patches are equal, or every patch is a group of its own.
    """
    _, places, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    number, num_groups = len(features), len(sizes)
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    total = float((centred**2).sum())
    if number == num_groups or total <= np.finfo(np.float64).eps * float((features**2).sum()):
        return float("nan")
    sums = np.zeros((num_groups, features.shape[1]))
    np.add.at(sums, places, centred)
    within = total - float(((sums**2).sum(axis=1) / sizes).sum())
    return 1 - (within / (number - num_groups)) / (total / (number - 1))


def adjusted_rand(a: Integer[np.ndarray, " n"], b: Integer[np.ndarray, " n"]) -> float:
    """Compare two partitions of the same points (Hubert and Arabie 1985).

    1 for the same partition whatever its labels, 0 expected by chance; two partitions into one
    part are the same.
    """
    _, first = np.unique(a, return_inverse=True)
    _, second = np.unique(b, return_inverse=True)
    columns = int(second.max()) + 1
    table = np.bincount(first * columns + second).astype(np.float64)
    together = _pairs(table)
    in_a, in_b = _pairs(np.bincount(first)), _pairs(np.bincount(second))
    expected = in_a * in_b / _pairs(np.array([len(first)])) if len(first) > 1 else 0.0
    most = (in_a + in_b) / 2
    return 1.0 if most == expected else float((together - expected) / (most - expected))


def groups_used(groups: LabelMap) -> int:
    """Count the groups that have at least `LEAST_GROUP` of the pixels."""
    _, sizes = np.unique(groups, return_counts=True)
    return int((sizes >= LEAST_GROUP * groups.size).sum())


def _pairs(sizes: Integer[np.ndarray, " k"] | Float[np.ndarray, " k"]) -> float:
    """Count the pairs of points that share a part."""
    sizes = sizes.astype(np.float64)
    return float((sizes * (sizes - 1) / 2).sum())
