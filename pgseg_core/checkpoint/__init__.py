"""Weights on disk: our own format, and importers of others."""

from pgseg_core.checkpoint.lite0 import Classifier, read_classifier, read_lite0
from pgseg_core.checkpoint.store import (
    Checkpoint,
    load_checkpoint,
    load_weights,
    save_checkpoint,
    write_checkpoint,
    write_tensors,
)
from pgseg_core.weights import find_weights, list_checkpoints

__all__ = [
    "Checkpoint",
    "Classifier",
    "find_weights",
    "list_checkpoints",
    "load_checkpoint",
    "load_weights",
    "read_classifier",
    "read_lite0",
    "save_checkpoint",
    "write_checkpoint",
    "write_tensors",
]
