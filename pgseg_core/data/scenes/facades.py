"""House fronts along a street, receding to its vanishing point."""

import numpy as np

from pgseg_core.data.scenes.backdrop import WALLS
from pgseg_core.data.scenes.canvas import Canvas, paint_value
from pgseg_core.data.scenes.classes import CLASS_INDEX
from pgseg_core.data.scenes.dice import Dice
from pgseg_core.data.scenes.layout import Lane
from pgseg_core.data.scenes.noise import Field, cells, pixel_centres, sample


def paint_facades(canvas: Canvas, dice: Dice, lane: Lane, side: float) -> None:
    """Line one side of a lane with houses.

    Args:
        canvas: Painted up to the ground.
        dice: Chance.
        lane: The street.
        side: -1 for the left side, 1 for the right.
    """
    camera = canvas.camera
    gap = dice.between(1.5, 5.0)
    aside = lane.offset + side * (lane.half + gap)  # metres from the camera at no distance
    vanish = camera.width / 2 + camera.focal * lane.drift
    if aside * side < 0.6:
        return
    columns = pixel_centres(0, camera.width)
    apart = (columns - np.float32(vanish)) * np.float32(side)
    scale = np.maximum(apart / np.float32(aside * side), np.float32(1e-3))  # pixels a metre
    ahead = np.float32(camera.focal) / scale
    shown = (apart > 0) & (ahead < dice.between(60, 160))
    wide = np.float32(dice.between(7, 15))
    number = np.floor(ahead / wide)
    row = np.float32(dice.whole(0, 255))
    each = cells("grain", number, row)
    storey = np.float32(dice.between(2.8, 3.4))
    storeys = np.floor(np.float32(dice.between(1.4, 4.5)) + each * np.float32(4))
    tall = storeys * storey + np.float32(1.0)
    top = np.float32(camera.horizon) - (tall - np.float32(camera.elevation)) * scale
    foot = np.float32(camera.horizon) + np.float32(camera.elevation) * scale
    rows = pixel_centres(0, camera.height)[:, None]
    cover = np.minimum(np.maximum(np.minimum(rows - top, foot - rows) + np.float32(0.5), 0), 1)
    cover = cover * shown
    up = (foot - rows) / scale  # metres above the ground
    colour = _fronts(canvas, dice, (ahead, up, number, storey, tall), wide)
    haze = (ahead / (ahead + np.float32(canvas.light.reach)))[None, :, None]
    colour += haze * (paint_value(canvas.light.horizon) - colour)
    canvas.cover(
        slice(0, camera.height), slice(0, camera.width), cover, colour, CLASS_INDEX["building"]
    )


def _fronts(
    canvas: Canvas,
    dice: Dice,
    place: tuple[Field, Field, Field, np.float32, Field],
    wide: np.float32,
) -> Field:
    """Lit colours (h, w, 3) of walls, windows, ledges and shops."""
    ahead, up, number, storey, tall = place
    light = canvas.light
    palette = np.array([dice.jitter(dice.pick(WALLS), 0.07) for _ in range(7)], dtype=np.float32)
    wall = palette[(number.astype(np.int32) * 3) % 7]  # (w, 3)
    shift = np.float32(dice.between(0, 256))
    stain = sample("patch", (ahead * np.float32(11) + shift)[None], up[:, :1] * 0 + shift)
    tone = np.float32(0.85) + np.float32(0.3) * stain
    floor = up / storey
    level = np.floor(floor)
    high = floor - level
    bay = ahead / (wide / np.float32(dice.whole(3, 5)))
    part = bay - np.floor(bay)
    colour = np.broadcast_to(wall, (*up.shape, 3)) * tone[..., None]
    frame = (np.abs(part - np.float32(0.5)) < np.float32(0.27)) & (
        np.abs(high - np.float32(0.52)) < np.float32(0.31)
    )
    glass = (np.abs(part - np.float32(0.5)) < np.float32(0.21)) & (
        np.abs(high - np.float32(0.52)) < np.float32(0.26)
    )
    upper = (up < tall - np.float32(1.0)) & (level >= 1)
    ledge = (high > np.float32(0.94)) | (up > tall - np.float32(0.35))
    colour = colour * np.where(ledge, np.float32(0.78), np.float32(1))[..., None]
    colour[frame & upper] = colour[frame & upper] * np.float32(0.4) + np.float32(0.5)
    tint = np.float32(0.5) + np.float32(0.5) * cells("grain", bay, level)
    pane = paint_value(light.zenith) * np.float32(0.35) + np.float32(0.10)
    panes = tint[..., None] * pane + np.maximum(high - np.float32(0.55), 0)[..., None] * np.float32(
        0.5
    )
    colour = np.where((glass & upper)[..., None], panes, colour)
    shop = (level == 0) & (high > np.float32(0.12)) & (high < np.float32(0.8))
    shop = shop & (np.abs(part - np.float32(0.5)) < np.float32(0.4))
    colour = np.where(shop[..., None], panes * np.float32(1.3), colour)
    awning = (level == 0) & (high > np.float32(0.8))
    shops = palette[(number.astype(np.int32) * 5 + 2) % 7] * np.float32(0.8)
    colour = np.where(awning[..., None], np.broadcast_to(shops, colour.shape), colour)
    lit = np.float32(1.06 - 0.2 * light.direct) * paint_value(light.ambient)
    colour = colour * lit
    lamps = cells("grain", bay + 31, level) < np.float32(0.55 * light.glow)
    shine = lamps & ((glass & upper) | shop)
    colour[shine] = np.array([0.98, 0.80, 0.46], dtype=np.float32)
    result: Field = colour
    return result
