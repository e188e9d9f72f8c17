"""Caption tables (tsv, csv, JSON lines) with an image column and a caption column.

The first line names the columns (in JSON lines, every object does). Columns are found by their
usual names unless the user names them.
"""

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgseg_core.data.prepare.rows import Line
from pgseg_core.errors import DataError

TABLE_SUFFIXES = (".tsv", ".csv", ".jsonl")
"""Kinds of table, by file name."""

IMAGE_COLUMNS = (
    *("image", "image_path", "filepath", "file_path", "filename", "file_name", "file", "path"),
    *("image_name", "img", "img_path"),
)
"""Usual names of the column with the image's path, the likeliest first."""
CAPTION_COLUMNS = ("caption", "captions", "text", "title", "sentence", "description", "comment")
"""Usual names of the column with the caption, the likeliest first."""
SPLIT_COLUMNS = ("split", "subset")
"""Usual names of the optional column with the split."""

_DELIMITERS = ",;|\t"
_Record = tuple[int, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which columns to read; None finds them by their usual names."""

    image: str | None = None
    caption: str | None = None
    split: str | None = None


def read_table(path: Path, columns: Columns, *, images: Path | None, split: str) -> Iterator[Line]:
    """Read a caption table, one line of it at a time.

    Args:
        path: A file whose suffix is one of `TABLE_SUFFIXES`, in UTF-8.
        columns: Names of the columns.
        images: Folder that relative image paths start from. None tries the table's own folder and
            then `images/` beside the table.
        split: Split of the lines that name none.

    Raises:
        DataError: The file is missing, empty or damaged, a column is not there, or the images are
            web addresses.
    """
    readers: dict[str, Callable[[Path], Iterator[_Record]]] = {
        ".tsv": _read_tab_separated,
        ".csv": _read_comma_separated,
        ".jsonl": _read_json_lines,
    }
    if path.suffix.lower() not in readers:
        raise DataError(
            f"{path}: not a table that pgseg reads",
            hint=f"Known tables: {', '.join(TABLE_SUFFIXES)}",
        )
    folders = (images,) if images is not None else (path.parent, path.parent / "images")
    chosen: Columns | None = None
    try:
        for number, record in readers[path.suffix.lower()](path):
            chosen = chosen or _choose_columns(path, list(record), columns)
            where = f"{path}, line {number}"
            yield _line(record, chosen, folders, split=split, where=where)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"the table {path} cannot be read: {error}",
            hint="Give a UTF-8 file with one image and caption a line.",
        ) from error
    if chosen is None:
        raise DataError(
            f"the table {path} holds no rows",
            hint="It needs a first line with column names (image, caption) and rows below it.",
        )


def _line(
    record: Mapping[str, Any],
    columns: Columns,
    folders: Sequence[Path],
    *,
    split: str,
    where: str,
) -> Line:
    name = str(record.get(columns.image or "") or "").strip()
    if not name:
        raise DataError(
            f"{where}: no image is named", hint="Fill the image column, or drop the line."
        )
    if name.startswith(("http://", "https://")):
        raise DataError(
            f"{where}: the image is a web address, {name}",
            hint="Download them first; shards of img2dataset are read as they are.",
        )
    captions = record.get(columns.caption or "")
    if not isinstance(captions, list):
        captions = [captions]
    own_split = str(record.get(columns.split or "") or "").strip()
    return Line(
        image=_resolve(name, folders),
        name=name,
        captions=tuple(str(caption) for caption in captions if caption is not None),
        split=own_split or split,
        where=where,
    )


def _resolve(name: str, folders: Sequence[Path]) -> Path:
    """Return the first of the places where the image exists, or else the first place."""
    places = [folder / name for folder in folders]
    return next((place for place in places if place.is_file()), places[0])


def _choose_columns(path: Path, there: Sequence[str], wanted: Columns) -> Columns:
    def choose(kind: str, name: str | None, usual: Sequence[str]) -> str | None:
        if name is not None:
            if name not in there:
                raise DataError(
                    f"{path} has no column '{name}'",
                    hint=f"--{kind}-column can be: {', '.join(there)}",
                )
            return name
        by_lower = {column.strip().lower(): column for column in reversed(there)}
        return next((by_lower[guess] for guess in usual if guess in by_lower), None)

    found = Columns(
        image=choose("image", wanted.image, IMAGE_COLUMNS),
        caption=choose("caption", wanted.caption, CAPTION_COLUMNS),
        split=choose("split", wanted.split, SPLIT_COLUMNS),
    )
    for kind, column in (("image", found.image), ("caption", found.caption)):
        if column is None:
            raise DataError(
                f"{path}: which column holds the {kind}?",
                hint=f"Name it with --{kind}-column; there are: {', '.join(there)}",
            )
    return found


def _read_tab_separated(path: Path) -> Iterator[_Record]:
    """Read a table whose captions may hold quotes, which only count around a whole field."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        header: list[str] | None = None
        for row in rows:
            fields = [_without_quotes(field) for field in row]
            if header is None:
                header = fields
            elif any(fields):
                yield rows.line_num, dict(zip(header, fields, strict=False))


def _without_quotes(field: str) -> str:
    if len(field) > 1 and field[0] == field[-1] == '"':
        return field[1:-1].replace('""', '"')
    return field


def _read_comma_separated(path: Path) -> Iterator[_Record]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline()
        file.seek(0)
        delimiter = max(_DELIMITERS, key=first.count)
        rows = csv.DictReader(file, delimiter=delimiter, skipinitialspace=True)
        for row in rows:
            yield rows.line_num, row


def _read_json_lines(path: Path) -> Iterator[_Record]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except json.JSONDecodeError as error:
                raise DataError(
                    f"{path}, line {number}: not JSON ({error.msg})",
                    hint='Write one object a line: {"image": "a.jpg", "caption": "..."}',
                ) from error
            if not isinstance(record, dict):
                raise DataError(
                    f"{path}, line {number}: not an object",
                    hint='Write one object a line: {"image": "a.jpg", "caption": "..."}',
                )
            yield number, record
