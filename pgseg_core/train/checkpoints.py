"""The checkpoints of a run: which are whole, which are the best, which may go.

A checkpoint lists its own files with their SHA-256 (`files.json`), so that one that was cut short
or damaged on disk is known before training goes on from it.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from pgseg_core.atomic import whole_file
from pgseg_core.checkpoint import list_checkpoints, load_checkpoint
from pgseg_core.errors import CheckpointError
from pgseg_core.weights import CHECKPOINTS

FILES, SCORES, BEST = "files.json", "scores.json", "best"


def seal(folder: Path) -> None:
    """Write down the hash of every file of a checkpoint that is about to be published."""
    hashes = {path.name: _hash(path) for path in sorted(folder.iterdir()) if path.is_file()}
    (folder / FILES).write_text(json.dumps(hashes, indent=2) + "\n", "utf-8")


def check(folder: Path) -> None:
    """Make sure that a checkpoint is as it was written.

    Raises:
        CheckpointError: A file is missing or differs; names it.
    """
    listed = folder / FILES
    if not listed.is_file():  # written by hand, or before there were seals
        load_checkpoint(folder)
        return
    try:
        hashes: dict[str, str] = json.loads(listed.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{listed} cannot be read ({error})") from None
    for name, expected in hashes.items():
        path = folder / name
        if not path.is_file():
            raise CheckpointError(f"{path} is missing")
        if _hash(path) != expected:
            raise CheckpointError(f"{path} is damaged: it is not what was written")


def newest_good(run: Path) -> tuple[Path | None, list[str]]:
    """Find the newest checkpoint that is whole.

    Returns:
        The checkpoint, None if there is none at all; and what is wrong with the newer ones.

    Raises:
        CheckpointError: There are checkpoints, and all of them are damaged.
    """
    problems: list[str] = []
    folders = sorted((run / CHECKPOINTS).glob("step-*"))
    for folder in reversed(folders):
        try:
            check(folder)
        except CheckpointError as error:
            problems.append(error.message)
        else:
            return folder, problems
    if problems:
        raise CheckpointError(
            f"all {len(problems)} checkpoints of {run} are damaged; the newest: {problems[0]}",
            hint="Start anew with another --out, or bring a checkpoint back from a copy",
        )
    return None, []


def add_scores(folder: Path, scores: Mapping[str, float]) -> None:
    """Keep what a checkpoint was measured to be worth; the first score is what `best` means."""
    with whole_file(folder / SCORES) as file:
        file.write_text(json.dumps(dict(scores), indent=2) + "\n", "utf-8")


def score(folder: Path) -> float | None:
    """Return a checkpoint's first score; None if it was not measured."""
    try:
        values: dict[str, float] = json.loads((folder / SCORES).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return next(iter(values.values()), None)


def best_first(run: Path) -> list[Path]:
    """Return the measured checkpoints, best first; of equals the earlier."""
    scored = [(score(folder), folder) for folder in list_checkpoints(run)]
    return [
        folder
        for _, folder in sorted(
            ((value, folder) for value, folder in scored if value is not None),
            key=lambda pair: -pair[0],
        )
    ]


def prune(run: Path, *, keep_last: int, keep_best: int) -> None:
    """Drop all but the newest and the best, and point `best` at the best."""
    ranked = best_first(run)
    if ranked and keep_best:
        _point(run / BEST, ranked[0])
    kept = {*list_checkpoints(run)[-keep_last:], *ranked[:keep_best]}
    for folder in list_checkpoints(run):
        if folder not in kept:
            shutil.rmtree(folder)


def clear_after(run: Path, newest: Path | None) -> None:
    """Prepare to go on from a checkpoint.

    What a process that was killed while saving left behind is removed. Damaged checkpoints that are
    newer are set aside as `damaged-step-...`, so that they are not counted among the newest.
    """
    folder = run / CHECKPOINTS
    for left in folder.glob(".*.tmp"):
        shutil.rmtree(left, ignore_errors=True)
    for damaged in folder.glob("step-*"):
        if newest is None or damaged.name > newest.name:
            aside = damaged.with_name(f"damaged-{damaged.name}")
            shutil.rmtree(aside, ignore_errors=True)
            damaged.rename(aside)


def _point(link: Path, folder: Path) -> None:
    with whole_file(link) as temporary:
        temporary.symlink_to(Path(CHECKPOINTS) / folder.name, target_is_directory=True)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
