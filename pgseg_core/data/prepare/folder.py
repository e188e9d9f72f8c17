"""The folder a preparation writes into: whose it is, and whether its work is already done."""

import re
from pathlib import Path

from pgseg_core.data.manifest import (
    MANIFEST_NAME,
    UNFINISHED_NAME,
    Manifest,
    load_manifest,
    save_manifest,
)
from pgseg_core.errors import DataError

TEMPORARY_SUFFIX = ".tmp"
"""Ends the name of a file until it is whole."""

_OUR_FILES = re.compile(r".+-\d{5,}\.tar(\.tmp)?|manifest\.json(\.tmp)?")


def find_finished(out: Path, request: str, *, overwrite: bool) -> Manifest | None:
    """Return the manifest if this very preparation is already there; None if it can be written.

    Args:
        out: The folder to write into; need not exist.
        request: Hash of what is asked for.
        overwrite: Whether another finished preparation may be replaced.

    Raises:
        DataError: The folder holds another preparation, or files that are not ours.
    """
    if out.exists() and not out.is_dir():
        raise DataError(f"{out} is a file", hint="Give a folder for the shards.")
    if not out.is_dir() or (out / UNFINISHED_NAME).exists():
        return None
    if not (out / MANIFEST_NAME).exists():
        if any(not path.name.startswith(".") for path in out.iterdir()):
            raise DataError(
                f"{out} is not empty, and what is in it was not written by pgseg",
                hint="Choose a new folder for the shards.",
            )
        return None
    manifest = load_manifest(out)
    if manifest.request == request:
        return manifest if manifest.is_whole(out) else None
    if not overwrite:
        raise DataError(
            f"{out} holds another preparation (of {', '.join(manifest.sources)})",
            hint="Choose another folder, or add --overwrite to replace it.",
        )
    return None


def begin(out: Path) -> None:
    """Mark the folder as being written, and take away what an earlier preparation left there.

    Raises:
        DataError: The folder cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / UNFINISHED_NAME).write_text(
            "pgseg is preparing data here, or was stopped while it did. Running the same command "
            "again starts over.\n"
        )
        for path in out.iterdir():
            if _OUR_FILES.fullmatch(path.name):
                path.unlink()
    except OSError as error:
        raise DataError(
            f"the folder {out} cannot be written: {error}", hint="Choose another with --out."
        ) from error


def finish(out: Path, manifest: Manifest) -> None:
    """Write the manifest and take the mark away: from here on the folder is whole."""
    save_manifest(manifest, out)
    (out / UNFINISHED_NAME).unlink()
