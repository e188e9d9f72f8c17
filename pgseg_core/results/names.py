"""File names made of class names, which may hold anything at all."""

import os
import unicodedata

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


def _harmless(character: str) -> bool:
    return character == "-" or unicodedata.category(character)[0] in "LNM"
