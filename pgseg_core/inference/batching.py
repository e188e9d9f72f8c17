"""Windows of several images in common batches; what is in a batch changes no image's result."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from jaxtyping import Float
from PIL import Image

from pgseg_core.arrays import Arrays, arrays_of
from pgseg_core.inference.score_map import RegionField
from pgseg_core.inference.sliding_window import Box, window_boxes
from pgseg_core.methods.method import Array, Method, Owners, PatchGrid, Reading, Regions

WINDOWS_AT_ONCE = 8
"""Most windows of one image in a batch, where a method does not want always as many."""

PHOTOS_AT_ONCE = 8
PIXELS_AT_ONCE = 100_000_000
"""Photos wait for each other, so that their windows fill a batch, up to so many pixels."""

Place = tuple[int, int]
"""Which image, and which of its windows."""
Seen = tuple[Array, Array | None, Array | None]
"""One window's region vectors, its own vector, and its owners where pixels have some."""


def photo_batches(
    photos: Iterable[Image.Image], at_once: int | None
) -> Iterator[list[Image.Image]]:
    """Put photos together whose windows are to share batches; where none are: one by one.

    Args:
        photos: RGB, of any sizes; taken as they are needed.
        at_once: `Method.windows_at_once`; None where nothing is gained by full batches.
    """
    most = 1 if at_once is None else PHOTOS_AT_ONCE
    batch: list[Image.Image] = []
    for photo in photos:
        batch.append(photo)
        pixels = sum(member.width * member.height for member in batch)
        if len(batch) == most or pixels > PIXELS_AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def encode_fields(
    method: Method, images: Sequence[Float[np.ndarray, "3 _ _"]], reading: Reading
) -> list[RegionField]:
    """Encode images window by window: where their regions are, and their vectors.

    Args:
        method: The method.
        images: Resized photos in the method's colours, of any sizes.
        reading: Window, stride and taper.
    """
    boxes = [_boxes(image, reading) for image in images]
    seen: dict[Place, Seen] = {}
    grids: dict[int, PatchGrid | None] = {}
    for places in _batches(boxes, method.windows_at_once):
        windows = np.stack([_cut(images[image], boxes[image][at]) for image, at in places])
        regions = _encode(method, windows)
        grid = regions.place if isinstance(regions.place, PatchGrid) else None
        for row, place in enumerate(places):  # without what fills the batch
            seen[place] = _row(regions, row)
            grids[place[0]] = grid
    return [
        _field(
            (image.shape[1], image.shape[2]),
            own,
            [seen[number, at] for at in range(len(own))],
            grids[number],
            taper=reading.taper_windows,
        )
        for number, (image, own) in enumerate(zip(images, boxes, strict=True))
    ]


def _boxes(image: Float[np.ndarray, "3 h w"], reading: Reading) -> list[Box]:
    height, width = image.shape[1:]
    window = reading.window or max(height, width)
    return window_boxes(height, width, window=window, stride=min(reading.stride, window))


def _batches(boxes: Sequence[Sequence[Box]], at_once: int | None) -> Iterator[list[Place]]:
    """Yield windows of one shape: an image's alone, or those of all images together."""
    alike: dict[tuple[int, int, int], list[Place]] = defaultdict(list)
    for image, own in enumerate(boxes):
        for at, box in enumerate(own):
            group = image if at_once is None else -1
            alike[box.bottom - box.top, box.right - box.left, group].append((image, at))
    size = at_once or WINDOWS_AT_ONCE
    for places in alike.values():
        for start in range(0, len(places), size):
            yield places[start : start + size]


def _encode(method: Method, windows: Float[np.ndarray, "b 3 h w"]) -> Regions:
    missing = max(0, (method.windows_at_once or 0) - len(windows))
    return method.regions(np.pad(windows, ((0, missing), (0, 0), (0, 0), (0, 0))))


def _row(regions: Regions, row: int) -> Seen:
    whole = None if regions.windows is None else regions.windows[row]
    owners = regions.place.index[row] if isinstance(regions.place, Owners) else None
    return regions.vectors[row], whole, owners


def _field(
    size: tuple[int, int],
    boxes: list[Box],
    seen: list[Seen],
    grid: PatchGrid | None,
    *,
    taper: bool,
) -> RegionField:
    vectors, wholes, owners = zip(*seen, strict=True)
    arrays = arrays_of(vectors[0])
    return RegionField(
        size=size,
        boxes=tuple(boxes),
        place=grid or Owners(_stack(arrays, owners)),
        vectors=_stack(arrays, vectors),
        windows=None if wholes[0] is None else _stack(arrays, wholes),
        taper=taper,
    )


def _stack(arrays: Arrays, parts: Sequence[Array]) -> Array:
    return arrays.concat([part[None] for part in parts], 0)


def _cut(pixels: Float[np.ndarray, "3 h w"], box: Box) -> Float[np.ndarray, "3 y x"]:
    return pixels[(slice(None), *box.place)]
