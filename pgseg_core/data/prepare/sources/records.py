"""Files of records, whatever their syntax, as column names and rows: tsv, csv, JSON, parquet."""

import csv
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from pgseg_core.data.prepare.sources.locate import is_web
from pgseg_core.errors import DataError
from pgseg_core.photos.images import IMAGE_SUFFIXES

Row = tuple[int, Mapping[str, Any]]
"""A row's number, counted from 1 with the header, and its values by column."""

SYNTAXES = ("tsv", "csv", "jsonl", "json", "parquet")
"""Syntaxes of tables."""

_SUFFIXES = {f".{syntax}": syntax for syntax in SYNTAXES} | {".ndjson": "jsonl"}
_DELIMITERS = ",;|\t"
_PEEK = 100
_SHAPE = 'Write one object a line: {"image": "a.jpg", "caption": "..."}'


@dataclass(frozen=True)
class Records:
    """A table that has been opened but for its rows.

    Attributes:
        path: The file.
        columns: Names of its columns; "1", "2" and on where the file has none.
        headless: Whether the file names no columns.
        sample: The first row.
        rows: Reads all rows, from the beginning; told which columns are needed.
    """

    path: Path
    columns: tuple[str, ...]
    headless: bool
    sample: Mapping[str, Any]
    rows: Callable[[Sequence[str]], Iterator[Row]]


def open_records(path: Path, syntax: str | None = None) -> Records:
    """Open a table.

    Args:
        path: The file.
        syntax: One of `SYNTAXES`; None goes by the file's suffix, and for a `.txt` by whether its
            first line has tabs.

    Raises:
        DataError: The suffix is not known, there are no rows, or the file is damaged.
    """
    syntax = syntax or table_syntax(path)
    if syntax == "parquet":
        return _open_parquet(path)
    if syntax == "jsonl":
        return _open_objects(path, lambda: _json_lines(path))
    if syntax == "json":
        return _open_objects(path, lambda: _json_list(path))
    return _open_separated(path, syntax)


def table_syntax(path: Path) -> str:
    """Return a table's syntax, one of `SYNTAXES`, by its suffix.

    Raises:
        DataError: The suffix is not known.
    """
    suffix = path.suffix.lower()
    if suffix == ".txt":
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            return "tsv" if "\t" in file.readline(10_000) else "csv"
    if suffix not in _SUFFIXES:
        raise DataError(
            f"{path}: not a table that pgseg reads",
            hint=f"Known tables: {', '.join(_SUFFIXES)}; --format says what it is.",
        )
    return _SUFFIXES[suffix]


def looks_like_image(value: str) -> bool:
    """Whether a value reads like an image: a web address, or the name of an image file."""
    return is_web(value) or PurePosixPath(value).suffix.lower() in IMAGE_SUFFIXES


def _open_separated(path: Path, syntax: str) -> Records:
    if syntax == "tsv":
        fields = _tab_fields
    else:
        with path.open(encoding="utf-8-sig", newline="") as file:
            line = file.readline()
        fields = partial(_delimited_fields, delimiter=max(_DELIMITERS, key=line.count))
    lines = fields(path)
    _, first = next(lines, (1, []))
    headless = any(looks_like_image(value.strip()) for value in first)
    names = tuple(str(place) for place in range(1, len(first) + 1)) if headless else tuple(first)
    number, second = (1, first) if headless else next(lines, (0, []))
    if not number:
        raise _empty(path)

    def rows(_: Sequence[str]) -> Iterator[Row]:
        start = 0 if headless else 1
        for number, values in itertools.islice(fields(path), start, None):
            yield number, dict(zip(names, values, strict=False))

    return Records(path, names, headless, dict(zip(names, second, strict=False)), rows)


def _tab_fields(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Read a table whose captions may hold quotes, which only count around a whole field."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        for row in rows:
            if any(row):
                yield rows.line_num, [_without_quotes(field) for field in row]


def _without_quotes(field: str) -> str:
    if len(field) > 1 and field[0] == field[-1] == '"':
        return field[1:-1].replace('""', '"')
    return field


def _delimited_fields(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, delimiter=delimiter, skipinitialspace=True)
        for row in rows:
            if any(row):
                yield rows.line_num, row


def _open_objects(path: Path, read: Callable[[], Iterator[Row]]) -> Records:
    """Open objects whose keys are the columns; a key may be missing here and there."""
    first = list(itertools.islice(read(), _PEEK))
    if not first:
        raise _empty(path)
    names = dict.fromkeys(name for _, record in first for name in record)
    return Records(path, tuple(names), headless=False, sample=first[0][1], rows=lambda _: read())


def _json_lines(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except json.JSONDecodeError as error:
                raise DataError(
                    f"{path}, line {number}: not JSON ({error.msg})", hint=_SHAPE
                ) from error
            yield number, _object(record, f"{path}, line {number}")


def _json_list(path: Path) -> Iterator[Row]:
    for number, record in enumerate(load_json(path), start=1):
        yield number, _object(record, f"{path}, entry {number}")


def load_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        DataError: It is missing or not JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: not JSON that can be read ({error})", hint="Copy or download it again."
        ) from error


def _object(record: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(record, dict):
        raise DataError(f"{where}: not an object", hint=_SHAPE)
    return record


def _open_parquet(path: Path) -> Records:
    try:
        import pyarrow as arrow  # noqa: PLC0415 (an extra)
        from pyarrow import parquet  # noqa: PLC0415 (an extra)
    except ImportError as error:
        raise DataError(
            f"{path}: reading parquet needs pyarrow", hint="pip install 'pgseg[parquet]'"
        ) from error
    try:
        columns = tuple(parquet.read_schema(path).names)
    except (OSError, arrow.ArrowException) as error:
        raise DataError(
            f"{path} is not a parquet file that can be read: {error}",
            hint="Copy or download it again.",
        ) from error

    def rows(names: Sequence[str]) -> Iterator[Row]:
        try:
            with parquet.ParquetFile(path) as file:
                batches = file.iter_batches(batch_size=4096, columns=list(names))
                yield from enumerate(_records(batches), start=1)
        except (OSError, arrow.ArrowException) as error:
            raise DataError(
                f"{path} is damaged: {error}", hint="Copy or download it again."
            ) from error

    first = next(rows(columns), None)
    if first is None:
        raise _empty(path)
    return Records(path, columns, headless=False, sample=first[1], rows=rows)


def _records(batches: Iterable[Any]) -> Iterator[Mapping[str, Any]]:
    for batch in batches:
        yield from batch.to_pylist()


def _empty(path: Path) -> DataError:
    return DataError(
        f"the table {path} holds no rows",
        hint="It needs a first line with column names (image, caption) and rows below it.",
    )
