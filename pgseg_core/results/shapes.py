"""A segmentation's regions as polygons, in labelme's format and as GeoJSON."""

import os
from pathlib import Path
from typing import Any

from pgseg_core.inference.segmentation import Segmentation
from pgseg_core.results.polygons import Polygon, Ring, one_ring, trace


def labelme_file(segmentation: Segmentation, photo: Path | None, folder: Path) -> dict[str, Any]:
    """Return what labelme opens: a polygon for each connected part of a class, the largest first.

    Holes are entered by a bridge, since labelme's polygons have none.

    Args:
        segmentation: The labels.
        photo: The photo's file; None where it has none, and labelme cannot show it.
        folder: Where the result will lie, to find the photo from there.
    """
    height, width = segmentation.labels.shape
    parts = sorted(_parts(segmentation), key=lambda part: -part[1].area)
    return {
        "version": "5.4.1",
        "flags": {},
        "shapes": [
            {
                "label": segmentation.names[label],
                "points": _corners(one_ring(polygon)),
                "group_id": label,
                "description": "",
                "shape_type": "polygon",
                "flags": {},
                "mask": None,
            }
            for label, polygon in parts
        ],
        "imagePath": "" if photo is None else _from(folder, photo),
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }


def geojson(segmentation: Segmentation) -> dict[str, Any]:
    """Return a feature for each class that is there: polygons with holes.

    Coordinates are pixels, x to the right and y down, not places on Earth.
    """
    features: dict[int, list[list[Any]]] = {}
    for label, polygon in _parts(segmentation):
        rings = [_closed(ring) for ring in (polygon.outline, *polygon.holes)]
        features.setdefault(label, []).append(rings)
    return {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "properties": {
                    "index": label,
                    "name": segmentation.names[label],
                    "pixels": segmentation.pixels[label],
                    "score": round(segmentation.scores[label], 6),
                },
                "geometry": {"type": "MultiPolygon", "coordinates": polygons},
            }
            for label, polygons in features.items()
        ],
    }


def _parts(segmentation: Segmentation) -> list[tuple[int, Polygon]]:
    start = 1 if segmentation.background else 0
    return [
        (label, polygon)
        for label in range(start, len(segmentation.names))
        if segmentation.pixels[label]
        for polygon in trace(segmentation.labels == label)
    ]


def _corners(ring: Ring) -> list[list[float]]:
    return [[round(x, 2), round(y, 2)] for x, y in ring[:-1].tolist()]


def _closed(ring: Ring) -> list[list[float]]:
    corners = _corners(ring)
    return [*corners, corners[0]]


def _from(folder: Path, file: Path) -> str:
    """Return a file's path as seen from a folder; its whole path where there is no way."""
    try:
        return Path(os.path.relpath(file.resolve(), folder.resolve())).as_posix()
    except ValueError:  # another drive
        return file.resolve().as_posix()
