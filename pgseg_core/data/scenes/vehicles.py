"""Cars, buses and boats of any colour, in metres."""

import numpy as np

from pgseg_core.data.scenes.canvas import Sprite
from pgseg_core.data.scenes.dice import Dice
from pgseg_core.data.scenes.light import Colour
from pgseg_core.data.scenes.people import CLOTHES, shaded

_TYRE: Colour = (0.08, 0.08, 0.09)
_RUBBER: Colour = (0.16, 0.16, 0.17)


def _glass(sprite: Sprite) -> Colour:
    red, green, blue = sprite.canvas.light.horizon
    return 0.10 + 0.22 * red, 0.12 + 0.24 * green, 0.15 + 0.26 * blue


def _wheel(sprite: Sprite, u: float, radius: float) -> None:
    sprite.ellipse((u, radius), (radius * 1.18, radius * 1.18), (0.06, 0.06, 0.06), round_=0)
    sprite.ellipse((u, radius), (radius, radius), _TYRE)
    sprite.ellipse((u, radius), (radius * 0.62, radius * 0.62), (0.62, 0.63, 0.65))
    sprite.ellipse((u, radius), (radius * 0.2, radius * 0.2), (0.25, 0.25, 0.27))


def draw_car_side(sprite: Sprite, dice: Dice, word: str, colour: str) -> None:
    """A car (4.3 m), van or pickup (5 m) seen from the side."""
    paint = dice.jitter(CLOTHES[colour], 0.05)
    glass = _glass(sprite)
    roof = {"car": dice.between(1.36, 1.62), "van": 2.05, "pickup": 1.75}[word]
    belt = 0.92 if word == "car" else 1.05
    back, front = (-2.1, 2.1) if word == "car" else (-2.45, 2.45)
    sprite.box(back, front, 0.26, belt, paint, corner=0.16, fade=0.38)
    if word == "van":
        shell = ((back + 0.04, belt - 0.1), (back + 0.1, roof), (1.35, roof), (2.25, belt - 0.1))
        panes = [((0.72, belt), (0.72, roof - 0.22), (1.26, roof - 0.22), (1.86, belt))]
        if dice.chance(0.5):
            panes += [((u, belt), (u, roof - 0.22), (u + 0.95, roof - 0.22), (u + 0.95, belt))
                      for u in (-2.1, -1.0)]  # fmt: skip
    elif word == "pickup":
        shell = ((-0.5, belt - 0.1), (-0.35, roof), (0.8, roof), (1.5, belt - 0.1))
        panes = [((-0.36, belt), (-0.26, roof - 0.1), (0.12, roof - 0.1), (0.12, belt)),
                 ((0.22, belt), (0.22, roof - 0.1), (0.72, roof - 0.1), (1.24, belt))]  # fmt: skip
    else:
        tail = dice.pick((-1.95, -1.55, -1.2))
        shell = ((tail - 0.15, belt - 0.1), (tail + 0.35, roof), (0.45, roof), (1.25, belt - 0.1))
        panes = [
            ((tail + 0.12, belt), (tail + 0.45, roof - 0.1), (-0.18, roof - 0.1), (-0.18, belt)),
            ((-0.08, belt), (-0.08, roof - 0.1), (0.38, roof - 0.1), (1.02, belt)),
        ]
    sprite.polygon(shell, shaded(paint, 1.05), fade=0.12)
    for pane in panes:
        sprite.polygon(pane, glass, fade=0.45)
    seam = shaded(paint, 0.6)
    for u in (-0.14, 1.05):
        sprite.limb((u, 0.42), (u, belt), (0.012, 0.012), seam, round_=0)
    sprite.box(back + 0.05, front - 0.05, 0.24, 0.36, _RUBBER)
    sprite.ellipse((front - 0.12, 0.70), (0.13, 0.09), (0.98, 0.95, 0.80))
    sprite.ellipse((back + 0.09, 0.74), (0.08, 0.12), (0.76, 0.10, 0.09))
    for u in (back + 0.82, front - 0.84):
        _wheel(sprite, u, 0.34)


def draw_car_end(sprite: Sprite, dice: Dice, word: str, colour: str) -> None:
    """A car or van, 1.8 m wide, coming towards the viewer or driving away."""
    paint = dice.jitter(CLOTHES[colour], 0.05)
    roof = {"car": dice.between(1.4, 1.65), "van": 2.05, "pickup": 1.8}[word]
    coming = dice.chance(0.5)
    for u in (-0.72, 0.72):
        sprite.box(u - 0.13, u + 0.13, 0.0, 0.5, _TYRE, corner=0.06)
    sprite.polygon(((-0.84, 0.85), (-0.60, roof), (0.60, roof), (0.84, 0.85)), paint)
    sprite.polygon(((-0.72, 0.92), (-0.54, roof - 0.09), (0.54, roof - 0.09), (0.72, 0.92)),
                   _glass(sprite), fade=0.5)  # fmt: skip
    sprite.box(-0.92, 0.92, 0.24, 0.95, paint, corner=0.15, fade=0.42)
    for u in (-0.98, 0.98):
        sprite.ellipse((u, 0.98), (0.09, 0.07), shaded(paint, 0.8))
    lamp = (0.99, 0.96, 0.82) if coming else (0.80, 0.10, 0.08)
    for u in (-0.68, 0.68):
        sprite.ellipse((u, 0.70), (0.17, 0.085 if coming else 0.12), lamp)
    if coming:
        sprite.box(-0.42, 0.42, 0.50, 0.70, _RUBBER, corner=0.05)
    sprite.box(-0.90, 0.90, 0.26, 0.40, _RUBBER, corner=0.05)
    sprite.box(-0.24, 0.24, 0.36, 0.47, (0.90, 0.88, 0.72))


def draw_bus_side(sprite: Sprite, dice: Dice, colour: str) -> None:
    """A bus, 10 m long and 3.1 m tall, seen from the side."""
    paint = dice.jitter(CLOTHES[colour], 0.05)
    glass = _glass(sprite)
    sprite.box(-5.0, 5.0, 0.35, 3.1, paint, corner=0.22, fade=0.25)
    band = dice.jitter(CLOTHES[dice.pick(tuple(CLOTHES))], 0.05)
    if dice.chance(0.7):
        sprite.box(-4.98, 4.98, 0.75, 1.15, band, fade=0.2)
    double = dice.chance(0.25)
    levels = ((1.35, 1.95), (2.25, 2.85)) if double else ((1.45, 2.55),)
    for low, high in levels:
        for count in range(7):
            u = -4.75 + 1.28 * count
            sprite.box(u, u + 1.16, low, high, glass, corner=0.08, fade=0.4)
    sprite.box(4.28, 4.97, 1.2, 2.65, glass, corner=0.1, fade=0.4)
    for u in (2.9, -0.6):
        sprite.box(u, u + 0.95, 0.45, 2.5, shaded(glass, 0.8), fade=0.3)
        sprite.limb((u + 0.47, 0.5), (u + 0.47, 2.45), (0.03, 0.03), shaded(paint, 0.7), round_=0)
    sprite.ellipse((4.92, 0.72), (0.09, 0.14), (0.99, 0.95, 0.80))
    sprite.ellipse((-4.94, 0.8), (0.07, 0.16), (0.78, 0.10, 0.09))
    for u in (-3.1, 2.2):
        _wheel(sprite, u, 0.48)


def draw_bus_end(sprite: Sprite, dice: Dice, colour: str) -> None:
    """A bus, 2.5 m wide and 3.1 m tall, seen from the front or the back."""
    paint = dice.jitter(CLOTHES[colour], 0.05)
    for u in (-0.95, 0.95):
        sprite.box(u - 0.16, u + 0.16, 0.0, 0.6, _TYRE, corner=0.06)
    sprite.box(-1.26, 1.26, 0.3, 3.1, paint, corner=0.18, fade=0.35)
    sprite.box(-1.12, 1.12, 1.25, 2.55, _glass(sprite), corner=0.12, fade=0.5)
    sprite.limb((0, 1.28), (0, 2.5), (0.025, 0.025), _RUBBER, round_=0)
    sprite.box(-0.85, 0.85, 2.66, 2.95, (0.10, 0.10, 0.11), corner=0.05)
    sprite.box(-0.6, 0.6, 2.74, 2.87, (0.98, 0.72, 0.20))
    for u in (-0.95, 0.95):
        sprite.ellipse((u, 0.75), (0.19, 0.13), (0.99, 0.96, 0.82))
        sprite.box(u * 1.42 - 0.09, u * 1.42 + 0.09, 1.7, 2.2, _RUBBER, corner=0.04)
    sprite.box(-1.2, 1.2, 0.34, 0.52, _RUBBER, corner=0.05)


def draw_boat(sprite: Sprite, dice: Dice, word: str, colour: str) -> None:
    """A sailboat (6 m), boat (5 m, with or without cabin) or ship (14 m) afloat at v = 0."""
    paint = dice.jitter(CLOTHES[colour], 0.05)
    trim = dice.jitter(dice.pick(((0.92, 0.91, 0.88), (0.30, 0.22, 0.16), (0.75, 0.2, 0.16))), 0.05)
    if word == "ship":
        _ship(sprite, dice, paint, trim)
        return
    long, tall = (3.0, 0.85) if word == "sailboat" else (2.5, 0.75)
    if word == "sailboat":
        sails: list[Colour] = [(0.94, 0.93, 0.90), (0.94, 0.93, 0.90), (0.86, 0.82, 0.74)]
        sails += [dice.jitter(CLOTHES[dice.pick(tuple(CLOTHES))], 0.05)]
        sail = dice.jitter(dice.pick(sails), 0.03)
        mast = dice.between(6.0, 7.4)
        sprite.limb((0.3, 0.6), (0.3, mast), (0.07, 0.04), (0.55, 0.45, 0.35))
        sprite.polygon(((0.18, 1.35), (0.18, mast - 0.2), (-2.7, 1.3)), sail, fade=0.22)
        if dice.chance(0.8):
            sprite.polygon(((0.42, 1.2), (0.42, mast * 0.8), (2.8, 0.95)),
                           shaded(sail, 0.93), fade=0.15)  # fmt: skip
        sprite.limb((0.3, 1.25), (-2.7, 1.2), (0.06, 0.04), (0.50, 0.40, 0.30))
    elif dice.chance(0.5):
        sprite.polygon(((-1.5, tall), (-1.4, 1.75), (0.3, 1.75), (0.75, tall)), trim, fade=0.1)
        for u in (-1.25, -0.6):
            sprite.box(u, u + 0.5, 1.1, 1.55, _glass(sprite), corner=0.06)
        sprite.polygon(((0.05, 1.1), (0.05, 1.55), (0.25, 1.55), (0.5, 1.1)), _glass(sprite))
    sprite.polygon(
        ((-long, tall), (-long * 0.88, -0.05), (long * 0.68, -0.05), (long * 1.08, tall * 1.15)),
        paint, fade=0.35,
    )  # fmt: skip
    sprite.limb((-long, tall), (long * 1.05, tall * 1.12), (0.08, 0.08), trim)
    sprite.box(-long * 0.9, long * 0.74, -0.06, 0.14, shaded(paint, 0.45))


def _ship(sprite: Sprite, dice: Dice, paint: Colour, trim: Colour) -> None:
    sprite.polygon(((-3.4, 3.4), (-3.3, 6.0), (-0.3, 6.0), (0.1, 3.4)), shaded(trim, 0.95))
    sprite.box(-5.6, 2.6, 1.8, 3.6, trim, corner=0.1, fade=0.12)
    for u in np.arange(-5.2, 2.2, 1.05):
        sprite.box(float(u), float(u) + 0.6, 2.4, 3.05, _glass(sprite), corner=0.1)
    sprite.box(-2.9, -0.6, 4.7, 5.4, _glass(sprite), corner=0.1)
    if dice.chance(0.6):
        funnel = dice.jitter(CLOTHES[dice.pick(tuple(CLOTHES))], 0.05)
        sprite.box(-4.9, -3.9, 3.5, 6.2, funnel, fade=0.2)
    sprite.limb((1.6, 3.4), (1.6, 7.4), (0.09, 0.05), (0.8, 0.8, 0.78))
    sprite.polygon(((-7.0, 2.0), (-6.6, -0.1), (6.0, -0.1), (7.6, 2.9)), paint,
                   fade=0.35)  # fmt: skip
    sprite.box(-6.5, 6.0, -0.1, 0.3, shaded(paint, 0.5))
