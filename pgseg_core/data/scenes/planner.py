"""Decides which things a scene holds and where each can stand without hiding the others."""

from dataclasses import dataclass

import numpy as np

from pgseg_core.data.scenes.canvas import Canvas, Point
from pgseg_core.data.scenes.classes import CLASS_INDEX, CLASS_NAMES
from pgseg_core.data.scenes.dice import Dice
from pgseg_core.data.scenes.recipes import Recipe
from pgseg_core.data.scenes.things import KINDS, Plan, Thing, room


@dataclass(frozen=True)
class Hero:
    """One large thing, chosen first: the camera is set so that it fits."""

    kind: str
    word: str
    action: str
    tall: float
    """Height, pixels."""
    row: float
    """Row of the foot, pixels."""


def choose_hero(dice: Dice, recipe: Recipe, height: int, horizon: float) -> Hero | None:
    """Sample the large thing of a scene, or none.

    Args:
        dice: Chance.
        recipe: The kind of place.
        height: Of the picture, pixels.
        horizon: Its row, pixels; negative if the camera looks down.
    """
    name = dice.weighted(recipe.heroes)
    if name == "none":
        return None
    kind = KINDS[name]
    word = dice.weighted(kind.words)
    action = dice.weighted(kind.actions)
    tall = height * dice.between(*kind.share)
    if action == "side":
        tall *= 0.8
    if word in ("boat", "ship"):
        tall *= 0.6
    row = horizon + (height - horizon) * dice.between(*kind.drop)
    if horizon < 0:
        row = height * dice.between(0.6, 1.0)
    if name in ("person", "dog", "horse"):  # never beheaded by the frame
        tall = min(tall, row * 0.94)
        if dice.chance(0.25):  # so close that the frame cuts off its legs
            tall = height * (
                dice.between(1.05, 1.7) if name == "person" else dice.between(0.8, 1.05)
            )
            row = tall + height * dice.between(0.05, 0.2)
    return Hero(name, word, action, tall, row)


class Planner:
    """Finds places on a canvas whose ground is painted and which holds no things yet."""

    def __init__(self, canvas: Canvas, dice: Dice) -> None:
        self.canvas = canvas
        self.camera = canvas.camera
        self.dice = dice
        self.plans: list[Plan] = []
        self.taken: list[tuple[float, float, float, float]] = []

    def plan(self, recipe: Recipe, hero: Hero | None) -> list[Plan]:
        """Plans for the large thing and the smaller ones of a recipe."""
        if hero is not None:
            self._place_hero(hero)
        plenty = self.dice.pick((0.0, 0.6, 1.0, 1.0, 1.6))
        for kind, mean in recipe.things.items():
            for _ in range(min(6, self.dice.around(mean * plenty))):
                self._place_small(kind)
        return self.plans

    def _label(self, column: float, row: float) -> str:
        y = min(max(int(row), 0), self.camera.height - 1)
        x = min(max(int(column), 0), self.camera.width - 1)
        return CLASS_NAMES[int(self.canvas.label[y, x])]

    def _place_hero(self, hero: Hero) -> None:
        if hero.action == "flying":
            self._fly(hero.word, hero.tall, self.dice.between(0.25, 0.6))
            return
        supports = KINDS[hero.kind].supports
        for _ in range(12):
            column = self.camera.width * self.dice.between(0.22, 0.78)
            fits = hero.kind != "boat" or self._floats(hero.word, (column, hero.row))
            if fits and self._label(column, hero.row) in supports:
                self._stand(hero.kind, hero.word, hero.action, (column, hero.row))
                return

    def _place_small(self, name: str) -> None:
        kind, dice, camera = KINDS[name], self.dice, self.camera
        word, action = dice.weighted(kind.words), dice.weighted(kind.actions)
        if action == "flying":
            self._fly(word, camera.height * dice.between(0.09, 0.24), dice.between(0.08, 0.9))
            return
        least, most = (0.16, 0.8) if name in ("tree", "building") else (0.08, 0.5)
        for _ in range(10):
            row = camera.horizon + (camera.height - camera.horizon) * dice.unit() ** 1.3
            tall = kind.height(word) * camera.scale(row) / camera.height
            column = camera.width * dice.between(0.02, 0.98)
            if not least <= tall <= most or self._label(column, row) not in kind.supports:
                continue
            if name == "boat" and not self._floats(word, (column, row)):
                continue
            spot = self._spot(name, word, action, (column, row))
            if name != "fence" and self._crowded(spot):
                continue
            self._stand(name, word, action, (column, row))
            return

    def _spot(
        self, kind: str, word: str, action: str, foot: Point
    ) -> tuple[float, float, float, float]:
        """Left, right, foot and height of a thing in the picture, pixels."""
        left, right, _ = room(kind, word, action)
        scale = self.camera.scale(foot[1])
        half = 0.4 * (right - left) * scale
        return foot[0] - half, foot[0] + half, foot[1], KINDS[kind].height(word) * scale

    def _floats(self, word: str, foot: Point) -> bool:
        """Whether both ends of a boat are on the same surface as its middle."""
        left, right, _ = room("boat", word, "floating")
        scale = 0.7 * self.camera.scale(foot[1])
        ends = (foot[0] + left * scale, foot[0] + right * scale)
        middle = self._label(*foot)
        return all(self._label(column, foot[1]) == middle for column in ends)

    def _crowded(self, spot: tuple[float, float, float, float]) -> bool:
        """Whether a place would hide, or be hidden by, most of another thing."""
        for left, right, row, tall in self.taken:
            shared = min(right, spot[1]) - max(left, spot[0])
            narrow = min(right - left, spot[1] - spot[0])
            upright = min(row, spot[2]) - max(row - tall, spot[2] - spot[3])
            if shared > 0.35 * narrow and upright > 0.35 * min(tall, spot[3]):
                return True
        return False

    def _thing(self, kind: str, word: str, action: str, support: str, partner: int = 0) -> Thing:
        colours = KINDS[kind].colours
        colour = self.dice.pick(colours) if colours else ""
        return Thing(kind, word, colour, action, support, len(self.plans) + 1, partner)

    def _fly(self, word: str, tall: float, height: float) -> None:
        """Put a bird in the air; `height` is its share of the sky's rows, from above."""
        camera = self.camera
        column = camera.width * self.dice.between(0.15, 0.85)
        row = max(tall, camera.horizon) * height + tall * 0.5
        thing = self._thing("bird", word, "flying", "sky")
        self.plans.append(Plan(thing, (column, row), tall / 1.1, 20.0, self.dice.side()))

    def _stand(self, kind: str, word: str, action: str, foot: Point) -> None:
        """Put a thing on the ground, with whoever belongs to it."""
        dice, scale = self.dice, self.camera.scale(foot[1])
        metres = KINDS[kind].height(word)
        support = self._label(*foot)
        if kind == "bird" and support == "water":
            action = "swimming"
        if kind == "boat" and support != "water":
            action = "lying"
        if kind == "tree" and word == "palm" and support == "snow":
            word = "pine"
        distance = self.camera.distance(foot[1])
        inwards = 1.0 if foot[0] < self.camera.width / 2 else -1.0
        facing = inwards if dice.chance(0.75) else -inwards  # heads rather in the frame
        drawn = {"person": 1.75, "horse": 2.1, "dog": 0.88, "bird": 0.85, "tree": 6.0}
        own = scale * metres / drawn.get(kind, metres) * dice.between(0.92, 1.08)
        if kind == "tree":
            own *= dice.between(0.8, 1.3)
        self.taken.append(self._spot(kind, word, action, foot))
        if kind == "horse" and dice.chance(0.35):
            horse = self._thing(kind, word, "ridden", support)
            self.plans.append(Plan(horse, foot, own, distance, facing))
            rider = self._thing("person", dice.pick(("man", "woman", "girl")), "riding", support,
                                horse.number)  # fmt: skip
            self.plans.append(Plan(rider, foot, own, distance, facing, seat=1.5))
            return
        thing = self._thing(kind, word, action, support)
        span = self._span(foot, own) if kind == "fence" else (0.0, 0.0)
        self.plans.append(Plan(thing, foot, own, distance, facing, span=span))
        if kind == "person" and dice.chance(0.2):
            beside = (foot[0] + facing * scale * dice.between(0.9, 1.3), foot[1] + 0.05 * scale)
            if self._label(*beside) in KINDS["dog"].supports:
                dog = self._thing("dog", "dog", dice.pick(("standing", "running")),
                                  support, thing.number)  # fmt: skip
                self.plans.append(Plan(dog, beside, scale, distance, facing))
        if action == "floating" and word == "boat" and dice.chance(0.5):
            sailor = self._thing("person", dice.pick(("man", "woman")), "sitting", support,
                                 thing.number)  # fmt: skip
            aboard = (foot[0] - facing * 1.0 * own, foot[1])
            self.plans.append(Plan(sailor, aboard, own, distance, facing, seat=0.62))

    def _span(self, foot: tuple[float, float], scale: float) -> tuple[float, float]:
        """Ends of a fence: as far as the ground it stands on goes on, and not always that far."""
        row = min(max(int(foot[1]), 0), self.camera.height - 1)
        here = min(max(int(foot[0]), 0), self.camera.width - 1)
        same = np.isin(self.canvas.label[row], [CLASS_INDEX[name]
                                                for name in KINDS["fence"].supports])  # fmt: skip
        left = right = here
        while left > 0 and same[left - 1]:
            left -= 1
        while right < self.camera.width - 1 and same[right + 1]:
            right += 1
        margin = 40 if self.dice.chance(0.6) else 0  # past the frame, or ending inside it
        low = float(left - margin if left == 0 else left + 2)
        high = float(right + margin if right == self.camera.width - 1 else right - 2)
        if not margin:
            low = here - (here - low) * self.dice.between(0.3, 1.0)
            high = here + (high - here) * self.dice.between(0.3, 1.0)
        return (low - foot[0]) / scale, (high - foot[0]) / scale
