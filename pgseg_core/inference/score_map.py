"""How windows' group maps become a label for every pixel.

A window's class scores are the same for all pixels of one group. So the scores of a whole image are
a few maps (one for each window and group) times a small table (window and group by class), and the
map of every class at full size never exists: resizing is linear and is done to the few maps, the
product with the table is taken band by band.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Int16, UInt8
from torch import Tensor

from pgseg_core.inference.sliding_window import Box, window_weights

BAND_BYTES = 128 * 2**20
"""Largest piece of (pixels x classes) scores held at a time."""


def pixel_groups(
    maps: Float[Tensor, "b g h w"], *, patch: int, size: tuple[int, int]
) -> UInt8[Tensor, "b y x"]:
    """Enlarge soft group maps to the window's pixels and give each pixel to its largest group.

    (Step 3.) Bilinear; the first group wins a tie.

    Args:
        maps: One cell for each begun patch.
        patch: Side of a patch in pixels.
        size: The window's height and width; what filled its last patches is cut off.
    """
    whole = (maps.shape[2] * patch, maps.shape[3] * patch)
    enlarged = F.interpolate(maps, size=whole, mode="bilinear", align_corners=False)
    best = enlarged[:, :, : size[0], : size[1]].max(dim=1)  # argmax takes seven times as long
    return best.indices.to(torch.uint8)


@dataclass(frozen=True)
class OwnedPixels:
    """Each pixel belongs to one group."""

    owners: UInt8[Tensor, "n y x"]

    def spread(self, window: int, table: Float[Tensor, "g c"]) -> Float[Tensor, "c y x"]:
        """Give each pixel what its group has."""
        return table.mT[:, self.owners[window].long()]

    def weights(self, window: int, number: int) -> Float[Tensor, "g y x"]:
        """Return the share of each of so many groups in each pixel: one has all of it."""
        groups = torch.arange(number, dtype=torch.uint8, device=self.owners.device)
        return (self.owners[window] == groups[:, None, None]).float()

    def mirrored(self) -> "OwnedPixels":
        """Flip left and right."""
        return OwnedPixels(self.owners.flip(-1))


@dataclass(frozen=True)
class PatchPixels:
    """Each patch is a group of its own, and a pixel lies among the patches around it."""

    grid: tuple[int, int]
    """Rows and columns of patches; g = rows * columns."""
    patch: int
    """Side of a patch in pixels."""
    size: tuple[int, int]
    """The windows' height and width; what filled their last patches is cut off."""
    flipped: bool = False

    def spread(self, window: int, table: Float[Tensor, "g c"]) -> Float[Tensor, "c y x"]:  # noqa: ARG002 (all windows are alike)
        """Give each pixel the mean of what the patches around it have, bilinearly."""
        maps = table.mT.unflatten(1, self.grid)[None]
        whole = (self.grid[0] * self.patch, self.grid[1] * self.patch)
        enlarged = F.interpolate(maps, size=whole, mode="bilinear", align_corners=False)[0]
        cut = enlarged[:, : self.size[0], : self.size[1]]
        return cut.flip(-1) if self.flipped else cut

    def weights(self, window: int, number: int) -> Float[Tensor, "g y x"]:
        """Return the share of each patch in each pixel."""
        return self.spread(window, torch.eye(number))

    def mirrored(self) -> "PatchPixels":
        """Flip left and right."""
        return replace(self, flipped=not self.flipped)


Pixels = OwnedPixels | PatchPixels
"""Which groups of its window a pixel belongs to."""


@dataclass(frozen=True)
class GroupField:
    """What the encoder saw in an image's windows (n of them, g groups each; m = n g)."""

    size: tuple[int, int]
    """Height and width of the resized image (h, w)."""
    boxes: tuple[Box, ...]
    """Where the windows lie; all are of one shape (y, x)."""
    pixels: Pixels
    """The groups that each pixel of each window belongs to."""
    groups: Float[Tensor, "n g e"]
    """Vector of each group of each window."""
    images: Float[Tensor, "n e"]
    """Vector of each window as a whole."""
    fade: bool = False
    """Whether a window counts less towards its borders (`InferenceConfig.fade_windows`)."""

    @property
    def maps(self) -> Float[Tensor, "m h w"]:
        """Weight of each (window, group) at each pixel; sums to 1 over m."""
        num_groups = self.groups.shape[1]
        maps = torch.zeros(len(self.boxes), num_groups, *self.size)
        for number, (rows, columns), share in self._windows():
            maps[number, :, rows, columns] = self.pixels.weights(number, num_groups) * share
        return maps.flatten(0, 1)

    def scored(self, table: Float[Tensor, "n g c"], *, stand_ins: int = 0) -> "ScoreField":
        """Give every (window, group) its class scores, in the form that takes less memory.

        Args:
            table: The scores, those of stand-ins last.
            stand_ins: How many of the columns answer as the first class (see `ScoreField`).
        """
        num_classes = table.shape[-1]
        if num_classes >= table.shape[0] * table.shape[1]:
            return ScoreField(self.maps, table.flatten(0, 1), stand_ins)
        shown = table.any(dim=1)  # (n, c): a window shows a few classes and scores the others 0
        seen = shown.any(dim=0)
        seen[0] = True  # so that there is one
        kept = seen.nonzero()[:, 0]
        scores = torch.zeros(len(kept), *self.size)
        for number, (rows, columns), share in self._windows():
            own = shown[number, kept].nonzero()[:, 0]
            spread = self.pixels.spread(number, table[number][:, kept[own]]) * share
            for place, scored in zip(own.tolist(), spread, strict=True):
                scores[place, rows, columns] += scored
        if len(kept) == num_classes:
            return ScoreField(scores, stand_ins=stand_ins)
        return ScoreField(scores, F.one_hot(kept, num_classes).to(scores.dtype), stand_ins)

    def mirrored(self) -> "GroupField":
        """Return the field of the image's mirror image."""
        width = self.size[1]
        boxes = tuple(
            Box(box.top, width - box.right, box.bottom, width - box.left) for box in self.boxes
        )
        return replace(self, boxes=boxes, pixels=self.pixels.mirrored())

    def _windows(self) -> Iterator[tuple[int, tuple[slice, slice], Float[Tensor, "y x"]]]:
        """Yield each window's number, its place and its weight at its pixels."""
        weights = window_weights(self.size, self.boxes, fade=self.fade)
        for number, (box, weight) in enumerate(zip(self.boxes, weights, strict=True)):
            yield number, box.place, torch.from_numpy(weight)


@dataclass(frozen=True)
class LabelledPixels:
    """The best class of every pixel, and what that comes to for each class (c of them)."""

    labels: Int16[Tensor, "y x"]
    pixels: tuple[int, ...]
    """Pixels of each class."""
    scores: tuple[float, ...]
    """Mean winning score of each class over its pixels; 0 for a class without pixels."""


@dataclass(frozen=True)
class ScoreField:
    """The class scores of every pixel of a resized image: maps, or maps times a table."""

    maps: Float[Tensor, "m h w"]
    """The scores of some classes or of all, one map a class; or the weight of each (window, group)
    at each pixel, which sums to 1 over m."""
    table: Float[Tensor, "m c"] | None = None
    """Whose maps they are: a 1 for each map's class, or the score of each class for each (window,
    group). None for one map of every class in order."""
    stand_ins: int = 0
    """How many of the last columns are words that answer as the first class, the background: a
    pixel's score of that class is the best of theirs and its own."""

    @property
    def num_columns(self) -> int:
        """Classes and stand-ins."""
        return len(self.maps) if self.table is None else self.table.shape[1]

    @property
    def num_classes(self) -> int:
        """How many classes are scored (c)."""
        return self.num_columns - self.stand_ins

    def folded(self) -> "ScoreField":
        """Return the same scores as one map a column."""
        if self.table is None:
            return self
        maps = torch.einsum("mhw,mc->chw", self.maps, self.table)
        return ScoreField(maps, stand_ins=self.stand_ins)

    def class_maps(self) -> Float[np.ndarray, "c h w"]:
        """Return the scores of the classes at the size the photo was read at."""
        return self._answered(self.folded().maps).numpy()

    def scores(self, *, size: tuple[int, int]) -> Float[Tensor, "c y x"]:
        """Return all scores at a size, bilinearly enlarged. As large as it sounds."""
        bands = [scores for _, scores in self.bands(size=size)]
        return torch.cat(bands, dim=1)

    def labels(self, *, size: tuple[int, int]) -> LabelledPixels:
        """Return the best class of each pixel at a size; the first wins a tie."""
        labels = torch.empty(size, dtype=torch.int16)
        pixels = torch.zeros(self.num_classes, dtype=torch.int64)
        totals = torch.zeros(self.num_classes, dtype=torch.float64)
        shown, classes = self._shown()
        for top, scores in shown.bands(size=size):
            best, place = scores.max(dim=0)
            index = classes[place]
            labels[top : top + len(best)] = index
            flat = index.flatten()
            pixels += torch.bincount(flat, minlength=self.num_classes)
            totals += torch.bincount(
                flat, weights=best.flatten().double(), minlength=self.num_classes
            )
        means = totals / pixels.clamp(min=1)
        return LabelledPixels(labels, tuple(pixels.tolist()), tuple(means.tolist()))

    def _shown(self) -> tuple["ScoreField", Int[Tensor, " s"]]:
        """Return the scores of the classes that can win a pixel, and which they are.

        A window shows a few classes and scores the others 0. A class that no window shows wins
        nowhere; where all are 0, the first one does, so that it always stays.
        """
        if self.table is None or self.table.amin() < 0:
            return self, torch.arange(self.num_classes)
        seen = self.table.amax(dim=0) > 0
        seen[0] = True
        columns = seen.nonzero()[:, 0]
        classes = columns[columns < self.num_classes]
        stand_ins = len(columns) - len(classes)
        return replace(self, table=self.table[:, columns], stand_ins=stand_ins), classes

    def bands(self, *, size: tuple[int, int]) -> Iterator[tuple[int, Float[Tensor, "c y x"]]]:
        """Yield the scores at a size in bands of rows, each with the number of its first row."""
        height, width = size
        rows = max(1, BAND_BYTES // (4 * width * (self.num_columns + len(self.maps))))
        for top in range(0, height, rows):
            bottom = min(top + rows, height)
            piece = _enlarge_rows(self.maps, top, bottom, size)  # (m, rows, width)
            if self.table is not None:
                scores = self.table.mT @ piece.flatten(1)
                piece = scores.reshape(self.num_columns, bottom - top, width)
            yield top, self._answered(piece)

    def _answered(self, scores: Float[Tensor, "k y x"]) -> Float[Tensor, "c y x"]:
        """Give the first class the best of its own scores and its stand-ins'."""
        if not self.stand_ins:
            return scores
        own, others = scores.split([self.num_classes, self.stand_ins])
        return torch.cat([torch.maximum(own[:1], others.amax(dim=0, keepdim=True)), own[1:]])


def average(fields: Iterable[ScoreField], *, size: tuple[int, int]) -> ScoreField:
    """Average the scores of several readings of an image, brought to one size bilinearly."""
    total, count, stand_ins = torch.zeros(()), 0, 0
    for field in fields:
        total = total + _resized(field.folded().maps, size)
        count, stand_ins = count + 1, field.stand_ins
    return ScoreField(total / count, stand_ins=stand_ins)


def _enlarge_rows(
    maps: Float[Tensor, "m h w"], top: int, bottom: int, size: tuple[int, int]
) -> Float[Tensor, "m y x"]:
    """Return rows top to bottom of the maps resized bilinearly (align_corners=False) to a size."""
    height = maps.shape[1]
    position = (torch.arange(top, bottom) + 0.5) * (height / size[0]) - 0.5
    position = position.clamp(min=0)
    above = position.floor().long().clamp(max=height - 1)
    below = (above + 1).clamp(max=height - 1)
    weight = (position - above).to(maps.dtype).to(maps.device)[:, None]
    rows = torch.lerp(maps[:, above], maps[:, below], weight)
    return F.interpolate(
        rows[None], size=(bottom - top, size[1]), mode="bilinear", align_corners=False
    )[0]


def _resized(maps: Float[Tensor, "m h w"], size: tuple[int, int]) -> Float[Tensor, "m y x"]:
    if maps.shape[1:] == size:
        return maps
    return F.interpolate(maps[None], size=size, mode="bilinear", align_corners=False)[0]
