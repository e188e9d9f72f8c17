"""The further formats of a result, by name: what each writes beside the mask."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool
from PIL import Image

from pgseg_core.atomic import whole_file, whole_folder
from pgseg_core.errors import ConfigError, did_you_mean
from pgseg_core.inference.segmentation import Segmentation
from pgseg_core.results.coco import coco_dataset
from pgseg_core.results.names import file_name, path_from
from pgseg_core.results.shapes import geojson, labelme_file
from pgseg_core.results.writing import write_json

_BAND = 256
"""Rows of a photo that are cut out at once."""


@dataclass(frozen=True)
class Result:
    """What a format is made of."""

    photo: Image.Image
    """RGB."""
    segmentation: Segmentation
    file: Path | None
    """Where the photo came from; None where that is no file of its own."""
    stem: Path
    """Path of the results without an ending."""


Write = Callable[[Result], Path]
"""Writes one format and returns where."""


def parse_formats(values: Sequence[str]) -> tuple[str, ...]:
    """Return the names of formats in values such as "coco,npz", each once.

    Raises:
        ConfigError: There is none of a name.
    """
    names = [name.strip() for value in values for name in value.split(",")]
    for name in names:
        if name not in FORMATS:
            raise ConfigError(f"no format called '{name}'", hint=did_you_mean(name, FORMATS))
    return tuple(dict.fromkeys(names))


def _coco(result: Result) -> Path:
    """One photo as a data set; a photo without a file of its own is written beside it."""
    found, file = result.segmentation, result.file
    if file is None:
        file = _path(result, "_photo.png")
        with whole_file(file) as temporary:
            result.photo.save(temporary, format="PNG")
    values = coco_dataset(
        found.labels,
        found.names,
        file_name=file.name,
        image_root=path_from(result.stem.parent, file.parent),
        background=found.background,
    )
    return _json(result, "coco", values)


def _labelme(result: Result) -> Path:
    values = labelme_file(result.segmentation, result.photo, result.file, result.stem)
    return _json(result, "labelme", values)


def _geojson(result: Result) -> Path:
    path = _path(result, ".geojson")
    write_json(path, geojson(result.segmentation))
    return path


def _npz(result: Result) -> Path:
    """Scores of every class at the size the photo was read at.

    Enlarged bilinearly to the photo's size (pixel centres at halves) their best is the mask.
    """
    found, path = result.segmentation, _path(result, "_scores.npz")
    with whole_file(path) as file, file.open("wb") as stream:
        np.savez_compressed(
            stream,
            scores=found.field.class_maps(),
            names=np.array(found.names),
            size=np.array(found.labels.shape),
        )
    return path


def _cutouts(result: Result) -> Path:
    """A folder with a transparent PNG for each class that is there: the photo where it is seen."""
    found, folder = result.segmentation, _path(result, "_classes")
    with whole_folder(folder) as inside:
        for label, name in enumerate(found.names):
            if found.pixels[label]:
                cut = _cutout(result.photo, found.labels == label)
                cut.save(inside / f"{file_name(label, name)}.png")
    return folder


def _cutout(photo: Image.Image, mask: Bool[np.ndarray, "h w"]) -> Image.Image:
    """Return a photo where a mask is, in bands: a large photo is not held a third time."""
    cut = Image.new("RGBA", photo.size)
    for top in range(0, photo.height, _BAND):
        bottom = min(top + _BAND, photo.height)
        seen = Image.fromarray(mask[top:bottom].astype(np.uint8) * 255)
        band = photo.crop((0, top, photo.width, bottom)).convert("RGBA")
        cut.paste(band, (0, top), seen)
    return cut


def _path(result: Result, ending: str) -> Path:
    return result.stem.with_name(f"{result.stem.name}{ending}")


def _json(result: Result, what: str, values: object) -> Path:
    path = _path(result, f"_{what}.json")
    write_json(path, values)
    return path


FORMATS: Mapping[str, Write] = {
    "coco": _coco,
    "labelme": _labelme,
    "geojson": _geojson,
    "npz": _npz,
    "png": _cutouts,
}
"""Further formats by name."""
