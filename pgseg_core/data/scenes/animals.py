"""Dogs, horses and birds, in metres, facing right."""

from pgseg_core.data.scenes.canvas import Sprite
from pgseg_core.data.scenes.dice import Dice
from pgseg_core.data.scenes.light import Colour
from pgseg_core.data.scenes.people import shaded

COATS: dict[str, Colour] = {
    "brown": (0.42, 0.26, 0.15), "black": (0.12, 0.11, 0.11), "white": (0.88, 0.86, 0.82),
    "grey": (0.50, 0.49, 0.48), "golden": (0.74, 0.54, 0.30),
}  # fmt: skip
"""Fur and feathers with a name."""


def draw_dog(sprite: Sprite, dice: Dice, colour: str, action: str) -> None:
    """A dog 0.6 m at the shoulder: standing, running or sitting."""
    coat = dice.jitter(COATS[colour], 0.05)
    other = dice.jitter(COATS[dice.pick(tuple(COATS))], 0.04) if dice.chance(0.4) else coat
    dark = shaded(coat, 0.72)
    slim = dice.between(0.8, 1.2)
    if action == "sitting":
        sprite.limb((-0.22, 0.06), (-0.42, 0.12), (0.035, 0.02), dark)
        sprite.ellipse((-0.12, 0.17), (0.20, 0.17), dark)
        sprite.limb((-0.12, 0.22), (0.10, 0.56), (0.18 * slim, 0.13), coat)
        sprite.limb((0.10, 0.46), (0.14, 0.05), (0.07, 0.045), shaded(coat, 0.9))
        sprite.ellipse((-0.04, 0.13), (0.15, 0.13), coat)
        sprite.ellipse((0.12, 0.42), (0.08, 0.13), other)
        _dog_head(sprite, (0.17, 0.74), coat, other, dice)
        return
    stride = 0.20 if action == "running" else 0.04
    for hip, swing in ((-0.27, -1.0), (0.25, 0.7)):
        knee = (hip + swing * stride * 0.5 - 0.04, 0.24)
        sprite.limb((hip, 0.42), knee, (0.075, 0.05), dark, round_=0.35)
        sprite.limb(knee, (hip + swing * stride, 0.04), (0.045, 0.04), dark, round_=0.35)
    curl = dice.between(0.52, 0.86)
    sprite.limb((-0.36, 0.52), (-0.60, curl), (0.045, 0.025), coat)
    sprite.limb((-0.26, 0.47), (0.24, 0.48), (0.14 * slim, 0.165 * slim), coat)
    if other != coat:
        sprite.ellipse((-0.10, 0.53), (0.14, 0.10), other)
        sprite.ellipse((0.28, 0.42), (0.08, 0.12), other)
    for hip, swing in ((-0.27, 0.8), (0.25, -0.6)):
        knee = (hip + swing * stride * 0.5 + 0.02, 0.24)
        sprite.limb((hip, 0.42), knee, (0.085, 0.055), coat, round_=0.35)
        sprite.limb(knee, (hip + swing * stride + 0.02, 0.04), (0.05, 0.045), other, round_=0.35)
    sprite.limb((0.28, 0.54), (0.42, 0.70), (0.12, 0.085), coat)
    _dog_head(sprite, (0.46, 0.76), coat, other, dice)


def _dog_head(
    sprite: Sprite, at: tuple[float, float], coat: Colour, other: Colour, dice: Dice
) -> None:
    u, v = at
    sprite.ellipse((u, v), (0.115, 0.105), coat)
    sprite.limb((u + 0.06, v - 0.03), (u + 0.20, v - 0.055), (0.062, 0.045), other)
    sprite.ellipse((u + 0.235, v - 0.035), (0.022, 0.02), (0.06, 0.05, 0.05))
    sprite.ellipse((u + 0.06, v + 0.03), (0.015, 0.017), (0.05, 0.04, 0.04))
    ear = shaded(coat, 0.6)
    if dice.chance(0.5):
        sprite.polygon(((u - 0.09, v + 0.05), (u + 0.01, v + 0.08), (u - 0.07, v + 0.20)), ear)
    else:
        sprite.ellipse((u - 0.05, v - 0.01), (0.045, 0.10), ear)


def draw_horse(sprite: Sprite, dice: Dice, colour: str, action: str) -> None:
    """A horse 1.55 m at the withers: standing, grazing or trotting; ridden ones carry a saddle."""
    coat = dice.jitter(COATS[colour], 0.05)
    dark = shaded(coat, 0.72)
    mane = shaded(coat, dice.pick((0.35, 0.5, 1.6)))
    stride = 0.26 if action in ("trotting", "ridden") else 0.05
    for hip, swing in ((-0.52, -1.0), (0.48, 0.9)):
        knee = (hip + swing * stride * 0.6, 0.55)
        sprite.limb((hip, 1.0), knee, (0.14, 0.07), dark, round_=0.35)
        sprite.limb(
            knee, (hip + swing * stride, 0.06), (0.06, 0.05), shaded(dark, 0.8), round_=0.35
        )
    sprite.limb((-0.82, 1.38), (-0.98, 1.05), (0.07, 0.08), mane)
    sprite.limb((-0.98, 1.05), (-0.96, 0.55), (0.08, 0.03), mane)
    sprite.limb((-0.48, 1.20), (0.46, 1.17), (0.33, 0.31), coat)
    sprite.ellipse((-0.52, 1.26), (0.36, 0.33), coat, round_=0.6)
    sprite.ellipse((0.50, 1.26), (0.30, 0.34), coat, round_=0.6)
    for hip, swing in ((-0.56, 0.8), (0.52, -0.7)):
        knee = (hip + swing * stride * 0.6 + 0.02, 0.55)
        sprite.limb((hip, 1.02), knee, (0.16, 0.08), coat, round_=0.35)
        sprite.limb(knee, (hip + swing * stride, 0.10), (0.065, 0.05), coat, round_=0.35)
        sprite.limb((hip + swing * stride, 0.07), (hip + swing * stride + 0.03, 0.04),
                    (0.065, 0.065), (0.13, 0.11, 0.10))  # fmt: skip
    if action == "grazing":
        poll, nose = (1.02, 0.72), (1.22, 0.22)
    else:
        poll, nose = (1.00, 1.90), (1.36, 1.58)
    sprite.limb((0.58, 1.34), poll, (0.26, 0.14), coat)
    sprite.limb((0.46, 1.52), (poll[0] - 0.08, poll[1] + 0.06), (0.08, 0.07), mane)
    sprite.limb(poll, nose, (0.145, 0.085), coat)
    sprite.polygon(((poll[0] - 0.08, poll[1] + 0.10), (poll[0] + 0.04, poll[1] + 0.12),
                    (poll[0] - 0.02, poll[1] + 0.28)), dark)  # fmt: skip
    sprite.ellipse((poll[0] + 0.08, poll[1] + 0.0), (0.025, 0.025), (0.05, 0.04, 0.04))
    if dice.chance(0.35):
        sprite.limb((poll[0] + 0.1, poll[1] - 0.06), nose, (0.03, 0.02), (0.92, 0.9, 0.88))
    if action == "ridden":
        sprite.limb((-0.18, 1.50), (0.22, 1.50), (0.07, 0.06), (0.25, 0.14, 0.09))


def draw_bird(sprite: Sprite, dice: Dice, word: str, colour: str, action: str) -> None:
    """A bird about 1 unit long: flying, standing or swimming."""
    body = dice.jitter(COATS[colour], 0.05)
    wing = shaded(body, dice.pick((0.55, 0.75, 1.2)))
    beak = dice.pick(((0.92, 0.62, 0.14), (0.80, 0.36, 0.12), (0.18, 0.16, 0.15)))
    head = body if word == "seagull" else dice.jitter(dice.pick(
        ((0.10, 0.34, 0.22), (0.40, 0.24, 0.14), (0.14, 0.13, 0.14), body)), 0.04)  # fmt: skip
    if action == "flying":
        lift, spread = dice.between(-0.2, 0.7), dice.between(0.75, 1.0)
        far = shaded(wing, 0.8)
        elbow, tip = (0.24, 0.54 + lift * 0.5), (0.20 + spread * 0.7, 0.48 + lift * 0.9)
        sprite.limb((0.06, 0.5), elbow, (0.11, 0.085), far)
        sprite.limb(elbow, tip, (0.085, 0.01), far)
        sprite.polygon(((-0.30, 0.54), (-0.30, 0.45), (-0.64, 0.38), (-0.66, 0.54)), wing)
        sprite.limb((-0.34, 0.48), (0.26, 0.52), (0.05, 0.105), body)
        elbow, tip = (-0.20, 0.60 + lift * 0.55), (-0.36 - spread * 0.8, 0.50 + lift)
        sprite.limb((0.0, 0.53), elbow, (0.14, 0.105), wing)
        sprite.limb(elbow, tip, (0.105, 0.01), wing)
        dark = shaded(wing, 0.5)
        half = ((elbow[0] + tip[0]) / 2, (elbow[1] + tip[1]) / 2)
        sprite.limb(half, tip, (0.05, 0.01), dark)
        sprite.ellipse((0.38, 0.55), (0.10, 0.09), head)
        sprite.polygon(((0.45, 0.57), (0.45, 0.51), (0.60, 0.52)), beak)
        return
    base = 0.0 if action == "swimming" else 0.28
    if action != "swimming":
        for leg in (-0.03, 0.07):
            sprite.limb((leg, 0.34), (leg, 0.03), (0.022, 0.02), beak)
            sprite.limb((leg, 0.03), (leg + 0.09, 0.02), (0.02, 0.015), beak)
    sprite.polygon(((-0.30, base + 0.16), (-0.26, base + 0.30), (-0.62, base + 0.30),
                    (-0.60, base + 0.22)), wing)  # fmt: skip
    sprite.ellipse((-0.04, base + 0.18), (0.36, 0.19), body)
    sprite.limb((-0.34, base + 0.24), (0.10, base + 0.22), (0.06, 0.12), wing)
    tall = dice.between(0.42, 0.62)
    sprite.limb((0.22, base + 0.24), (0.30, base + tall), (0.11, 0.075), head)
    sprite.ellipse((0.33, base + tall + 0.03), (0.115, 0.10), head)
    sprite.polygon(((0.42, base + tall + 0.06), (0.42, base + tall - 0.02),
                    (0.62, base + tall + 0.0)), beak)  # fmt: skip
    sprite.ellipse((0.37, base + tall + 0.06), (0.02, 0.02), (0.04, 0.04, 0.04), round_=0)
