"""The folder a preparation writes into: whose it is, and what of the work is already done."""

import re
from pathlib import Path

from pgseg_core.data.manifest import (
    JOURNAL_NAME,
    MANIFEST_NAME,
    UNFINISHED_NAME,
    Manifest,
    load_manifest,
    save_manifest,
)
from pgseg_core.data.prepare.download import PASSING
from pgseg_core.data.prepare.journal import Header, Journal, read_header
from pgseg_core.errors import DataError

TEMPORARY_SUFFIX = ".tmp"
"""Ends the name of a file until it is whole."""

_SHARDS = re.compile(r".+-\d{5,}\.tar(\.tmp)?")
_RESULTS = re.compile(r"manifest\.json|journal\.jsonl|\.manifest\.json\.\d+\.tmp")


def open_preparation(
    out: Path, header: Header, *, overwrite: bool, retry: bool = False
) -> Manifest | Journal:
    """Return what a folder already has of a preparation.

    Args:
        out: The folder to write into; need not exist.
        header: What is asked for.
        overwrite: Whether another preparation may be replaced.
        retry: Whether what failed by chance in this very preparation, finished, is undone again.

    Returns:
        The manifest, if this very preparation is finished and whole; or else its journal, empty or
        with what was done before a stop.

    Raises:
        DataError: The folder holds another preparation or files that are not ours, cannot be
            written, or is being prepared by another process.
    """
    if out.exists() and not out.is_dir():
        raise DataError(f"{out} is a file", hint="Give a folder for the shards.")
    unfinished = out / UNFINISHED_NAME
    try:
        if unfinished.exists():
            there = read_header(unfinished) if not overwrite else _header_or_none(unfinished)
            if there is not None and _is_same(there, header):
                return _resume(out)
            if not overwrite and there is not None and any(out.glob("*.tar")):
                raise _another(out, there, header, "an unfinished preparation")
        elif (out / MANIFEST_NAME).exists():
            manifest = load_manifest(out)
            if (manifest.request, manifest.part) == (header.request, header.part):
                return _finished(out, manifest, retry=retry) or _begin(out, header)
            if not overwrite:
                names = tuple(source.name for source in manifest.sources)
                there = Header(manifest.request, names, manifest.options, manifest.part)
                raise _another(out, there, header, "another preparation")
        elif out.is_dir() and any(path.name[0] != "." for path in out.iterdir()):
            raise DataError(
                f"{out} is not empty, and what is in it was not written by pgseg",
                hint="Choose a new folder for the shards.",
            )
        return _begin(out, header)
    except OSError as error:
        raise DataError(
            f"the folder {out} cannot be written: {error}", hint="Choose another with --out."
        ) from error


def finish(out: Path, journal: Journal, manifest: Manifest) -> None:
    """Write the manifest and close the journal: from here on the folder is whole.

    Raises:
        DataError: The disk is full.
    """
    try:
        save_manifest(manifest, out)
    except OSError as error:
        raise cannot_write(out, error) from error
    journal.close(finished_as=out / JOURNAL_NAME)


def cannot_write(out: Path, error: OSError) -> DataError:
    """Return what is said where the disk is full or fails."""
    return DataError(
        f"a file in {out} cannot be written: {error}",
        hint="Make room on the disk and run the same command again: it goes on where it stopped.",
    )


def _begin(out: Path, header: Header) -> Journal:
    out.mkdir(parents=True, exist_ok=True)
    journal = Journal.begin(out / UNFINISHED_NAME, header)
    _tidy(out, keep=frozenset())
    return journal


def _resume(out: Path) -> Journal:
    journal = Journal.resume(out / UNFINISHED_NAME)
    _tidy(out, keep=frozenset(shard.entry.name for shard in journal.all_shards))
    return journal


def _finished(out: Path, manifest: Manifest, *, retry: bool) -> Manifest | Journal | None:
    """Return a finished preparation as it is, or its journal where there is something left to do.

    None says that shards are missing and the journal too: it has to be done from the start.
    """
    passing = PASSING & manifest.failed.keys() if retry else frozenset()
    whole = manifest.is_whole(out)
    if whole and not passing:
        return manifest
    if not (out / JOURNAL_NAME).exists():
        if not whole:
            return None
        raise DataError(
            f"{out / JOURNAL_NAME}, which names what failed, is missing",
            hint="Copy it back; of a merged folder, retry the parts and merge them again.",
        )
    (out / JOURNAL_NAME).replace(out / UNFINISHED_NAME)
    journal = _resume(out)
    if whole:
        journal.ask_again(passing)
    return journal


def _tidy(out: Path, keep: frozenset[str]) -> None:
    """Take away shards that are not recorded, and what says that the folder is whole."""
    for path in out.iterdir():
        stale = _SHARDS.fullmatch(path.name) and path.name not in keep
        if stale or _RESULTS.fullmatch(path.name):
            path.unlink()


def _header_or_none(path: Path) -> Header | None:
    try:
        return read_header(path)
    except DataError:
        return None


def _is_same(there: Header, asked: Header) -> bool:
    return (there.request, there.part) == (asked.request, asked.part)


def _another(out: Path, there: Header, asked: Header, what: str) -> DataError:
    """Say what the folder holds, and in what it differs from what is asked for."""
    differences = [
        f"{name} {there.options.get(name)}, now {value}"
        for name, value in asked.options.items()
        if there.options.get(name) != value
    ]
    if there.part != asked.part:
        parts = [f"{part.number}/{part.of}" if part else "all" for part in (there.part, asked.part)]
        differences.insert(0, "part {}, now {}".format(*parts))
    if not differences and there.sources == asked.sources:
        differences = ["the sources have changed since"]
    why = f"; {'; '.join(differences)}" if differences else ""
    return DataError(
        f"{out} holds {what} (of {', '.join(there.sources)}{why})",
        hint="Choose another folder, or add --overwrite to replace it.",
    )
