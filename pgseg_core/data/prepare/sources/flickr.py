"""Flickr8k's and Flickr30k's token files as published: `IMAGE.jpg#0<tab>caption`, five an image."""

import re
from collections.abc import Iterator
from pathlib import Path

from pgseg_core.data.prepare.rows import Line
from pgseg_core.data.prepare.sources.locate import Reading, folders_around, place_of
from pgseg_core.errors import DataError

_TOKEN = re.compile(r"(?P<image>[^\t]+)#(?:enc#)?\d+\t(?P<caption>.*)")
_FOLDERS = (
    *("Flicker8k_Dataset", "Flickr8k_Dataset", "flickr8k-images"),
    *("flickr30k-images", "flickr30k_images", "Images"),
)
_SPLIT_LISTS = ("Flickr_8k.{}Images.txt", "Flickr8k.{}Images.txt", "{}.txt")
_SPLITS = ("train", "dev", "val", "test")


def is_token_file(path: Path) -> bool:
    """Whether a file's first line has the form of a token file."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            return _TOKEN.fullmatch(file.readline(10_000).rstrip("\r\n")) is not None
    except (OSError, UnicodeDecodeError):
        return False


def read_token_file(path: Path, reading: Reading) -> Iterator[Line]:
    """Read a token file, with the splits of the lists beside it where there are any.

    Args:
        path: Such as `Flickr8k.token.txt` or `results_20130124.token`.
        reading: The folder with the images, by default one of the usual names around the file;
            the split of images that no list (`Flickr_8k.trainImages.txt`, ...) names, by default
            "none" where there are lists.

    Raises:
        DataError: The file cannot be read, or a line has another form.
    """
    folders = folders_around(path, reading, *_FOLDERS)
    splits = _read_split_lists(path.parent)
    rest = reading.split or ("none" if splits else "train")
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, text in enumerate(file, start=1):
                if not text.strip():
                    continue
                where = f"{path}, line {number}"
                match = _TOKEN.fullmatch(text.rstrip("\r\n"))
                if match is None:
                    raise DataError(
                        f"{where}: not of the form IMAGE.jpg#0<tab>caption",
                        hint="Give the token file as published, or a table with --format tsv.",
                    )
                name = match["image"]
                yield Line(
                    place=place_of(name, folders),
                    name=name,
                    captions=(match["caption"],),
                    split=splits.get(name) or splits.get(Path(name).stem, rest),
                    where=where,
                )
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"the token file {path} cannot be read: {error}", hint="Save it as UTF-8 text."
        ) from error


def _read_split_lists(folder: Path) -> dict[str, str]:
    """Read the lists of images, one a line, that say which split an image is in."""
    splits: dict[str, str] = {}
    for split in _SPLITS:
        for pattern in _SPLIT_LISTS:
            path = folder / pattern.format(split)
            if path.is_file():
                names = path.read_text(encoding="utf-8-sig", errors="replace").split()
                splits |= dict.fromkeys(names, split)
    return splits
