"""How windows' regions become a label for every pixel.

A window's scores are the same for all pixels of one region. So the scores of a whole image are a
few maps (one for each window and region) times a small table (window and region by column), and the
map of every class at full size never exists: resizing is linear and is done to the few maps, the
product with the table is taken band by band. Columns are those of `scoring.Decision`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int, Int16

from pgseg_core.arrays import Arrays, arrays_of
from pgseg_core.inference.scoring import Decision
from pgseg_core.inference.sliding_window import Box, window_weights
from pgseg_core.methods.method import Array, Owners, PatchGrid


@dataclass(frozen=True)
class RegionField:
    """What a method saw in an image's windows (n of them, r regions each; m = n r)."""

    size: tuple[int, int]
    """Height and width of the resized image (h, w)."""
    boxes: tuple[Box, ...]
    """Where the windows lie; all are of one shape (y, x)."""
    place: PatchGrid | Owners
    """Where the regions lie in each window."""
    vectors: Float[Array, "n r e"]
    """Vector of each region of each window."""
    windows: Float[Array, "n e"] | None = None
    """Vector of each window as a whole."""
    taper: bool = False
    """Whether a window counts less towards its borders."""
    flipped: bool = False
    """Whether the windows show the image's mirror image."""

    @property
    def maps(self) -> Float[Array, "m h w"]:
        """Weight of each (window, region) at each pixel; sums to 1 over m."""
        number = self.vectors.shape[1]
        maps = self._arrays.zeros(len(self.boxes), number, *self.size, like=self.vectors)
        every = self._arrays.array(np.eye(number, dtype=np.float32), self.vectors)
        for window, (rows, columns), share in self._windows():
            maps[window, :, rows, columns] = self._spread(window, every) * share
        return maps.reshape(len(self.boxes) * number, *self.size)

    def scored(self, table: Float[Array, "n r k"], decision: Decision) -> "ScoreMap":
        """Give every pixel the scores of its regions, averaged over the windows above it.

        Columns that no window shows are left out, but those that win where all are 0. Where there
        are more columns than regions, the regions' maps and the table are kept apart.

        Args:
            table: The scores of every (window, region), from `scoring.score_table`.
            decision: How they become labels.
        """
        kept = self._shown(table, decision)
        regions = table.shape[0] * table.shape[1]
        if self._arrays.products_are_cheap and table.shape[2] >= regions:
            flat = table[:, :, kept.tolist()].reshape(regions, len(kept))
            return ScoreMap(self.maps, decision, kept, flat)
        scores = self._arrays.zeros(len(kept), *self.size, like=table)
        for number, (rows, columns), share in self._windows():
            own = kept[self._numpy_any(table[number])[kept]]
            if not len(own):
                continue
            spread = self._spread(number, table[number][:, own.tolist()]) * share
            places = np.searchsorted(kept, own).tolist()
            for place, scored in zip(places, spread, strict=True):
                scores[place, rows, columns] += scored
        return ScoreMap(scores, decision, kept)

    def mirrored(self) -> "RegionField":
        """Return the field of the image's mirror image."""
        width = self.size[1]
        boxes = tuple(
            Box(box.top, width - box.right, box.bottom, width - box.left) for box in self.boxes
        )
        return replace(self, boxes=boxes, flipped=not self.flipped)

    @property
    def _arrays(self) -> Arrays:
        return arrays_of(self.vectors)

    def _shown(self, table: Float[Array, "n r k"], decision: Decision) -> Int[np.ndarray, " s"]:
        """Return the columns that can win a pixel: some window shows them, or they win at 0."""
        shown = self._numpy_any(table.reshape(-1, table.shape[2]))
        shown[: decision.must_stay] = True
        return np.flatnonzero(shown)

    def _numpy_any(self, table: Float[Array, "r k"]) -> np.ndarray:
        return self._arrays.numpy((table != 0).any(0))

    def _spread(self, window: int, table: Float[Array, "r k"]) -> Float[Array, "k y x"]:
        """Give each pixel of a window what its region has, or the cells around it bilinearly."""
        if isinstance(self.place, Owners):
            owners = self.place.index[window]
            spread = table.T[:, owners if isinstance(owners, np.ndarray) else owners.long()]
        else:
            spread = _enlarged(table, self.place, self._shape)
        return self._flip(spread) if self.flipped else spread

    def _flip(self, maps: Float[Array, "k y x"]) -> Float[Array, "k y x"]:
        return maps[:, :, ::-1] if isinstance(maps, np.ndarray) else maps.flip(-1)

    @property
    def _shape(self) -> tuple[int, int]:
        box = self.boxes[0]
        return box.bottom - box.top, box.right - box.left

    def _windows(self) -> Iterator[tuple[int, tuple[slice, slice], Float[Array, "y x"]]]:
        """Yield each window's number, its place and its weight at its pixels."""
        weights = window_weights(self.size, self.boxes, fade=self.taper)
        for number, (box, weight) in enumerate(zip(self.boxes, weights, strict=True)):
            yield number, box.place, self._arrays.array(weight, self.vectors)


@dataclass(frozen=True)
class LabelledPixels:
    """The best class of every pixel, and what that comes to for each class (c of them)."""

    labels: Int16[np.ndarray, "y x"]
    pixels: tuple[int, ...]
    """Pixels of each class."""
    scores: tuple[float, ...]
    """Mean winning score of each class over its pixels; 0 for a class without pixels."""


@dataclass(frozen=True)
class ScoreMap:
    """The scores of every pixel of a resized image, in the columns that are not 0 everywhere."""

    maps: Float[Array, "m h w"]
    """One map for each kept column; with a table, the weight of each (window, region)."""
    decision: Decision
    """How the columns become labels."""
    kept: Int[np.ndarray, " k"]
    """Which columns of the decision these are, ascending."""
    table: Float[Array, "m k"] | None = None
    """The score of each kept column for each (window, region)."""

    def folded(self) -> "ScoreMap":
        """Return the same scores as one map a kept column."""
        if self.table is None:
            return self
        flat = self.table.T @ self.maps.reshape(len(self.maps), -1)
        return replace(self, maps=flat.reshape(len(self.kept), *self.maps.shape[1:]), table=None)

    def class_maps(self) -> Float[np.ndarray, "c h w"]:
        """Return the scores of the classes at the size the photo was read at."""
        maps = self.decision.class_scores(self.folded().maps, self.kept)
        return arrays_of(maps).numpy(maps)

    def scores(self, *, size: tuple[int, int]) -> Float[Array, "c y x"]:
        """Return the classes' scores at a size, bilinearly enlarged. As large as it sounds."""
        bands = [self.decision.class_scores(band, self.kept) for _, band in self.bands(size=size)]
        return arrays_of(self.maps).concat(bands, 1)

    def answers(self, *, size: tuple[int, int]) -> Int16[np.ndarray, "t y x"]:
        """Return the labels of every threshold at a size, decided band by band."""
        dropped = self._too_small(size)
        arrays = arrays_of(self.maps)
        bands = [
            arrays.numpy(self.decision.answers(band, self.kept, dropped)[0]).astype(np.int16)
            for _, band in self.bands(size=size)
        ]
        return np.concatenate(bands, axis=1)

    def labels(self, *, size: tuple[int, int]) -> LabelledPixels:
        """Return the best class of each pixel at a size under the first threshold."""
        arrays, classes = arrays_of(self.maps), self.decision.num_classes
        dropped = self._too_small(size)
        first = replace(self.decision, thresholds=self.decision.thresholds[:1])
        assert first.num_bars == self.decision.num_bars, "one threshold gives one set of labels"
        labels = np.empty(size, dtype=np.int16)
        pixels, totals = np.zeros(classes, dtype=np.int64), np.zeros(classes)
        for top, band in self.bands(size=size):
            (found,), (best,) = first.answers(band, self.kept, dropped)
            labels[top : top + len(best)] = arrays.numpy(found)
            pixels += arrays.count(found, classes)
            totals += arrays.total(found, best, classes)
        means = totals / pixels.clip(min=1)
        return LabelledPixels(labels, tuple(pixels.tolist()), tuple(means.tolist()))

    def bands(self, *, size: tuple[int, int]) -> Iterator[tuple[int, Float[Array, "k y x"]]]:
        """Yield the kept columns at a size in bands of rows, each with its first row's number."""
        arrays, width = arrays_of(self.maps), size[1]
        held = len(self.maps) + (0 if self.table is None else len(self.kept))
        rows = max(1, arrays.band_bytes // (4 * width * held))
        for top, piece in arrays.bands(self.maps, size, rows):
            if self.table is None:
                yield top, piece
            else:
                scores = self.table.T @ piece.reshape(len(self.maps), -1)
                yield top, scores.reshape(len(self.kept), *piece.shape[1:])

    def _too_small(self, size: tuple[int, int]) -> np.ndarray | None:
        """Return which classes have too small a share of all that is not background, if any."""
        if not self.decision.least_area:
            return None
        arrays, classes = arrays_of(self.maps), self.decision.num_classes
        whole = replace(self.decision, thresholds=(None,) * len(self.decision.thresholds))
        count = np.zeros(classes, dtype=np.int64)
        for _, band in self.bands(size=size):
            count += arrays.count(whole.answers(band, self.kept)[0][0], classes)
        first = 1 if self.decision.background != "none" else 0
        dropped = count <= self.decision.least_area * count[first:].sum()
        dropped[:first] = False
        return dropped


def average(maps: Sequence[ScoreMap], *, size: tuple[int, int]) -> ScoreMap:
    """Average the scores of several readings of an image, brought to one size bilinearly."""
    first = maps[0]
    arrays = arrays_of(first.maps)
    kept = np.unique(np.concatenate([each.kept for each in maps]))
    total = arrays.zeros(len(kept), *size, like=first.maps)
    for each in maps:
        places = np.searchsorted(kept, each.kept).tolist()
        total[places] += arrays.resize(each.folded().maps, size)
    return ScoreMap(total / np.float32(len(maps)), first.decision, kept)


def _enlarged(
    table: Float[Array, "r k"], grid: PatchGrid, shape: tuple[int, int]
) -> Float[Array, "k y x"]:
    """Enlarge cells to the box that they cover, and cut the window out of it."""
    arrays = arrays_of(table)
    top, left, bottom, right = grid.box
    maps = table.T.reshape(table.shape[1], grid.rows, grid.columns)
    whole = arrays.resize(maps, (bottom - top, right - left))
    return whole[:, -top : shape[0] - top, -left : shape[1] - left]
