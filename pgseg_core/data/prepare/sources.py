"""What a path given to `prepare` is: a table, a folder with a table, or images with text files."""

from pathlib import Path

from pgseg_core.data.manifest import MANIFEST_NAME
from pgseg_core.data.prepare.rows import Row, group_lines
from pgseg_core.data.prepare.sidecars import read_sidecars
from pgseg_core.data.prepare.tables import TABLE_SUFFIXES, Columns, read_table
from pgseg_core.errors import DataError

_LAYOUTS = (
    "Give a table (tsv, csv, jsonl) with an image and a caption column, a folder with one such "
    "table in it, or a folder of images with a .txt of captions beside each."
)


def read_source(
    source: Path, columns: Columns, *, images: Path | None = None, split: str = "train"
) -> list[Row]:
    """Read a source of image-text pairs, whatever its kind.

    Args:
        source: A table, a folder that holds one table, or a folder of images with text files.
        columns: Names of a table's columns.
        images: Folder that a table's relative image paths start from.
        split: Split of the images whose source names none.

    Returns:
        One row an image; nothing of the images themselves has been read.

    Raises:
        DataError: The source is missing, empty, of no known kind, or damaged.
    """
    if images is not None and not images.is_dir():
        raise DataError(f"the image folder {images} does not exist", hint="Check --images.")
    if source.is_file():
        return group_lines(read_table(source, columns, images=images, split=split))
    if not source.is_dir():
        raise DataError(f"the source {source} does not exist", hint=_LAYOUTS)
    if (source / MANIFEST_NAME).exists() or any(source.glob("*.tar")):
        raise DataError(
            f"{source} holds shards already",
            hint=f"Train on it as it is: --set data.shards={source}",
        )
    tables = sorted(path for path in source.iterdir() if path.suffix.lower() in TABLE_SUFFIXES)
    if len(tables) > 1:
        raise DataError(
            f"{source} holds {len(tables)} tables: {', '.join(path.name for path in tables)}",
            hint=f"Give the one you mean, such as {tables[0]}",
        )
    if tables:
        return group_lines(read_table(tables[0], columns, images=images, split=split))
    if not any(source.iterdir()):
        raise DataError(f"the folder {source} is empty", hint=_LAYOUTS)
    return group_lines(read_sidecars(source, split=split))
