"""Composes one scene: light, camera, view, ground, and things placed in perspective."""

import math
from dataclasses import dataclass

from pgseg_core.data.scenes.backdrop import paint_backdrop, paint_sky
from pgseg_core.data.scenes.canvas import Camera, Canvas, paint_value
from pgseg_core.data.scenes.classes import CLASS_INDEX
from pgseg_core.data.scenes.dice import Dice
from pgseg_core.data.scenes.facades import paint_facades
from pgseg_core.data.scenes.ground import Ground
from pgseg_core.data.scenes.layout import (
    SHAPES,
    Lane,
    lane_cover,
    lay,
    mark_band,
    mark_lane,
    straight_band_cover,
)
from pgseg_core.data.scenes.light import draw_light
from pgseg_core.data.scenes.planner import Planner, choose_hero
from pgseg_core.data.scenes.recipes import RECIPES, Recipe
from pgseg_core.data.scenes.things import KINDS, Thing, draw


@dataclass(frozen=True)
class World:
    """A painted scene and what stands in it."""

    canvas: Canvas
    things: tuple[Thing, ...]
    """In no particular order; some may be hidden by others."""


def compose(dice: Dice, width: int, height: int) -> World:
    """Sample and paint one scene."""
    recipe = RECIPES[dice.weighted({name: entry.weight for name, entry in RECIPES.items()})]
    light = draw_light(dice)
    down = dice.chance(recipe.down)
    horizon = height * (dice.between(-0.6, -0.08) if down else dice.between(*recipe.horizon))
    hero = choose_hero(dice, recipe, height, horizon)
    elevation = (4.0 if down else 1.4) * math.exp(dice.between(0.0, 1.4))
    if hero is not None and hero.action != "flying":
        metres = KINDS[hero.kind].height(hero.word)
        elevation = min(14.0, max(0.3, metres * (hero.row - horizon) / hero.tall))
    canvas = Canvas(Camera(width, height, horizon, elevation), light)
    canvas.colour[:] = paint_value(light.horizon)  # what water mirrors when no sky is in view
    if not down:
        _paint_view(canvas, dice, recipe)
    if horizon < height - 3:
        _paint_ground(canvas, dice, recipe)
    plans = Planner(canvas, dice).plan(recipe, hero)
    snowy = bool((canvas.label == CLASS_INDEX["snow"]).mean() > 0.1) and dice.chance(0.8)
    for plan in sorted(plans, key=lambda plan: (plan.foot[1], plan.seat)):
        draw(canvas, dice, plan, snowy=snowy)
    return World(canvas, tuple(plan.thing for plan in plans))


def _paint_view(canvas: Canvas, dice: Dice, recipe: Recipe) -> None:
    """Paint the sky and what closes the view below it."""
    paint_sky(canvas, dice)
    for name in dice.weighted(recipe.backdrop).split("+"):
        if name != "none":
            paint_backdrop(canvas, dice, name)


def _paint_ground(canvas: Canvas, dice: Dice, recipe: Recipe) -> None:
    ground = Ground.of(canvas)
    lay(canvas, ground, dice, dice.weighted(recipe.base))
    for feature, probability in recipe.features.items():
        if not dice.chance(probability):
            continue
        shape, name = feature.split()
        if shape == "lane":
            _paint_lane(canvas, ground, dice, name, recipe.facades)
        elif shape == "cross":
            _paint_crossing(canvas, ground, dice, name)
        else:
            lay(canvas, ground, dice, name, SHAPES[shape](ground, dice))


def _paint_lane(canvas: Canvas, ground: Ground, dice: Dice, name: str, facades: float) -> None:
    lane = Lane.draw(dice, (2.4, 5.0), centred=dice.chance(0.75))
    lay(canvas, ground, dice, name, lane_cover(ground, lane))
    if dice.chance(0.7):
        mark_lane(canvas, ground, dice, lane)
    for side in (-1.0, 1.0):
        if dice.chance(facades):
            paint_facades(canvas, dice, lane, side)


def _paint_crossing(canvas: Canvas, ground: Ground, dice: Dice, name: str) -> None:
    camera = canvas.camera
    row = camera.horizon + (camera.height - camera.horizon) * dice.between(0.4, 0.95)
    near = camera.distance(row)
    far = near + max(dice.between(4.0, 9.0), near * dice.between(0.25, 0.9))
    lay(canvas, ground, dice, name, straight_band_cover(ground, near, far))
    if dice.chance(0.7):
        mark_band(canvas, ground, dice, near, far)
