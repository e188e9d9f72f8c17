"""Caption tables (tsv, csv, JSON lines, parquet): an image and a caption a row.

The first line names the columns (in JSON, every object does), and columns are found by their usual
names unless the user names them. A table without such a line is told by an image in its first line;
its columns are then called 1, 2, 3 and on, as in the files of CC3M (caption, address) and CC12M
(address, caption).
"""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pgseg_core.data.prepare.rows import Line
from pgseg_core.data.prepare.sources.locate import (
    Columns,
    Reading,
    folders_around,
    is_web,
    place_of,
)
from pgseg_core.data.prepare.sources.records import Records, looks_like_image, open_records
from pgseg_core.errors import DataError

IMAGE_COLUMNS = (
    *("image", "image_path", "filepath", "file_path", "filename", "file_name", "file", "path"),
    *("image_name", "img", "img_path", "url", "image_url", "img_url", "image_link", "link"),
)
"""Usual names of the column with the image's path or address, the likeliest first."""
CAPTION_COLUMNS = (
    *("caption", "captions", "text", "title", "sentence", "description", "comment"),
    *("top_caption", "raw_caption", "alt_text", "alt"),
)
"""Usual names of the column with the caption, the likeliest first."""
SPLIT_COLUMNS = ("split", "subset")
"""Usual names of the optional column with the split."""

_NUMBER = re.compile(r"[\d.,e+-]*")


def read_table(path: Path, reading: Reading, syntax: str | None = None) -> Iterator[Line]:
    """Read a caption table, one line of it at a time.

    Args:
        path: A table, in UTF-8.
        reading: Names of the columns; the folder that relative image paths start from, by default
            the table's own and then `images/` beside it; the split of lines that name none.
        syntax: As for `open_records`.

    Raises:
        DataError: The file is missing, empty or damaged, or a column is not there.
    """
    folders = folders_around(path, reading)
    try:
        table = open_records(path, syntax)
        chosen = choose_columns(table, reading.columns)
        for number, record in table.rows([name for name in vars(chosen).values() if name]):
            yield _line(record, chosen, folders, reading, where=f"{path}, line {number}")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"the table {path} cannot be read: {error}",
            hint="Give a UTF-8 file with one image and caption a line.",
        ) from error


def choose_columns(table: Records, wanted: Columns) -> Columns:
    """Decide which columns of a table hold the image, the caption and the split.

    Raises:
        DataError: A column that the user names is not there, or a usual one is not found.
    """
    there = table.columns
    usual = _columns_by_content(table.sample) if table.headless else _columns_by_name(there)
    found = {}
    for kind in ("image", "caption", "split"):
        name = getattr(wanted, kind)
        if name is not None and name not in there:
            raise DataError(
                f"{table.path} has no column '{name}'",
                hint=f"--{kind}-column can be: {', '.join(there)}",
            )
        found[kind] = name or getattr(usual, kind)
        if found[kind] is None and kind != "split":
            raise DataError(
                f"{table.path}: which column holds the {kind}?",
                hint=f"Name it with --{kind}-column; there are: {', '.join(there)}",
            )
    return Columns(**found)


def _columns_by_name(there: Sequence[str]) -> Columns:
    by_lower = {column.strip().lower(): column for column in reversed(there)}

    def first(usual: Sequence[str]) -> str | None:
        return next((by_lower[guess] for guess in usual if guess in by_lower), None)

    return Columns(
        image=first(IMAGE_COLUMNS), caption=first(CAPTION_COLUMNS), split=first(SPLIT_COLUMNS)
    )


def _columns_by_content(sample: Mapping[str, Any]) -> Columns:
    """Take the first field that looks like an image, and the first other that is no number."""
    values = {name: str(value or "").strip() for name, value in sample.items()}
    images = [name for name, value in values.items() if is_web(value)]
    images += [name for name, value in values.items() if looks_like_image(value)]
    others = [
        name
        for name, value in values.items()
        if name not in images and value and not _NUMBER.fullmatch(value)
    ]
    return Columns(
        image=images[0] if images else None,
        caption=others[0] if others else None,
    )


def _line(
    record: Mapping[str, Any],
    columns: Columns,
    folders: tuple[Path, ...],
    reading: Reading,
    *,
    where: str,
) -> Line:
    value = record.get(columns.image or "")
    if isinstance(value, dict | bytes):
        raise DataError(
            f"{where}: the column '{columns.image}' holds no paths or addresses but the images "
            "themselves",
            hint="Name a column of paths or addresses with --image-column.",
        )
    name = str(value or "").strip()
    captions = record.get(columns.caption or "")
    if not isinstance(captions, list | tuple):
        captions = [captions]
    own_split = str(record.get(columns.split or "") or "").strip()
    return Line(
        place=place_of(name, folders),
        name=name or where,
        captions=tuple(str(caption) for caption in captions if caption is not None),
        split=own_split or reading.default_split,
        where=where,
    )
