"""Trees that stand alone, in metres: broad crowns, pines, palms and bare branches."""

import math

import numpy as np

from pgseg_core.data.scenes.backdrop import LEAVES
from pgseg_core.data.scenes.canvas import Sprite, paint_value
from pgseg_core.data.scenes.dice import Dice
from pgseg_core.data.scenes.light import Colour
from pgseg_core.data.scenes.noise import Field, sample

_BARK: tuple[Colour, ...] = ((0.30, 0.22, 0.16), (0.24, 0.20, 0.17), (0.42, 0.36, 0.30))


def draw_tree(sprite: Sprite, dice: Dice, kind: str, snowy: bool) -> None:
    """Draw a tree 6 m tall.

    Args:
        sprite: What to draw on.
        dice: Chance.
        kind: broad, pine, palm or bare.
        snowy: Whether snow lies on it.
    """
    bark = dice.jitter(dice.pick(_BARK), 0.04)
    {"broad": _broad, "pine": _pine, "palm": _palm, "bare": _bare}[kind](sprite, dice, bark, snowy)


def _foliage(sprite: Sprite, dice: Dice, leaf: Colour, grain: float) -> tuple[Field, Field]:
    """Noise (h, w) around 0 for the outline, and lit colours (h, w, 3) of leaves."""
    shift = np.float32(dice.between(0, 256))
    fine = sample("leaf", sprite.u * np.float32(grain) + shift, sprite.v * np.float32(grain))
    coarse = sample("patch", sprite.u * np.float32(12) + shift, sprite.v * np.float32(12) + shift)
    tone = np.float32(0.25) + np.float32(0.75) * fine + np.float32(0.75) * coarse
    tone = tone + np.float32(0.05 * sprite.sun) * sprite.u + np.float32(0.07) * (sprite.v - 4)
    colour = np.maximum(tone, np.float32(0.2))[..., None] * paint_value(leaf)
    return fine + coarse - np.float32(1.0), colour


def _whole(sprite: Sprite) -> tuple[slice, slice]:
    return slice(0, sprite.alpha.shape[0]), slice(0, sprite.alpha.shape[1])


def _broad(sprite: Sprite, dice: Dice, bark: Colour, snowy: bool) -> None:
    sprite.limb((0, 0), (0.05, 2.2), (0.26, 0.18), bark)
    for lean in (-0.9, 0.8):
        sprite.limb((0.03, 1.8), (lean, 3.3), (0.14, 0.08), bark)
    leaf = dice.jitter(dice.pick(LEAVES), 0.06)
    rough, colour = _foliage(sprite, dice, leaf, 45)
    distance: Field | None = None
    for count in range(6):
        angle = count / 6 * 2 * math.pi
        u = math.cos(angle) * dice.between(0.6, 1.25)
        v = 3.9 + math.sin(angle) * dice.between(0.6, 1.1)
        radius = dice.between(0.8, 1.25)
        du, dv = sprite.u - np.float32(u), sprite.v - np.float32(v)
        blob = np.sqrt(du * du + dv * dv) - np.float32(radius)
        distance = blob if distance is None else np.minimum(distance, blob)
    if distance is None:
        return
    rows, columns = _whole(sprite)
    if snowy:
        colour = colour + np.float32(0.45) * np.maximum(rough + np.float32(0.3), 0)[..., None]
    sprite.blend(rows, columns, distance + rough * np.float32(0.9), colour)


def _pine(sprite: Sprite, dice: Dice, bark: Colour, snowy: bool) -> None:
    sprite.limb((0, 0), (0, 1.2), (0.17, 0.14), bark)
    leaf = dice.jitter(dice.pick(LEAVES[:4]), 0.05)
    red, green, blue = leaf
    rough, colour = _foliage(sprite, dice, (red * 0.8, green * 0.85, blue), 60)
    tiers = dice.between(4.5, 7.5)
    place = sprite.v * np.float32(tiers / 6)
    tier = place - np.floor(place)
    half = (np.float32(5.95) - sprite.v) * np.float32(dice.between(0.26, 0.4))
    half = half * (np.float32(1.15) - np.float32(0.5) * tier) + rough * np.float32(0.5)
    distance = np.maximum(np.abs(sprite.u) - half, np.float32(0.6) - sprite.v)
    colour = colour * (np.float32(0.75) + np.float32(0.4) * tier)[..., None]
    if snowy:
        cap = np.maximum(np.float32(0.62) - tier + rough * np.float32(0.4), 0) * 2
        white = paint_value((0.92, 0.94, 0.98))
        colour = colour + np.minimum(cap, np.float32(0.9))[..., None] * (white - colour)
    rows, columns = _whole(sprite)
    sprite.blend(rows, columns, distance * np.float32(0.8), colour)


def _palm(sprite: Sprite, dice: Dice, bark: Colour, snowy: bool) -> None:
    lean = dice.between(-0.9, 0.9)
    at = (0.0, 0.0)
    for step in range(1, 6):
        share = step / 5
        to = (lean * share * share, 4.6 * share)
        sprite.limb(at, to, (0.2 - 0.07 * share, 0.19 - 0.07 * share), bark)
        at = to
    leaf = dice.jitter(dice.pick(LEAVES[:4]), 0.05)
    for count in range(9):
        angle = math.pi * (-0.12 + 1.24 * count / 8) + dice.between(-0.1, 0.1)
        reach = dice.between(1.5, 2.0)
        middle = (at[0] + math.cos(angle) * reach * 0.55, at[1] + math.sin(angle) * reach * 0.6)
        end = (at[0] + math.cos(angle) * reach, middle[1] - dice.between(0.3, 0.8))
        bright = dice.between(0.75, 1.25)
        frond = (leaf[0] * bright, leaf[1] * bright, leaf[2] * bright)
        sprite.limb(at, middle, (0.07, 0.19), frond)
        sprite.limb(middle, end, (0.19, 0.04), frond)
    if not snowy:
        sprite.ellipse((at[0], at[1] - 0.1), (0.2, 0.16), bark)


def _bare(sprite: Sprite, dice: Dice, bark: Colour, snowy: bool) -> None:
    colour = (0.74, 0.75, 0.78) if snowy else bark
    ends = [((0.0, 0.0), (0.0, 1.9), 0.24)]
    for level in range(4):
        grown = []
        for start, end, thick in ends:
            sprite.limb(start, end, (thick, thick * 0.7), bark if level < 2 else colour)
            heading = math.atan2(end[1] - start[1], end[0] - start[0])
            for turn in (-0.42, 0.38) if level else (-0.5, 0.02, 0.48):
                angle = heading + turn + dice.between(-0.15, 0.15)
                long = (1.5, 1.1, 0.8, 0.6)[level] * dice.between(0.8, 1.15)
                tip = (end[0] + math.cos(angle) * long, end[1] + math.sin(angle) * long)
                grown.append((end, tip, thick * 0.6))
        ends = grown
