"""What stands behind the ground: sky and clouds, mountain ridges, rows of trees, skylines."""

from collections.abc import Callable

import numpy as np

from pgseg_core.data.scenes.canvas import Canvas, paint_value
from pgseg_core.data.scenes.classes import CLASS_INDEX
from pgseg_core.data.scenes.dice import Dice
from pgseg_core.data.scenes.light import Colour
from pgseg_core.data.scenes.noise import Field, cells, pixel_centres, profile, sample

_ROCKS: tuple[Colour, ...] = (
    (0.42, 0.38, 0.36), (0.50, 0.44, 0.37), (0.36, 0.40, 0.44), (0.55, 0.38, 0.28),
    (0.30, 0.34, 0.30), (0.62, 0.54, 0.42),
)  # fmt: skip
_HILLS: tuple[Colour, ...] = (
    (0.30, 0.42, 0.20), (0.44, 0.46, 0.24), (0.24, 0.34, 0.22), (0.52, 0.46, 0.28),
)  # fmt: skip
LEAVES: tuple[Colour, ...] = (
    (0.18, 0.34, 0.12), (0.26, 0.42, 0.14), (0.12, 0.27, 0.15), (0.34, 0.44, 0.18),
    (0.62, 0.38, 0.12), (0.58, 0.22, 0.12), (0.68, 0.54, 0.16), (0.40, 0.30, 0.16),
)  # fmt: skip
"""Crowns through the year; the first four are summer."""
WALLS: tuple[Colour, ...] = (
    (0.62, 0.36, 0.28), (0.78, 0.70, 0.56), (0.86, 0.84, 0.80), (0.56, 0.56, 0.58),
    (0.44, 0.30, 0.24), (0.74, 0.60, 0.42), (0.60, 0.68, 0.74), (0.80, 0.54, 0.44),
    (0.50, 0.58, 0.48), (0.34, 0.36, 0.42), (0.84, 0.74, 0.44), (0.66, 0.44, 0.50),
)  # fmt: skip


def _axes(canvas: Canvas, bottom: int) -> tuple[Field, Field]:
    """Column (1, w) and row (h, 1) centres down to a row, in heights of the picture."""
    unit = np.float32(1 / canvas.camera.height)
    columns = pixel_centres(0, canvas.camera.width) * unit
    rows = pixel_centres(0, bottom) * unit
    return columns[None], rows[:, None]


def paint_sky(canvas: Canvas, dice: Dice) -> None:
    """Fill the picture down to the horizon with graded air, clouds, and a sun, moon or stars."""
    light, camera = canvas.light, canvas.camera
    bottom = min(camera.height, max(1, int(camera.horizon) + 2))
    x, y = _axes(canvas, bottom)
    horizon = np.float32(max(camera.horizon, 1.0) / camera.height)
    low = np.minimum(y / horizon, 1)  # 0 overhead, 1 at the horizon
    grade = (low * low * (np.float32(1.6) - np.float32(0.6) * low))[..., None]
    zenith, rim = paint_value(light.zenith), paint_value(light.horizon)
    colour = np.broadcast_to(zenith + grade * (rim - zenith), (bottom, camera.width, 3)).copy()
    sun_x = np.float32((0.5 + 0.45 * light.side) * camera.width / camera.height)
    sun_y = horizon * np.float32(dice.between(0.35, 0.95))
    apart = (x - sun_x) * (x - sun_x) + (y - sun_y) * (y - sun_y)
    if light.name in ("golden", "sunset", "clear", "dusk"):
        glow = np.float32(0.014 * light.direct) / (apart + np.float32(0.02))
        colour += glow[..., None] * np.array([1.0, 0.78, 0.45], dtype=np.float32)
    if light.name == "night":
        stars = cells("grain", x * 300, y * 300) > np.float32(0.93)
        colour += (stars * np.float32(0.5))[..., None]
        moon = np.minimum(np.maximum((np.float32(0.0009) - apart) * 6000, 0), 1)
        colour += moon[..., None] * np.float32(0.7)
    squash = 1 / (np.float32(1.25) - low)  # layers of cloud draw together towards the horizon
    size = np.float32(dice.between(70, 150))
    shift_x, shift_y = np.float32(dice.between(0, 256)), np.float32(dice.between(0, 256))
    across = x * size * np.float32(dice.between(0.5, 1.0)) + shift_x
    depth = squash * size * np.float32(0.9) + shift_y
    mass = sample("cloud", across, depth)
    above = sample("cloud", across - np.float32(5 * light.side), depth - np.float32(5))
    edge = np.float32(0.86 - 0.62 * light.clouds)
    sharp = np.float32(dice.between(3, 9))
    veil = np.minimum(np.maximum((mass - edge) * sharp, 0), np.float32(0.95))
    form = 1 + np.float32(1.3) * (mass - above) - np.float32(0.28) * np.maximum(mass - edge, 0)
    cloud = paint_value(light.cloud) * form[..., None]
    colour += veil[..., None] * (cloud - colour)
    canvas.colour[:bottom] = np.minimum(colour, np.float32(1.1))
    canvas.label[:bottom] = CLASS_INDEX["sky"]


def _ridge(canvas: Canvas, dice: Dice, height: float, detail: float, kind: str) -> Field:
    """Row of a ridge's edge for every column (w,), pixels; `height` in heights of the picture."""
    camera = canvas.camera
    x = pixel_centres(0, camera.width) / np.float32(camera.height)
    line = profile(kind, x * np.float32(detail) + np.float32(dice.between(0, 256)),
                   dice.whole(0, 255))  # fmt: skip
    line = np.maximum(line * np.float32(1.7) - np.float32(0.35), 0)
    result: Field = np.float32(camera.horizon) - np.float32(height * camera.height) * line
    return result


def _layer(canvas: Canvas, edge: Field, label: str, colour: Field, haze: float) -> None:
    """Paint (h, w, 3) rows from the picture's top between an edge (w,) and the horizon."""
    bottom = len(colour)
    rows = pixel_centres(0, bottom)[:, None]
    cover = np.minimum(np.maximum(rows - edge + np.float32(0.5), 0), 1)
    tinted = colour * paint_value(canvas.light.ambient)
    tinted += np.float32(haze) * (paint_value(canvas.light.horizon) - tinted)
    columns = slice(0, canvas.camera.width)
    canvas.cover(slice(0, bottom), columns, cover, tinted, CLASS_INDEX[label])


def _bottom(canvas: Canvas) -> int:
    return min(canvas.camera.height, max(1, int(canvas.camera.horizon) + 2))


def paint_mountains(canvas: Canvas, dice: Dice, height: float) -> None:
    """Craggy ridges, the far ones paler, some with snow on their tops."""
    bottom = _bottom(canvas)
    x, y = _axes(canvas, bottom)
    rock = dice.jitter(dice.pick(_ROCKS), 0.06)
    line = dice.between(0.25, 1.1) if dice.chance(0.55) else 2.0
    layers = dice.whole(1, 3)
    for layer in range(layers):
        tall = height * (1.0 - 0.28 * layer)
        edge = _ridge(canvas, dice, tall, dice.between(35, 70), "ridge")
        if height > 1 and layer == 0:
            edge[:] = -1  # so close that no sky is left
        shift = np.float32(dice.between(0, 256))
        grain = np.float32(dice.between(90, 150))
        face = sample("ridge", x * grain + shift, y * grain + shift)
        other = sample("ridge", x * grain + shift - np.float32(4 * canvas.light.side),
                       y * grain + shift - 3)  # fmt: skip
        shape = 1 + np.float32(2.6 * (0.4 + canvas.light.direct)) * (face - other)
        rubble = sample("leaf", x * 170 + shift, y * 150 + shift)
        shape *= np.float32(0.72) + np.float32(0.56) * rubble
        colour = np.maximum(shape, np.float32(0.3))[..., None] * paint_value(rock)
        summit = np.float32(canvas.camera.horizon / canvas.camera.height - tall * line)
        capped = np.minimum(np.maximum((summit - y + (face - np.float32(0.5)) * np.float32(0.35))
                                       * 14, 0), 1)  # fmt: skip
        white = np.maximum(shape, np.float32(0.6))[..., None] * np.array(
            [0.92, 0.94, 0.98], dtype=np.float32
        )
        colour += capped[..., None] * (white - colour)
        _layer(canvas, edge, "mountain", colour, 0.5 - 0.17 * layer)


def paint_hills(canvas: Canvas, dice: Dice, height: float) -> None:
    """Rounded, overgrown hills."""
    bottom = _bottom(canvas)
    x, y = _axes(canvas, bottom)
    for layer in range(dice.whole(1, 3)):
        edge = _ridge(canvas, dice, height * (0.75 - 0.15 * layer), dice.between(10, 22), "cloud")
        shift = np.float32(dice.between(0, 256))
        growth = sample("patch", x * 110 + shift, y * 200 + shift)
        growth = growth + sample("leaf", x * 160 + shift, y * 190 + shift)
        colour = (np.float32(0.45) + np.float32(0.55) * growth)[..., None] * paint_value(
            dice.jitter(dice.pick(_HILLS), 0.05)
        )
        _layer(canvas, edge, "mountain", colour, 0.45 - 0.16 * layer)


def paint_treeline(canvas: Canvas, dice: Dice, height: float) -> None:
    """A wood along the horizon: round crowns or pointed ones, trunks if it stands close."""
    bottom = _bottom(canvas)
    camera = canvas.camera
    x, y = _axes(canvas, bottom)
    base = dice.whole(0, 3) if dice.chance(0.65) else dice.whole(4, 7)
    width = np.float32(height * dice.between(0.35, 0.6))
    place = x[0] / width + np.float32(dice.between(0, 99))
    number = np.floor(place)
    part = place - number - np.float32(0.5)  # -0.5..0.5 across one crown
    each = cells("grain", number, np.float32(dice.whole(0, 255)))
    if dice.chance(0.35):
        crown = (1 - 2 * np.abs(part)) * np.float32(0.75)
    else:
        crown = np.sqrt(np.maximum(np.float32(0.36) - part * part, 0)) * np.float32(0.7)
    rough = profile("leaf", x[0] * np.float32(45 / height), dice.whole(0, 255))
    top = np.float32(0.42) + crown * (np.float32(0.6) + np.float32(0.8) * each)
    top += np.float32(0.22) * (rough - np.float32(0.5))
    edge = np.float32(camera.horizon) - np.float32(height * camera.height) * top
    shift = np.float32(dice.between(0, 256))
    grain = np.float32(min(200, 22 / height + 60))
    leaf = sample("leaf", x * grain + shift, y * grain + shift)
    leaf = leaf * sample("patch", x * grain + shift, y * grain + shift) * 2
    depth = (y - np.float32(camera.horizon / camera.height)) / np.float32(height) + top
    lit = np.float32(0.5) + np.float32(1.0) * leaf - np.float32(0.3) * np.maximum(depth, 0)
    first, second = LEAVES[base], dice.jitter(LEAVES[(base + 1) % 4 + (base // 4) * 4], 0.05)
    mixed = paint_value(dice.jitter(first, 0.04)) * (1 - each[:, None])
    mixed = mixed + paint_value(second) * each[:, None]
    colour = np.maximum(lit, np.float32(0.18))[..., None] * mixed
    if height > 0.3:
        bark = np.abs(part + (each - np.float32(0.5)) * np.float32(0.3)) < np.float32(0.06)
        low = depth > top * np.float32(0.62)
        colour[low & bark] *= np.float32(0.45)
    _layer(canvas, edge, "tree", colour, min(0.35, canvas.haze(30 / height / 2)))


def paint_skyline(canvas: Canvas, dice: Dice, height: float) -> None:
    """A row of blocks and towers along the horizon."""
    bottom = _bottom(canvas)
    camera = canvas.camera
    x, y = _axes(canvas, bottom)
    edge = np.full(camera.width, camera.horizon, dtype=np.float32)
    wall = np.zeros((camera.width, 3), dtype=np.float32)
    start = -height
    while start < camera.width / camera.height:
        wide = height * dice.between(0.25, 0.8)
        tall = height * (dice.between(0.3, 0.6) if dice.chance(0.6) else dice.between(0.6, 1.0))
        inside = (x[0] >= start) & (x[0] < start + wide)
        edge[inside] = camera.horizon - round(tall * camera.height)
        wall[inside] = dice.jitter(dice.pick(WALLS), 0.06)
        start += wide * dice.between(0.8, 1.0)
    pitch = np.float32(max(height / dice.between(9, 16), 0.02))
    column, row = x / pitch, (y - np.float32(camera.horizon / camera.height)) / pitch
    glass = ((column - np.floor(column)) > np.float32(0.45)) & (
        (row - np.floor(row)) > np.float32(0.4)
    )
    lamps = cells("grain", column, row) < np.float32(0.5 * canvas.light.glow)
    colour = np.broadcast_to(wall, (bottom, camera.width, 3)).copy()
    colour *= np.where(glass, np.float32(0.55), np.float32(1))[..., None]
    bright = paint_value((1.0, 0.8, 0.45)) / np.maximum(paint_value(canvas.light.ambient), 0.2)
    colour[glass & lamps] = bright * np.float32(0.9)
    _layer(canvas, edge, "building", colour, 0.1 + 0.3 * dice.unit())


BACKDROPS: dict[str, tuple[Callable[[Canvas, Dice, float], None], float, float]] = {
    # painter, least and greatest height in heights of the picture
    "mountains": (paint_mountains, 0.16, 0.42),
    "slope": (paint_mountains, 1.2, 2.0),
    "hills": (paint_hills, 0.08, 0.26),
    "treeline": (paint_treeline, 0.06, 0.2),
    "forest": (paint_treeline, 0.45, 1.0),
    "skyline": (paint_skyline, 0.1, 0.36),
}
"""What may close the view."""


def paint_backdrop(canvas: Canvas, dice: Dice, name: str) -> None:
    """Paint one of `BACKDROPS` on the horizon."""
    painter, low, high = BACKDROPS[name]
    painter(canvas, dice, dice.between(low, high))
