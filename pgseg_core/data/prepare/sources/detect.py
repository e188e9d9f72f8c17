"""What a path given to `prepare` is, and how its lines are read."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pgseg_core.data.manifest import MANIFEST_NAME, UNFINISHED_NAME, unfinished
from pgseg_core.data.prepare.grouping import ReadLines
from pgseg_core.data.prepare.rows import Line
from pgseg_core.data.prepare.sources.annotations import READERS, document_format
from pgseg_core.data.prepare.sources.flickr import is_token_file, read_token_file
from pgseg_core.data.prepare.sources.locate import Reading
from pgseg_core.data.prepare.sources.records import SYNTAXES, load_json, table_syntax
from pgseg_core.data.prepare.sources.shards import find_tars, read_shards
from pgseg_core.data.prepare.sources.sidecars import read_sidecars
from pgseg_core.data.prepare.sources.tables import read_table
from pgseg_core.errors import ConfigError, DataError, did_you_mean

FORMATS = (*SYNTAXES, *READERS, "flickr", "shards", "folder")
"""What `--format` may say: a table's syntax, a published form, shards, or images with text files.
"""

_LAYOUTS = (
    "Give a table (tsv, csv, jsonl, parquet) with an image and a caption column, a folder with one "
    "such table in it, COCO's captions or Flickr's token file, shards, or a folder of images with "
    "a .txt of captions beside each."
)
_Found = tuple[str, list[Path]]

_TABLES = frozenset({".tsv", ".csv", ".jsonl", ".ndjson", ".parquet"})


@dataclass(frozen=True)
class Source:
    """One source that has been recognised.

    Attributes:
        name: As the user named it.
        format: One of `FORMATS`.
        read: Reads its lines from the beginning.
    """

    name: str
    format: str
    read: ReadLines


def open_source(path: Path, reading: Reading, form: str | None = None) -> Source:
    """Recognise a source of image-text pairs; nothing of the images themselves is read.

    Args:
        path: A table, an annotation file, shards, or a folder of any of these or of images.
        reading: What the source does not say itself.
        form: One of `FORMATS`; None finds out.

    Raises:
        ConfigError: There is no such format.
        DataError: The source is missing, empty, or of no known kind.
    """
    if form is not None and form not in FORMATS:
        raise ConfigError(f"--format {form} is no format", hint=did_you_mean(form, FORMATS))
    if reading.images is not None and not reading.images.is_dir():
        raise DataError(f"the image folder {reading.images} does not exist", hint="Check --images.")
    if path.is_file():
        form = form or _format_of_file(path)
        return Source(str(path), form, partial(_reader(form), path, reading))
    if not path.is_dir():
        if "{" in path.name and form in {None, "shards"}:
            find_tars(path)
            return Source(str(path), "shards", partial(read_shards, path, reading))
        raise DataError(f"the source {path} does not exist", hint=_LAYOUTS)
    found, files = _look_into(path, form)
    readers = [partial(_reader(found), file, reading) for file in files]
    return Source(str(path), found, partial(_chain, readers))


def _chain(readers: Sequence[ReadLines]) -> Iterator[Line]:
    return itertools.chain.from_iterable(read() for read in readers)


def _reader(form: str) -> Callable[[Path, Reading], Iterator[Line]]:
    if form in READERS:
        return partial(_read_document, form)
    if form in SYNTAXES:
        return partial(read_table, syntax=form)
    return {"flickr": read_token_file, "shards": read_shards, "folder": read_sidecars}[form]


def _read_document(form: str, path: Path, reading: Reading) -> Iterator[Line]:
    document = load_json(path)
    if document_format(document) != form:
        raise DataError(
            f"{path} has not the form of {form}",
            hint="Leave --format out to have it recognised.",
        )
    return READERS[form](path, document, reading)


def _format_of_file(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix == ".tar":
        return "shards"
    if suffix == ".json":
        return document_format(load_json(path)) or "json"
    if suffix in {".txt", ".token"} and is_token_file(path):
        return "flickr"
    return table_syntax(path)


def _look_into(folder: Path, form: str | None) -> _Found:
    """Find what a folder holds: its format, and the files that are to be read for it."""
    if form == "folder" or (form is None and _is_images_with_texts(folder)):
        return "folder", [folder]
    for look in (_look_for_shards, _look_for_tables, _look_for_documents, _look_for_texts):
        found = look(folder, form)
        if found is not None and form in {None, found[0]}:
            return found
    if not any(folder.iterdir()):
        raise DataError(f"the folder {folder} is empty", hint=_LAYOUTS)
    if form is not None:
        raise DataError(f"{folder} holds nothing in the format {form}", hint=_LAYOUTS)
    return "folder", [folder]


def _look_for_shards(folder: Path, _: str | None) -> _Found | None:
    if (folder / UNFINISHED_NAME).exists():
        raise unfinished(folder)
    there = (folder / MANIFEST_NAME).exists() or any(folder.glob("*.tar"))
    return ("shards", [folder]) if there else None


def _look_for_tables(folder: Path, form: str | None) -> _Found | None:
    tables = sorted(path for path in folder.iterdir() if path.suffix.lower() in _TABLES)
    if form not in {None, *SYNTAXES}:
        return None
    if form is not None:
        tables = [path for path in tables if table_syntax(path) == form]
    syntaxes = {table_syntax(path) for path in tables}
    if len(tables) > 1 and syntaxes != {"parquet"}:
        raise _choose(folder, "tables", tables)
    return (syntaxes.pop(), tables) if tables else None


def _look_for_documents(folder: Path, form: str | None) -> _Found | None:
    documents = _documents(folder)
    if not documents:
        return None
    found = form if form in READERS else document_format(load_json(documents[0]))
    return None if found is None else (found, documents)


def _look_for_texts(folder: Path, _: str | None) -> _Found | None:
    texts = [path for path in folder.iterdir() if path.suffix.lower() in {".txt", ".token"}]
    tokens = sorted(path for path in texts if "lemma" not in path.name and is_token_file(path))
    if len(tokens) > 1:
        raise _choose(folder, "token files", tokens)
    if tokens:
        return "flickr", tokens
    table = folder / "captions.txt"  # as Flickr8k is handed out today
    return (table_syntax(table), [table]) if table.is_file() else None


def _documents(folder: Path) -> list[Path]:
    """Return COCO's or Karpathy's caption files, or else all JSON files where nothing else is."""
    places = [place for place in (folder, folder / "annotations") if place.is_dir()]
    for place in places:
        named = sorted([*place.glob("captions_*.json"), *place.glob("dataset_*.json")])
        if named:
            return named
    for place in places:
        files = [path for path in place.iterdir() if path.is_file() and path.name[0] != "."]
        if files and all(path.suffix.lower() == ".json" for path in files):
            return sorted(files)
    return []


def _is_images_with_texts(folder: Path) -> bool:
    """Whether an image of the folder itself has a text file beside it."""
    return any(
        path.with_suffix(suffix).is_file()
        for path in folder.iterdir()
        if path.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"}
        for suffix in (".txt", ".caption")
    )


def _choose(folder: Path, what: str, paths: Sequence[Path]) -> DataError:
    return DataError(
        f"{folder} holds {len(paths)} {what}: {', '.join(path.name for path in paths)}",
        hint=f"Give the one you mean, such as {paths[0]}",
    )
