"""The importers of foreign weights, behind one call."""

from pathlib import Path

from pgseg_core.checkpoint.released import read_released
from pgseg_core.checkpoint.store import Checkpoint
from pgseg_core.checkpoint.transformers import read_transformers


def import_checkpoint(source: str) -> Checkpoint:
    """Read a released .pth file, or a transformers GroupViT folder or hub name.

    Raises:
        CheckpointError: The weights cannot be read, or are unsafe to open.
    """
    return read_released(Path(source)) if Path(source).is_file() else read_transformers(source)
