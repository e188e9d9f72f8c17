"""Files and folders that appear whole or not at all.

Both context managers hand out a temporary path beside the target and rename it at the end. When the
body fails, the temporary path is removed and the target stays as it was.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write; it replaces `path` on success."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path, *, temporary: Path | None = None) -> Iterator[Path]:
    """Yield a temporary, empty folder to fill; it replaces `path` on success.

    Args:
        path: The folder.
        temporary: Where it is filled, beside `path`; by default a name of this process's own.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary or _beside(path)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        if path.exists():
            old = _beside(path.with_name(f"{path.name}.old"))
            path.rename(old)
            temporary.rename(path)
            shutil.rmtree(old)
        else:
            temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what processes that were killed have left of unfinished files in a folder."""
    for path in folder.glob(".*.tmp"):
        process = path.name.removesuffix(".tmp").rpartition(".")[2]
        if process.isdigit() and not _runs(int(process)):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    """Say whether a process of this number runs on this machine."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it runs, and is another user's
        return True
    return True


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")
