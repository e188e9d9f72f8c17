"""How sources are to be read, and where an image that a source names lies."""

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from pgseg_core.data.prepare.rows import Place, WebAddress

_WEB = ("http://", "https://")


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which columns of a table to read; None finds them by their usual names."""

    image: str | None = None
    caption: str | None = None
    split: str | None = None


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a source does not say itself."""

    columns: Columns = field(default_factory=Columns)
    """Names of a table's columns; `image` also chooses the field of a COCO file."""
    images: Path | None = None
    """Folder that relative image paths start from; None looks around the source."""
    split: str | None = None
    """Split of the images whose source names none; None is train."""

    @property
    def default_split(self) -> str:
        """The split of an image whose source names none."""
        return self.split or "train"


def is_web(name: str) -> bool:
    """Whether an image's name is a web address."""
    return name[:8].lower().startswith(_WEB)


@lru_cache(16)  # the lines of an image are mostly neighbours
def place_of(name: str, folders: tuple[Path, ...]) -> Place | None:
    """Return where an image lies: a web address, or a file in the first folder that has it.

    A file that is in none of the folders is given the first one's path; no name, no place.
    """
    if not name:
        return None
    if is_web(name):
        return WebAddress(name)
    if "\0" in name:
        return None
    places = [folder / name for folder in folders]
    return next((place for place in places if place.is_file()), places[0])


def folders_around(source: Path, reading: Reading, *usual: str) -> tuple[Path, ...]:
    """Return the folders that a source's image paths may start from.

    Args:
        source: A table or annotation file.
        reading: Names the folder where it is not to be guessed.
        usual: Names of folders beside the source, or beside the folder it is in, that usually hold
            its images.
    """
    if reading.images is not None:
        return (reading.images,)
    beside = [source.parent / name for name in ("images", *usual)]
    above = [source.resolve().parent.parent / name for name in ("images", *usual)]
    there = [folder for folder in (*beside, *above) if folder.is_dir()]
    return (source.parent, *there)
