"""Windows of several images in common batches, without an image noticing its company."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from pgseg_core.inference.encoders import Encoders, WindowOutput
from pgseg_core.inference.score_map import (
    GroupField,
    OwnedPixels,
    PatchPixels,
    Pixels,
    pixel_groups,
)
from pgseg_core.inference.scoring import patch_vectors, shared_by_alike
from pgseg_core.inference.sliding_window import Box, window_boxes

WINDOWS_AT_ONCE = 8
"""Most windows of one image in a batch, where an engine does not want always as many."""

PHOTOS_AT_ONCE = 8
PIXELS_AT_ONCE = 100_000_000
"""Photos wait for each other, so that their windows fill a batch, up to so many pixels."""

Place = tuple[int, int]
"""Which image, and which of its windows."""
Seen = tuple[Float[Tensor, "g e"], Float[Tensor, " e"], Float[Tensor, "m y x"]]
"""One window's vectors of groups, or of patches; its own vector; and its group maps."""


def companies(photos: Iterable[Image.Image], at_once: int | None) -> Iterator[list[Image.Image]]:
    """Put photos together whose windows are to share batches; where none are: one by one.

    Args:
        photos: RGB, of any sizes; taken as they are needed.
        at_once: `Encoders.windows_at_once`; None where nothing is gained by company.
    """
    most = 1 if at_once is None else PHOTOS_AT_ONCE
    company: list[Image.Image] = []
    for photo in photos:
        company.append(photo)
        pixels = sum(member.width * member.height for member in company)
        if len(company) == most or pixels > PIXELS_AT_ONCE:
            yield company
            company = []
    if company:
        yield company


def encode_fields(
    encoders: Encoders,
    images: Sequence[Float[Tensor, "3 _ _"]],
    *,
    window: int,
    stride: int,
    patch_share: float = 0.0,
    patch_affinity: float = 0.0,
    fade: bool = False,
) -> list[GroupField]:
    """Encode images window by window: where their groups are, and what they say.

    Args:
        encoders: The network.
        images: Normalised RGB, of any sizes.
        window: Side of the sliding window, in pixels.
        stride: Its step, in pixels.
        patch_share: How much a patch's own vector counts beside its group's; above 0 every patch is
            a group of the field.
        patch_affinity: Temperature at which patches that look alike share their vectors; 0 does
            not.
        fade: Whether windows count less towards their borders.
    """
    boxes = [window_boxes(*image.shape[1:], window=window, stride=stride) for image in images]
    alone = patch_share > 0
    seen: dict[Place, Seen] = {}
    for places in _batches(boxes, encoders.windows_at_once):
        windows = torch.stack([_cut(images[image], boxes[image][at]) for image, at in places])
        output = _encode(encoders, windows, patches=alone)
        groups = output.groups
        if output.patches is not None:
            flat = output.maps.flatten(2)
            groups = patch_vectors(groups, output.patches, flat, patch_share)
            if patch_affinity:
                assert output.looks is not None
                groups = shared_by_alike(groups, output.looks, patch_affinity)
        rows = zip(groups, output.images, output.maps, strict=True)
        seen |= dict(zip(places, rows, strict=False))  # without what fills the batch
    return [
        _field(
            encoders.patch_size,
            image,
            own,
            [seen[number, at] for at in range(len(own))],
            alone=alone,
            fade=fade,
        )
        for number, (image, own) in enumerate(zip(images, boxes, strict=True))
    ]


def _batches(boxes: Sequence[Sequence[Box]], at_once: int | None) -> Iterator[list[Place]]:
    """Yield windows of one shape: an image's alone, or those of all images together."""
    alike: dict[tuple[int, int, int], list[Place]] = defaultdict(list)
    for image, own in enumerate(boxes):
        for at, box in enumerate(own):
            company = image if at_once is None else -1
            alike[box.bottom - box.top, box.right - box.left, company].append((image, at))
    size = at_once or WINDOWS_AT_ONCE
    for places in alike.values():
        for start in range(0, len(places), size):
            yield places[start : start + size]


def _encode(
    encoders: Encoders, windows: Float[Tensor, "b 3 h w"], *, patches: bool
) -> WindowOutput:
    missing = max(0, (encoders.windows_at_once or 0) - len(windows))
    output = encoders.encode_windows(F.pad(windows, (0, 0) * 3 + (0, missing)), patches=patches)
    assert output.maps.dtype == torch.float32, "engines return float32"
    return output


def _field(
    patch: int,
    image: Float[Tensor, "3 h w"],
    boxes: list[Box],
    seen: list[Seen],
    *,
    alone: bool,
    fade: bool,
) -> GroupField:
    """Enlarge the windows' maps to their pixels, and cut off what they were filled up with."""
    groups, vectors, soft = (torch.stack(part) for part in zip(*seen, strict=True))
    size = (boxes[0].bottom - boxes[0].top, boxes[0].right - boxes[0].left)
    pixels: Pixels
    if alone:
        pixels = PatchPixels(grid=(soft.shape[2], soft.shape[3]), patch=patch, size=size)
    else:
        each = [pixel_groups(one[None], patch=patch, size=size) for one in soft]
        pixels = OwnedPixels(torch.cat(each))
    return GroupField(
        size=(image.shape[1], image.shape[2]),
        boxes=tuple(boxes),
        pixels=pixels,
        groups=groups,
        images=vectors,
        fade=fade,
    )


def _cut(pixels: Float[Tensor, "3 h w"], box: Box) -> Float[Tensor, "3 y x"]:
    return pixels[(slice(None), *box.place)]
