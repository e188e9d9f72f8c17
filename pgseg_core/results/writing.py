"""Text beside the pictures, whole or not at all, whatever the photos are called."""

import json
from pathlib import Path
from typing import Any

from pgseg_core.atomic import whole_file


def write_text(path: Path, text: str) -> None:
    """Write UTF-8; bytes of file names that are no text become "?"."""
    with whole_file(path) as file:
        file.write_text(text, "utf-8", errors="replace")


def write_json(path: Path, values: Any, *, indent: int | None = None) -> None:
    """Write plain values as JSON, in their own letters."""
    with whole_file(path) as file:
        file.write_bytes(json_bytes(values, indent=indent))


def json_bytes(values: Any, *, indent: int | None = None) -> bytes:
    """Return plain values as JSON in UTF-8.

    A byte of a file name that is no text becomes the escape of the lone surrogate that Python has
    for it, so that who reads the JSON with Python can open the file.
    """
    text = json.dumps(values, indent=indent, ensure_ascii=False) + "\n"
    return text.encode("utf-8", "backslashreplace")
