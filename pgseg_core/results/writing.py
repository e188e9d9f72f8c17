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
    write_text(path, json.dumps(values, indent=indent, ensure_ascii=False) + "\n")
