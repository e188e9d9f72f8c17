"""Colours for classes and groups: far apart for every kind of colour vision, the same everywhere.

The first twenty are chosen by hand: Okabe and Ito's colours for colour-blind readers, then others
between them. The rest follow by taking, again and again, the colour that is farthest from all
colours taken so far, in OKLab, as seen with normal and with red- or green-blind vision.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from jaxtyping import Float, UInt8

from pgseg_core.errors import ConfigError
from pgseg_core.vocabularies import PUBLISHED_COLOURS, published_colours

RGB = tuple[int, int, int]

BACKGROUND: RGB = (128, 128, 128)
"""Neutral: the background is no class among others."""
UNLABELLED: RGB = (224, 224, 224)
"""Pixels without a class, in indexed masks."""

_FIRST = (
    "0072b2 e69f00 009e73 d55e00 56b4e9 882255 f0e442 cc79a7 3b1e8f 999933 "
    "44e0d0 c2185b b39ddb fa9e8c a6d854 d138d1 f6cfa0 117733 5b3fbf 7a4b1e"
)
_SIZE = 256
_LIGHTNESS = (0.36, 0.94)  # OKLab; darker or lighter colours vanish in photos

# sRGB primaries to cone responses and on to OKLab (Björn Ottosson, 2020).
_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
# What red-blind and green-blind eyes see, on linear RGB (Machado et al., 2009, severity 1).
_PROTANOPIA = np.array(
    [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ]
)
_DEUTERANOPIA = np.array(
    [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ]
)


@cache
def palette() -> tuple[RGB, ...]:
    """Return 256 colours, best separated first, without the background's grey."""
    chosen = [_from_hex(text) for text in _FIRST.split()]
    levels = np.arange(0, 256, 17)
    grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    lightness = _oklab(_linear(grid))[:, 0]
    grid = grid[(lightness >= _LIGHTNESS[0]) & (lightness <= _LIGHTNESS[1])]
    seen = _appearance(grid)
    taken = _appearance(np.array([BACKGROUND, *chosen]))
    nearest = np.min([_distance(seen, colour) for colour in taken], axis=0)
    while len(chosen) < _SIZE:
        farthest = int(np.argmax(nearest.round(6)))  # rounded: equal on every processor
        red, green, blue = grid[farthest].tolist()
        chosen.append((red, green, blue))
        nearest = np.minimum(nearest, _distance(seen, seen[farthest]))
    return tuple(chosen)


def class_colours(count: int, *, background: bool) -> UInt8[np.ndarray, "c 3"]:
    """Return one colour for each label, 0 to `count` - 1.

    A class keeps its colour whatever the number of classes; beyond 256 they repeat.

    Args:
        count: Number of labels (c).
        background: Whether label 0 is the background, which is neutral.
    """
    colours = [BACKGROUND] if background else []
    colours.extend(palette()[index % _SIZE] for index in range(count - len(colours)))
    return np.array(colours[:count], dtype=np.uint8).reshape(-1, 3)


def own_colours(vocabulary: str, names: Sequence[str]) -> UInt8[np.ndarray, "c 3"]:
    """Return the colours that a set's publishers gave its classes, which readers know.

    They are not chosen for colour-blind readers; `class_colours` are. A background is black.

    Args:
        vocabulary: The set's class list.
        names: Its classes, in the order of the labels.

    Raises:
        ConfigError: Its classes have no colours of their own.
    """
    if vocabulary not in PUBLISHED_COLOURS:
        raise ConfigError(
            f"the classes of {vocabulary or 'these names'} have no published colours",
            hint=f"These have: {', '.join(PUBLISHED_COLOURS)}. Or choose --palette safe.",
        )
    known = published_colours(vocabulary)
    return np.array([known.get(name, (0, 0, 0)) for name in names], dtype=np.uint8).reshape(-1, 3)


def palette_bytes(*, background: bool) -> bytes:
    """Return the 768 bytes of a mode-P image's palette: label i has entry i, 255 is unlabelled."""
    return class_colours(255, background=background).tobytes() + bytes(UNLABELLED)


def text_colour(fill: RGB) -> RGB:
    """Return black or white, whichever contrasts more with a fill (WCAG 2 relative luminance)."""
    luminance = float(_linear(np.array([fill]))[0] @ [0.2126, 0.7152, 0.0722])
    return (0, 0, 0) if (luminance + 0.05) ** 2 > 1.05 * 0.05 else (255, 255, 255)


def _from_hex(text: str) -> RGB:
    red, green, blue = bytes.fromhex(text)
    return red, green, blue


def _linear(colours: np.ndarray) -> Float[np.ndarray, "n 3"]:
    """Undo sRGB's transfer curve: bytes to linear light from 0 to 1."""
    encoded = colours / 255
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def _oklab(linear: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    lab: np.ndarray = np.cbrt(linear @ _TO_CONES.T) @ _TO_OKLAB.T
    return lab


def _appearance(colours: np.ndarray) -> Float[np.ndarray, "n 3 3"]:
    """OKLab of each colour to normal, red-blind and green-blind eyes, on the middle axis."""
    linear = _linear(colours)
    eyes = (np.eye(3), _PROTANOPIA, _DEUTERANOPIA)
    return np.stack([_oklab(np.clip(linear @ eye.T, 0, 1)) for eye in eyes], axis=1)


def _distance(
    seen: Float[np.ndarray, "n 3 3"], colour: Float[np.ndarray, "3 3"]
) -> Float[np.ndarray, " n"]:
    """Mean squared OKLab distance over the three kinds of eyes, normal ones counting double."""
    squared = ((seen - colour) ** 2).sum(axis=2)  # (n, 3)
    distance: np.ndarray = squared @ [0.5, 0.25, 0.25]
    return distance
