"""Regions as polygons: outlines with holes, close to the pixels and with few corners."""

import itertools
from dataclasses import dataclass

import contourpy
import numpy as np
from jaxtyping import Bool, Float

MOST_PIXELS = 2**24
"""A larger mask is traced on every second pixel, or fewer still, for the tracer's memory."""
TOLERANCE = 0.5
"""How far an outline may leave the pixels' edge, in pixels that are traced."""

Ring = Float[np.ndarray, "_ 2"]
"""Corners (x, y) in pixels, x to the right and y down, (0, 0) the photo's corner; closed: the last
corner is the first."""


@dataclass(frozen=True)
class Polygon:
    """One connected part of a region."""

    outline: Ring
    holes: tuple[Ring, ...]

    @property
    def area(self) -> float:
        """Pixels inside the outline, holes left out."""
        return abs(_area(self.outline)) - sum(abs(_area(hole)) for hole in self.holes)


def trace(mask: Bool[np.ndarray, "h w"], *, tolerance: float = TOLERANCE) -> list[Polygon]:
    """Return a region's parts as polygons, the largest first; never none of a region that is there.

    With no tolerance a polygon holds exactly the centres of its pixels. With one, parts as thin as
    a pixel are left out, save where the region has no others.

    Args:
        mask: The region.
        tolerance: How far corners may be left out, in pixels that are traced.
    """
    step = 1
    while mask.size / step**2 > MOST_PIXELS:
        step += 1
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if len(rows) == 0:
        return []
    top, left = int(rows[0]), int(columns[0])
    part = mask[top : rows[-1] + 1 : step, left : columns[-1] + 1 : step]
    framed = np.pad(part, 1).astype(np.float64)  # so that every outline closes
    filled = contourpy.contour_generator(
        z=framed, name="serial", fill_type=contourpy.FillType.OuterOffset
    ).filled(0.5, np.inf)
    polygons = []
    for points, offsets in zip(*filled, strict=True):
        rings = [
            _simplified(points[start:end], tolerance) for start, end in itertools.pairwise(offsets)
        ]
        rings = [(ring - 0.5) * step + (left, top) for ring in rings if len(ring) >= 4]
        if rings:
            polygons.append(Polygon(rings[0], tuple(rings[1:])))
    if not polygons:
        return trace(mask, tolerance=0.0)
    return sorted(polygons, key=lambda polygon: -polygon.area)


def one_ring(polygon: Polygon) -> Ring:
    """Return a polygon with holes as one closed line: every hole is entered by a bridge.

    For formats that know no holes. There and back, a bridge covers nothing.
    """
    ring = polygon.outline
    for hole in polygon.holes:
        distance = np.square(ring[:, None] - hole[None]).sum(axis=-1)  # (n, m)
        at, start = np.unravel_index(int(distance.argmin()), distance.shape)
        around = np.concatenate([hole[start:-1], hole[: start + 1]])
        ring = np.concatenate([ring[: at + 1], around, ring[at:]])
    return ring


def _simplified(ring: Ring, tolerance: float) -> Ring:
    """Leave out corners of a closed ring that lie within a tolerance of the line without them.

    Douglas and Peucker's way, from the two corners that are farthest apart.
    """
    far = int(np.square(ring - ring[0]).sum(axis=1).argmax())
    keep = np.zeros(len(ring), dtype=bool)
    keep[[0, far, len(ring) - 1]] = True
    open_ = [(0, far), (far, len(ring) - 1)]
    while open_:
        start, end = open_.pop()
        if end - start < 2:
            continue
        between = ring[start + 1 : end]
        distance = _distance(between, ring[start], ring[end])
        farthest = int(distance.argmax())
        if distance[farthest] > tolerance + 1e-9:
            middle = start + 1 + farthest
            keep[middle] = True
            open_ += [(start, middle), (middle, end)]
    kept: np.ndarray = ring[keep]
    return kept


def _distance(
    points: Float[np.ndarray, "n 2"], start: Float[np.ndarray, "2"], end: Float[np.ndarray, "2"]
) -> Float[np.ndarray, " n"]:
    """Return how far points lie from the segment between two others."""
    along = end - start
    length = float(along @ along)
    if length == 0:
        return np.linalg.norm(points - start, axis=1)
    position = np.clip((points - start) @ along / length, 0, 1)
    return np.linalg.norm(points - (start + position[:, None] * along), axis=1)


def _area(ring: Ring) -> float:
    x, y = ring[:-1].T
    following_x, following_y = ring[1:].T
    return float((x * following_y - following_x * y).sum()) / 2
