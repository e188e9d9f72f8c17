"""Weights on disk: our own format, and importers of others."""

from pgseg_core.checkpoint.store import (
    Checkpoint,
    find_weights,
    list_checkpoints,
    load_checkpoint,
    load_weights,
    save_checkpoint,
    write_checkpoint,
)

__all__ = [
    "Checkpoint",
    "find_weights",
    "list_checkpoints",
    "load_checkpoint",
    "load_weights",
    "save_checkpoint",
    "write_checkpoint",
]
