"""Names of files: those made of class names, and how one file names another."""

import os
import unicodedata
from pathlib import Path

_LONGEST = 80
"""Bytes of the class's part in a file name."""


def file_name(index: int, name: str) -> str:
    """Return a file name, without ending, for a class: its index, and what can be kept of its name.

    Letters and digits of every script stay; separators, control characters and signs that steer the
    direction of text become "_". Different indices give different names on every file system.

    Args:
        index: The class's place in the list.
        name: Any text.
    """
    letters = "".join(c if _harmless(c) else "_" for c in unicodedata.normalize("NFC", name))
    words = "_".join(filter(None, letters.split("_")))
    cut = os.fsencode(words)[:_LONGEST].decode("utf-8", "ignore")
    return f"{index:03}_{cut}" if cut else f"{index:03}"


def path_from(folder: Path, file: Path) -> str:
    """Return a file's path as seen from a folder; its whole path where there is no way.

    A link is called by its own name.
    """
    place = file.parent.resolve() / file.name
    try:
        return Path(os.path.relpath(place, folder.resolve())).as_posix()
    except ValueError:  # another drive
        return place.as_posix()


def _harmless(character: str) -> bool:
    return character == "-" or unicodedata.category(character)[0] in "LNM"
