"""The picture while it is painted: camera, colours, labels, and sprites made of smooth shapes.

A sprite draws one thing in metres around its foot. Every shape is a signed distance turned into
coverage, so edges are anti-aliased exactly and without a larger buffer, and only the pixels a
shape can touch are computed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pgseg_core.data.scenes.classes import CLASS_INDEX
from pgseg_core.data.scenes.light import Colour, Light
from pgseg_core.data.scenes.noise import Field, pixel_centres, sample

Point = tuple[float, float]


@dataclass(frozen=True)
class Camera:
    """A level camera over flat ground."""

    width: int
    """Pixels."""
    height: int
    """Pixels."""
    horizon: float
    """Row of the horizon, pixels from the top."""
    elevation: float
    """Metres of the lens above the ground."""

    @property
    def focal(self) -> float:
        """Focal length, pixels."""
        return 1.1 * self.height

    def scale(self, row: float) -> float:
        """Pixels a metre for what stands on the ground at a row below the horizon."""
        return max(row - self.horizon, 0.5) / self.elevation

    def distance(self, row: float) -> float:
        """Metres from the camera to the ground at a row below the horizon."""
        return self.focal * self.elevation / max(row - self.horizon, 0.5)


def paint_value(colour: Colour) -> Field:
    """A colour as a (3,) array."""
    return np.array(colour, dtype=np.float32)


class Canvas:
    """Colours (h, w, 3), labels (h, w) and owners (h, w) of a picture being painted back to front.

    The owner of a pixel is the number of the thing it shows, counted from 1; 0 is the surroundings.
    """

    def __init__(self, camera: Camera, light: Light) -> None:
        shape = (camera.height, camera.width)
        self.camera = camera
        self.light = light
        self.colour = np.zeros((*shape, 3), dtype=np.float32)
        self.label = np.zeros(shape, dtype=np.uint8)
        self.owner = np.zeros(shape, dtype=np.int16)

    def haze(self, distance: float) -> float:
        """Share of a thing the air hides at a distance in metres."""
        return distance / (distance + self.light.reach)

    def cover(self, rows: slice, columns: slice, cover: Field, colour: Field, label: int) -> None:
        """Paint surroundings (h, w, 3) over a window where coverage (h, w) is above 0."""
        window = self.colour[rows, columns]
        window += cover[..., None] * (colour - window)
        solid = cover >= 0.5
        self.label[rows, columns][solid] = label
        self.owner[rows, columns][solid] = 0

    def shade(self, foot: Point, reach: Point, strength: float) -> None:
        """Darken a soft ellipse of ground around a foot; all in pixels."""
        across, down = max(reach[0], 1.0), max(reach[1], 0.7)
        columns = self._span(foot[0] - across, foot[0] + across, self.camera.width)
        rows = self._span(foot[1] - down, foot[1] + down, self.camera.height)
        x = (pixel_centres(columns.start, columns.stop) - np.float32(foot[0])) / np.float32(across)
        y = (pixel_centres(rows.start, rows.stop) - np.float32(foot[1])) / np.float32(down)
        fall = np.maximum(1 - (x * x)[None] - (y * y)[:, None], 0)
        self.colour[rows, columns] *= (1 - strength * fall)[..., None]

    @staticmethod
    def _span(low: float, high: float, length: int) -> slice:
        start = min(max(math.floor(low), 0), length)
        return slice(start, max(start, min(math.ceil(high), length)))


class Sprite:
    """One thing, drawn part over part in metres: u to the front, v up, (0, 0) at its foot.

    Args:
        canvas: What it will be stamped on.
        foot: Column and row of its foot, pixels.
        scale: Pixels a metre.
        bounds: Left, right, bottom and top, metres; nothing is drawn outside.
        facing: 1 if its front is to the right of the picture, -1 to the left.
    """

    def __init__(
        self,
        canvas: Canvas,
        foot: Point,
        scale: float,
        bounds: tuple[float, float, float, float],
        facing: float = 1.0,
    ) -> None:
        self.canvas = canvas
        self.foot = foot
        self.scale = scale
        self.facing = facing
        left, right, bottom, top = bounds
        edges = sorted((foot[0] + facing * scale * left, foot[0] + facing * scale * right))
        camera = canvas.camera
        self.columns = Canvas._span(edges[0] - 1, edges[1] + 1, camera.width)
        self.rows = Canvas._span(foot[1] - top * scale - 1, foot[1] - bottom * scale + 1,
                                 camera.height)  # fmt: skip
        column = pixel_centres(self.columns.start, self.columns.stop)
        row = pixel_centres(self.rows.start, self.rows.stop)
        self.u = ((column - np.float32(foot[0])) * np.float32(facing / scale))[None]
        self.v = ((np.float32(foot[1]) - row) / np.float32(scale))[:, None]
        self.colour = np.zeros((len(row), len(column), 3), dtype=np.float32)
        self.alpha = np.zeros((len(row), len(column)), dtype=np.float32)
        self.sun = canvas.light.side * facing
        self.shine = 0.16 + 0.24 * canvas.light.direct

    def _window(
        self, left: float, right: float, bottom: float, top: float
    ) -> tuple[slice, slice, Field, Field]:
        """Slices and coordinates of the pixels a shape in these bounds can touch."""
        ends = sorted(
            (self.foot[0] + self.facing * self.scale * u - self.columns.start)
            for u in (left, right)
        )
        high = self.foot[1] - self.scale * top - self.rows.start
        low = self.foot[1] - self.scale * bottom - self.rows.start
        columns = Canvas._span(ends[0] - 1, ends[1] + 1, self.alpha.shape[1])
        rows = Canvas._span(high - 1, low + 1, self.alpha.shape[0])
        return rows, columns, self.u[:, columns], self.v[rows]

    def blend(
        self, rows: slice, columns: slice, distance: Field, colour: Colour | Field,
        light: Field | float = 1.0,
    ) -> None:  # fmt: skip
        """Lay a part over the parts before it.

        Args:
            rows: Window of the sprite.
            columns: Window of the sprite.
            distance: (h, w) metres to the part's edge, negative inside.
            colour: One colour, or (h, w, 3).
            light: (h, w) or a number that multiplies the colour.
        """
        cover = np.minimum(np.maximum(0.5 - distance * np.float32(self.scale), 0), 1)
        value = paint_value(colour) if isinstance(colour, tuple) else colour
        shaded = value * (light[..., None] if isinstance(light, np.ndarray) else light)
        window = self.colour[rows, columns]
        window += cover[..., None] * (shaded - window)
        alpha = self.alpha[rows, columns]
        alpha += cover * (1 - alpha)

    def ellipse(self, centre: Point, radii: Point, colour: Colour, *, round_: float = 1.0) -> None:
        """An upright ellipse; `round_` is how much it is shaded like a ball."""
        (a, b), (x, y) = centre, radii
        rows, columns, u, v = self._window(a - x, a + x, b - y, b + y)
        du = (u - np.float32(a)) / np.float32(x)
        dv = (v - np.float32(b)) / np.float32(y)
        distance = (np.sqrt(du * du + dv * dv) - 1) * np.float32(min(x, y))
        self.blend(rows, columns, distance, colour, self._light(du, dv, round_))

    def limb(
        self, start: Point, end: Point, radii: Point, colour: Colour, *, round_: float = 0.8
    ) -> None:
        """A rounded bar from one point to another, its radius going from one to the other."""
        (a, b), (c, d), (r, q) = start, end, radii
        wide = max(r, q)
        rows, columns, u, v = self._window(
            min(a, c) - wide, max(a, c) + wide, min(b, d) - wide, max(b, d) + wide
        )
        long = max((c - a) * (c - a) + (d - b) * (d - b), 1e-6)
        du, dv = u - np.float32(a), v - np.float32(b)
        along = (du * np.float32(c - a) + dv * np.float32(d - b)) * np.float32(1 / long)
        along = np.minimum(np.maximum(along, 0), 1)
        du, dv = du - along * np.float32(c - a), dv - along * np.float32(d - b)
        radius = np.float32(r) + along * np.float32(q - r)
        distance: Field = np.sqrt(du * du + dv * dv) - radius
        part = np.float32(1 / wide)
        self.blend(rows, columns, distance, colour, self._light(du * part, dv * part, round_))

    def polygon(self, points: Sequence[Point], colour: Colour, *, fade: float = 0.0) -> None:
        """A convex polygon, its corners in either order; `fade` darkens its lower edge by that."""
        us, vs = [u for u, _ in points], [v for _, v in points]
        rows, columns, u, v = self._window(min(us), max(us), min(vs), max(vs))
        area = sum(
            us[i - 1] * vs[i] - us[i] * vs[i - 1] for i in range(len(points))
        )  # fmt: skip
        turn = 1.0 if area > 0 else -1.0
        distance: Field | None = None
        for i in range(len(points)):
            across, up = us[i] - us[i - 1], vs[i] - vs[i - 1]
            long = math.sqrt(across * across + up * up)
            if long == 0:
                continue
            normal_u, normal_v = turn * up / long, -turn * across / long
            offset = normal_u * us[i] + normal_v * vs[i]
            edge = u * np.float32(normal_u) + (v * np.float32(normal_v) - np.float32(offset))
            distance = edge if distance is None else np.maximum(distance, edge)
        if distance is None:
            return
        light: Field | float = 1.0
        if fade:
            tall = max(max(vs) - min(vs), 1e-6)
            light = np.float32(1 - fade) + np.float32(fade / tall) * (v - np.float32(min(vs)))
        self.blend(rows, columns, distance, colour, light)

    def box(
        self, left: float, right: float, bottom: float, top: float, colour: Colour, *,
        corner: float = 0.0, fade: float = 0.0,
    ) -> None:  # fmt: skip
        """An upright rectangle with rounded corners, `fade` darker at its lower edge."""
        rows, columns, u, v = self._window(left, right, bottom, top)
        half_u, half_v = (right - left) / 2, (top - bottom) / 2
        du = np.abs(u - np.float32((left + right) / 2)) - np.float32(half_u - corner)
        dv = np.abs(v - np.float32((bottom + top) / 2)) - np.float32(half_v - corner)
        distance = np.maximum(du, dv)
        if corner:
            out_u, out_v = np.maximum(du, 0), np.maximum(dv, 0)
            distance = np.minimum(distance, 0) + np.sqrt(out_u * out_u + out_v * out_v) - corner
        light: Field | float = 1.0
        if fade:
            light = np.float32(1 - fade) + np.float32(fade / (2 * half_v)) * (
                v - np.float32(bottom)
            )
        self.blend(rows, columns, distance, colour, light)

    def _light(self, across: Field, up: Field, amount: float) -> Field:
        strength = self.shine * amount
        lit = np.float32(strength * self.sun) * across + np.float32(0.8 * strength) * up
        light: Field = np.minimum(np.maximum(1 + lit, np.float32(0.4)), np.float32(1.5))
        return light

    def stamp(
        self, label: int, owner: int, distance: float, *, texture: float = 0.12, grain: float = 40,
        kind: str = "leaf", mirror: float = 0.0, glow: Field | None = None,
    ) -> None:  # fmt: skip
        """Put the finished thing on the canvas.

        Args:
            label: Class index.
            owner: Number of the thing.
            distance: Metres from the camera, for haze.
            texture: Strength of the surface's noise.
            grain: Noise texels a metre.
            kind: Noise table.
            mirror: Strength of its reflection below the foot, 0..1.
            glow: (h, w) share of its own colour that needs no light.
        """
        if not self.alpha.size:
            return
        canvas = self.canvas
        shift = np.float32(owner * 37 % 256)
        fine = min(1.0, 2.5 * self.scale / grain)  # noise finer than a pixel only flickers
        noise = sample(kind, self.u * np.float32(grain) + shift, self.v * np.float32(grain) + shift)
        ambient = paint_value(canvas.light.ambient)
        lit = (1 + np.float32(2 * texture * fine) * (noise - np.float32(0.5)))[..., None] * ambient
        if glow is not None:
            lit += glow[..., None] * (1 - lit)
        colour = self.colour * lit
        haze = np.float32(canvas.haze(distance))
        veil = paint_value(canvas.light.horizon) * haze
        colour = colour * (1 - haze) + self.alpha[..., None] * veil
        if mirror:
            self._mirror(colour, mirror)
        window = canvas.colour[self.rows, self.columns]
        window *= (1 - self.alpha)[..., None]
        window += colour
        solid = self.alpha >= 0.5
        canvas.label[self.rows, self.columns][solid] = label
        canvas.owner[self.rows, self.columns][solid] = owner

    def _mirror(self, colour: Field, strength: float) -> None:
        """Blend the upside-down thing into the water under it."""
        water = round(self.foot[1])
        end = min(self.canvas.camera.height, water + (len(colour) * 3) // 4)
        above = min(water, self.rows.stop) - self.rows.start
        count = min(end - water, above)
        if count <= 0 or water < 0:
            return
        part = slice(above - count, above)
        fall = np.linspace(1, 0.2, count, dtype=np.float32)[:, None] * np.float32(strength)
        rows = slice(water, water + count)
        wet = self.canvas.label[rows, self.columns] == CLASS_INDEX["water"]
        share = fall * wet
        window = self.canvas.colour[rows, self.columns]
        window *= (1 - self.alpha[part][::-1] * share)[..., None]
        window += colour[part][::-1] * share[..., None]
