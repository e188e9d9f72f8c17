"""Windows' group maps to a label for every pixel, in numpy (see `inference.windows`)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int, Int16, UInt8

from pgseg_core.inference.sliding_window import Box, window_weights
from pgseg_core.onnx.reading import neighbours

BAND_BYTES = 16 * 2**20
"""Largest piece of scores held at a time: what fits a processor's cache is done sooner."""


@dataclass(frozen=True)
class OwnedPixels:
    """Each pixel belongs to one group."""

    owners: UInt8[np.ndarray, "n y x"]

    def spread(self, window: int, table: Float[np.ndarray, "g k"]) -> Float[np.ndarray, "k y x"]:
        """Give each pixel of a window what its group has."""
        return table.T[:, self.owners[window]]

    def mirrored(self) -> "OwnedPixels":
        """Flip left and right."""
        return OwnedPixels(self.owners[:, :, ::-1])


@dataclass(frozen=True)
class PatchPixels:
    """Each patch is a group of its own, and a pixel lies among the patches around it."""

    grid: tuple[int, int]
    patch: int
    size: tuple[int, int]
    """The windows' height and width."""
    flipped: bool = False

    def spread(self, window: int, table: Float[np.ndarray, "g k"]) -> Float[np.ndarray, "k y x"]:  # noqa: ARG002 (all windows are alike)
        """Give each pixel the mean of what the patches around it have, bilinearly."""
        rows, columns = _enlarging(self.grid, self.patch, self.size)
        spread = rows @ (table.T.reshape(-1, *self.grid) @ columns.T)
        return spread[:, :, ::-1] if self.flipped else spread

    def mirrored(self) -> "PatchPixels":
        """Flip left and right."""
        return replace(self, flipped=not self.flipped)


@dataclass(frozen=True)
class GroupField:
    """What the encoder saw in an image's windows (n of them, g groups each)."""

    size: tuple[int, int]
    """Height and width of the resized image (h, w)."""
    boxes: tuple[Box, ...]
    """Where the windows lie; all are of one shape (y, x)."""
    pixels: OwnedPixels | PatchPixels
    """The groups that each pixel of each window belongs to."""
    groups: Float[np.ndarray, "n g e"]
    images: Float[np.ndarray, "n e"]
    fade: bool = False
    """Whether a window counts less towards its borders (`InferenceConfig.fade_windows`)."""

    def scored(self, table: Float[np.ndarray, "n g k"], *, stand_ins: int = 0) -> "ScoreField":
        """Give every pixel the class scores of its groups, averaged over the windows above it.

        Columns that no window shows are left out, except the first, which wins where all are 0.

        Args:
            table: The scores, those of stand-ins last.
            stand_ins: How many of the columns answer as the first class (see `ScoreField`).
        """
        seen = table.max(axis=(0, 1)) > 0
        seen[0] = True
        columns = np.flatnonzero(seen)
        scores = np.zeros((len(columns), *self.size), dtype=np.float32)
        weights = window_weights(self.size, self.boxes, fade=self.fade)
        for number, (box, weight) in enumerate(zip(self.boxes, weights, strict=True)):
            spread = self.pixels.spread(number, table[number][:, columns])
            scores[(slice(None), *box.place)] += spread * weight
        return ScoreField(scores, columns, table.shape[-1] - stand_ins, stand_ins)

    def mirrored(self) -> "GroupField":
        """Return the field of the image's mirror image."""
        width = self.size[1]
        boxes = tuple(
            Box(box.top, width - box.right, box.bottom, width - box.left) for box in self.boxes
        )
        return replace(self, boxes=boxes, pixels=self.pixels.mirrored())


@dataclass(frozen=True)
class LabelledPixels:
    """The best class of every pixel, and what that comes to for each class."""

    labels: Int16[np.ndarray, "y x"]
    pixels: tuple[int, ...]
    """Pixels of each class."""
    scores: tuple[float, ...]
    """Mean winning score of each class over its pixels; 0 for a class without pixels."""


@dataclass(frozen=True)
class ScoreField:
    """The scores of every pixel of a resized image, in the columns that are not 0 everywhere."""

    maps: Float[np.ndarray, "s h w"]
    columns: Int[np.ndarray, " s"]
    """Which columns these are, ascending: classes, then stand-ins; the first is always there."""
    num_classes: int
    stand_ins: int = 0
    """How many columns behind the classes are words that answer as the first class, the background:
    a pixel's score of that class is the best of theirs and its own."""

    def class_maps(self) -> Float[np.ndarray, "c h w"]:
        """Return the scores of the classes at the size the photo was read at."""
        classes, maps = self._answered(self.maps)
        whole = np.zeros((self.num_classes, *maps.shape[1:]), dtype=np.float32)
        whole[classes] = maps
        return whole

    def column_maps(self) -> Float[np.ndarray, "k h w"]:
        """Return the scores of all columns."""
        num_columns = self.num_classes + self.stand_ins
        maps = np.zeros((num_columns, *self.maps.shape[1:]), dtype=np.float32)
        maps[self.columns] = self.maps
        return maps

    def labels(self, *, size: tuple[int, int]) -> LabelledPixels:
        """Return the best class of each pixel at a size; the first wins a tie."""
        labels = np.empty(size, dtype=np.int16)
        pixels = np.zeros(self.num_classes, dtype=np.int64)
        totals = np.zeros(self.num_classes)
        for top, band in _bands(self.maps, size):
            classes, scores = self._answered(band)
            best = scores[0].copy()
            place = np.zeros(best.shape, dtype=np.intp)
            for number, own in enumerate(scores[1:], start=1):
                place[own > best] = number
                np.maximum(best, own, out=best)
            found = classes[place]
            labels[top : top + len(best)] = found
            pixels += np.bincount(found.ravel(), minlength=self.num_classes)
            totals += np.bincount(found.ravel(), best.ravel(), minlength=self.num_classes)
        means = totals / pixels.clip(min=1)
        return LabelledPixels(labels, tuple(pixels.tolist()), tuple(means.tolist()))

    def _answered(
        self, scores: Float[np.ndarray, "s y x"]
    ) -> tuple[Int[np.ndarray, " c"], Float[np.ndarray, "c y x"]]:
        """Return the classes among the columns; the first has the best of its stand-ins' scores."""
        known = int((self.columns < self.num_classes).sum())
        if known < len(scores):
            best = scores[known:].max(axis=0)
            scores = np.concatenate([np.maximum(scores[:1], best), scores[1:known]])
        return self.columns[:known], scores


def pixel_owners(
    maps: Float[np.ndarray, "b g h w"], *, patch: int, size: tuple[int, int]
) -> UInt8[np.ndarray, "b y x"]:
    """Enlarge soft group maps to the window's pixels and give each pixel to its largest group.

    Args:
        maps: One cell for each begun patch.
        patch: Side of a patch in pixels.
        size: The window's height and width; what filled its last patches is cut off.
    """
    rows, columns = _enlarging(maps.shape[2:], patch, size)
    best = np.full((len(maps), *size), -np.inf, dtype=np.float32)
    owners = np.zeros(best.shape, dtype=np.uint8)
    for group in range(maps.shape[1]):
        own = rows @ (maps[:, group] @ columns.T)
        owners[own > best] = group
        np.maximum(best, own, out=best)
    return owners


def average(fields: Sequence[ScoreField], *, size: tuple[int, int]) -> ScoreField:
    """Average the scores of several readings of an image, brought to one size bilinearly."""
    first = fields[0]
    total = np.zeros((first.num_classes + first.stand_ins, *size), dtype=np.float32)
    for field in fields:
        total += _enlarged(field.column_maps(), size)
    columns = np.arange(len(total))
    return ScoreField(total / np.float32(len(fields)), columns, first.num_classes, first.stand_ins)


def _enlarging(
    grid: Sequence[int], patch: int, size: tuple[int, int]
) -> list[Float[np.ndarray, "n o"]]:
    """Return bilinear resizing of patches to a window's pixels, for its rows and its columns."""
    return [_matrix(cells, cells * patch)[:side] for cells, side in zip(grid, size, strict=True)]


def _matrix(old: int, new: int) -> Float[np.ndarray, "n o"]:
    """Return bilinear resizing of an axis as a matrix: for a short axis that is the fastest way."""
    before, after, weight = neighbours(old, new)
    matrix = np.zeros((new, old), dtype=np.float32)
    matrix[np.arange(new), before] = 1 - weight
    matrix[np.arange(new), after] += weight
    return matrix


def _bands(
    maps: Float[np.ndarray, "s h w"], size: tuple[int, int]
) -> Iterator[tuple[int, Float[np.ndarray, "s y x"]]]:
    """Yield the maps resized bilinearly in bands of rows, each with its first row's number."""
    height, width = size
    rows = max(1, BAND_BYTES // (4 * width * len(maps)))
    left, right, across = neighbours(maps.shape[2], width)
    for top in range(0, height, rows):
        above, below, down = neighbours(
            maps.shape[1], height, first=top, last=min(top + rows, height)
        )
        start = above[0]
        source = maps[:, start : below[-1] + 1]
        if source.shape[2] != width:
            first = source[:, :, left]
            source = first + (source[:, :, right] - first) * across
        first = source[:, above - start]
        yield top, first + (source[:, below - start] - first) * down[:, None]


def _enlarged(
    maps: Float[np.ndarray, "s h w"], size: tuple[int, int]
) -> Float[np.ndarray, "s y x"]:
    if maps.shape[1:] == size:
        return maps
    return np.concatenate([band for _, band in _bands(maps, size)], axis=1)
