"""Buildings that stand alone, seen from the front, and fences; in metres."""

import numpy as np

from pgseg_core.data.scenes.backdrop import WALLS
from pgseg_core.data.scenes.canvas import Sprite
from pgseg_core.data.scenes.dice import Dice
from pgseg_core.data.scenes.light import Colour
from pgseg_core.data.scenes.noise import Field, cells
from pgseg_core.data.scenes.people import shaded

_ROOFS: tuple[Colour, ...] = (
    (0.50, 0.24, 0.18), (0.30, 0.29, 0.31), (0.40, 0.30, 0.24), (0.22, 0.28, 0.36),
    (0.58, 0.42, 0.28), (0.34, 0.38, 0.32),
)  # fmt: skip
_TIMBER: tuple[Colour, ...] = (
    (0.94, 0.93, 0.90), (0.46, 0.34, 0.24), (0.58, 0.56, 0.53), (0.30, 0.22, 0.17),
    (0.70, 0.54, 0.36), (0.30, 0.40, 0.34),
)  # fmt: skip

BUILDING_SIZES: dict[str, tuple[float, float]] = {
    # half width with eaves, height; metres
    "house": (5.4, 7.6),
    "barn": (6.4, 8.0),
    "church": (5.2, 14.0),
    "tower": (3.4, 15.5),
    "building": (8.2, 14.6),
}
"""What buildings there are and how much room each needs."""


def draw_building(sprite: Sprite, dice: Dice, word: str, snowy: bool) -> Field:
    """Draw one of `BUILDING_SIZES`; return which pixels (h, w) shine by themselves, 0..1."""
    wall = dice.jitter(dice.pick(WALLS), 0.07)
    roof = (0.92, 0.94, 0.97) if snowy else dice.jitter(dice.pick(_ROOFS), 0.05)
    if word == "building":
        return _block(sprite, dice, wall)
    {"house": _house, "barn": _barn, "church": _church, "tower": _tower}[word](
        sprite, dice, wall, roof
    )
    return np.zeros_like(sprite.alpha)


def _courses(sprite: Sprite, half: float, top: float, wall: Colour, dice: Dice) -> None:
    """A wall of bricks or boards."""
    sprite.box(-half, half, 0, top, wall, fade=0.12)
    pitch = dice.pick((0.35, 0.5, 0.0))
    if pitch and sprite.scale * pitch > 2.5:
        for v in np.arange(pitch, top, pitch):
            sprite.box(-half, half, float(v) - 0.02, float(v) + 0.02, shaded(wall, 0.8))


def _window(sprite: Sprite, u: float, v: float, wide: float, tall: float) -> None:
    light = sprite.canvas.light
    pane = 0.16 + 0.25 * light.zenith[0], 0.18 + 0.28 * light.zenith[1], 0.2 + 0.3 * light.zenith[2]
    if light.glow > 0.3:
        pane = (1.0, 0.85, 0.55)
    sprite.box(u - wide - 0.12, u + wide + 0.12, v - tall - 0.12, v + tall + 0.12,
               (0.90, 0.89, 0.86))  # fmt: skip
    sprite.box(u - wide, u + wide, v - tall, v + tall, pane, fade=0.35)
    sprite.box(u - 0.035, u + 0.035, v - tall, v + tall, (0.88, 0.87, 0.84))
    sprite.box(u - wide, u + wide, v - 0.035, v + 0.035, (0.88, 0.87, 0.84))


def _house(sprite: Sprite, dice: Dice, wall: Colour, roof: Colour) -> None:
    half, floors = dice.between(3.6, 5.0), dice.whole(1, 2)
    top = 2.9 if floors == 1 else 4.9
    peak = top + dice.between(1.6, 2.6)
    if dice.chance(0.6):
        chimney = dice.pick((-0.5, 0.5)) * half
        sprite.box(chimney - 0.3, chimney + 0.3, top + 0.5, peak + 0.1, shaded(wall, 0.65))
    _courses(sprite, half, top, wall, dice)
    if dice.chance(0.5):
        sprite.polygon(((-half, top), (half, top), (0, peak - 0.2)), shaded(wall, 0.95))
        for side in (-1, 1):
            sprite.polygon(((side * (half + 0.4), top - 0.25), (side * (half + 0.4), top + 0.15),
                            (0, peak + 0.2), (0, peak - 0.25)), roof)  # fmt: skip
    else:
        sprite.polygon(((-half - 0.4, top - 0.1), (half + 0.4, top - 0.1), (half * 0.75, peak),
                        (-half * 0.75, peak)), roof, fade=0.2)  # fmt: skip
    door = dice.pick((-0.45, 0.0, 0.45)) * half
    paint = dice.jitter(dice.pick(_TIMBER + _ROOFS), 0.08)
    for level in range(floors):
        for u in (-0.68 * half, -0.05 * half, 0.62 * half):
            if level or abs(u - door) > 1.1:
                _window(sprite, u, 1.6 + 2.2 * level, 0.5, 0.55)
    sprite.box(door - 0.62, door + 0.62, 0, 2.25, (0.88, 0.86, 0.82))
    sprite.box(door - 0.5, door + 0.5, 0, 2.12, paint, fade=0.2)


def _barn(sprite: Sprite, dice: Dice, wall: Colour, roof: Colour) -> None:
    half, top = dice.between(4.6, 6.0), dice.between(3.4, 4.4)
    boards = dice.jitter(dice.pick(((0.55, 0.16, 0.13), (0.44, 0.33, 0.24), wall)), 0.05)
    sprite.box(-half, half, 0, top, boards, fade=0.15)
    knee, peak = top + 1.9, top + 3.2
    sprite.polygon(((-half, top), (half, top), (half * 0.7, knee), (-half * 0.7, knee)), boards)
    sprite.polygon(((-half * 0.7, knee), (half * 0.7, knee), (0, peak)), boards)
    if sprite.scale > 5:
        for u in np.arange(-half + 0.5, half, 0.5):
            sprite.box(float(u) - 0.025, float(u) + 0.025, 0, top, shaded(boards, 0.75))
    for side in (-1, 1):
        sprite.limb((side * (half + 0.25), top - 0.2), (side * half * 0.72, knee), (0.2, 0.2), roof)
        sprite.limb((side * half * 0.72, knee), (0, peak), (0.2, 0.2), roof)
    white = (0.92, 0.90, 0.86)
    sprite.box(-1.6, 1.6, 0, 3.0, white)
    sprite.box(-1.45, 1.45, 0, 2.85, shaded(boards, 0.8))
    sprite.limb((-1.4, 0.1), (1.4, 2.75), (0.09, 0.09), white, round_=0)
    sprite.limb((1.4, 0.1), (-1.4, 2.75), (0.09, 0.09), white, round_=0)
    sprite.box(-0.6, 0.6, top + 0.4, top + 1.5, (0.14, 0.12, 0.11))


def _church(sprite: Sprite, dice: Dice, wall: Colour, roof: Colour) -> None:
    sprite.box(-1.6, 4.9, 0, 4.2, wall, fade=0.12)
    sprite.polygon(((-1.6, 4.1), (5.2, 4.1), (4.6, 6.4), (-1.6, 6.4)), roof, fade=0.15)
    sprite.box(-4.6, -1.2, 0, 8.2, shaded(wall, 1.06), fade=0.12)
    sprite.polygon(((-4.9, 8.1), (-0.9, 8.1), (-2.9, dice.between(11.5, 13.9))), roof)
    for u in (0.2, 2.0, 3.8):
        _window(sprite, u, 2.3, 0.35, 0.9)
    sprite.ellipse((-2.9, 6.6), (0.6, 0.6), (0.92, 0.90, 0.85), round_=0)
    sprite.box(-3.5, -2.3, 0, 2.4, (0.28, 0.20, 0.15), corner=0.1)


def _tower(sprite: Sprite, dice: Dice, wall: Colour, roof: Colour) -> None:
    light = dice.jitter(dice.pick((wall, (0.92, 0.91, 0.89))), 0.03)
    stripe = dice.jitter(dice.pick(((0.74, 0.16, 0.13), (0.16, 0.18, 0.22), wall)), 0.04)
    for level in range(6):
        low, high = 2.0 * level, 2.0 * level + 2.0
        a, b = 2.2 - 0.075 * low, 2.2 - 0.075 * high
        shade = shaded(light if level % 2 else stripe, 1.0)
        sprite.polygon(((-a, low), (a, low), (b, high), (-b, high)), shade)
    sprite.box(-1.7, 1.7, 12.0, 12.4, (0.24, 0.24, 0.26))
    sprite.box(-0.95, 0.95, 12.4, 13.8, (0.95, 0.88, 0.62), fade=0.2)
    sprite.polygon(((-1.3, 13.8), (1.3, 13.8), (0, 15.3)), roof)
    for v in (3.5, 8.0):
        sprite.box(-0.35, 0.35, v, v + 1.0, (0.20, 0.22, 0.26))
    sprite.box(-0.6, 0.6, 0, 1.9, (0.25, 0.20, 0.17), corner=0.1)


def _block(sprite: Sprite, dice: Dice, wall: Colour) -> Field:
    half, top = dice.between(5.0, 8.0), dice.between(8.5, 14.4)
    sprite.box(-half, half, 0, top, wall, fade=0.15)
    bay, storey = np.float32(dice.between(1.5, 2.6)), np.float32(3.0)
    across, up = (sprite.u + np.float32(half)) / bay, sprite.v / storey
    part, high = across - np.floor(across), up - np.floor(up)
    pane = (np.abs(part - np.float32(0.5)) < np.float32(dice.between(0.22, 0.42))) & (
        np.abs(high - np.float32(0.52)) < np.float32(dice.between(0.22, 0.34))
    )
    inside = (np.abs(sprite.u) < half - 0.2) & (sprite.v < top - 0.5) & (sprite.v > 0.3)
    pane = pane & inside
    each = cells("grain", across + np.float32(dice.whole(0, 99)), up)
    light = sprite.canvas.light
    glass = np.array(light.zenith, dtype=np.float32) * np.float32(0.4) + np.float32(0.12)
    shown = (np.float32(0.6) + np.float32(0.7) * each)[..., None] * glass
    lamps = pane & (each < np.float32(0.6 * light.glow))
    shown = np.where(lamps[..., None], np.array([1.0, 0.82, 0.5], dtype=np.float32), shown)
    solid = (pane & (sprite.alpha > np.float32(0.99)))[..., None]
    sprite.colour = np.where(solid, shown, sprite.colour)
    ledge = (high > np.float32(0.93)) & inside & ~pane
    sprite.colour *= np.where(ledge, np.float32(0.82), np.float32(1))[..., None]
    sprite.box(-half - 0.2, half + 0.2, top - 0.25, top + 0.15, shaded(wall, 0.8))
    if dice.chance(0.7):
        awning = dice.jitter(dice.pick(WALLS), 0.1)
        sprite.box(-half * 0.8, half * 0.8, 2.3, 2.8, awning)
        sprite.box(-half * 0.75, half * 0.75, 0.3, 2.3, (0.20, 0.23, 0.26), fade=0.3)
    result: Field = lamps.astype(np.float32)
    return result


def draw_fence(sprite: Sprite, dice: Dice, left: float, right: float) -> None:
    """A fence 1.25 m tall from left to right: pickets, boards or stout rails."""
    paint = dice.jitter(dice.pick(_TIMBER), 0.06)
    kind = dice.weighted({"pickets": 2.0, "boards": 1.2, "rails": 1.6})
    span = right - left
    if kind == "rails":
        for v in (0.28, 0.66, 1.04):
            sprite.box(left, right, v - 0.12, v + 0.12, paint, corner=0.05, fade=0.4)
        pitch, half, top = 2.0, 0.13, 1.25
    elif kind == "boards":
        sprite.box(left, right, 0.05, 1.2, paint, fade=0.2)
        pitch, half, top = 0.24, 0.10, 1.2
    else:
        for v in (0.35, 0.85):
            sprite.box(left, right, v - 0.09, v + 0.09, shaded(paint, 0.8))
        pitch, half, top = 0.26, 0.085, 1.1
    place = (sprite.u - np.float32(left)) / np.float32(pitch)
    part = np.abs(place - np.floor(place) - np.float32(0.5)) * np.float32(pitch)
    tip = np.float32(top) - part * np.float32(0.8 if kind == "pickets" else 0.0)
    distance = np.maximum(np.maximum(part - np.float32(half), sprite.v - tip), -sprite.v)
    distance = np.maximum(distance, np.abs(sprite.u - np.float32(left + span / 2))
                          - np.float32(span / 2))  # fmt: skip
    each = np.float32(0.85) + np.float32(0.3) * cells("grain", place, np.float32(3) + 0 * sprite.v)
    rows, columns = slice(0, sprite.alpha.shape[0]), slice(0, sprite.alpha.shape[1])
    sprite.blend(rows, columns, distance, paint, each)
