"""Which photos a call means, and what their results are called."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pgseg_core.data.images import list_images
from pgseg_core.errors import DataError


@dataclass(frozen=True)
class Photo:
    """A photo to segment."""

    source: Path
    """The file."""
    stem: Path
    """Its results' name without an ending, below the output folder; unique in one call."""


def find_photos(inputs: Sequence[Path]) -> list[Photo]:
    """List the photos that files and folders stand for, in order.

    A folder's photos keep their place below it. Photos that would share a name keep their ending
    in it (a.jpg and a.png become a.jpg... and a.png...).

    Raises:
        DataError: An input does not exist, a folder holds no photo, or a photo is given twice.
    """
    found: list[tuple[Path, Path]] = []
    for path in inputs:
        if path.is_dir():
            found += [(image, image.relative_to(path)) for image in list_images(path)]
        elif path.exists():
            found.append((path, Path(path.name)))
        else:
            raise DataError(f"{path}: no such image or folder", hint="Check the path.")
    stems = Counter(name.with_suffix("") for _, name in found)
    photos = [
        Photo(source, name if stems[name.with_suffix("")] > 1 else name.with_suffix(""))
        for source, name in found
    ]
    twice = [stem for stem, count in Counter(photo.stem for photo in photos).items() if count > 1]
    if twice:
        raise DataError(
            f"two photos are called {twice[0]}, their results would fall on each other",
            hint="Segment them in two calls with different --out folders.",
        )
    return photos
