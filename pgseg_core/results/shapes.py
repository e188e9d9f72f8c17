"""A segmentation's regions as polygons, in labelme's format and as GeoJSON."""

import base64
import io
from pathlib import Path
from typing import Any

from PIL import Image

from pgseg_core.inference.segmentation import Segmentation
from pgseg_core.photos.images import open_header
from pgseg_core.results.names import path_from
from pgseg_core.results.polygons import Polygon, Ring, one_ring, trace

_LABELME_FORMATS = frozenset({"JPEG", "MPO", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM"})
_LABELME_MODES = frozenset({"1", "L", "P", "RGB", "RGBA", "LA"})
_LONGEST_JPEG = 65_500


def labelme_file(
    segmentation: Segmentation, photo: Image.Image, file: Path | None, stem: Path
) -> dict[str, Any]:
    """Return what labelme opens: a polygon for each connected part of a class, the largest first.

    Holes are entered by a bridge, since labelme's polygons have none. The photo is pointed to where
    labelme reads its file itself, and put inside where it has none (a frame, an address) or one
    that labelme refuses (CMYK, 16 bits, HEIC).

    Args:
        segmentation: The labels.
        photo: RGB, upright.
        file: The photo's own file, if it has one.
        stem: Path of the results without an ending, from where the file is to be found.
    """
    path = f"{stem.name}.jpg" if file is None else path_from(stem.parent, file)
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
        "imagePath": path,
        "imageData": None if file is not None and _labelme_reads(file, path) else _inside(photo),
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


def _labelme_reads(file: Path, path: str) -> bool:
    """Say whether labelme reads a file itself, by a path from the result."""
    if "\\" in path or not path.isprintable():  # read as folders; no text in any encoding
        return False
    try:
        with open_header(file) as opened:
            return opened.format in _LABELME_FORMATS and opened.mode in _LABELME_MODES
    except OSError:  # gone since, or of a kind that only pgseg's extras read
        return False


def _inside(photo: Image.Image) -> str:
    """Return a photo as labelme itself puts one into its files."""
    stream = io.BytesIO()
    photo.save(stream, "JPEG" if max(photo.size) <= _LONGEST_JPEG else "PNG", quality=95)
    return base64.b64encode(stream.getvalue()).decode("ascii")


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
