"""Where each surface lies: roads that recede or cross, shores, far water, ponds and beds."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pgseg_core.data.scenes.canvas import Canvas, paint_value
from pgseg_core.data.scenes.classes import CLASS_INDEX
from pgseg_core.data.scenes.dice import Dice
from pgseg_core.data.scenes.ground import Ground, surface
from pgseg_core.data.scenes.noise import Field, cells, pixel_centres, profile, sample


@dataclass(frozen=True)
class Lane:
    """A straight band of ground going away from the camera."""

    offset: float
    """Its middle, metres to the right of the camera."""
    drift: float
    """Metres to the right a metre ahead."""
    half: float
    """Half its width, metres."""

    @classmethod
    def draw(cls, dice: Dice, half: tuple[float, float], *, centred: bool) -> "Lane":
        """Sample a lane; a centred one passes close to the camera."""
        wide = dice.between(*half)
        away = wide * dice.between(-0.7, 0.7) if centred else dice.side() * wide * 1.6
        return cls(away, dice.between(-0.28, 0.28), wide)


def _soft(pixels: Field) -> Field:
    result: Field = np.minimum(np.maximum(pixels + np.float32(0.5), 0), 1)
    return result


def lane_cover(ground: Ground, lane: Lane, bend: float = 0.0, rough: Field | None = None) -> Field:
    """Coverage (h, w) of a lane; `bend` curves it and `rough` (metres) frays its edge."""
    middle = np.float32(lane.offset) + ground.ahead * np.float32(lane.drift)
    if bend:
        middle = middle + np.minimum(ground.ahead * ground.ahead * np.float32(bend), 400)
    inside = np.float32(lane.half) - np.abs(ground.across - middle)
    if rough is not None:
        inside = inside + rough
    return _soft(inside * ground.scale)


def _path(ground: Ground, dice: Dice) -> Field:
    return _winding(ground, dice, (0.7, 1.6))


def _stream(ground: Ground, dice: Dice) -> Field:
    return _winding(ground, dice, (1.5, 5.0))


def _winding(ground: Ground, dice: Dice, half: tuple[float, float]) -> Field:
    lane = Lane.draw(dice, half, centred=dice.chance(0.6))
    rough = ground.texture("cloud", 0.06, dice) * np.float32(0.8)
    return lane_cover(ground, lane, dice.between(-0.02, 0.02), rough)


def _side(ground: Ground, dice: Dice) -> Field:
    """Everything to one side of a slanting, uneven shore."""
    side = np.float32(dice.side())
    lean = np.float32(dice.between(-0.35, 0.15))
    edge = ground.across * side - np.float32(dice.between(-0.3, 0.5)) + ground.ahead * lean
    fray = ground.texture("cloud", 0.12, dice) * np.float32(3)
    return _soft((edge + fray) * ground.scale)


def _band(ground: Ground, dice: Dice, top: float, bottom: float) -> Field:
    """A band across the view between two shares (0..1) of the ground's rows, with wavy edges."""
    height, width = ground.across.shape
    rows = pixel_centres(0, height)[:, None]
    x = pixel_centres(0, width) / np.float32(height)
    lines = []
    for share in (top, bottom):
        wave = profile("cloud", x * np.float32(dice.between(20, 50)) + np.float32(dice.unit() * 99),
                       dice.whole(0, 255)) - np.float32(0.5)  # fmt: skip
        slope = np.float32(dice.between(-0.12, 0.12) * share) * (x - np.float32(0.5))
        lines.append((share + np.float32(0.3 * share) * wave + slope) * np.float32(height))
    start = lines[0] if top > 0 else np.float32(-2)
    return _soft(np.minimum(rows - start, lines[1] - rows))


def _far(ground: Ground, dice: Dice) -> Field:
    return _band(ground, dice, 0.0, dice.between(0.12, 0.55))


def _near(ground: Ground, dice: Dice) -> Field:
    return _band(ground, dice, dice.between(0.45, 0.8), 1.4)


def _pond(ground: Ground, dice: Dice) -> Field:
    """A rounded patch of ground somewhere in view."""
    height, width = ground.across.shape
    rows = pixel_centres(0, height)[:, None] / np.float32(height)
    columns = pixel_centres(0, width)[None] / np.float32(width)
    down, across = dice.between(0.12, 0.3), dice.between(0.28, 0.6)
    centre = dice.between(0.3, 0.75), dice.between(0.2, 0.8)
    du = (columns - np.float32(centre[1])) / np.float32(across)
    dv = (rows - np.float32(centre[0])) / np.float32(down)
    shift = np.float32(dice.between(0, 256))
    wobble = sample("cloud", columns * 60 + shift, rows * 60 + shift) - np.float32(0.5)
    inside = 1 - np.sqrt(du * du + dv * dv) + np.float32(0.5) * wobble
    return _soft(inside * np.float32(down * height))


SHAPES: dict[str, Callable[[Ground, Dice], Field]] = {
    "path": _path,
    "stream": _stream,
    "side": _side,
    "far": _far,
    "near": _near,
    "pond": _pond,
}
"""Samplers of coverage (h, w) for surfaces that grow or flow; roads have lanes and bands."""


def straight_band_cover(ground: Ground, near: float, far: float) -> Field:
    """A band across the view between two distances in metres, with straight edges."""
    inside = np.minimum(ground.ahead - np.float32(near), np.float32(far) - ground.ahead)
    return np.broadcast_to(_soft(inside * ground.depth), ground.across.shape)


def lay(canvas: Canvas, ground: Ground, dice: Dice, name: str, cover: Field | None = None) -> None:
    """Paint one surface, over everything or where coverage (h, w) says."""
    colour = surface(name, ground, dice, canvas)
    full = np.ones(ground.across.shape, dtype=np.float32)
    rows = slice(ground.top, canvas.camera.height)
    columns = slice(0, canvas.camera.width)
    if cover is not None and name == "water":  # a wet, darker or foaming rim
        rim = np.minimum(np.maximum(1 - np.abs(cover - np.float32(0.5)) * 2, 0), 1)
        canvas.colour[rows] *= (1 - np.float32(0.25) * rim)[..., None]
    canvas.cover(rows, columns, full if cover is None else cover, colour, CLASS_INDEX[name])


def mark_lane(canvas: Canvas, ground: Ground, dice: Dice, lane: Lane) -> None:
    """Paint edge lines and a dashed middle on a receding road."""
    middle = np.float32(lane.offset) + ground.ahead * np.float32(lane.drift)
    aside = np.abs(ground.across - middle)
    dash = ground.ahead / np.float32(dice.between(3, 6))
    on = (dash - np.floor(dash)) < np.float32(0.55)
    line = _soft((np.float32(0.07) - aside) * ground.scale) * on
    if dice.chance(0.6):
        edge = np.float32(lane.half * 0.92)
        line = np.maximum(line, _soft((np.float32(0.06) - np.abs(aside - edge)) * ground.scale))
    _line(canvas, ground, dice, line)


def mark_band(canvas: Canvas, ground: Ground, dice: Dice, near: float, far: float) -> None:
    """Paint a dashed middle on a road that crosses the view."""
    aside = np.abs(ground.ahead - np.float32((near + far) / 2))
    dash = ground.across / np.float32(dice.between(2, 4))
    on = (dash - np.floor(dash)) < np.float32(0.55)
    _line(canvas, ground, dice, _soft((np.float32(0.1) - aside) * ground.depth) * on)


def _line(canvas: Canvas, ground: Ground, dice: Dice, line: Field) -> None:
    paint = dice.pick(((0.92, 0.92, 0.90), (0.92, 0.78, 0.30)))
    wear = np.float32(0.55) + np.float32(0.5) * cells("grain", ground.across * 9, ground.ahead * 9)
    cover = np.minimum(line * wear, 1)[..., None]
    window = canvas.colour[ground.top :]
    window += cover * (paint_value(paint) * paint_value(canvas.light.ambient) - window)
