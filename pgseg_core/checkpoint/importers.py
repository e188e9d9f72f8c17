"""Weights of any kind, ours and others', behind one call."""

from pathlib import Path

from pgseg_core.checkpoint.released import read_released
from pgseg_core.checkpoint.store import STATE, Checkpoint, load_checkpoint
from pgseg_core.checkpoint.transformers import read_transformers
from pgseg_core.weights import CHECKPOINTS


def import_checkpoint(source: str) -> Checkpoint:
    """Read a released .pth file, a transformers GroupViT folder or hub name, or a run of our own.

    Raises:
        CheckpointError: The weights cannot be read, or are unsafe to open.
    """
    path = Path(source)
    if path.is_file():
        return read_released(path)
    if (path / CHECKPOINTS).is_dir() or (path / STATE).is_file():
        return load_checkpoint(path)
    return read_transformers(source)
