"""The countable things: how large each is, what it stands on, and how one is put in a picture."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pgseg_core.data.scenes.animals import COATS, draw_bird, draw_dog, draw_horse
from pgseg_core.data.scenes.buildings import BUILDING_SIZES, draw_building, draw_fence
from pgseg_core.data.scenes.canvas import Canvas, Point, Sprite
from pgseg_core.data.scenes.classes import CLASS_INDEX
from pgseg_core.data.scenes.dice import Dice
from pgseg_core.data.scenes.people import CLOTHES, draw_person
from pgseg_core.data.scenes.plants import draw_tree
from pgseg_core.data.scenes.vehicles import (
    draw_boat,
    draw_bus_end,
    draw_bus_side,
    draw_car_end,
    draw_car_side,
)


@dataclass(frozen=True)
class Thing:
    """One thing of a scene, as the captions may speak of it."""

    kind: str
    """Its class."""
    word: str
    """A synonym of the class that fits this one."""
    colour: str
    """A plain colour word, or nothing."""
    action: str
    """What it is doing."""
    support: str
    """Class of what it stands on; sky for what flies."""
    number: int
    """Its value in the canvas's owners, from 1."""
    partner: int = 0
    """Number of the horse it rides or the dog it walks, else 0."""


@dataclass(frozen=True)
class Kind:
    """What holds for all things of a class."""

    words: Mapping[str, float]
    """Words and how often each."""
    heights: Mapping[str, float]
    """Height for each word, metres; `""` stands for the others."""
    supports: frozenset[str]
    """Classes of ground it may stand on."""
    share: tuple[float, float]
    """Height of a large one, in heights of the picture."""
    drop: tuple[float, float]
    """Where a large one stands, from the horizon (0) to the lower edge (1)."""
    colours: tuple[str, ...] = ()
    """Colour words."""
    actions: Mapping[str, float] = field(default_factory=lambda: {"standing": 1.0})
    """What it may be doing."""

    def height(self, word: str) -> float:
        """Metres from foot to top."""
        return self.heights.get(word, self.heights.get("", 1.0))


_LAND = frozenset({"grass", "road", "sand", "snow", "flower"})
_SOIL = frozenset({"grass", "sand", "snow", "flower"})
_PAINT = tuple(CLOTHES)
_FUR = tuple(COATS)

KINDS: dict[str, Kind] = {
    "tree": Kind(
        {"broad": 5, "pine": 2.5, "palm": 1, "bare": 0.8}, {"": 6.0}, _SOIL, (0.55, 1.1),
        (0.12, 0.5),
    ),
    "building": Kind(
        {"house": 4, "barn": 1.8, "church": 1.2, "tower": 1.2, "building": 3},
        {word: size[1] for word, size in BUILDING_SIZES.items()},
        _SOIL, (0.45, 1.0), (0.06, 0.32),
    ),
    "fence": Kind({"fence": 1}, {"": 1.25}, _SOIL, (0.18, 0.38), (0.35, 0.85)),
    "car": Kind(
        {"car": 6, "van": 1.5, "pickup": 1.2}, {"": 1.5, "van": 2.05, "pickup": 1.75},
        frozenset({"road", "grass", "sand", "snow"}), (0.28, 0.55), (0.4, 0.9), _PAINT,
        {"side": 3, "end": 2},
    ),
    "bus": Kind(
        {"bus": 1}, {"": 3.1}, frozenset({"road", "grass", "sand", "snow"}), (0.4, 0.75),
        (0.3, 0.7), _PAINT, {"side": 3, "end": 2},
    ),
    "boat": Kind(
        {"sailboat": 3, "boat": 3, "ship": 1.2}, {"sailboat": 7.2, "boat": 1.9, "ship": 7.4},
        frozenset({"water", "sand"}), (0.45, 0.95), (0.2, 0.7), _PAINT, {"floating": 1},
    ),
    "person": Kind(
        {"man": 4, "woman": 4, "boy": 1.5, "girl": 1.5},
        {"": 1.75, "boy": 1.25, "girl": 1.2}, _LAND, (0.55, 0.95), (0.55, 1.05), _PAINT,
        {"standing": 2, "walking": 3, "running": 0.8},
    ),
    "dog": Kind(
        {"dog": 5, "puppy": 0.6}, {"": 0.88}, _LAND, (0.4, 0.8), (0.5, 0.95), _FUR,
        {"standing": 2, "running": 2, "sitting": 1.6},
    ),
    "horse": Kind(
        {"horse": 5, "pony": 0.8}, {"": 2.1, "pony": 1.6}, _LAND, (0.5, 0.9), (0.4, 0.95), _FUR,
        {"standing": 2, "grazing": 2, "trotting": 1.2},
    ),
    "bird": Kind(
        {"bird": 3, "seagull": 2, "duck": 1.5}, {"": 0.55}, _LAND | {"water"}, (0.42, 0.85),
        (0.45, 0.9), _FUR, {"flying": 2, "standing": 1},
    ),
}  # fmt: skip
"""All kinds of thing, by class."""


@dataclass(frozen=True)
class Plan:
    """A thing that has its place but is not drawn yet."""

    thing: Thing
    foot: Point
    """Column and row, pixels."""
    scale: float
    """Pixels a metre."""
    distance: float
    """Metres from the camera."""
    facing: float
    seat: float = 0.0
    """Height of what it sits on, metres."""
    span: tuple[float, float] = (0.0, 0.0)
    """Left and right end of a fence, metres from the foot."""


def draw(canvas: Canvas, dice: Dice, plan: Plan, *, snowy: bool) -> None:
    """Draw a planned thing onto the canvas, with its shadow or reflection."""
    thing = plan.thing
    left, right, top = _bounds(plan)
    flies = thing.action == "flying"
    afloat = thing.support == "water"
    sprite = Sprite(
        canvas, plan.foot, plan.scale, (left, right, -0.15 if afloat else -0.05, top), plan.facing
    )
    if not flies and not afloat and not plan.seat:
        _shadow(canvas, plan, left, right)
    glow = None
    if thing.kind == "tree":
        draw_tree(sprite, dice, thing.word, snowy)
    elif thing.kind == "building":
        glow = draw_building(sprite, dice, thing.word, snowy)
    elif thing.kind == "fence":
        draw_fence(sprite, dice, *plan.span)
    elif thing.kind == "car":
        painter = draw_car_side if thing.action == "side" else draw_car_end
        painter(sprite, dice, thing.word, thing.colour)
    elif thing.kind == "bus":
        bus = draw_bus_side if thing.action == "side" else draw_bus_end
        bus(sprite, dice, thing.colour)
    elif thing.kind == "boat":
        draw_boat(sprite, dice, thing.word, thing.colour)
    elif thing.kind == "person":
        draw_person(sprite, dice, thing.word, thing.colour, action=thing.action, seat=plan.seat)
    elif thing.kind == "dog":
        draw_dog(sprite, dice, thing.colour, thing.action)
    elif thing.kind == "horse":
        draw_horse(sprite, dice, thing.colour, thing.action)
    else:
        draw_bird(sprite, dice, thing.word, thing.colour, thing.action)
    texture, grain, table = _SKINS.get(thing.kind, (0.14, 30.0, "leaf"))
    sprite.stamp(
        CLASS_INDEX[thing.kind], thing.number, plan.distance, texture=texture, grain=grain,
        kind=table, mirror=0.45 if afloat else 0.0, glow=glow,
    )  # fmt: skip


_SKINS: dict[str, tuple[float, float, str]] = {
    # strength, texels a metre and table of a surface's noise
    "tree": (0.1, 40.0, "leaf"),
    "building": (0.16, 14.0, "patch"),
    "fence": (0.22, 40.0, "wave"),
    "car": (0.06, 20.0, "cloud"),
    "bus": (0.06, 12.0, "cloud"),
    "boat": (0.10, 16.0, "wave"),
    "person": (0.20, 110.0, "patch"),
    "dog": (0.13, 200.0, "leaf"),
    "horse": (0.16, 90.0, "patch"),
    "bird": (0.15, 200.0, "leaf"),
}


_BOUNDS: dict[str, tuple[float, float, float]] = {
    # left, right and top, metres; by word, view or class
    "ship": (-7.8, 7.8, 7.6),
    "fence": (-1.0, 1.0, 1.3),
    "end car": (-1.1, 1.1, 2.15),
    "side car": (-2.6, 2.6, 2.15),
    "end bus": (-1.5, 1.5, 3.2),
    "side bus": (-5.1, 5.1, 3.2),
    "boat": (-3.5, 3.5, 7.6),
    "person": (-0.75, 0.75, 1.95),
    "tree": (-2.6, 2.6, 6.4),
    "dog": (-0.7, 0.78, 1.05),
    "horse": (-1.15, 1.5, 2.3),
    "bird": (-1.35, 1.0, 1.3),
}


def room(kind: str, word: str, action: str) -> tuple[float, float, float]:
    """Left, right and top of a thing around its foot, metres, as if its front were to the right."""
    if kind == "building":
        half, tall = BUILDING_SIZES[word]
        return -half, half, tall
    names = (word, f"{action} {kind}", kind)
    return _BOUNDS[next(name for name in names if name in _BOUNDS)]


def _bounds(plan: Plan) -> tuple[float, float, float]:
    left, right, top = room(plan.thing.kind, plan.thing.word, plan.thing.action)
    if plan.thing.kind == "fence":
        left, right = plan.span
    return left, right, top + max(plan.seat - 0.8, 0)


def _shadow(canvas: Canvas, plan: Plan, left: float, right: float) -> None:
    light = canvas.light
    wide = {"tree": 1.8, "person": 0.45, "dog": 0.5, "horse": 0.95, "bird": 0.45}.get(
        plan.thing.kind, (right - left) / 2
    )
    flat = 0.22 if plan.thing.kind in ("car", "bus", "building", "fence") else 0.3
    if plan.thing.kind == "fence":
        flat = 0.25 / wide
    aside = -light.side * light.direct * 0.35 * wide * plan.scale
    foot = (plan.foot[0] + (plan.span[0] + plan.span[1]) / 2 * plan.scale + aside,
            plan.foot[1] - 0.02 * plan.scale)  # fmt: skip
    reach = (wide * plan.scale * 1.15, wide * plan.scale * flat)
    canvas.shade(foot, reach, 0.3 + 0.35 * light.direct)
