"""A folder of images, each with a text file of the same name beside it: one caption a line."""

from collections.abc import Iterator
from pathlib import Path

from pgseg_core.data.prepare.rows import Line
from pgseg_core.data.prepare.sources.locate import Reading
from pgseg_core.errors import DataError
from pgseg_core.photos.images import list_images

_SUFFIXES = (".txt", ".caption")


def read_sidecars(folder: Path, reading: Reading) -> Iterator[Line]:
    """List the images of a folder with the captions of their text files.

    An image without a text file comes without captions.

    Args:
        folder: Searched with the folders below it.
        reading: The split they all belong to.

    Raises:
        DataError: The folder holds no image, or no image has a text file, or a text file is not
            UTF-8.
    """
    images = list_images(folder)
    if not any(_text_beside(image).is_file() for image in images):
        raise DataError(
            f"{folder}: {len(images)} images, and no captions for any of them",
            hint=f"Put the captions of {images[0].name} into "
            f"{images[0].with_suffix('.txt').name} beside it, one a line, or give a table "
            "(tsv, csv, jsonl, parquet).",
        )
    for image in images:
        text = _text_beside(image)
        yield Line(
            place=image,
            name=image.relative_to(folder).as_posix(),
            captions=_captions(text),
            split=reading.default_split,
            where=str(text),
        )


def _text_beside(image: Path) -> Path:
    places = [image.with_suffix(suffix) for suffix in _SUFFIXES]
    return next((place for place in places if place.is_file()), places[0])


def _captions(text: Path) -> tuple[str, ...]:
    try:
        return tuple(text.read_text(encoding="utf-8-sig").splitlines())
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"the captions {text} cannot be read: {error}", hint="Save the file as UTF-8 text."
        ) from error
