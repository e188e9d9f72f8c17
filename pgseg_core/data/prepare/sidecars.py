"""A folder of images, each with a text file of the same name beside it: one caption a line."""

from collections.abc import Iterator
from pathlib import Path

from pgseg_core.data.images import list_images
from pgseg_core.data.prepare.rows import Line
from pgseg_core.errors import DataError


def read_sidecars(folder: Path, *, split: str) -> Iterator[Line]:
    """List the images of a folder with the captions of their text files.

    An image without a text file comes without captions.

    Args:
        folder: Searched with the folders below it.
        split: The split they all belong to.

    Raises:
        DataError: The folder holds no image, or no image has a text file, or a text file is not
            UTF-8.
    """
    images = list_images(folder)
    texts = [image.with_suffix(".txt") for image in images]
    if not any(text.is_file() for text in texts):
        raise DataError(
            f"{folder}: {len(images)} images, and no captions for any of them",
            hint=f"Put the captions of {images[0].name} into {texts[0].name} beside it, one a "
            "line, or give a table (tsv, csv, jsonl).",
        )
    for image, text in zip(images, texts, strict=True):
        name = image.relative_to(folder).as_posix()
        yield Line(image=image, name=name, captions=_captions(text), split=split, where=str(text))


def _captions(text: Path) -> tuple[str, ...]:
    try:
        return tuple(text.read_text(encoding="utf-8-sig").splitlines())
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"the captions {text} cannot be read: {error}", hint="Save the file as UTF-8 text."
        ) from error
