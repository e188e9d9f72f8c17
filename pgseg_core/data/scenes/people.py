"""People, dressed and posed at random, in metres."""

from pgseg_core.data.scenes.canvas import Sprite
from pgseg_core.data.scenes.dice import Dice
from pgseg_core.data.scenes.light import Colour

_SKIN: tuple[Colour, ...] = (
    (0.93, 0.76, 0.64), (0.82, 0.62, 0.48), (0.66, 0.46, 0.34), (0.46, 0.31, 0.23),
    (0.34, 0.23, 0.18),
)  # fmt: skip
_HAIR: tuple[Colour, ...] = (
    (0.10, 0.08, 0.07), (0.26, 0.17, 0.11), (0.46, 0.30, 0.16), (0.78, 0.64, 0.38),
    (0.58, 0.56, 0.54), (0.56, 0.24, 0.12),
)  # fmt: skip
CLOTHES: dict[str, Colour] = {
    "red": (0.76, 0.14, 0.14), "blue": (0.16, 0.30, 0.66), "white": (0.90, 0.90, 0.88),
    "black": (0.11, 0.11, 0.13), "green": (0.18, 0.44, 0.24), "yellow": (0.92, 0.76, 0.18),
    "grey": (0.48, 0.49, 0.52), "orange": (0.90, 0.46, 0.14), "brown": (0.42, 0.29, 0.19),
    "pink": (0.88, 0.50, 0.62), "purple": (0.44, 0.24, 0.56),
}  # fmt: skip
"""Colours with a name, for whatever people paint or wear."""
_LOWER: tuple[Colour, ...] = (
    (0.17, 0.22, 0.36), (0.13, 0.13, 0.15), (0.46, 0.40, 0.32), (0.62, 0.56, 0.44),
    (0.30, 0.34, 0.28), (0.34, 0.42, 0.58), (0.24, 0.20, 0.19),
)  # fmt: skip


def shaded(colour: Colour, amount: float) -> Colour:
    """The colour times a number, kept within 0..1."""
    red, green, blue = (min(1.0, part * amount) for part in colour)
    return red, green, blue


def draw_person(
    sprite: Sprite, dice: Dice, word: str, colour: str, *, action: str, seat: float = 0.0
) -> None:
    """Draw someone 1.75 m tall (the caller scales children down).

    Args:
        sprite: What to draw on.
        dice: Chance.
        word: man, woman, boy or girl.
        colour: Key of `CLOTHES` for the upper body.
        action: standing, walking, running, sitting or riding.
        seat: Height of what a sitting or riding person sits on, metres.
    """
    skin, hair = dice.jitter(dice.pick(_SKIN), 0.04), dice.jitter(dice.pick(_HAIR), 0.04)
    top = dice.jitter(CLOTHES[colour], 0.05)
    lower = dice.jitter(dice.pick(_LOWER), 0.06)
    female = word in ("woman", "girl")
    young = word in ("boy", "girl")
    skirt = female and dice.chance(0.45)
    head = 0.145 if young else 0.12
    hip = 0.90
    if action in ("sitting", "riding"):
        lift = seat - hip + 0.04
        _sitting_legs(sprite, lower, skin, lift)
    else:
        lift = 0.0
        stride = {"standing": 0.03, "walking": 0.22, "running": 0.38}[action]
        bare = skirt or dice.chance(0.12)
        _legs(sprite, lower, skin if bare else lower, stride, action == "running")
    hang = {"walking": 0.18, "running": 0.30}.get(action, dice.between(0.0, 0.1))
    shoulder, wrist = 1.40 + lift, 0.92 + lift
    far_arm = shaded(top, 0.75)
    sprite.limb((0.12, shoulder), (0.22 + hang * 0.6, 1.14 + lift), (0.06, 0.055), far_arm)
    sprite.limb((0.22 + hang * 0.6, 1.14 + lift), (0.20 + hang * 1.6, wrist), (0.05, 0.045), skin)
    crown = 1.52 + head + lift
    if female or dice.chance(0.1):  # long hair hangs behind the shoulders
        sprite.ellipse((-0.05, crown - 0.07), (head * 1.1, head * 1.6), hair)
    broad = 0.15 if female else 0.185
    if skirt and action not in ("sitting", "riding"):
        hem = dice.between(0.34, 0.62)
        sprite.polygon(((-0.14, 1.05), (0.14, 1.05), (0.27, hem), (-0.27, hem)),
                       top if dice.chance(0.5) else lower, fade=0.3)  # fmt: skip
    sprite.limb((0.0, hip + 0.04 + lift), (0.0, 1.34 + lift), (0.165, broad), top)
    sprite.limb((-broad * 0.7, shoulder - 0.02), (broad * 0.7, shoulder - 0.02), (0.09, 0.09), top)
    if dice.chance(0.2):
        sprite.ellipse((-0.2, 1.2 + lift), (0.11, 0.24), dice.jitter((0.4, 0.36, 0.3), 0.2))
    sprite.limb((0, 1.44 + lift), (0, 1.54 + lift), (0.055, 0.055), skin)
    sprite.ellipse((0.01, crown), (head * 0.82, head * 1.08), skin)
    sprite.ellipse((-0.03, crown + head * 0.62), (head * 0.88, head * 0.52), hair)
    if sprite.scale * head > 4:
        for eye in (0.02, 0.09):
            sprite.ellipse((eye, crown + 0.01), (0.013, 0.016), (0.1, 0.08, 0.08), round_=0)
        sprite.limb((0.03, crown - 0.055), (0.08, crown - 0.055), (0.01, 0.01),
                    shaded(skin, 0.6), round_=0)  # fmt: skip
    if dice.chance(0.18):
        hat = dice.jitter(CLOTHES[dice.pick(tuple(CLOTHES))], 0.05)
        sprite.ellipse((0, crown + head * 0.75), (head * 0.95, head * 0.55), hat)
        sprite.limb((-head, crown + head * 0.55), (head * 1.4, crown + head * 0.5), (0.03, 0.025),
                    hat)  # fmt: skip
    near_arm = shaded(top, 0.92)
    elbow = (-0.22 - hang * 0.5, 1.14 + lift)
    sprite.limb((-broad, shoulder - 0.02), elbow, (0.065, 0.055), near_arm)
    reach = (0.22, 1.02 + lift) if action == "riding" else (-0.20 - hang * 0.6, wrist)
    sprite.limb(elbow, reach, (0.05, 0.045), near_arm if dice.chance(0.6) else skin)
    sprite.ellipse(reach, (0.05, 0.06), skin)


def _legs(sprite: Sprite, cloth: Colour, shin: Colour, stride: float, running: bool) -> None:
    shoe = (0.14, 0.12, 0.12)
    dark_cloth, dark_shin = shaded(cloth, 0.78), shaded(shin, 0.78)
    back = (-stride - 0.05, 0.34 if running else 0.07)
    sprite.limb((-0.06, 0.90), (-stride * 0.35 - 0.06, 0.50), (0.10, 0.075), dark_cloth)
    sprite.limb((-stride * 0.35 - 0.06, 0.50), back, (0.07, 0.055), dark_shin)
    sprite.limb(back, (back[0] + 0.12, back[1] - 0.03), (0.05, 0.045), shoe)
    front = (stride + 0.05, 0.07)
    sprite.limb((0.06, 0.90), (stride * 0.7 + 0.06, 0.50), (0.10, 0.08), cloth)
    sprite.limb((stride * 0.7 + 0.06, 0.50), front, (0.075, 0.055), shin)
    sprite.limb(front, (front[0] + 0.13, 0.05), (0.05, 0.045), shoe)


def _sitting_legs(sprite: Sprite, cloth: Colour, skin: Colour, lift: float) -> None:
    knee = (0.34, 0.84 + lift)
    sprite.limb((0.0, 0.90 + lift), knee, (0.11, 0.08), cloth)
    sprite.limb(knee, (0.30, 0.42 + lift), (0.075, 0.055), cloth)
    sprite.limb((0.30, 0.42 + lift), (0.42, 0.40 + lift), (0.05, 0.045), shaded(skin, 0.3))
