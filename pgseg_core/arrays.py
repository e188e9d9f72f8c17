"""The few operations that a torch and a numpy form must have apart, side by side.

Scores are computed by one text for both kinds of arrays. Written once, these operations would cost
torch three to seven times its time, so each stands here twice; a test holds the two equal.
"""

import sys
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np

Array = Any
"""A torch tensor, or a numpy array. Shapes are in the docstrings of `Arrays`."""

_AROUND = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]


@runtime_checkable
class Arrays(Protocol):
    """What is asked of a kind of array."""

    band_bytes: int
    """Largest piece of (pixels x classes) scores worth holding at a time."""
    products_are_cheap: bool
    """Whether maps times a table, pixel by pixel, costs less than adding up a map a class."""

    def array(self, values: np.ndarray, like: Array) -> Array:
        """Return a numpy array as one of this kind, where `like` lies."""
        ...

    def numpy(self, values: Array) -> np.ndarray:
        """Return an array of this kind as numpy's, on the CPU."""
        ...

    def zeros(self, *shape: int, like: Array) -> Array:
        """Return zeros of the type of `like`, where that lies."""
        ...

    def concat(self, parts: Sequence[Array], axis: int) -> Array:
        """Join along an axis."""
        ...

    def unit(self, vectors: Array) -> Array:
        """Scale vectors (..., e) to length 1; the zero vector stays."""
        ...

    def softmax(self, logits: Array, axis: int) -> Array:
        """Return the softmax along an axis."""
        ...

    def amax(self, values: Array, axis: int) -> Array:
        """Return the largest along an axis, which is kept with length 1."""
        ...

    def where(self, mask: Array, yes: Any, no: Any) -> Array:
        """Choose by a mask."""
        ...

    def flags(self, mask: Array) -> Array:
        """Return 1 where a mask is true, else 0, in float32."""
        ...

    def outside_top(self, fit: Array, count: int) -> Array:
        """Return True (b, c) where a column is not among the `count` largest of its row."""
        ...

    def best(self, scores: Array) -> tuple[Array, Array]:
        """Return the largest of scores (k, y, x) over k and its place; the first wins a tie."""
        ...

    def take(self, values: np.ndarray, places: Array) -> Array:
        """Return values (k) at places of any shape."""
        ...

    def count(self, labels: Array, classes: int) -> np.ndarray:
        """Count labels (classes)."""
        ...

    def total(self, labels: Array, scores: Array, classes: int) -> np.ndarray:
        """Add up scores by label (classes), in float64."""
        ...

    def owners(self, maps: Array, size: tuple[int, int], cut: tuple[int, int]) -> Array:
        """Enlarge maps (b, g, y, x) bilinearly to a size, and return the largest's number.

        Args:
            maps: Of each group.
            size: To enlarge to.
            cut: Rows and columns to keep, from the top left.
        """
        ...

    def resize(self, maps: Array, size: tuple[int, int]) -> Array:
        """Resize maps (m, y, x) bilinearly (cells meet at their centres)."""
        ...

    def bands(self, maps: Array, size: tuple[int, int], rows: int) -> Iterator[tuple[int, Array]]:
        """Yield maps (m, y, x) resized bilinearly in bands of rows, each with its first row."""
        ...

    def neighbours(self, maps: Array, dilations: Sequence[int]) -> Iterator[Array]:
        """Yield maps (m, y, x) moved by each of 8 steps at each distance, borders repeated."""
        ...

    def deviation(self, values: Array) -> Array:
        """Return the unbiased standard deviation over the first axis."""
        ...


class _Numpy:
    """numpy's."""

    band_bytes = 16 * 2**20  # what fits a processor's cache is done sooner
    products_are_cheap = False

    def array(self, values: np.ndarray, like: Array) -> Array:  # noqa: ARG002 (numpy has one place)
        return np.ascontiguousarray(values)

    def numpy(self, values: Array) -> np.ndarray:
        return cast("np.ndarray", values)

    def zeros(self, *shape: int, like: Array) -> Array:
        return np.zeros(shape, dtype=like.dtype)

    def concat(self, parts: Sequence[Array], axis: int) -> Array:
        return np.concatenate(parts, axis=axis)

    def unit(self, vectors: Array) -> Array:
        lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
        return vectors / np.maximum(lengths, 1e-12)

    def softmax(self, logits: Array, axis: int) -> Array:
        raised = np.exp(logits - logits.max(axis=axis, keepdims=True))
        return raised / raised.sum(axis=axis, keepdims=True)

    def amax(self, values: Array, axis: int) -> Array:
        return values.max(axis=axis, keepdims=True)

    def where(self, mask: Array, yes: Any, no: Any) -> Array:
        return np.where(mask, yes, no)

    def flags(self, mask: Array) -> Array:
        return mask.astype(np.float32)

    def outside_top(self, fit: Array, count: int) -> Array:
        outside = np.ones(fit.shape, dtype=bool)
        order = np.argsort(-fit, axis=-1, kind="stable")
        np.put_along_axis(outside, order[:, :count], values=False, axis=-1)
        return outside

    def best(self, scores: Array) -> tuple[Array, Array]:
        best = scores[0].copy()
        place = np.zeros(best.shape, dtype=np.intp)
        for number, own in enumerate(scores[1:], start=1):
            place[own > best] = number
            np.maximum(best, own, out=best)
        return best, place

    def take(self, values: np.ndarray, places: Array) -> Array:
        return values[places]

    def count(self, labels: Array, classes: int) -> np.ndarray:
        return np.bincount(labels.ravel(), minlength=classes)

    def total(self, labels: Array, scores: Array, classes: int) -> np.ndarray:
        return np.bincount(labels.ravel(), scores.ravel(), minlength=classes)

    def owners(self, maps: Array, size: tuple[int, int], cut: tuple[int, int]) -> Array:
        rows, columns = (
            _matrix(cells, long)[:short]
            for cells, long, short in zip(maps.shape[2:], size, cut, strict=True)
        )
        best = np.full((len(maps), *cut), -np.inf, dtype=np.float32)
        owners = np.zeros(best.shape, dtype=np.uint8 if maps.shape[1] <= 256 else np.int32)
        for group in range(maps.shape[1]):
            own = rows @ (maps[:, group] @ columns.T)
            owners[own > best] = group
            np.maximum(best, own, out=best)
        return owners

    def resize(self, maps: Array, size: tuple[int, int]) -> Array:
        if maps.shape[1:] == size:
            return maps
        rows, columns = (_matrix(*pair) for pair in zip(maps.shape[1:], size, strict=True))
        return rows @ (maps @ columns.T)

    def bands(self, maps: Array, size: tuple[int, int], rows: int) -> Iterator[tuple[int, Array]]:
        height, width = size
        left, right, across = cells_beside(maps.shape[2], width)
        for top in range(0, height, rows):
            above, below, down = cells_beside(
                maps.shape[1], height, first=top, last=min(top + rows, height)
            )
            start = above[0]
            source = maps[:, start : below[-1] + 1]
            if source.shape[2] != width:
                first = source[:, :, left]
                source = first + (source[:, :, right] - first) * across
            first = source[:, above - start]
            yield top, first + (source[:, below - start] - first) * down[:, None]

    def neighbours(self, maps: Array, dilations: Sequence[int]) -> Iterator[Array]:
        height, width = maps.shape[1:]
        reach = max(dilations)
        wide = np.pad(maps, ((0, 0), (reach, reach), (reach, reach)), mode="edge")
        for dilation in dilations:
            for y, x in _AROUND:
                top, left = reach + y * dilation, reach + x * dilation
                yield wide[:, top : top + height, left : left + width]

    def deviation(self, values: Array) -> Array:
        return values.std(axis=0, ddof=1)


class _Torch:
    """torch's; made when the first tensor comes."""

    band_bytes = 128 * 2**20
    products_are_cheap = True

    def __init__(self) -> None:
        self.torch: Any = sys.modules["torch"]
        self.functional: Any = self.torch.nn.functional

    def array(self, values: np.ndarray, like: Array) -> Array:
        return self.torch.from_numpy(np.ascontiguousarray(values)).to(like.device)

    def numpy(self, values: Array) -> np.ndarray:
        return cast("np.ndarray", values.cpu().numpy())

    def zeros(self, *shape: int, like: Array) -> Array:
        return like.new_zeros(shape)

    def concat(self, parts: Sequence[Array], axis: int) -> Array:
        return self.torch.cat(list(parts), dim=axis)

    def unit(self, vectors: Array) -> Array:
        return self.functional.normalize(vectors, dim=-1)

    def softmax(self, logits: Array, axis: int) -> Array:
        return logits.softmax(dim=axis)

    def amax(self, values: Array, axis: int) -> Array:
        return values.amax(dim=axis, keepdim=True)

    def where(self, mask: Array, yes: Any, no: Any) -> Array:
        return self.torch.where(mask, yes, no)

    def flags(self, mask: Array) -> Array:
        return mask.float()

    def outside_top(self, fit: Array, count: int) -> Array:
        best = fit.topk(min(count, fit.shape[-1]), dim=-1).indices
        return self.torch.ones_like(fit, dtype=self.torch.bool).scatter_(1, best, value=False)

    def best(self, scores: Array) -> tuple[Array, Array]:
        found = scores.max(dim=0)  # argmax takes seven times as long
        return found.values, found.indices

    def take(self, values: np.ndarray, places: Array) -> Array:
        return self.torch.from_numpy(values).to(places.device)[places]

    def count(self, labels: Array, classes: int) -> np.ndarray:
        return self.numpy(self.torch.bincount(labels.flatten().long(), minlength=classes))

    def total(self, labels: Array, scores: Array, classes: int) -> np.ndarray:
        flat, weights = labels.flatten().long(), scores.flatten().double()
        return self.numpy(self.torch.bincount(flat, weights=weights, minlength=classes))

    def owners(self, maps: Array, size: tuple[int, int], cut: tuple[int, int]) -> Array:
        enlarged = self._interpolate(maps, size)[:, :, : cut[0], : cut[1]]
        kind = self.torch.uint8 if maps.shape[1] <= 256 else self.torch.int32
        return enlarged.max(dim=1).indices.to(kind)

    def resize(self, maps: Array, size: tuple[int, int]) -> Array:
        return maps if maps.shape[1:] == size else self._interpolate(maps[None], size)[0]

    def bands(self, maps: Array, size: tuple[int, int], rows: int) -> Iterator[tuple[int, Array]]:
        height = maps.shape[1]
        for top in range(0, size[0], rows):
            bottom = min(top + rows, size[0])
            position = (self.torch.arange(top, bottom) + 0.5) * (height / size[0]) - 0.5
            position = position.clamp(min=0)
            above = position.floor().long().clamp(max=height - 1)
            below = (above + 1).clamp(max=height - 1)
            weight = (position - above).to(maps.dtype).to(maps.device)[:, None]
            piece = self.torch.lerp(maps[:, above], maps[:, below], weight)
            yield top, self._interpolate(piece[None], (bottom - top, size[1]))[0]

    def neighbours(self, maps: Array, dilations: Sequence[int]) -> Iterator[Array]:
        height, width = maps.shape[1:]
        rows, columns = self.torch.arange(height), self.torch.arange(width)
        for reach in dilations:
            for y, x in _AROUND:
                above = (rows + y * reach).clamp(0, height - 1)
                beside = (columns + x * reach).clamp(0, width - 1)
                yield maps[:, above][:, :, beside]

    def deviation(self, values: Array) -> Array:
        return values.std(dim=0)

    def _interpolate(self, maps: Array, size: tuple[int, int]) -> Array:
        return self.functional.interpolate(maps, size=size, mode="bilinear", align_corners=False)


NUMPY: Arrays = _Numpy()
_OF_TORCH: list[Arrays] = []


def arrays_of(values: Array) -> Arrays:
    """Return the operations on an array of this kind."""
    if isinstance(values, np.ndarray):
        return NUMPY
    if not _OF_TORCH:
        _OF_TORCH.append(_Torch())
    return _OF_TORCH[0]


def cells_beside(
    old: int, new: int, *, first: int = 0, last: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return, for new cells along an axis, the old cells before and after, and the second's weight.

    Bilinear, cells meet at their centres (torch's align_corners=False).

    Args:
        old: Cells there are.
        new: Cells wanted.
        first: Of the new cells, where to begin.
        last: Where to end, itself excluded; at `new` by default.
    """
    at = np.arange(first, new if last is None else last, dtype=np.float32)
    place = ((at + np.float32(0.5)) * np.float32(old / new) - np.float32(0.5)).clip(min=0)
    before = np.minimum(place.astype(np.int64), old - 1)
    return before, np.minimum(before + 1, old - 1), place - before.astype(np.float32)


def _matrix(old: int, new: int) -> np.ndarray:
    """Return bilinear resizing of an axis as a matrix: for a short axis that is the fastest way."""
    before, after, weight = cells_beside(old, new)
    matrix = np.zeros((new, old), dtype=np.float32)
    matrix[np.arange(new), before] = 1 - weight
    matrix[np.arange(new), after] += weight
    return matrix
