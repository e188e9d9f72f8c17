"""Surfaces underfoot: grass, flowers, roads, sand, snow and water, seen in perspective."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pgseg_core.data.scenes.canvas import Canvas, paint_value
from pgseg_core.data.scenes.dice import Dice
from pgseg_core.data.scenes.light import Colour
from pgseg_core.data.scenes.noise import Field, cells, pixel_centres, sample


@dataclass(frozen=True)
class Ground:
    """The plane below the horizon, one cell a pixel."""

    top: int
    """First row of the plane in the picture."""
    across: Field
    """(h, w) metres to the right of the camera."""
    ahead: Field
    """(h, 1) metres in front of the camera."""
    scale: Field
    """(h, 1) pixels a metre across the view."""
    depth: Field
    """(h, 1) pixels a metre along the view, at most `scale`."""

    @classmethod
    def of(cls, canvas: Canvas) -> "Ground":
        """The plane a canvas's camera sees."""
        camera = canvas.camera
        top = min(camera.height - 1, max(0, int(camera.horizon)))
        rows = pixel_centres(top, camera.height)[:, None]
        drop = np.maximum(rows - np.float32(camera.horizon), np.float32(0.5))
        scale = drop / np.float32(camera.elevation)
        columns = pixel_centres(0, camera.width)[None]
        ahead = np.float32(camera.focal) / scale
        return cls(
            top=top,
            across=(columns - np.float32(camera.width / 2)) / scale,
            ahead=ahead,
            scale=scale,
            depth=np.minimum(scale, drop / ahead),
        )

    def texture(self, kind: str, texel: float, dice: Dice, stretch: float = 1.0) -> Field:
        """Noise lying on the plane, (h, w) in -0.5..0.5; fades where it is finer than a pixel.

        Args:
            kind: Noise table.
            texel: Metres a texel, across.
            dice: Where in the table to begin.
            stretch: Times longer along the view than across it.
        """
        start = np.float32(dice.between(0, 256)), np.float32(dice.between(0, 256))
        across = self.across / np.float32(texel) + start[0]
        ahead = self.ahead / np.float32(texel * stretch) + start[1]
        fine = np.minimum(self.depth * np.float32(3 * texel * stretch), 1)
        result: Field = (sample(kind, across, ahead) - np.float32(0.5)) * fine
        return result

    def upright(self, kind: str, texel: float, dice: Dice) -> Field:
        """Noise facing the viewer whose size follows perspective: (h, w) in -0.5..0.5.

        Sizes go in octaves, two of them blended on each row: a size that grew with every row
        would draw rays out of the vanishing point.
        """
        start = np.float32(dice.between(0, 256))
        octaves = [
            max(math.log2(max(float(scale) * texel, 0.7)), 0.0) for scale in self.scale[:, 0]
        ]
        level = np.array([2 ** int(octave) for octave in octaves], dtype=np.float32)[:, None]
        part = np.array([octave - int(octave) for octave in octaves], dtype=np.float32)[:, None]
        rows = pixel_centres(0, len(level))[:, None]
        columns = pixel_centres(0, self.across.shape[1])[None]
        near = sample(kind, columns / (2 * level) + start, rows / (2 * level) + start)
        far = sample(kind, columns / level + start, rows / level + start)
        return far + part * (near - far) - np.float32(0.5)

    def rows_of(self, wide: float, least: float) -> tuple[Field, Field, Field]:
        """Cut the plane into upright rows of things `wide` metres across.

        Returns:
            (h, 1) each: size of a thing in pixels, at least `least`; number of its row; height
            in the row, 0 at its top to 1.
        """
        sizes, numbers, parts = [], [], []
        start, size, number = 0.0, least, 0.0
        for row in range(len(self.scale)):
            if row >= start + size * 0.7:
                start, number = start + size * 0.7, number + 1
                size = max(wide * float(self.scale[row, 0]), least)
            sizes.append(size)
            numbers.append(number)
            parts.append((row - start) / (size * 0.7))
        shape = (len(sizes), 1)
        return (
            np.array(sizes, dtype=np.float32).reshape(shape),
            np.array(numbers, dtype=np.float32).reshape(shape),
            np.array(parts, dtype=np.float32).reshape(shape),
        )


_GRASS: tuple[Colour, ...] = (
    (0.30, 0.48, 0.16), (0.40, 0.54, 0.20), (0.22, 0.38, 0.16), (0.50, 0.54, 0.24),
    (0.62, 0.56, 0.28), (0.56, 0.44, 0.22), (0.72, 0.64, 0.36), (0.36, 0.44, 0.30),
)  # fmt: skip
_ROADS: tuple[Colour, ...] = (
    (0.30, 0.30, 0.32), (0.42, 0.42, 0.43), (0.54, 0.53, 0.52), (0.22, 0.23, 0.26),
    (0.48, 0.43, 0.38), (0.62, 0.60, 0.57),
)  # fmt: skip
_DIRT: tuple[Colour, ...] = ((0.58, 0.46, 0.32), (0.46, 0.36, 0.26), (0.68, 0.58, 0.44))
_SANDS: tuple[Colour, ...] = (
    (0.82, 0.72, 0.52), (0.74, 0.62, 0.44), (0.88, 0.82, 0.70), (0.66, 0.58, 0.48),
    (0.78, 0.56, 0.34), (0.60, 0.56, 0.52),
)  # fmt: skip
_SNOWS: tuple[Colour, ...] = ((0.93, 0.95, 0.98), (0.86, 0.89, 0.94), (0.90, 0.88, 0.88))
_WATERS: tuple[Colour, ...] = (
    (0.10, 0.28, 0.42), (0.14, 0.40, 0.46), (0.20, 0.30, 0.28), (0.30, 0.30, 0.24),
    (0.16, 0.22, 0.32), (0.28, 0.54, 0.56), (0.34, 0.40, 0.42),
)  # fmt: skip
_PETALS: tuple[Colour, ...] = (
    (0.85, 0.16, 0.14), (0.95, 0.80, 0.15), (0.60, 0.32, 0.72), (0.95, 0.94, 0.90),
    (0.92, 0.48, 0.62), (0.95, 0.55, 0.14), (0.40, 0.42, 0.82),
)  # fmt: skip


def _toned(colour: Colour, tone: Field) -> Field:
    result: Field = np.maximum(tone, np.float32(0.1))[..., None] * paint_value(colour)
    return result


def grass(ground: Ground, dice: Dice) -> Field:
    """Blades close by, patches far off, sometimes mown in stripes."""
    base = dice.jitter(dice.pick(_GRASS), 0.05)
    blades = ground.upright("blade", 0.018, dice) + ground.upright("streak", 0.02, dice) * 0.5
    patches = ground.texture("patch", 0.35, dice)
    far = ground.texture("cloud", 1.6, dice)
    tone = 1 + np.float32(0.75) * blades + np.float32(0.5) * patches + np.float32(0.3) * far
    if dice.chance(0.15):
        wide = np.float32(dice.between(0.8, 1.6))
        stripe = np.floor(ground.across / wide) / 2
        tone += np.where(stripe == np.floor(stripe), np.float32(0.08), np.float32(-0.08))
    colour = _toned(base, tone)
    dry = np.minimum(np.maximum(patches * np.float32(dice.between(0, 1.6)), 0), 1)[..., None]
    colour += dry * (paint_value((0.62, 0.56, 0.32)) * tone[..., None] - colour)
    return colour


def flower(ground: Ground, dice: Dice) -> Field:
    """Blossoms of one to three colours, thick over leaves."""
    colour = grass(ground, dice) * np.float32(0.75)
    kinds = dice.whole(1, 3)
    columns = pixel_centres(0, ground.across.shape[1])[None]
    for _ in range(kinds + 1):
        petal = dice.jitter(dice.pick(_PETALS), 0.06)
        size, row, part = ground.rows_of(dice.between(0.09, 0.22), dice.between(2.4, 3.4))
        first = dice.whole(0, 99)
        u = columns / size + cells("grain", row + first, row) * 9
        column = np.floor(u)
        there = cells("grain", column + first, row)
        aside = cells("leaf", column, row + first) - np.float32(0.5)
        du = u - column - np.float32(0.5) - aside * np.float32(0.7)
        dv = (part - np.float32(0.5)) * np.float32(0.85) - (there - np.float32(0.6)) * np.float32(
            0.5
        )
        radius = np.float32(0.30) - np.float32(0.25) * np.abs(aside)
        spread = np.sqrt(du * du + dv * dv)
        cover = np.minimum(np.maximum((radius - spread) * size + np.float32(0.5), 0), 1)
        cover = cover * (there > np.float32(0.38))
        tone = np.float32(1.25) - np.float32(1.3) * spread - np.float32(0.5) * dv
        eye = (spread < np.float32(0.07)) & (size > 8)
        colour += cover[..., None] * (_toned(petal, np.where(eye, np.float32(0.5), tone)) - colour)
    return colour


def road(ground: Ground, dice: Dice) -> Field:
    """Asphalt, paving stones or a dirt track."""
    kind = dice.weighted({"asphalt": 5.0, "stones": 2.0, "dirt": 1.6})
    rough = ground.texture("grain", 0.02, dice)
    stains = ground.texture("cloud", 0.06, dice, stretch=2.5)
    if kind == "dirt":
        tracks = ground.texture("streak", 0.06, dice, stretch=12)
        pits = ground.texture("patch", 0.03, dice)
        tone = 1 + np.float32(0.5) * tracks + np.float32(0.5) * pits + np.float32(0.4) * rough
        return _toned(dice.jitter(dice.pick(_DIRT), 0.05), tone)
    tone = 1 + np.float32(0.34) * rough + np.float32(0.3) * stains
    colour = _toned(dice.jitter(dice.pick(_ROADS), 0.06), tone)
    if kind == "stones":
        size = np.float32(dice.between(0.35, 0.8))
        v = ground.ahead / size
        row = np.floor(v)
        u = ground.across / size + np.where(row / 2 == np.floor(row / 2), np.float32(0.5), 0)
        each = cells("grain", np.floor(u), row) - np.float32(0.5)
        du = np.abs(u - np.floor(u) - np.float32(0.5))
        dv = np.abs(v - row - np.float32(0.5))
        joint = np.maximum(du, dv) > np.float32(0.45)
        clear = np.minimum(ground.depth * size * np.float32(0.35), 1)
        colour *= (1 + clear * (np.float32(0.28) * each - np.float32(0.3) * joint))[..., None]
    return colour


def sand(ground: Ground, dice: Dice) -> Field:
    """Ripples, footprints and grains."""
    base = dice.jitter(dice.pick(_SANDS), 0.05)
    ripple = ground.texture("wave", 0.04, dice, stretch=0.8)
    prints = ground.texture("patch", 0.022, dice)
    waste = ground.texture("cloud", 0.12, dice, stretch=1.5)
    grains = ground.upright("grain", 0.03, dice)
    pits = np.minimum(prints + np.float32(0.12), 0)
    tone = 1 + np.float32(dice.between(0.1, 0.5)) * ripple + np.float32(0.3) * waste
    tone += np.float32(dice.between(0.3, 1.3)) * pits + np.float32(0.16) * grains
    return _toned(base, tone)


def snow(ground: Ground, dice: Dice) -> Field:
    """Soft drifts with blue shadows, tracks and sparkle."""
    base = dice.jitter(dice.pick(_SNOWS), 0.04)
    drifts = ground.texture("cloud", 0.10, dice, stretch=1.6)
    soft = ground.texture("patch", 0.07, dice)
    hollow = np.maximum(-drifts - soft * np.float32(0.5), 0) * np.float32(1.1)
    shadow = np.array([0.62, 0.74, 0.92], dtype=np.float32)
    tone = 1 + np.float32(0.12) * soft + np.float32(0.05) * ground.upright("grain", 0.04, dice)
    colour = _toned(base, tone)
    colour += np.minimum(hollow, np.float32(0.8))[..., None] * (shadow - 1) * colour
    if dice.chance(0.3):
        tracks = ground.texture("streak", 0.05, dice, stretch=30) > np.float32(0.3)
        colour *= np.where(tracks, np.float32(0.86), np.float32(1))[..., None]
    return colour


def water(ground: Ground, dice: Dice, canvas: Canvas) -> Field:
    """Waves over depth, mirroring what is already painted above the horizon."""
    top = ground.top
    rows = pixel_centres(0, len(ground.scale))[:, None]
    calm = dice.unit()
    ripple = ground.texture("wave", 0.035, dice, stretch=0.5 + calm)
    swell = ground.texture("wave", 0.16, dice, stretch=1.0)
    lines = ground.upright("wave", 0.12, dice)
    waves = ripple + np.float32(0.7) * swell + np.float32(0.8) * lines
    waves *= np.float32(1.25 - 0.75 * calm)
    above = paint_value(canvas.light.horizon)[None, None]
    if top:
        shake = waves * (np.float32(3) + rows * np.float32(0.22))
        mirror = np.floor(np.float32(top - 1) - rows * np.float32(0.9) + shake).astype(np.int32)
        mirror = np.minimum(np.maximum(mirror, 0), top - 1)
        above = canvas.colour[mirror, np.arange(canvas.camera.width)[None]]
    ambient = np.maximum(paint_value(canvas.light.ambient), np.float32(0.15))
    deep = paint_value(dice.jitter(dice.pick(_WATERS), 0.05))
    slant = 1 / (1 + ground.depth * ground.depth * np.float32(0.0025))  # grazing far off
    share = (np.float32(0.28) + np.float32(0.5) * slant + np.float32(0.5) * waves)[..., None]
    share = np.minimum(np.maximum(share, np.float32(0.05)), np.float32(0.92))
    colour = deep * (1 + np.float32(0.7) * waves)[..., None]
    colour = colour * (1 - share) + above / ambient * np.float32(0.92) * share
    crest = np.maximum(waves - np.float32(dice.between(0.45, 0.9)), 0) * np.float32(1.6)
    result: Field = colour + np.minimum(crest, np.float32(0.6))[..., None]
    return result


SURFACES: dict[str, Callable[[Ground, Dice], Field]] = {
    "grass": grass,
    "flower": flower,
    "road": road,
    "sand": sand,
    "snow": snow,
}
"""Painters of what lies still; water also needs the canvas it mirrors."""


def surface(name: str, ground: Ground, dice: Dice, canvas: Canvas) -> Field:
    """The lit, hazy colours (h, w, 3) of one surface over the whole plane."""
    own = water(ground, dice, canvas) if name == "water" else SURFACES[name](ground, dice)
    own *= paint_value(canvas.light.ambient)
    haze = (ground.ahead / (ground.ahead + np.float32(canvas.light.reach)))[..., None]
    result: Field = own + haze * (paint_value(canvas.light.horizon) - own)
    return result
